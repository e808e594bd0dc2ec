"""PNG files: grey, 8 or 16 bits."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import record
from medveil.images.bounds import DAMAGED, MAX_METADATA_BYTES, check_metadata, check_size, walled
from medveil.images.image import FileKind, Image, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0
_MILLIMETRES_PER_METRE = 1000.0
_ANCILLARY = re.compile(rb"[a-z][A-Za-z][A-Z][A-Za-z]")
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@dataclass(frozen=True)
class Chunk:
    """One chunk beside the picture; `after` says that it stands behind the image data."""

    name: bytes
    data: bytes
    after: bool = False


def read(data: bytes) -> Image:
    """The image of a PNG file.

    Raises:
        UnreadableInputError: truncated or damaged (all checksums are checked).
        UnsupportedInputError: colour, palette, transparency, animation, fewer than 8 bits, or too large.
    """
    chunks, body = _split(data)
    header = chunks[0].data
    if chunks[0].name != b"IHDR" or len(header) != 13:
        raise UnreadableInputError(DAMAGED)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    _check_grey(depth, colour, [chunk.name for chunk in chunks])
    check_size(height, width)
    check_metadata(sum(len(chunk.data) for chunk in chunks))
    _check_body(body, _raw_length(height, width, depth // 8, bool(interlaced)))
    pixels = _decode(_file([Chunk(b"IHDR", header)], body, []), height, width, depth)
    density = next((chunk.data for chunk in chunks if chunk.name == b"pHYs" and len(chunk.data) == 9), b"")
    rest = [chunk for chunk in chunks if _ANCILLARY.fullmatch(chunk.name) and chunk.name != b"pHYs"]
    return restore(pixels, depth, *records_of(FileKind.PNG, depth, density, rest))


def records_of(kind: FileKind, depth: int, density: bytes, chunks: Iterable[Chunk]) -> tuple[bytes, bytes]:
    """Pixel record and identity record of an image whose attributes are PNG chunks (`density`: those of pHYs)."""
    rows = [[chunk.name, chunk.data, chunk.after] for chunk in chunks]
    identity = record.pack(kind, {"chunks": rows}) if rows else b""
    return record.pack(kind, {"depth": depth, "density": density}), identity


def restore(
    pixels: NDArray[np.generic],
    bits_stored: int,
    pixel_record: bytes,
    identity_record: bytes,
    kind: FileKind = FileKind.PNG,
) -> Image:
    """The image with these pixels and records.

    Raises:
        IntegrityError: a record is not one that this module writes, or does not fit the pixels.
    """
    fields = record.Fields(record.unpack(pixel_record, kind))
    depth, density = fields.integer("depth", 8, 16), fields.data("density", 9)
    _chunks(identity_record, kind)
    if depth not in (8, 16) or depth != bits_stored or pixels.dtype != _dtype(depth) or len(density) not in (0, 9):
        raise IntegrityError("the image's record does not fit its pixels")
    return Image(pixels, bits_stored, Source(kind, pixel_record, identity_record), _spacing(density))


def write(image: Image) -> bytes:
    """A PNG file of the image; with an identity record also its texts, dates, profiles and other chunks."""
    kind = image.source.kind
    density = record.Fields(record.unpack(image.source.pixel_record, kind)).data("density", 9)
    before = [Chunk(b"pHYs", density)] if density else []
    chunks = _chunks(image.source.identity_record, kind)
    before += [chunk for chunk in chunks if not chunk.after]
    return encode(image.pixels, before, [chunk for chunk in chunks if chunk.after])


def encode(pixels: NDArray[np.generic], before: list[Chunk], after: list[Chunk]) -> bytes:
    """A PNG file of (height, width) uint8 or uint16 pixels with these chunks before and after the image data."""
    from PIL import Image as Pillow

    plain = io.BytesIO()
    Pillow.fromarray(pixels).save(plain, "PNG", compress_level=4)
    chunks, body = _split(plain.getvalue())
    return _file([chunks[0], *before], body, after)


def colour_profile(image: Image) -> bytes:
    """Content of the image's iCCP chunk, or nothing: it describes a scanner or a program, and nobody's picture."""
    chunks = _chunks(image.source.identity_record, image.source.kind)
    return next((chunk.data for chunk in chunks if chunk.name == b"iCCP"), b"")


def _chunks(identity_record: bytes, kind: FileKind) -> list[Chunk]:
    if not identity_record:
        return []
    chunks = []
    for name, data, after in record.Fields(record.unpack(identity_record, kind)).rows("chunks", 3):
        if not isinstance(name, bytes) or not isinstance(data, bytes) or not isinstance(after, bool):
            raise IntegrityError("the image's record does not hold PNG chunks")
        if not _ANCILLARY.fullmatch(name) or len(data) > MAX_METADATA_BYTES:
            raise IntegrityError("the image's record does not hold PNG chunks")
        chunks.append(Chunk(name, data, after))
    return chunks


def _split(data: bytes) -> tuple[list[Chunk], bytes]:
    """All chunks but the image data, and the image data joined."""
    chunks: list[Chunk] = []
    body: list[bytes] = []
    position = len(SIGNATURE)
    while True:
        if position + 12 > len(data):
            raise UnreadableInputError(DAMAGED)
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data) or not name.isalpha():
            raise UnreadableInputError(DAMAGED)
        content = data[position + 8 : end]
        if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(data[end : end + 4], "big"):
            raise UnreadableInputError(DAMAGED)
        position = end + 4
        if name == b"IEND":
            break
        if name == b"IDAT":
            body.append(content)
        else:
            chunks.append(Chunk(name, content, after=bool(body)))
    if not chunks or not body:
        raise UnreadableInputError(DAMAGED)
    return chunks, b"".join(body)


def _check_grey(depth: int, colour: int, names: list[bytes]) -> None:
    if b"acTL" in names:
        raise UnsupportedInputError("an animated PNG; medveil takes single images")
    if colour != _GREY or b"tRNS" in names or b"PLTE" in names:
        raise UnsupportedInputError(
            "colour, palette or transparency; medveil takes grey images",
            hint="If the picture is grey, store it as greyscale without alpha.",
        )
    if depth not in (8, 16):
        raise UnsupportedInputError(f"{depth} bits a pixel; medveil takes PNG of 8 or 16 bits")


def _raw_length(height: int, width: int, bytes_a_pixel: int, interlaced: bool) -> int:
    """Bytes of the inflated image data: a filter byte and the pixels for every row of every pass."""
    if not interlaced:
        return height * (1 + width * bytes_a_pixel)
    total = 0
    for top, left, down, right in _ADAM7:
        rows, columns = -(-(height - top) // down), -(-(width - left) // right)
        if rows > 0 and columns > 0:
            total += rows * (1 + columns * bytes_a_pixel)
    return total


def _check_body(body: bytes, expected: int) -> None:
    """The image data inflates to exactly the expected length, with a right checksum; nothing is kept of it."""
    inflater, length, pending = zlib.decompressobj(), 0, body
    try:
        while pending and not inflater.eof and length <= expected:
            length += len(inflater.decompress(pending, 1 << 20))
            pending = inflater.unconsumed_tail
    except zlib.error:
        raise UnreadableInputError(DAMAGED) from None
    if length != expected or not inflater.eof:
        raise UnreadableInputError("the image data does not have the length that the header states")


def _decode(data: bytes, height: int, width: int, depth: int) -> NDArray[np.generic]:
    with walled():
        from PIL.PngImagePlugin import PngImageFile

        picture = PngImageFile(io.BytesIO(data))
        picture.load()
        pixels = np.array(picture)
    if pixels.shape != (height, width) or pixels.dtype.kind not in "ui":
        raise UnreadableInputError(DAMAGED)
    return np.ascontiguousarray(pixels.astype(_dtype(depth), copy=False))


def _dtype(depth: int) -> np.dtype[np.generic]:
    return np.dtype(np.uint8 if depth == 8 else np.uint16)


def _spacing(density: bytes) -> tuple[float, float] | None:
    if len(density) != 9:
        return None
    across, down, unit = struct.unpack(">IIB", density)
    if unit != 1 or not across or not down:
        return None
    return _MILLIMETRES_PER_METRE / down, _MILLIMETRES_PER_METRE / across


def _file(before: list[Chunk], body: bytes, after: list[Chunk]) -> bytes:
    parts = [SIGNATURE]
    for chunk in [*before, Chunk(b"IDAT", body), *after, Chunk(b"IEND", b"")]:
        checksum = zlib.crc32(chunk.data, zlib.crc32(chunk.name))
        parts += [struct.pack(">I4s", len(chunk.data), chunk.name), chunk.data, struct.pack(">I", checksum)]
    return b"".join(parts)
