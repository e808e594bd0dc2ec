"""What is kept in memory, and what goes first."""

from __future__ import annotations

import pytest

from medveil.experiments.cache import ByteCache


@pytest.fixture
def made():
    return []


@pytest.fixture
def words(made):
    """A cache of ten letters, and a way to ask for a word that says what was made."""
    cache = ByteCache(10, len)

    def get(word):
        return cache.get(word, lambda: made.append(word) or word)

    return get


def test_a_value_is_made_once(words, made):
    assert [words(word) for word in ("four", "four", "five", "four")] == ["four", "four", "five", "four"]
    assert made == ["four", "five"]


def test_the_one_unused_longest_goes_first(words, made):
    for word in ("aaaa", "bbbb", "aaaa", "cccc"):  # the third makes a newer than b
        words(word)
    made.clear()
    for word in ("aaaa", "cccc", "bbbb"):
        words(word)
    assert made == ["bbbb"]


def test_one_that_is_too_large_stays_until_the_next(words, made):
    for word in ("aaaa", "b" * 30, "b" * 30, "aaaa", "aaaa", "b" * 30):
        words(word)
    assert made == ["aaaa", "b" * 30, "aaaa", "b" * 30]


def test_what_fails_is_not_kept(words, made):
    cache = ByteCache(10, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("x", lambda: 1 // 0)
    assert cache.get("x", lambda: "y") == "y"
