"""docs/format.md, notation: what the fields of records look like, and how CBOR is written where it goes into a key."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.reader.refusal import RefusedError, require

Check = Callable[[Any], bool]
_DIGITS = frozenset("0123456789abcdef")


def fields(value: Any, checks: dict[str, Check], what: str) -> dict[str, Any]:
    """A map of exactly these fields."""
    require(isinstance(value, dict) and value.keys() == checks.keys(), f"{what} has other fields")
    for name, check in checks.items():
        require(check(value[name]), f"{what}: {name} is none")
    found: dict[str, Any] = value
    return found


def row(value: Any, *checks: Check) -> bool:
    """A list of exactly these items."""
    if not isinstance(value, list) or len(value) != len(checks):
        return False
    return all(check(item) for check, item in zip(checks, value, strict=True))


def rows(*checks: Check) -> Check:
    """A list of lists of exactly these items."""
    return many(lambda item: row(item, *checks))


def many(check: Check, most: int | None = None) -> Check:
    """A list of such items."""
    return lambda value: isinstance(value, list) and all(map(check, value)) and (most is None or len(value) <= most)


def whole(value: Any) -> bool:
    """A number of the format: not negative, below 2^32."""
    return type(value) is int and 0 <= value < 1 << 32


def raw(*lengths: int) -> Check:
    """A byte string of one of these lengths."""
    return lambda value: isinstance(value, bytes) and (not lengths or len(value) in lengths)


def text(value: Any) -> bool:
    return isinstance(value, str)


def one_of(*choices: Any) -> Check:
    """One of these, and of the same type: True is not 1."""
    return lambda value: any(type(value) is type(choice) and value == choice for choice in choices)


def day(value: Any) -> bool:
    """YYYY-MM-DD."""
    try:
        return isinstance(value, str) and datetime.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def hexadecimal(value: str, digits: int) -> bool:
    return len(value) == digits and _DIGITS.issuperset(value)


def rising(values: list[Any]) -> bool:
    """Sorted, nothing twice."""
    return all(one < two for one, two in pairwise(values))


def encode(value: Any) -> bytes:
    """CBOR of lists of numbers, byte strings and text."""
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        raw_text = value.encode("utf-8")
        return _head(3, len(raw_text)) + raw_text
    require(type(value) is int and value >= 0, "a value that goes into no key")
    return _head(0, value)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for short, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | short]) + argument.to_bytes(size, "big")
    raise RefusedError("a number that is too large")
