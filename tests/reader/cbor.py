"""Chapter 1: canonical CBOR, the one encoding of every record."""

from __future__ import annotations

import math
import struct
from typing import Any

from tests.reader.refusal import RefusedError, require

_MAX_DEPTH = 32
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_CONSTANTS = {20: False, 21: True, 22: None}
_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}


def loads(data: bytes, *, limit: int = 1 << 20, max_items: int = 1 << 20) -> Any:
    """The value of one canonical item that fills the bytes."""
    require(len(data) <= limit, "a record is too long")
    reader = _Reader(data, max_items)
    value = reader.item(0)
    require(reader.at == len(data), "bytes follow after a record")
    return value


class _Reader:
    def __init__(self, data: bytes, max_items: int) -> None:
        self.data, self.at, self.left = data, 0, max_items

    def item(self, depth: int) -> Any:
        self.left -= 1
        require(self.left >= 0, "a record has too many items")
        first = self._take(1)[0]
        major, short = first >> 5, first & 31
        require(major != _TAG, "a tag")
        if major == _SIMPLE:
            return self._simple(short)
        argument = self._argument(short)
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return self._text(argument)
        require(depth < _MAX_DEPTH, "a record is nested too deeply")
        if major == _LIST:
            return [self.item(depth + 1) for _ in range(self._count(argument))]
        return self._map(self._count(2 * argument) // 2, depth)

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        before = b""
        for _ in range(count):
            start = self.at
            key = self.item(depth + 1)
            require(isinstance(key, str), "a key is no text")
            encoded = self.data[start : self.at]
            require((len(before), before) < (len(encoded), encoded), "keys in another order, or twice")
            before = encoded
            found[key] = self.item(depth + 1)
        return found

    def _count(self, items: int) -> int:
        require(items <= len(self.data) - self.at, "a list or map is cut off")
        return items

    def _argument(self, short: int) -> int:
        if short < 24:
            return short
        require(short <= 27, "an indefinite length")
        argument = int.from_bytes(self._take(1 << (short - 24)), "big")
        require(argument >= (24, 1 << 8, 1 << 16, 1 << 32)[short - 24], "a number in more bytes than it needs")
        return argument

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedError("a text is not UTF-8") from None

    def _simple(self, short: int) -> Any:
        if short in _CONSTANTS:
            return _CONSTANTS[short]
        require(short in _FLOATS, "a simple value that no record has")
        kind, size = _FLOATS[short]
        raw = self._take(size)
        (value,) = struct.unpack(kind, raw)
        require(raw == _shortest(value), "a float in another than its shortest form")
        return value

    def _take(self, count: int) -> bytes:
        require(count <= len(self.data) - self.at, "a record is cut off")
        self.at += count
        return self.data[self.at - count : self.at]


def _shortest(value: float) -> bytes:
    """The shortest of the three forms that holds the value; not-a-number is the half 7e00."""
    if math.isnan(value):
        return b"\x7e\x00"
    for kind in (">e", ">f"):
        try:
            raw = struct.pack(kind, value)
        except OverflowError:
            continue
        if struct.unpack(kind, raw)[0] == value:
            return raw
    return struct.pack(">d", value)
