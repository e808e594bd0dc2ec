"""Canonical CBOR: the one encoding of every signed or sealed record; anything else is refused.

What is read comes from strangers. A scan of its own goes over the bytes first, in linear time and without building
anything, and lets through only what `dumps` writes: integers, byte strings, text, lists, maps with text keys in their
order, false, true, null and floats, of definite and minimal lengths that fit the bytes. Nothing is encoded again to be
compared, since that would take the memory of a record a third time. Tags are refused: shared references (28, 29) decode
small and expand without bound when they are walked.
"""

from __future__ import annotations

import struct
from typing import Any

import cbor2

from medveil.errors import IntegrityError

MAX_DEPTH = 32
MAX_ITEMS = 1 << 20
_BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = 2, 3, 4, 5, 6, 7
_PLAIN = (20, 21, 22)  # false, true, null
_FLOATS = (25, 26, 27)


class _RefusedError(ValueError):
    """Not what `dumps` could have written."""


def dumps(value: Any) -> bytes:
    """Canonical CBOR (RFC 8949 §4.2.3, length-first key order) of plain integers, bytes, text, lists and maps."""
    return cbor2.dumps(value, canonical=True)


def loads(data: bytes, *, what: str, limit: int = 1 << 20, max_items: int = MAX_ITEMS) -> Any:
    """Value of canonical CBOR bytes. Takes time and memory linear in their length and number of items.

    Args:
        data: the bytes.
        what: name of the record, for the error message.
        limit: largest length that is accepted.
        max_items: largest number of data items; each costs up to 100 bytes of memory, however short it is.

    Raises:
        IntegrityError: too long, too many items, not CBOR, trailing bytes, a tag, nested deeper than MAX_DEPTH, or not
            what encoding the value again gives.
    """
    if len(data) > limit:
        raise IntegrityError(f"the {what} is {len(data)} bytes long; {limit} at most are allowed")
    try:
        _scan(data, max_items)
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError, MemoryError):
        raise IntegrityError(f"the {what} is damaged: it is not canonical CBOR") from None


def _scan(data: bytes, max_items: int) -> None:
    """Refuse everything but one plain data item that fills the bytes."""
    at, end, seen = 0, len(data), 0
    # (items still to come, whether they are a map's, the key before in it) around the current one
    open_ones: list[tuple[int, bool, bytes]] = []
    left, in_map, former = 1, False, b""
    while True:
        while left == 0:
            if not open_ones:
                if at != end:
                    raise _RefusedError("trailing bytes")
                return
            left, in_map, former = open_ones.pop()
        start = at
        major, argument, at = _head(data, at)
        is_key = in_map and left % 2 == 0
        left, seen = left - 1, seen + 1
        if seen > max_items or (is_key and major != _TEXT):
            raise _RefusedError("too many items, or a key that is no text")
        if major in (_BYTES, _TEXT):
            at += argument
            if at > end:
                raise _RefusedError("a string is cut off")
            if is_key:
                key = data[start:at]
                if (len(key), key) <= (len(former), former):
                    raise _RefusedError("keys that are not in their order")
                former = key
        elif major in (_LIST, _MAP):
            items = argument if major == _LIST else 2 * argument
            if items > min(end - at, max_items - seen) or len(open_ones) >= MAX_DEPTH:
                raise _RefusedError("a list or map is cut off, too long or too deep")
            open_ones.append((left, in_map, former))
            left, in_map, former = items, major == _MAP, b""


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """(major type, argument, position after the head) of the item at a position; a float's bytes belong to its head."""
    if at >= len(data):
        raise _RefusedError("the data end too early")
    major, short = data[at] >> 5, data[at] & 31
    at += 1
    if major == _TAG or (major == _SIMPLE and short not in _PLAIN + _FLOATS):
        raise _RefusedError("a tag, or a simple value that no record has")
    if short < 24:
        return major, short, at
    if short > 27:
        raise _RefusedError("an indefinite length")
    after = at + (1 << (short - 24))
    if after > len(data):
        raise _RefusedError("a head is cut off")
    argument = int.from_bytes(data[at:after], "big")
    if major == _SIMPLE and not _is_shortest(data[at:after]):
        raise _RefusedError("a float in more bytes than it needs")
    if major != _SIMPLE and argument < (24, 1 << 8, 1 << 16, 1 << 32)[short - 24]:
        raise _RefusedError("a length or number in more bytes than it needs")
    return major, argument, after


def _is_shortest(data: bytes) -> bool:
    """Whether a float (big endian, 2, 4 or 8 bytes) is in the shortest form of its value; there is one not-a-number."""
    value = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[len(data)], data)[0]
    if value != value:
        return data == b"\x7e\x00"
    for form in {2: "", 4: "e", 8: "ef"}[len(data)]:
        try:
            if struct.unpack(f">{form}", struct.pack(f">{form}", value))[0] == value:
                return False
        except OverflowError:
            continue
    return True
