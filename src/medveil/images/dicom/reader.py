"""From the bytes of a DICOM file to an Image."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images import record
from medveil.images.bounds import DAMAGED, check_metadata, check_size
from medveil.images.dicom import attributes
from medveil.images.dicom.elements import PIXEL_DATA, Element, encode, parse, parse_head
from medveil.images.dicom.pixels import Layout, from_cells, layout_of, native
from medveil.images.dicom.records import restore
from medveil.images.image import FileKind, Image

PREAMBLE = 128
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
_TRANSFER_SYNTAX, _MEDIA_CLASS = 0x00020010, 0x00020002
_META_GROUP = 2
_DIRECTORY = "1.2.840.10008.1.3.10"
_FLOAT_PIXELS = (0x7FE00008, 0x7FE00009)
_FUNCTIONAL_GROUPS = 0x52009229
_HEAD_BYTES = 16 << 20
_TRAILING_BYTES = 1 << 20


@dataclass(frozen=True)
class _Opened:
    """A file's parts: file meta information, transfer syntax and data set."""

    meta: dict[int, Element]
    syntax: str
    elements: dict[int, Element]


def has_preamble(data: bytes) -> bool:
    """Whether this is a DICOM file; its first 128 bytes may be anything, also the beginning of another format."""
    return data[PREAMBLE : PREAMBLE + 4] == b"DICM"


def looks_like_bare(data: bytes) -> bool:
    """Whether this may be a DICOM data set without the preamble of a file."""
    if data[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08") or len(data) < 16:
        return False
    return _vr_at(data, 0) or (data[:2] == b"\x08\x00" and int.from_bytes(data[4:8], "little") < 4096)


def read(data: bytes) -> Image:
    """The image of a DICOM file.

    Raises:
        UnreadableInputError: truncated or damaged.
        UnsupportedInputError: colour, several frames, float pixels, no image at all, or an unknown transfer syntax.
        MissingDependencyError: the decoder of its transfer syntax is not installed.
    """
    opened = _open(data)
    elements = opened.elements
    _check_object(opened)
    layout = layout_of(elements)
    element = elements[PIXEL_DATA]
    cells = _cells(element, opened.syntax, layout)
    pixels, unused = from_cells(cells, layout)
    travelling = attributes.travelling(elements)
    known = {one.tag: one for one in travelling}
    rest = [one for one in elements.values() if one.tag != PIXEL_DATA and known.get(one.tag) != one]
    identity = {
        "meta": encode(opened.meta.values()),
        "elements": encode(_without_compressed_icons(rest)),
        "fill": unused.fill,
        "unused": unused.bits,
        "word": int(element.vr == "OW"),
        "compressed": int(element.encapsulated),
    }
    pixel_record = record.pack(FileKind.DICOM, {"elements": encode(travelling)})
    identity_record = record.pack(FileKind.DICOM, identity)
    check_metadata(len(pixel_record) + len(identity_record))
    return restore(pixels, layout.stored, pixel_record, identity_record)


def _open(data: bytes) -> _Opened:
    meta, start = _meta(data, PREAMBLE + 4 if has_preamble(data) else 0)
    syntax = attributes.text(meta.get(_TRANSFER_SYNTAX))
    if attributes.text(meta.get(_MEDIA_CLASS)) == _DIRECTORY:
        raise UnsupportedInputError("a DICOMDIR index; give the images themselves")
    if syntax == DEFLATED:
        return _Opened(meta, syntax, parse(_inflated(data[start:])))
    big = syntax == BIG or (not syntax and data[start : start + 1] == b"\0" and data[start + 1 : start + 2] != b"\0")
    # Some writers state one of the two uncompressed little endian syntaxes and use the other: look.
    implicit = not big and not _vr_at(data, start)
    elements = parse(data, start, implicit=implicit, big=big)
    return _Opened(meta, syntax or (IMPLICIT if implicit else EXPLICIT), elements)


def _vr_at(data: bytes, start: int) -> bool:
    """Whether the element at `start` names its VR, as explicit encodings do."""
    vr = data[start + 4 : start + 6]
    return len(vr) == 2 and vr.isalpha() and vr.isupper()


def _meta(data: bytes, start: int) -> tuple[dict[int, Element], int]:
    """The file meta information (always Explicit VR Little Endian), and where the data set begins."""
    end = start
    while data[end : end + 2] == b"\x02\x00" and _vr_at(data, end):
        if data[end + 4 : end + 6] in (b"OB", b"UN", b"OW", b"UT", b"SQ"):
            end += 12 + int.from_bytes(data[end + 8 : end + 12], "little")
        else:
            end += 8 + int.from_bytes(data[end + 6 : end + 8], "little")
        if end > len(data):
            raise UnreadableInputError(DAMAGED)
    return parse(data[start:end]), end


def _inflated(data: bytes) -> bytes:
    """A deflated data set, inflated no further than its own header justifies."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        head = inflater.decompress(data, _HEAD_BYTES)
        if inflater.eof or len(head) < _HEAD_BYTES:
            return head
        elements, stated_end = parse_head(head, 0)
        size = [attributes.integers(elements.get(tag)) for tag in (attributes.ROWS, attributes.COLUMNS)]
        if not all(len(side) == 1 for side in size):
            raise UnreadableInputError(DAMAGED)
        check_size(size[0][0], size[1][0])
        if not 0 <= stated_end <= _HEAD_BYTES + 2 * size[0][0] * size[1][0]:
            raise UnreadableInputError("the pixel data is longer than the header states")
        rest = inflater.decompress(inflater.unconsumed_tail, stated_end - len(head) + _TRAILING_BYTES)
    except zlib.error:
        raise UnreadableInputError(DAMAGED) from None
    return head + rest


def _check_object(opened: _Opened) -> None:
    elements = opened.elements
    if any(tag >> 16 == _META_GROUP for tag in elements):
        raise UnreadableInputError(DAMAGED)
    if any(tag in elements for tag in _FLOAT_PIXELS):
        raise UnsupportedInputError("float pixels; medveil takes integers of 8 to 16 bits")
    if PIXEL_DATA not in elements:
        raise UnsupportedInputError("a DICOM object without an image in it")
    if _FUNCTIONAL_GROUPS in elements:
        raise UnsupportedInputError("an enhanced multi-frame object; medveil takes single images")


def _cells(element: Element, syntax: str, layout: Layout) -> NDArray[np.unsignedinteger]:
    if not element.encapsulated:
        return native(element.data, layout)
    from medveil.images.dicom.compressed import decode

    return decode(element.data, syntax, layout)


def _without_compressed_icons(elements: list[Element]) -> list[Element]:
    """Icons whose pixels are compressed cannot stand in an uncompressed file; they are previews and left out."""
    return [one for one in elements if not any(inner.encapsulated for item in one.items for inner in item)]
