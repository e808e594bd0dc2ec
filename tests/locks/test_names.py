"""Names and purposes are what they were, and a lock says what differs."""

from __future__ import annotations

import pytest
from tests.locks import names, stored


def test_names():
    pytest.importorskip("torch", reason="attacks and tasks need torch")
    stored.check("names", names.names())


def test_purposes():
    stored.check("purposes", names.purposes())


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"a": 1}, {"a": 2}, ["/a is 2 and was 1"]),
        ({"a": 1}, {"b": 1}, ["/a is gone", "/b is new: 1"]),
        ([1, 2], [1], [" has 1 entries and had 2"]),
        ({"a": [1.0]}, {"a": [1.01]}, ["/a/0 is 1.01 and was 1.0"]),
        ({"a": 1.0}, {"a": 1.0009}, []),
        ({"a": 1}, {"a": 1.0}, ["/a is 1.0 and was 1"]),
        ({"a": 1}, {"a": True}, ["/a is True and was 1"]),
        ({"a": None}, {"a": 0.0}, ["/a is 0.0 and was None"]),
    ],
)
def test_a_lock_says_what_differs(before, now, told):
    assert list(stored.differences(before, now)) == told
