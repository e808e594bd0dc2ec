"""Reading the data set of a DICOM file with every length bounded, leniently where an oddity leaves one reading.

What is mended is noted, and what cannot be read is refused, both with the tag and its place in the file and never with
a value. Each mending looks at one element and the head of the one behind it, so nothing is read twice.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images.dicom.elements import ITEM, ITEM_END, LONG, PIXEL_DATA, SEQUENCE_END, SHORT, UNDEFINED, Element

BITS_ALLOCATED, PIXEL_REPRESENTATION = 0x00280100, 0x00280103
MAX_DEPTH = 24
MAX_ELEMENTS = 200_000
TRUNCATED = "its length goes beyond the end of the file, which is truncated or damaged here"
OVERLONG = "its length goes beyond the end of the sequence or item that it stands in"
TRAILING = "bytes behind the data set that are no element of it; they come back only with the kept file"
COMMAND = "group 0000 belongs to network messages and not to files; it comes back with identity only"
NO_END = "the file ends where an end of items should stand; read as if it stood there"
UNKNOWN_VR = "its VR is none of DICOM's; read as an unknown one (UN)"
IMPLICIT_INSIDE = "an element without a VR in a data set with VRs; read with that of the dictionary"
NO_ITEMS = "its VR is that of a sequence (SQ), and its value is not made of items"
WORDLESS = (
    "big endian pixel data whose VR is neither OW, nor OB with 8 bits allocated: whether its bytes are swapped is not"
    " said, and programs differ; write the file anew as Explicit VR Little Endian with the program that made it"
)
EXPLICIT_INSIDE = "items with VRs in a sequence of unknown VR (UN), which has to be without; read as they are"


_FIRST_TAG = 0x00020000  # below are the commands of network messages
_BLOCK_BYTES = 1 << 16
_MAX_CREATOR_BYTES = 64  # a long string (LO); whatever stands there is looked up for every element of the block
_WORDS = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4}
_WORDS |= {"FD": 8, "OD": 8, "SV": 8, "UV": 8, "OV": 8}


@dataclass(frozen=True)
class DataSet:
    """What stands in a file.

    Attributes:
        elements: the data set by tag in the file's order; group lengths are left out.
        command: elements of group 0000, which belong to network messages and not to files.
        notes: what was mended, each with the tag and place of the first case; no values.
        stated_end: where the pixel data ends according to its header (-1: not stated, or not looked for).
    """

    elements: dict[int, Element]
    command: dict[int, Element] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stated_end: int = -1


@dataclass(frozen=True)
class Encoding:
    """How a data set is encoded: with VRs or without, in which byte order, and whether it was inflated before."""

    implicit: bool = False
    big: bool = False
    inflated: bool = False


EXPLICIT_LITTLE = Encoding()


def parse(data: bytes) -> dict[int, Element]:
    """The data set that medveil encoded: Explicit VR Little Endian, and nothing in it to mend.

    Raises:
        UnreadableInputError: not such a data set.
        UnsupportedInputError: more elements than any honest file has.
    """
    found = _Parser(data, EXPLICIT_LITTLE, mends=False).dataset()
    if found.command:
        raise UnreadableInputError(COMMAND)
    return found.elements


def parse_command(data: bytes) -> dict[int, Element]:
    """Elements of group 0000 that medveil encoded.

    Raises:
        UnreadableInputError: not such elements.
    """
    found = _Parser(data, EXPLICIT_LITTLE, mends=False).dataset()
    if found.elements:
        raise UnreadableInputError("elements of other groups than 0000")
    return found.command


def parse_file(data: bytes, start: int, encoding: Encoding = EXPLICIT_LITTLE, *, end: int | None = None) -> DataSet:
    """The data set of a file from `start` to `end`. Where an oddity leaves one reading, it is read so and noted.

    Raises:
        UnreadableInputError: truncated, not a data set, an element twice, or nested too deeply; with tag and place.
        UnsupportedInputError: more elements than any honest file has.
    """
    return _Parser(data, encoding, start=start, end=end).dataset()


def parse_head(data: bytes, encoding: Encoding) -> DataSet:
    """The elements before the pixel data, and where the pixel data ends according to its header."""
    return _Parser(data, encoding).dataset(stop_at_pixels=True)


class _Parser:
    def __init__(
        self, data: bytes, encoding: Encoding, *, start: int = 0, end: int | None = None, mends: bool = True
    ) -> None:
        self.data, self.position = data, start
        self.end = len(data) if end is None else end
        self.filled = _end_of_content(data, self.end)  # behind it are zeros only
        self.limit = self.end  # of the item or sequence that is being read
        self.implicit, self.big, self.inflated = encoding.implicit, encoding.big, encoding.inflated
        self.mends = mends
        self.signed = False
        self.left = MAX_ELEMENTS
        self.tag, self.at = 0, start  # of the element that is being read
        self.mended: dict[str, tuple[str, int]] = {}
        order = ">" if encoding.big else "<"
        self._tag = struct.Struct(order + "HH")
        self._long = struct.Struct(order + "I")
        self._short = struct.Struct(order + "H")

    def dataset(self, *, stop_at_pixels: bool = False) -> DataSet:
        elements: dict[int, Element] = {}
        command: dict[int, Element] = {}
        creators: dict[int, str] = {}
        stated_end = -1
        while self.position < self.filled:
            if PIXEL_DATA in elements and self.mends and not self._goes_on():
                self.at = self.position
                self._note(TRAILING, tagged=False)
                break
            tag, vr, length = self._head(creators)
            if tag == PIXEL_DATA and stop_at_pixels:
                stated_end = -1 if length == UNDEFINED else self.position + length
                break
            place = self.tag, self.at
            element = self._body(tag, vr, length, 0)
            known = elements
            if tag < _FIRST_TAG:
                known = command
                if self.mends:
                    self._note(COMMAND, place)
            self._keep(element, known, place)
            _note_creator(element, creators)
            if tag == PIXEL_REPRESENTATION:
                self.signed = element.data[:1] == b"\1"
        command.pop(0, None)
        return DataSet(elements, command, self._notes(), stated_end)

    def _keep(self, element: Element, known: dict[int, Element], place: tuple[int, int]) -> None:
        if element.tag in known:
            raise self._refusal("the element stands twice in its data set", place)
        if element.tag & 0xFFFF or not element.tag:  # zeros, where an element should stand, are a (0000,0000)
            known[element.tag] = element
        if self.big and element.tag == PIXEL_DATA and not element.encapsulated:
            self._check_words(element.vr, known.get(BITS_ALLOCATED), place)

    def _check_words(self, vr: str, allocated: Element | None, place: tuple[int, int]) -> None:
        """Refuse big endian pixel data in which nothing says what its words are (PS3.5 A.3 has OW, or OB of bytes)."""
        bits = int.from_bytes(allocated.data, "little") if allocated else 0
        if vr != "OW" and (vr, bits) != ("OB", 8):
            raise self._refusal(WORDLESS, place)

    def _refusal(self, reason: str, place: tuple[int, int] | None = None) -> UnreadableInputError:
        tag, at = place or (self.tag, self.at)
        return UnreadableInputError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {self._where(at)}: {reason}")

    def _where(self, at: int) -> str:
        return f"at byte {at}" + " of the inflated data set" * self.inflated

    def _note(self, reason: str, place: tuple[int, int] | None = None, *, tagged: bool = True) -> None:
        """Remember what is mended; where nothing may be mended, refuse."""
        if not self.mends:
            raise self._refusal(reason, place)
        tag, at = place or (self.tag, self.at)
        first, count = self.mended.get(reason, ("", 0))
        name = f"({tag >> 16:04X},{tag & 0xFFFF:04X}) " * tagged
        self.mended[reason] = (first or name + self._where(at), count + 1)

    def _notes(self) -> tuple[str, ...]:
        return tuple(
            f"{first}: {reason}" + (f" (and {count - 1} more of this kind)" if count > 1 else "")
            for reason, (first, count) in self.mended.items()
        )

    def _goes_on(self) -> bool:
        """Whether the bytes behind the pixel data are an element: of a known tag and VR, and behind it in order."""
        start = self.position
        if self.end - start < 8:
            return False
        group, number = self._tag.unpack_from(self.data, start)
        tag = group << 16 | number
        if tag <= PIXEL_DATA:
            return False
        if not self.implicit:
            return self._vr_at(start) is not None and (group % 2 == 1 or _dictionary_vr(tag, {}, False) != "UN")
        length: int = self._long.unpack_from(self.data, start + 4)[0]
        return length <= self.end - start - 8

    def _vr_at(self, start: int) -> str | None:
        vr = self.data[start + 4 : start + 6].decode("latin-1")
        return vr if vr in SHORT or vr in LONG else None

    def _take(self, count: int) -> bytes:
        self._skip(count)
        return self.data[self.position - count : self.position]

    def _skip(self, count: int) -> None:
        if count > self.limit - self.position:
            raise self._refusal(TRUNCATED if self.limit == self.end else OVERLONG)
        self.position += count

    def _head(self, creators: dict[int, str]) -> tuple[int, str, int]:
        self.left -= 1
        if self.left < 0:
            raise UnsupportedInputError(f"more than {MAX_ELEMENTS} data elements")
        self.at = self.position
        if self.limit - self.position < 8:
            raise self._refusal(TRUNCATED if self.limit == self.end else OVERLONG)
        group, element = self._tag.unpack(self._take(4))
        self.tag = tag = group << 16 | element
        if group == 0xFFFE:
            return tag, "", self._long.unpack(self._take(4))[0]
        if self.implicit:
            return tag, _dictionary_vr(tag, creators, self.signed), self._long.unpack(self._take(4))[0]
        vr = self._vr_at(self.at)
        if vr is None:
            return self._odd_head(tag, creators)
        self._skip(2)
        if vr in LONG:
            self._skip(2)
            return tag, vr, self._long.unpack(self._take(4))[0]
        return tag, vr, self._short.unpack(self._take(2))[0]

    def _odd_head(self, tag: int, creators: dict[int, str]) -> tuple[int, str, int]:
        """The head of an element without a VR of DICOM's: one that lacks it, or has blanks or other letters there.

        It is read in the one way in which its value ends where another element begins, or its item does.
        """
        start, data = self.at, self.data
        vr = data[start + 4 : start + 6]
        ways = [
            (IMPLICIT_INSIDE, _dictionary_vr(tag, creators, self.signed), 8, self._long.unpack_from(data, start + 4)[0])
        ]
        if vr.strip(b" \0") == b"" or vr.isalpha():
            ways.append((UNKNOWN_VR, "UN", 8, self._short.unpack_from(data, start + 6)[0]))
            if data[start + 6 : start + 8] == b"\0\0" and self.limit - start >= 12:
                ways.append((UNKNOWN_VR, "UN", 12, self._long.unpack_from(data, start + 8)[0]))
        fitting = [way for way in ways if self._ends_well(start + way[2], way[3], tag, implicit=False)]
        if len(fitting) != 1:
            raise self._refusal("two bytes that are no VR, and its value ends at no other element")
        reason, known, head, length = fitting[0]
        self._note(reason)
        self.position = start + head
        return tag, "UN" if known == "SQ" else known, length

    def _ends_well(self, start: int, length: int, tag: int, *, implicit: bool) -> bool:
        """Whether a value of this length is followed by an element that may stand behind `tag`, or by an end."""
        if length == UNDEFINED:
            return self.data[start : start + 4] == self._tag.pack(0xFFFE, 0xE000)
        start += length
        left = self.limit - start
        if left <= 0:
            return left == 0
        if left < 8:
            return False
        group, number = self._tag.unpack_from(self.data, start)
        following = group << 16 | number
        if following in (ITEM_END, SEQUENCE_END):
            return True
        if following <= tag or group == 0xFFFE:
            return False
        if implicit:
            length = self._long.unpack_from(self.data, start + 4)[0]
            return length == UNDEFINED or length <= left - 8
        return self._vr_at(start) is not None or self._is_odd(start)

    def _is_odd(self, start: int) -> bool:
        """Whether the four bytes behind a tag may be those of an odd head: no VR, but a length that fits."""
        vr, length = self.data[start + 4 : start + 6], self._long.unpack_from(self.data, start + 4)[0]
        return vr in (b"  ", b"\0\0") or vr.isalpha() or length <= self.limit - start - 8

    def _body(self, tag: int, vr: str, length: int, depth: int) -> Element:
        if vr == "":
            raise self._refusal("an item or an end of items where an element should stand")
        if length == UNDEFINED and (vr in ("OB", "OW") or tag == PIXEL_DATA):
            return Element(tag, "OB" if vr == "UN" else vr, self._encapsulated(), encapsulated=True)
        if vr == "SQ" or length == UNDEFINED:
            return Element(tag, "SQ", self._sequence(length, depth + 1, unknown=vr == "UN"))
        value = self._take(length)
        return Element(tag, vr, swapped(value, vr) if self.big else value)

    def _encapsulated(self) -> bytes:
        start, place = self.position, (self.tag, self.at)
        while True:
            if self._cut_off(place):
                found, self.position = self.data[start : self.position], self.end
                return found
            tag, _, length = self._head({})
            if tag == SEQUENCE_END:
                return self.data[start : self.position - 8]
            if tag != ITEM:
                raise self._refusal("a compressed value that is not made of fragments", place)
            self._skip(length)

    def _cut_off(self, place: tuple[int, int]) -> bool:
        """Whether the file ends here though an end of items is still to come; noted where it is."""
        rest = self.data[self.position : min(self.position + 8, self.end)]
        if not self.mends or self.limit != self.end or not _is_part_of_an_end(rest, big=self.big):
            return False
        self._note(NO_END, place)
        return True

    def _sequence(self, length: int, depth: int, *, unknown: bool) -> tuple[tuple[Element, ...], ...]:
        """The items; a sequence whose VR is UN is Implicit VR Little Endian inside (PS3.5 6.2.2)."""
        place = self.tag, self.at
        if depth > MAX_DEPTH:
            raise self._refusal("sequences are nested too deeply")
        implicit, limit = self.implicit, self.limit
        end = self._end_of(length)
        items: list[tuple[Element, ...]] = []
        while end is None or self.position < end:
            if end is None and self._cut_off(place):
                self.position = self.end
                break
            begin = self.data[self.position : min(self.position + 2, self.limit)]
            if begin and begin != self._tag.pack(0xFFFE, 0)[:2]:
                raise self._refusal(NO_ITEMS, place)
            tag, _, item_length = self._head({})
            if tag == SEQUENCE_END and end is None:
                break
            if tag != ITEM:
                raise self._refusal(NO_ITEMS, place)
            self.implicit = implicit or (unknown and self._is_implicit_inside(item_length, place))
            items.append(self._item(item_length, depth))
        self.implicit, self.limit = implicit, limit
        return tuple(items)

    def _is_implicit_inside(self, length: int, place: tuple[int, int]) -> bool:
        """Whether the item that begins here is without VRs, as it has to be in a sequence of unknown VR."""
        start, vr = self.position, self._vr_at(self.position)
        if vr is None or length == 0 or self.limit - start < 12 or not self.mends:
            return True
        group, number = self._tag.unpack_from(self.data, start)
        tag = group << 16 | number
        if self._ends_well(start + 8, self._long.unpack_from(self.data, start + 4)[0], tag, implicit=True):
            return True
        head, form = (12, self._long) if vr in LONG else (8, self._short)
        if not self._ends_well(
            start + head, form.unpack_from(self.data, start + head - form.size)[0], tag, implicit=False
        ):
            return True
        self._note(EXPLICIT_INSIDE, place)
        return False

    def _item(self, length: int, depth: int) -> tuple[Element, ...]:
        place, limit = (self.tag, self.at), self.limit
        end = self._end_of(length)
        elements: dict[int, Element] = {}
        creators: dict[int, str] = {}
        while end is None or self.position < end:
            if end is None and self._cut_off(place):
                self.position = self.end
                break
            tag, vr, element_length = self._head(creators)
            if tag == ITEM_END and end is None:
                break
            own = self.tag, self.at
            element = self._body(tag, vr, element_length, depth)
            self._keep(element, elements, own)
            _note_creator(element, creators)
        self.limit = limit
        elements.pop(0, None)
        return tuple(elements.values())

    def _end_of(self, length: int) -> int | None:
        """Where a sequence or item of this length ends, which is the limit from now on; None where it is not stated."""
        if length == UNDEFINED:
            return None
        if length > self.limit - self.position:
            raise self._refusal(TRUNCATED if self.limit == self.end else OVERLONG)
        self.limit = self.position + length
        return self.limit


def _end_of_content(data: bytes, end: int) -> int:
    """Where the zeros begin that stand before `end`."""
    while end > 0:
        start = max(end - _BLOCK_BYTES, 0)
        part = data[start:end].rstrip(b"\0")
        if part:
            return start + len(part)
        end = start
    return 0


def _is_part_of_an_end(rest: bytes, *, big: bool) -> bool:
    """Whether these last bytes of a file are the beginning of an item's or sequence's end, or nothing."""
    order = ">" if big else "<"
    ends = (struct.pack(order + "HHI", 0xFFFE, number, 0) for number in (0xE00D, 0xE0DD))
    return len(rest) < 8 and any(end.startswith(rest) for end in ends)


def _note_creator(element: Element, creators: dict[int, str]) -> None:
    """Remember who reserved a block of private elements, so that implicit ones find their VR."""
    group, number = element.tag >> 16, element.tag & 0xFFFF
    if group % 2 and 0x10 <= number <= 0xFF and len(element.data) <= _MAX_CREATOR_BYTES:
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
    return vr if vr in SHORT or vr in LONG else "UN"


def swapped(value: bytes, vr: str) -> bytes:
    """A big endian value in little endian; bytes behind its last whole word stay."""
    size = _WORDS.get(vr, 1)
    if size == 1:
        return value
    from numpy import frombuffer

    whole = len(value) // size * size
    return frombuffer(value[:whole], f">u{size}").astype(f"<u{size}").tobytes() + value[whole:]
