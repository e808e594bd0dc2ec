"""DICOM data elements as they stand in a file, read with every length bounded.

The values stay bytes. That keeps the identity record exact, whatever a file holds, and nothing is interpreted (and no
warning with a value in it printed) that is not needed. pydicom serves as the dictionary and decodes compressed pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medveil.errors import UnreadableInputError

PIXEL_DATA = 0x7FE00010
_NO_FRAGMENTS = "the compressed pixel data is not made of whole fragments"

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
_SEQUENCE_END_BYTES = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
_SHORT_BINARY = frozenset(["AT", "FD", "FL", "SL", "SS", "UI", "UL", "US"])
_SHORT_TEXT = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM"])
_LONG_TEXT = frozenset(["UC", "UR", "UT"])
SHORT, _TEXT = _SHORT_BINARY | _SHORT_TEXT, _SHORT_TEXT | _LONG_TEXT
LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UN", "UV"]) | _LONG_TEXT
_MAX_SHORT_LENGTH = 0xFFFE


@dataclass(frozen=True, slots=True)
class Element:
    """One data element.

    Attributes:
        tag: group << 16 | element.
        vr: its value representation, never an ambiguous one.
        value: the value's bytes, little endian; for SQ the items, each a tuple of elements.
        encapsulated: the value is a list of fragments, item headers included, as compressed pixel data has it.
    """

    tag: int
    vr: str
    value: bytes | tuple[tuple[Element, ...], ...]
    encapsulated: bool = False

    @property
    def data(self) -> bytes:
        """The value's bytes; of a sequence none."""
        return self.value if isinstance(self.value, bytes) else b""

    @property
    def items(self) -> tuple[tuple[Element, ...], ...]:
        """The items of a sequence; of anything else none."""
        return () if isinstance(self.value, bytes) else self.value


def fragments(value: bytes) -> list[bytes]:
    """The items of encapsulated pixel data; the first one is the offset table.

    Raises:
        UnreadableInputError: not a list of items.
    """
    result, position = [], 0
    while position < len(value):
        if position + 8 > len(value):
            raise UnreadableInputError(_NO_FRAGMENTS)
        group, element, length = struct.unpack_from("<HHI", value, position)
        position += 8
        if group << 16 | element != ITEM or position + length > len(value):
            raise UnreadableInputError(_NO_FRAGMENTS)
        result.append(value[position : position + length])
        position += length
    return result


def encode(elements: Iterable[Element]) -> bytes:
    """Elements in rising order as an Explicit VR Little Endian data set.

    An encapsulated one is written as such; in an uncompressed file none may stand.
    """
    parts: list[bytes] = []
    for element in sorted(elements, key=lambda one: one.tag):
        parts += _encoded(element)
    return b"".join(parts)


def holds_encapsulated(elements: Iterable[Element]) -> bool:
    """Whether one of these elements, or one inside them, is encapsulated."""
    return any(one.encapsulated or any(holds_encapsulated(item) for item in one.items) for one in elements)


def named(tag: int) -> str:
    """A tag as it is written in messages, with the name that the public dictionary has for it."""
    from pydicom.datadict import dictionary_description

    try:
        return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {dictionary_description(tag)}"
    except KeyError:
        return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _encoded(element: Element) -> Sequence[bytes]:
    vr = element.vr
    if isinstance(element.value, bytes):
        value = element.value
        if len(value) % 2:
            value += b" " if vr in _TEXT else b"\0"
    else:
        items = [encode(item) for item in element.value]
        value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    if vr in SHORT and len(value) > _MAX_SHORT_LENGTH:
        vr = "UN"  # PS3.5 6.2.2: what was implicit and is too long for a 16-bit length
    head = struct.pack("<HH", element.tag >> 16, element.tag & 0xFFFF) + vr.encode()
    if element.encapsulated:
        return head, struct.pack("<HI", 0, UNDEFINED), value, _SEQUENCE_END_BYTES
    length = struct.pack("<H", len(value)) if vr in SHORT else struct.pack("<HI", 0, len(value))
    return head, length, value
