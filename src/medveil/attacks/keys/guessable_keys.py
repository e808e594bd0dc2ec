"""Keys that bad software would use, tested against the public commitments of a release.

What this can show: a key that is one of these. What it cannot: that keys are well chosen otherwise. A generator with 64
bits of state, or one that an adversary seeded, passes; that keys come from the operating system is for those to check
who read the program, and no outside look at 2**256 possible keys replaces it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import chain, islice, repeat

import numpy as np

from medveil.protection.keystream import KEY_BYTES, commit

_WORDS = (b"", b"0", b"key", b"test", b"secret", b"password", b"changeme", b"admin", b"default", b"medveil", b"primis")
_DAY_SECONDS = 86_400
_RARE = 2048  # candidates of a kind that is slow to make
_REMEMBERED = 1 << 16  # candidates whose commitments are reckoned once a process; some 20 MB


@dataclass(frozen=True)
class Guessable:
    """A kind of guessable key.

    Attributes:
        what: the kind.
        reason: why a program might use it.
        every: makes them, likeliest first; endless where there are endlessly many.
    """

    what: str
    reason: str
    every: Callable[[], Iterator[bytes]] = field(repr=False)


def kinds() -> tuple[Guessable, ...]:
    """Kinds of keys that depend on nothing public."""
    return (
        Guessable("repeated byte", "memory that nobody filled, a placeholder, a failed call", _bytes),
        Guessable("word", "a placeholder, or a password taken as it is or hashed once", _words),
        Guessable("small integer", "a counter or a row number, little or big endian", _integers),
        Guessable("sha256 of a small integer", "a counter, made to look random", _hashed_integers),
        Guessable("seeded generator", "a numerics library that was seeded for repeatable results", _seeded),
    )


def release_kinds(release: bytes, packages: Sequence[bytes], created: str) -> tuple[Guessable, ...]:
    """Kinds of keys that depend on what a manifest says.

    Args:
        release: its id.
        packages: ids of its packages.
        created: its day, YYYY-MM-DD.
    """
    start = int(datetime.fromisoformat(created).replace(tzinfo=UTC).timestamp())
    seconds = range(start - _DAY_SECONDS // 2, start + _DAY_SECONDS + _DAY_SECONDS // 2)
    ids = (release, *packages)

    def of_ids() -> Iterator[bytes]:
        for name in ids:
            for text in (name, name.hex().encode(), release + name):
                yield hashlib.sha256(text).digest()
            yield (name * KEY_BYTES)[:KEY_BYTES]

    def of_times() -> Iterator[bytes]:
        for second in seconds:
            yield second.to_bytes(KEY_BYTES, "little")
            yield hashlib.sha256(str(second).encode()).digest()

    return (
        Guessable("id", "a key derived from what is public, with no secret in it", of_ids),
        Guessable("time stamp", "a generator or a hash that was seeded with the clock", of_times),
    )


def candidates(count: int) -> Iterator[tuple[str, bytes]]:
    """`count` guessable keys that depend on nothing public, with their kinds; every kind in turn while it lasts."""
    sources = [zip(repeat(kind.what), kind.every(), strict=False) for kind in kinds()]
    turns = chain.from_iterable(_in_turns(sources))
    return islice(turns, count)


def guessed(count: int, commitments: Collection[bytes]) -> dict[bytes, tuple[str, bytes]]:
    """For each commitment that one of the first `count` candidates fits, its kind and the key."""
    if count < _REMEMBERED:
        return fitting(candidates(count), commitments)
    table = _remembered()
    found = {commitment: table[commitment] for commitment in commitments if commitment in table}
    if count == _REMEMBERED:  # the others would be made only to be passed over
        return found
    return fitting(islice(candidates(count), _REMEMBERED, None), commitments) | found


@cache
def _remembered() -> dict[bytes, tuple[str, bytes]]:
    found: dict[bytes, tuple[str, bytes]] = {}
    for what, key in candidates(_REMEMBERED):
        found.setdefault(commit(key), (what, key))
    return found


def fitting(tries: Iterator[tuple[str, bytes]], commitments: Collection[bytes]) -> dict[bytes, tuple[str, bytes]]:
    """For each commitment that a candidate fits, its kind and the key."""
    wanted = frozenset(commitments)
    found: dict[bytes, tuple[str, bytes]] = {}
    if not wanted:
        return found
    for what, key in tries:
        commitment = commit(key)
        if commitment in wanted:
            found[commitment] = what, key
    return found


def _in_turns(sources: Sequence[Iterator[tuple[str, bytes]]]) -> Iterator[list[tuple[str, bytes]]]:
    left = list(sources)
    while left:
        turn = [(source, next(source, None)) for source in left]
        left = [source for source, item in turn if item is not None]
        yield [item for _, item in turn if item is not None]


def _bytes() -> Iterator[bytes]:
    yield from (bytes([value]) * KEY_BYTES for value in range(256))
    yield bytes(range(KEY_BYTES))
    yield bytes(range(1, KEY_BYTES + 1))


def _words() -> Iterator[bytes]:
    for word in _WORDS:
        for form in (word, word.upper(), word.capitalize(), word + b"123"):
            yield form.ljust(KEY_BYTES, b"\0")[:KEY_BYTES]
            yield hashlib.sha256(form).digest()


def _integers() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield number.to_bytes(KEY_BYTES, "little")
        yield number.to_bytes(KEY_BYTES, "big")


def _hashed_integers() -> Iterator[bytes]:
    number = 0
    while True:
        yield hashlib.sha256(str(number).encode()).digest()
        yield hashlib.sha256(number.to_bytes(8, "little")).digest()
        yield hashlib.sha256(number.to_bytes(4, "big")).digest()
        number += 1


def _seeded() -> Iterator[bytes]:
    for seed in range(_RARE):
        yield np.random.RandomState(seed).bytes(KEY_BYTES)
        yield np.random.default_rng(seed).bytes(KEY_BYTES)
