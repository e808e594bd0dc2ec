"""From the bytes of a DICOM file to an Image."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images import record
from medveil.images.bounds import check_metadata, check_size
from medveil.images.dicom import attributes, transfer_syntax
from medveil.images.dicom.compressed import Nested, decode
from medveil.images.dicom.elements import LONG, PIXEL_DATA, Element, encode, named
from medveil.images.dicom.parser import DataSet, Encoding, parse_file, parse_head, swapped
from medveil.images.dicom.pixels import STORED, Layout, Unused, excess, from_cells, layout_of, native
from medveil.images.dicom.records import restore, unused_fields, wide_cells
from medveil.images.image import FileKind, Image

PREAMBLE = 128
_MAGIC = b"DICM"
_TRANSFER_SYNTAX, _MEDIA_CLASS = 0x00020010, 0x00020002
_META_GROUP = 2
_DIRECTORY = "1.2.840.10008.1.3.10"
_FLOAT_PIXELS = (0x7FE00008, 0x7FE00009)
_FUNCTIONAL_GROUPS = 0x52009229
_HEAD_BYTES = 16 << 20
_TRAILING_BYTES = 1 << 20
_MAX_META_ELEMENTS = 1 << 12

_NO_SYNTAX = "the file states no transfer syntax; it was read in the one way that its data set allows"
_OTHER_ENCODING = "the data set is not encoded as the stated transfer syntax has it; it was read as it is"
_BEHIND_DEFLATED = "bytes behind the deflated data set; they come back only with the kept file"
_BIG_PIXELS = "the pixel data is big endian (a private transfer syntax of GE); it comes back little endian"
_NATIVE = "the pixel data is not compressed, although the stated transfer syntax is a compressed one"
_LOWER_CASE = "(0028,0004) Photometric Interpretation: not in capital letters; read as if it were"
_UNKNOWN_VR = "(7FE0,0010) Pixel Data: of unknown VR (UN); it comes back with the VR of pixel data"
_UNUSED = "bits of the pixel cells that the header does not count hold something; they come back with identity only"
_EXCESS = "(7FE0,0010) Pixel Data: longer than the header states; the rest comes back with exact and identity only"

_TABLE = "a lookup table has too few entries, or they go up and down; it comes back with identity only"


@dataclass(frozen=True)
class _Opened:
    """A file's parts: file meta information, transfer syntax, data set, stray commands, and what was mended."""

    meta: dict[int, Element]
    syntax: str
    elements: dict[int, Element]
    command: dict[int, Element]
    notes: tuple[str, ...]


def has_prefix(data: bytes) -> bool:
    """Whether this is a DICOM file; its first 128 bytes may be anything, also the beginning of another format.

    Some writers leave them out.
    """
    return data[PREAMBLE : PREAMBLE + 4] == _MAGIC or data[:6] == _MAGIC + b"\2\0"


