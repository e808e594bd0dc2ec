"""JPEG files: grey, 8 bits, also in the form of coloured ones. They go back out as PNG, their attributes as chunks.

An orientation in Exif is not applied to the pixels; it travels with them.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import islice

import numpy as np

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images import colour_form, compressed_headers, png
from medveil.images.bounds import DAMAGED, check_metadata, check_size, walled
from medveil.images.image import FileKind, Image
from medveil.images.png import Chunk

SIGNATURE = b"\xff\xd8\xff"
_APP0, _APP1, _APP2, _COMMENT, _SCAN = 0xE0, 0xE1, 0xE2, 0xFE, 0xDA
_MAX_SEGMENTS = 1 << 16
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_PER_METRE = {1: 1 / 0.0254, 2: 100.0}  # JFIF density units: per inch, per centimetre


def read(data: bytes) -> Image:
    """The image of a JPEG file.

    Raises:
        UnreadableInputError: truncated or damaged.
        UnsupportedInputError: colour, 12 bits, lossless or arithmetic JPEG, several pictures, or too large.
    """
    stated = compressed_headers.jpeg(data)
    check_size(stated.height, stated.width)
    if stated.components not in (1, 3):
        raise UnsupportedInputError("a JPEG of other than one or three components; medveil takes grey images")
    if stated.precision != 8:
        raise UnsupportedInputError("a JPEG of other than 8 bits; outside DICOM medveil takes 8")
    segments = list(islice(_segments(data), _MAX_SEGMENTS + 1))
    if len(segments) > _MAX_SEGMENTS:
        raise UnsupportedInputError(f"a JPEG of more than {_MAX_SEGMENTS} segments before the picture")
    check_metadata(sum(len(content) for _, content in segments))
    with walled("a damaged JPEG, or one of a kind that is not read (arithmetic, lossless)"):
        from PIL.JpegImagePlugin import JpegImageFile

        picture = JpegImageFile(io.BytesIO(data))
        if picture.mode != ("L" if stated.components == 1 else "RGB") or picture.size != (stated.width, stated.height):
            raise UnreadableInputError(DAMAGED)
        picture.load()
        samples = np.array(picture, dtype=np.uint8).reshape(stated.height, stated.width, stated.components)
    pixels = colour_form.grey_of(samples)
    density = next((_density(content) for marker, content in segments if marker == _APP0), b"")
    chunks, form = _chunks(segments), None
    if stated.components == 3:
        form = png.Form(png.COLOUR, 8, tuple(chunk for chunk in chunks if chunk.name == b"iCCP"))
        chunks = [chunk for chunk in chunks if chunk not in form.chunks]
    return png.restore(pixels, 8, *png.records_of(FileKind.JPEG, 8, density, chunks, form), FileKind.JPEG)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the first scan."""
    position = 2
    while (found := compressed_headers.MARKER.match(data, position)) is not None:
        marker, position = found[1][0], found.end()
        length = int.from_bytes(data[position : position + 2], "big")
        if marker == _SCAN or length < 2:
            return
        yield marker, data[position + 2 : position + length]
        position += length


def _density(content: bytes) -> bytes:
    """JFIF's density as the data of a pHYs chunk."""
    if not content.startswith(b"JFIF\0") or len(content) < 12:
        return b""
    unit, across, down = struct.unpack_from(">BHH", content, 7)
    if not across or not down:
        return b""
    scale = _PER_METRE.get(unit, 1.0)
    return struct.pack(">IIB", round(across * scale), round(down * scale), int(unit in _PER_METRE))


def _chunks(segments: list[tuple[int, bytes]]) -> list[Chunk]:
    """Comments, Exif, XMP and colour profile as the PNG chunks for them; other application data as raw profiles."""
    chunks, profile = [], list[bytes]()
    for marker, content in segments:
        if marker == _COMMENT:
            chunks.append(_text("Comment", content.rstrip(b"\0")))
        elif marker == _APP1 and content.startswith(_EXIF):
            chunks.append(Chunk(b"eXIf", content[len(_EXIF) :]))
        elif marker == _APP1 and content.startswith(_XMP):
            chunks.append(_text("XML:com.adobe.xmp", content[len(_XMP) :]))
        elif marker == _APP2 and content.startswith(_ICC):
            profile.append(content[len(_ICC) + 2 :])
        elif _APP0 < marker <= 0xEF:
            hexadecimal = content.hex().encode()
            chunks.append(_text(f"Raw profile type APP{marker - _APP0}", b"\n%d\n%s\n" % (len(content), hexadecimal)))
    if profile:
        chunks.insert(0, Chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"".join(profile))))
    return chunks


def _text(keyword: str, content: bytes) -> Chunk:
    """An iTXt chunk; what is no UTF-8 is taken as Latin-1."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return Chunk(b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.replace("\0", "").encode())
