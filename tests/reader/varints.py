"""Chapter 1: variable-length integers."""

from __future__ import annotations

from tests.reader.refusal import RefusedError, require

_LONGEST = 5


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position after it)."""
    value = 0
    for index in range(_LONGEST):
        require(at + index < len(data), "a varint is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise RefusedError("a varint has more than five bytes")
