"""DICOM data elements as they stand in a file, read with every length bounded.

The values stay bytes. That keeps the identity record exact, whatever a file holds, and nothing is interpreted (and no
warning with a value in it printed) that is not needed. pydicom serves as the dictionary and decodes compressed pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medveil.errors import UnreadableInputError, UnsupportedInputError

PIXEL_DATA = 0x7FE00010
PIXEL_REPRESENTATION = 0x00280103
MAX_DEPTH = 24
MAX_ELEMENTS = 200_000
TRUNCATED = "the file is truncated, or an element is longer than the file"
MALFORMED = "the DICOM data set is damaged"

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_FIRST_TAG = 0x00020000  # below are the commands of network messages
_SHORT_BINARY = frozenset(["AT", "FD", "FL", "SL", "SS", "UI", "UL", "US"])
_SHORT_TEXT = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM"])
_LONG_TEXT = frozenset(["UC", "UR", "UT"])
_SHORT, _TEXT = _SHORT_BINARY | _SHORT_TEXT, _SHORT_TEXT | _LONG_TEXT
_LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UN", "UV"]) | _LONG_TEXT
_MAX_SHORT_LENGTH = 0xFFFE
_WORDS = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4}
_WORDS |= {"FD": 8, "OD": 8, "SV": 8, "UV": 8, "OV": 8}


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


def parse(data: bytes, start: int = 0, *, implicit: bool = False, big: bool = False) -> dict[int, Element]:
    """The data set from `start` to the end of `data`, by tag in the file's order; group lengths are left out.

    Raises:
        UnreadableInputError: truncated, not a data set, an element twice, or nested too deeply.
        UnsupportedInputError: more elements than any honest file has.
    """
    return _Parser(data, start, implicit, big).dataset(stop_at_pixels=False)


def parse_head(data: bytes, start: int, *, implicit: bool = False, big: bool = False) -> tuple[dict[int, Element], int]:
    """The elements before the pixel data, and where the pixel data ends according to its header (-1: not stated)."""
    parser = _Parser(data, start, implicit, big)
    return parser.dataset(stop_at_pixels=True), parser.stated_end


def fragments(value: bytes) -> list[bytes]:
    """The items of encapsulated pixel data; the first one is the offset table.

    Raises:
        UnreadableInputError: not a list of items.
    """
    result, position = [], 0
    while position < len(value):
        if position + 8 > len(value):
            raise UnreadableInputError(TRUNCATED)
        group, element, length = struct.unpack_from("<HHI", value, position)
        position += 8
        if group << 16 | element != _ITEM or position + length > len(value):
            raise UnreadableInputError(MALFORMED)
        result.append(value[position : position + length])
        position += length
    return result


def encode(elements: Iterable[Element]) -> bytes:
    """The elements in ascending order as an Explicit VR Little Endian data set; encapsulated ones are left out."""
    parts: list[bytes] = []
    for element in sorted(elements, key=lambda one: one.tag):
        if not element.encapsulated:
            parts += _encoded(element)
    return b"".join(parts)


def _encoded(element: Element) -> Sequence[bytes]:
    vr = element.vr
    if isinstance(element.value, bytes):
        value = element.value
        if len(value) % 2:
            value += b" " if vr in _TEXT else b"\0"
    else:
        items = [encode(item) for item in element.value]
        value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    if vr in _SHORT and len(value) > _MAX_SHORT_LENGTH:
        vr = "UN"  # PS3.5 6.2.2: what was implicit and is too long for a 16-bit length
    head = struct.pack("<HH", element.tag >> 16, element.tag & 0xFFFF) + vr.encode()
    length = struct.pack("<H", len(value)) if vr in _SHORT else struct.pack("<HI", 0, len(value))
    return head, length, value


class _Parser:
    def __init__(self, data: bytes, start: int, implicit: bool, big: bool) -> None:
        self.data, self.position, self.end = data, start, len(data)
        self.implicit, self.big = implicit, big
        self.signed = False
        self.left = MAX_ELEMENTS
        self.stated_end = -1
        order = ">" if big else "<"
        self._tag = struct.Struct(order + "HH")
        self._long = struct.Struct(order + "I")
        self._short = struct.Struct(order + "H")

    def dataset(self, *, stop_at_pixels: bool) -> dict[int, Element]:
        elements: dict[int, Element] = {}
        creators: dict[int, str] = {}
        while self.position < self.end and not self._only_padding_left():
            tag, vr, length = self._head(creators)
            if tag == PIXEL_DATA and stop_at_pixels:
                self.stated_end = -1 if length == _UNDEFINED else self.position + length
                break
            element = self._body(tag, vr, length, 0)
            if tag in elements or tag < _FIRST_TAG:
                raise UnreadableInputError(MALFORMED)
            if tag & 0xFFFF:
                elements[tag] = element
            _note_creator(element, creators)
            if tag == PIXEL_REPRESENTATION:
                self.signed = element.data[:1] == b"\1"
        return elements

    def _only_padding_left(self) -> bool:
        return self.data[self.position : self.position + 8].strip(b"\0") == b"" and not any(
            self.data[at : at + 4096].strip(b"\0") for at in range(self.position, self.end, 4096)
        )

    def _take(self, count: int) -> bytes:
        if count > self.end - self.position:
            raise UnreadableInputError(TRUNCATED)
        self.position += count
        return self.data[self.position - count : self.position]

    def _head(self, creators: dict[int, str]) -> tuple[int, str, int]:
        self.left -= 1
        if self.left < 0:
            raise UnsupportedInputError(f"more than {MAX_ELEMENTS} data elements")
        group, element = self._tag.unpack(self._take(4))
        tag = group << 16 | element
        if group == 0xFFFE:
            return tag, "", self._long.unpack(self._take(4))[0]
        if self.implicit:
            return tag, _dictionary_vr(tag, creators, self.signed), self._long.unpack(self._take(4))[0]
        vr = self._take(2).decode("latin-1")
        if vr in _LONG:
            self._take(2)
            return tag, vr, self._long.unpack(self._take(4))[0]
        if vr not in _SHORT:
            raise UnreadableInputError(MALFORMED)
        return tag, vr, self._short.unpack(self._take(2))[0]

    def _body(self, tag: int, vr: str, length: int, depth: int) -> Element:
        if vr == "":
            raise UnreadableInputError(MALFORMED)
        if length == _UNDEFINED and vr in ("OB", "OW"):
            return Element(tag, vr, self._encapsulated(), encapsulated=True)
        if vr == "SQ" or length == _UNDEFINED:
            return Element(tag, "SQ", self._sequence(length, depth + 1, unknown=vr == "UN"))
        value = self._take(length)
        return Element(tag, vr, _swapped(value, vr) if self.big else value)

    def _encapsulated(self) -> bytes:
        start = self.position
        while True:
            tag, _, length = self._head({})
            if tag == _SEQUENCE_END:
                return self.data[start : self.position - 8]
            if tag != _ITEM:
                raise UnreadableInputError(MALFORMED)
            self._skip(length)

    def _skip(self, count: int) -> None:
        if count > self.end - self.position:
            raise UnreadableInputError(TRUNCATED)
        self.position += count

    def _sequence(self, length: int, depth: int, *, unknown: bool) -> tuple[tuple[Element, ...], ...]:
        """The items; a sequence whose VR is UN is Implicit VR Little Endian inside (PS3.5 6.2.2)."""
        if depth > MAX_DEPTH:
            raise UnreadableInputError("sequences are nested too deeply")
        before, self.implicit = self.implicit, self.implicit or unknown
        end = self._end_of(length)
        items = []
        while end is None or self.position < end:
            tag, _, item_length = self._head({})
            if tag == _SEQUENCE_END and end is None:
                break
            if tag != _ITEM:
                raise UnreadableInputError(MALFORMED)
            items.append(self._item(item_length, depth))
        if end is not None and self.position != end:
            raise UnreadableInputError(MALFORMED)
        self.implicit = before
        return tuple(items)

    def _item(self, length: int, depth: int) -> tuple[Element, ...]:
        end = self._end_of(length)
        elements: dict[int, Element] = {}
        creators: dict[int, str] = {}
        while end is None or self.position < end:
            tag, vr, element_length = self._head(creators)
            if tag == _ITEM_END and end is None:
                break
            element = self._body(tag, vr, element_length, depth)
            if tag in elements:
                raise UnreadableInputError(MALFORMED)
            if tag & 0xFFFF:
                elements[tag] = element
            _note_creator(element, creators)
        if end is not None and self.position != end:
            raise UnreadableInputError(MALFORMED)
        return tuple(elements.values())

    def _end_of(self, length: int) -> int | None:
        if length == _UNDEFINED:
            return None
        if length > self.end - self.position:
            raise UnreadableInputError(TRUNCATED)
        return self.position + length


def _note_creator(element: Element, creators: dict[int, str]) -> None:
    """Remember who reserved a block of private elements, so that implicit ones find their VR."""
    group, number = element.tag >> 16, element.tag & 0xFFFF
    if group % 2 and 0x10 <= number <= 0xFF:
        creators[group << 16 | number << 8] = element.data.decode("latin-1").strip(" \0")


def _dictionary_vr(tag: int, creators: dict[int, str], signed: bool) -> str:
    """The VR that the dictionary gives an implicit element; ambiguous ones resolved as PS3.5 annex A says."""
    from pydicom.datadict import dictionary_VR, private_dictionary_VR

    if not tag & 0xFFFF:
        return "UL"
    try:
        if not tag >> 16 & 1:
            vr = dictionary_VR(tag)
        elif 0x10 <= tag & 0xFFFF <= 0xFF:
            vr = "LO"
        else:
            vr = private_dictionary_VR(tag, creators[tag & 0xFFFFFF00])
    except (KeyError, TypeError, ValueError):
        return "UN"
    if vr == "US or SS":
        return "SS" if signed else "US"
    if " or " in vr:
        return "OW"
    return vr if vr in _SHORT or vr in _LONG else "UN"


def _swapped(value: bytes, vr: str) -> bytes:
    """A big endian value in little endian."""
    size = _WORDS.get(vr, 1)
    if size == 1 or len(value) % size:
        return value
    from numpy import frombuffer

    return frombuffer(value, f">u{size}").astype(f"<u{size}").tobytes()
