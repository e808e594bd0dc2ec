"""Variable-length integers (LEB128: seven bits a byte, lowest first)."""

from __future__ import annotations

from medveil.errors import IntegrityError

_LONGEST = 5


def varint(value: int) -> bytes:
    """The bytes of an integer of [0, 2**35)."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position after it) of the varint at a position.

    Raises:
        IntegrityError: the data end within it, or it has more than five bytes.
    """
    value = 0
    for index in range(_LONGEST):
        if at + index >= len(data):
            raise IntegrityError("coded data end too early")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise IntegrityError("a number in coded data is too long")