def looks_like_bare(data: bytes) -> bool:
    """Whether this may be a DICOM data set without the preamble of a file."""
    if data[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08") or len(data) < 16:
        return False
    return _vr_at(data, 0) or (data[:2] == b"\x08\x00" and int.from_bytes(data[4:8], "little") < 4096)


def read(data: bytes) -> Image:
    """The image of a DICOM file. Where an oddity leaves one reading, that is taken, and the image's notes say so.

    Raises:
        UnreadableInputError: truncated or damaged.
        UnsupportedInputError: colour, several frames, float pixels, no image at all, or a transfer syntax that is not
            read.
        MissingDependencyError: the decoder of its transfer syntax is not installed.
    """
    opened = _open(data)
    notes = [*opened.notes]
    _check_object(opened)
    elements = _in_capitals(opened.elements, notes)
    layout = layout_of(elements)
    element = elements[PIXEL_DATA]
    pixels, unused = from_cells(_cells(element, opened.syntax, layout, notes), layout)
    if unused.fill == STORED:
        notes.append(_UNUSED)
    travelling = attributes.travelling(_of_narrow_cells(elements, layout), pixels)
    if attributes.lost_tables(elements, travelling):
        notes.append(_TABLE)
    identity, more = _identity(opened, travelling, element, layout, unused)
    pixel_record = record.pack(FileKind.DICOM, {"elements": encode(travelling), **wide_cells(layout)})
    identity_record = record.pack(FileKind.DICOM, identity)
    check_metadata(len(pixel_record) + len(identity_record))
    return replace(restore(pixels, layout.stored, pixel_record, identity_record), notes=(*notes, *more))


def _identity(
    opened: _Opened, travelling: list[Element], pixel_data: Element, layout: Layout, unused: Unused
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of the identity record, and what to say of them."""
    known = {one.tag: one for one in travelling}
    stated_anew = (attributes.BITS_ALLOCATED, attributes.HIGH_BIT) if layout.narrow != layout else ()
    rest = [
        one
        for one in opened.elements.values()
        if one.tag != PIXEL_DATA and known.get(one.tag) != one and one.tag not in stated_anew
    ]
    nested = Nested(rest, opened.syntax)
    behind = b"" if pixel_data.encapsulated else excess(pixel_data.data, layout)
    fields: dict[str, Any] = {
        "meta": encode(opened.meta.values()),
        "elements": encode(nested.elements),
        "word": int(pixel_data.vr == "OW" or (pixel_data.vr == "UN" and layout.allocated == 16)),
        "compressed": int(pixel_data.encapsulated),
        **unused_fields(unused, layout),
    }
    if opened.command:
        fields["command"] = encode(opened.command.values())
    if nested.undecoded:
        fields["undecoded"] = encode(nested.undecoded)
    if behind:
        fields["excess"] = behind
    return fields, (*nested.notes, *([_EXCESS] if any(behind) else []))


def _in_capitals(elements: dict[int, Element], notes: list[str]) -> dict[int, Element]:
    """The data set with its Photometric Interpretation in capital letters, as the standard has it."""
    stated = elements.get(attributes.PHOTOMETRIC)
    capital = stated.data.upper() if stated else b""
    if stated is None or capital == stated.data:
        return elements
    notes.append(_LOWER_CASE)
    return {**elements, attributes.PHOTOMETRIC: Element(attributes.PHOTOMETRIC, stated.vr, capital)}


def _of_narrow_cells(elements: dict[int, Element], layout: Layout) -> dict[int, Element]:
    """The data set with cells no wider than the values need, where they are; see `Layout.narrow`."""
    narrow = layout.narrow
    if narrow == layout:
        return elements
    changed = {attributes.BITS_ALLOCATED: narrow.allocated, attributes.HIGH_BIT: narrow.high_bit}
    return {
        tag: Element(tag, "US", struct.pack("<H", changed[tag])) if tag in changed else element
        for tag, element in elements.items()
    }


def _open(data: bytes) -> _Opened:
    start = PREAMBLE + 4 if data[PREAMBLE : PREAMBLE + 4] == _MAGIC else len(_MAGIC) if data.startswith(_MAGIC) else 0
    meta, start = _meta(data, start)
    syntax = attributes.text(meta.elements.get(_TRANSFER_SYNTAX))
    if attributes.text(meta.elements.get(_MEDIA_CLASS)) == _DIRECTORY:
        raise UnsupportedInputError("a DICOMDIR index; give the images themselves")
    if syntax:
        transfer_syntax.check(syntax)
    if syntax == transfer_syntax.DEFLATED:
        inflated, behind = _inflated(data[start:])
        encoding = Encoding(inflated=True)
        found = parse_file(inflated, 0, encoding)
        notes = [_BEHIND_DEFLATED] if behind else []
    else:
        encoding = _encoding_of(data, start, syntax)
        found = parse_file(data, start, encoding)
        notes = []
        if not syntax:
            notes.append(_NO_SYNTAX)
        elif encoding != _stated_encoding(syntax):
            notes.append(_OTHER_ENCODING)
    elements = found.elements
    if syntax == transfer_syntax.BIG_PIXELS and not encoding.big:
        elements = _little_endian(elements)
        notes.append(_BIG_PIXELS)
    return _Opened(meta.elements, syntax, elements, found.command, (*meta.notes, *notes, *found.notes))


def _stated_encoding(syntax: str) -> Encoding:
    implicit = syntax in (transfer_syntax.IMPLICIT, transfer_syntax.BIG_PIXELS)
    return Encoding(implicit=implicit, big=syntax == transfer_syntax.BIG)


def _encoding_of(data: bytes, start: int, syntax: str) -> Encoding:
    """How the data set is encoded. Some writers state one of the uncompressed syntaxes and use another one: look."""
    stated = _stated_encoding(syntax)
    first, second = data[start : start + 1], data[start + 1 : start + 2]
    if first == second == b"\0":  # a stray command, of which nothing can be told
        return stated
    big = first == b"\0" if b"\0" in (first, second) else stated.big
    return Encoding(implicit=not big and not _vr_at(data, start), big=big)


def _little_endian(elements: dict[int, Element]) -> dict[int, Element]:
    """The data set with the big endian words of its pixel data swapped."""
    element = elements.get(PIXEL_DATA)
    if element is None:
        return elements
    if attributes.integers(elements.get(attributes.BITS_ALLOCATED)) != [16]:
        named_syntax = transfer_syntax.named(transfer_syntax.BIG_PIXELS)
        raise UnsupportedInputError(f"the transfer syntax {named_syntax} with other cells than of 16 bits")
    return {**elements, PIXEL_DATA: Element(PIXEL_DATA, element.vr, swapped(element.data, "OW"), element.encapsulated)}


def _vr_at(data: bytes, start: int) -> bool:
    """Whether the element at `start` names its VR, as explicit encodings do."""
    vr = data[start + 4 : start + 6]
    return len(vr) == 2 and vr.isalpha() and vr.isupper()


def _meta(data: bytes, start: int) -> tuple[DataSet, int]:
    """The file meta information (always Explicit VR Little Endian), and where the data set begins."""
    end = start
    for _ in range(_MAX_META_ELEMENTS):
        if data[end : end + 2] != b"\x02\x00" or not _vr_at(data, end):
            break
        if data[end + 4 : end + 6].decode("latin-1") in LONG:
            end += 12 + int.from_bytes(data[end + 8 : end + 12], "little")
        else:
            end += 8 + int.from_bytes(data[end + 6 : end + 8], "little")
        if end > len(data):
            raise UnreadableInputError("the file is truncated or damaged in its file meta information (group 0002)")
    return parse_file(data, start, end=end), end


def _inflated(data: bytes) -> tuple[bytes, bool]:
    """A deflated data set, inflated no further than its own header justifies, and whether something stands behind."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        head = inflater.decompress(data, _HEAD_BYTES)
        if inflater.eof or len(head) < _HEAD_BYTES:
            return head, any(inflater.unused_data)
        found = parse_head(head, Encoding(inflated=True))
        size = [attributes.integers(found.elements.get(tag)) for tag in (attributes.ROWS, attributes.COLUMNS)]
        if not all(len(side) == 1 for side in size):
            raise UnreadableInputError("the deflated data set states no Rows and Columns before its pixel data")
        check_size(size[0][0], size[1][0])
        if not 0 <= found.stated_end <= _HEAD_BYTES + 2 * size[0][0] * size[1][0]:
            raise UnreadableInputError("the deflated pixel data is longer than the header states")
        rest = inflater.decompress(inflater.unconsumed_tail, found.stated_end - len(head) + _TRAILING_BYTES)
    except zlib.error:
        raise UnreadableInputError("the data set is to be deflated, and is not a sound deflate stream") from None
    return head + rest, any(inflater.unused_data)


def _check_object(opened: _Opened) -> None:
    elements = opened.elements
    meta = next((tag for tag in elements if tag >> 16 == _META_GROUP), None)
    if meta is not None:
        raise UnreadableInputError(f"{named(meta)}: file meta information inside the data set")
    if any(tag in elements for tag in _FLOAT_PIXELS):
        raise UnsupportedInputError("float pixels; medveil takes integers of 8 to 16 bits")
    if PIXEL_DATA not in elements:
        raise UnsupportedInputError("a DICOM object without an image in it")
    if _FUNCTIONAL_GROUPS in elements:
        raise UnsupportedInputError("an enhanced (multi-frame) object; medveil takes single images")


def _cells(element: Element, syntax: str, layout: Layout, notes: list[str]) -> NDArray[np.unsignedinteger]:
    if element.encapsulated:
        return decode(element.data, syntax, layout, notes)
    if syntax in transfer_syntax.COMPRESSED:
        notes.append(_NATIVE)
    if element.vr == "UN":
        notes.append(_UNKNOWN_VR)
    return native(element.data, layout)
