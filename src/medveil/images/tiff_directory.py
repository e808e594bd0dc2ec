"""TIFF image file directories, read with every length bounded, and written."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images.bounds import DAMAGED

SHORT, LONG, RATIONAL, DIRECTORY = 3, 4, 5, 13
ORIENTATION = 274
POINTERS = frozenset([34665, 34853, 40965])  # Exif, GPS, interoperability
MAX_ENTRIES = 4096
_MAX_DEPTH = 3
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_HEADER_BYTES = 8


@dataclass(frozen=True)
class Entry:
    """One entry of a directory.

    Attributes:
        tag: the field.
        kind: TIFF's number of the field's type.
        value: the values' bytes, little endian; empty when `inner` holds a directory.
        inner: the entries of the directory that the field points to (Exif, GPS).
        at: where the entry stands in its directory.
    """

    tag: int
    kind: int
    value: bytes
    inner: tuple[Entry, ...] = ()
    at: int = 0

    @property
    def integers(self) -> tuple[int, ...]:
        """The values of a field of bytes, shorts or longs; of other fields none."""
        form = {1: "B", 3: "H", 4: "I"}.get(self.kind)
        return struct.unpack(f"<{len(self.value) // _SIZES[self.kind]}{form}", self.value) if form else ()


def read(data: bytes) -> dict[int, Entry]:
    """The fields of the only directory of a TIFF file.

    Raises:
        UnreadableInputError: damaged.
        UnsupportedInputError: several pages, BigTIFF, or more entries than any honest file has.
    """
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < _HEADER_BYTES:
        raise UnreadableInputError(DAMAGED)
    version, offset = struct.unpack_from(order + "HI", data, 2)
    if version != 42:
        raise UnsupportedInputError("BigTIFF; medveil takes TIFF", hint="Store it as classic TIFF.")
    entries, following = _Reader(data, order).directory(offset, 0)
    if following:
        raise UnsupportedInputError("a TIFF of several pages; medveil takes single images")
    return {entry.tag: entry for entry in entries}


class _Reader:
    """Directories of one file. Their entries may point to the same bytes and to one another's directories, many times
    over; so all of them together are counted.
    """

    def __init__(self, data: bytes, order: str) -> None:
        self._data, self._order = data, order
        self._entries_left, self._bytes_left = MAX_ENTRIES, 2 * len(data)

    def directory(self, offset: int, depth: int) -> tuple[tuple[Entry, ...], int]:
        """The entries of a directory, and where the next one stands."""
        data, order = self._data, self._order
        if depth > _MAX_DEPTH or offset + 2 > len(data):
            raise UnreadableInputError(DAMAGED)
        count = struct.unpack_from(order + "H", data, offset)[0]
        end = offset + 2 + 12 * count
        if not count or end + 4 > len(data):
            raise UnreadableInputError(DAMAGED)
        self._entries_left -= count
        if self._entries_left < 0:
            raise UnsupportedInputError(f"a TIFF of more than {MAX_ENTRIES} fields")
        entries = [self._entry(offset + 2 + 12 * index, depth) for index in range(count)]
        following = struct.unpack_from(order + "I", data, end)[0]
        return tuple(entry for entry in entries if entry is not None), following

    def _entry(self, at: int, depth: int) -> Entry | None:
        data, order = self._data, self._order
        tag, kind, count = struct.unpack_from(order + "HHI", data, at)
        size = _SIZES.get(kind)
        if size is None:  # TIFF 6.0: readers skip types that they do not know
            return None
        length, start = count * size, at + 8
        if length > 4:
            start = struct.unpack_from(order + "I", data, start)[0]
        self._bytes_left -= length
        if start + length > len(data):
            raise UnreadableInputError(DAMAGED)
        if self._bytes_left < 0:
            raise UnsupportedInputError("a TIFF whose fields share their values many times over")
        value = data[start : start + length]
        if order == ">":
            value = _swapped(value, _WORDS.get(kind, 1))
        if tag in POINTERS and length == 4:
            inner, _ = self.directory(int.from_bytes(value, "little"), depth + 1)
            return Entry(tag, DIRECTORY, b"", inner, at)
        return Entry(tag, kind, value, at=at)


def _swapped(value: bytes, size: int) -> bytes:
    if size == 1:
        return value
    from numpy import frombuffer

    return frombuffer(value, f">u{size}").astype(f"<u{size}").tobytes()


def write(entries: Iterable[Entry], strip_tag: int, strip: bytes) -> bytes:
    """A little endian TIFF file of these fields and one strip of pixels, which `strip_tag` is to point to."""
    fields = [*entries, Entry(strip_tag, LONG, bytes(4))]
    length = len(_encoded(fields, _HEADER_BYTES))
    offset = _HEADER_BYTES + length + length % 2
    fields[-1] = Entry(strip_tag, LONG, struct.pack("<I", offset))
    head = struct.pack("<2sHI", b"II", 42, _HEADER_BYTES) + _encoded(fields, _HEADER_BYTES)
    return head.ljust(offset, b"\0") + strip


def _encoded(entries: Iterable[Entry], offset: int) -> bytes:
    """A directory that begins at `offset`, followed by its values and inner directories."""
    fields = sorted(entries, key=lambda entry: entry.tag)
    table, rest = [struct.pack("<H", len(fields))], list[bytes]()
    place = offset + 2 + 12 * len(fields) + 4  # of the next value
    for field in fields:
        kind, value = field.kind, field.value
        count = len(value) // _SIZES[kind]
        if field.inner:
            kind, count = LONG, 1
            rest.append(_encoded(field.inner, place))
            value, place = struct.pack("<I", place), place + len(rest[-1])
        elif len(value) > 4:
            rest.append(value + b"\0" * (len(value) % 2))
            value, place = struct.pack("<I", place), place + len(rest[-1])
        table.append(struct.pack("<HHI", field.tag, kind, count) + value.ljust(4, b"\0"))
    return b"".join([*table, bytes(4), *rest])


def orientation(exif: bytes) -> int:
    """The orientation that Exif states, 1 to 8; 0 where it states none, or is damaged. Nothing else is looked at."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < _HEADER_BYTES:
        return 0
    offset = struct.unpack_from(order + "I", exif, 4)[0]
    count = struct.unpack_from(order + "H", exif, offset)[0] if offset + 2 <= len(exif) else 0
    for place in range(offset + 2, min(offset + 2 + 12 * min(count, MAX_ENTRIES), len(exif) - 11), 12):
        tag, kind, number, value = struct.unpack_from(order + "HHIH", exif, place)
        if (tag, kind, number) == (ORIENTATION, SHORT, 1):
            return value if 1 <= value <= 8 else 0
    return 0


def of_orientation(value: int) -> bytes:
    """Exif that states this orientation and nothing else."""
    return struct.pack("<2sHIH", b"II", 42, _HEADER_BYTES, 1) + struct.pack(
        "<HHIHHI", ORIENTATION, SHORT, 1, value, 0, 0
    )
