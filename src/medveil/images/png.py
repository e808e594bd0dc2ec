"""PNG files: grey, 8 or 16 bits; also grey pictures in the form of coloured ones (see `colour_form`)."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import colour_form, record, tiff_directory
from medveil.images.bounds import DAMAGED, MAX_METADATA_BYTES, check_metadata, check_size, walled
from medveil.images.image import FileKind, Image, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, COLOUR, _PALETTE, _ALPHA = 0, 2, 3, 4  # colour types; 6 is colour with alpha
_CHANNELS = {_GREY: 1, COLOUR: 3, _PALETTE: 1, _ALPHA: 2, COLOUR | _ALPHA: 4}
# Chunks whose content depends on the colour type; a colour profile does where the picture has colours.
_OF_COLOUR = frozenset([b"PLTE", b"tRNS", b"bKGD", b"sBIT", b"hIST"])
_DEPTHS = {_GREY: (8, 16), COLOUR: (8, 16), _PALETTE: (1, 2, 4, 8), _ALPHA: (8, 16), COLOUR | _ALPHA: (8, 16)}
_MAX_CHUNKS = 1 << 16
_NO_CHUNKS = "the image's record does not hold PNG chunks"
_MISFIT = "the image's record does not fit its pixels"
_DENSITY = b"pHYs"
_MILLIMETRES_PER_METRE = 1000.0
_PER_METRE, _RATIO = (1, 10_000_000), (1, 4096)  # a density and an aspect ratio; four letters are over 500 million
_ANCILLARY = re.compile(rb"[a-z][A-Za-z][A-Z][A-Za-z]")
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@dataclass(frozen=True)
class Chunk:
    """One chunk beside the picture; `after` says that it stands behind the image data."""

    name: bytes
    data: bytes
    after: bool = False


@dataclass(frozen=True)
class Form:
    """The form of a coloured picture in which a grey one lay in its file.

    Attributes:
        colour: PNG's colour type.
        bits: of a sample, or of an index.
        chunks: those that depend on the colour type, in their order.
        indices: what `colour_form.pack_indices` gave.
    """

    colour: int
    bits: int
    chunks: tuple[Chunk, ...] = ()
    indices: bytes = b""

    def chunk(self, name: bytes) -> bytes:
        return next((chunk.data for chunk in self.chunks if chunk.name == name), b"")

    def palette(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The grey value of each entry (-1: coloured), and whether it is opaque."""
        entries, alpha = self.chunk(b"PLTE"), self.chunk(b"tRNS")
        if not 3 <= len(entries) <= 768 or len(entries) % 3:
            raise UnreadableInputError("the palette has not 1 to 256 entries")
        greys = colour_form.greys_of(np.frombuffer(entries, np.uint8).reshape(-1, 3))
        opaque = np.frombuffer(alpha.ljust(len(greys), b"\xff")[: len(greys)], np.uint8) == 255
        return greys, opaque


def read(data: bytes) -> Image:
    """The image of a PNG file.

    Raises:
        UnreadableInputError: truncated or damaged (all checksums are checked).
        UnsupportedInputError: colour, transparency, animation, fewer than 8 bits, or too large.
    """
    chunks, body = _split(data)
    header = chunks[0].data
    if chunks[0].name != b"IHDR" or len(header) != 13:
        raise UnreadableInputError(DAMAGED)
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    _check_kind(depth, colour, [chunk.name for chunk in chunks])
    check_size(height, width)
    check_size(height * _CHANNELS[colour], width)
    check_metadata(sum(len(chunk.data) for chunk in chunks))
    _check_body(body, _raw_length(height, width, depth * _CHANNELS[colour], bool(interlaced)))
    density = next((chunk.data for chunk in chunks if chunk.name == _DENSITY and len(chunk.data) == 9), b"")
    rest = [chunk for chunk in chunks if _ANCILLARY.fullmatch(chunk.name) and chunk.name != _DENSITY]
    form = _form_of(colour, depth, chunks)
    pixels, indices = _pixels(header, body, form)
    if form is not None:
        form = replace(form, indices=indices)
        of_form = {chunk.name for chunk in form.chunks}
        rest = [chunk for chunk in rest if chunk.name not in of_form]
    return restore(pixels, max(depth, 8), *records_of(FileKind.PNG, max(depth, 8), density, rest, form))


def _form_of(colour: int, depth: int, chunks: Iterable[Chunk]) -> Form | None:
    """The form of the picture; None for a plain grey one."""
    of_colour = _OF_COLOUR | {b"iCCP"} if colour & COLOUR else _OF_COLOUR
    kept = tuple(chunk for chunk in chunks if chunk.name in of_colour)
    if colour == _GREY and not {chunk.name for chunk in kept} & {b"PLTE", b"tRNS"}:
        return None
    return Form(colour, depth, kept)


def _pixels(header: bytes, body: bytes, form: Form | None) -> tuple[NDArray[np.generic], bytes]:
    """The grey values of a picture, and of one with a palette what they don't say of its indices."""
    width, height, depth = struct.unpack(">IIB", header[:9])
    if form is None:
        return _decode(_file([Chunk(b"IHDR", header)], body, []), height, width, depth), b""
    if form.colour == _PALETTE:
        greys, opaque = form.palette()
        plain = _file([Chunk(b"IHDR", header), Chunk(b"PLTE", bytes(768))], body, [])
        indices = _decode(plain, height, width, 8)
        colour_form.check_indices(indices, greys, opaque)
        return greys[indices].astype(np.uint8), colour_form.pack_indices(indices, greys)
    pixels = colour_form.grey_of(_samples(header, body, _CHANNELS[form.colour]))
    key = form.chunk(b"tRNS")
    if len(key) == 2 * (1 + (form.colour & COLOUR)):
        numbers = np.frombuffer(key, ">u2") & np.iinfo(pixels.dtype).max
        if len(set(numbers.tolist())) == 1 and (pixels == numbers[0]).any():
            raise UnsupportedInputError(colour_form.TRANSPARENT)
    return pixels, b""


def _samples(header: bytes, body: bytes, channels: int) -> NDArray[np.unsignedinteger]:
    """The samples (height, width, channels) of a picture with 8 or 16 bits a sample.

    Pillow makes 8 bits of 16 in colour. A filter looks only at the same byte of other pixels, so each byte of the
    pixels, with the filters of the rows, is a grey picture by itself, and decoded as one.
    """
    width, height, depth, _, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    step = channels * depth // 8
    raw = np.frombuffer(zlib.decompress(body), np.uint8)
    alone = Chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _GREY, 0, 0, interlaced))
    planes = np.empty((height, width, step), np.uint8)
    for number in range(step):
        parts, position = [], 0
        for rows, columns in _passes(height, width, bool(interlaced)):
            end = position + rows * (1 + columns * step)
            lines = raw[position:end].reshape(rows, 1 + columns * step)
            parts.append(np.concatenate([lines[:, :1], lines[:, 1 + number :: step]], axis=1).tobytes())
            position = end
        plane = zlib.compress(b"".join(parts), 1)
        planes[..., number] = _decode(_file([alone], plane, []), height, width, 8)
    return planes if depth == 8 else planes.view(">u2").astype(np.uint16)


def records_of(
    kind: FileKind, depth: int, density: bytes, chunks: Iterable[Chunk], form: Form | None = None
) -> tuple[bytes, bytes]:
    """Pixel record and identity record of an image whose attributes are PNG chunks (`density`: those of pHYs).

    Of Exif the orientation travels with the pixels: without it a picture would lie on its side. A density that no image
    has is identity: it may be text.
    """
    chunks = list(chunks)
    if not _is_plausible(density):
        density, chunks = b"", [Chunk(_DENSITY, density), *chunks]
    rows = [[chunk.name, chunk.data, chunk.after] for chunk in chunks]
    pixel: dict[str, Any] = {"depth": depth, "density": density}
    orientation = next((tiff_directory.orientation(chunk.data) for chunk in chunks if chunk.name == b"eXIf"), 0)
    if orientation:
        pixel["orientation"] = orientation
    identity: dict[str, Any] = {"chunks": rows} if rows else {}
    if form is not None:
        own = [[chunk.name, chunk.data] for chunk in form.chunks]
        identity["form"] = {"colour": form.colour, "bits": form.bits, "chunks": own, "indices": form.indices}
    return record.pack(kind, pixel), record.pack(kind, identity) if identity else b""


def restore(
    pixels: NDArray[np.generic], bits_stored: int, pixel_record: bytes, identity_record: bytes,
    kind: FileKind = FileKind.PNG
) -> Image:  # fmt: skip
    """The image with these pixels and records.

    Raises:
        IntegrityError: a record is not one that this module writes, or does not fit the pixels.
    """
    fields = record.Fields(record.unpack(pixel_record, kind))
    depth, density = fields.integer("depth", 8, 16), fields.data("density", 9)
    fields.integer("orientation", 0, 8, 0)
    _chunks(identity_record, kind)
    form = _form(identity_record, kind)
    if depth not in (8, 16) or depth != bits_stored or pixels.dtype != _dtype(depth) or len(density) not in (0, 9):
        raise IntegrityError(_MISFIT)
    if form is not None and max(form.bits, 8) != depth:
        raise IntegrityError(_MISFIT)
    return Image.of_pixels(
        pixels, bits_stored, Source(kind, pixel_record, identity_record), spacing_mm=_spacing(density)
    )


def write(image: Image, *, exact: bool) -> bytes:
    """A PNG file of the image; with an identity record also its texts, dates, profiles and other chunks.

    Args:
        image: what to write.
        exact: whether the pixels are the original's; then, with an identity record, it has the original's form.
    """
    kind = image.source.kind
    fields = record.Fields(record.unpack(image.source.pixel_record, kind))
    density, orientation = fields.data("density", 9), fields.integer("orientation", 0, 8, 0)
    chunks = _chunks(image.source.identity_record, kind)
    before = [Chunk(_DENSITY, density)] if density and (chunks or _is_plausible(density)) else []
    if orientation and not any(chunk.name == b"eXIf" for chunk in chunks):
        before.append(Chunk(b"eXIf", tiff_directory.of_orientation(orientation)))
    before += [chunk for chunk in chunks if not chunk.after]
    after = [chunk for chunk in chunks if chunk.after]
    form = _form(image.source.identity_record, kind)
    if form is not None and exact:
        return _encode_in_form(image.pixels, form, before, after)
    return encode(image.pixels, before, after)


def _encode_in_form(pixels: NDArray[np.generic], form: Form, before: list[Chunk], after: list[Chunk]) -> bytes:
    """A PNG file in which grey pixels lie in this form."""
    height, width = pixels.shape
    greys = pixels.astype(np.uint16 if form.bits == 16 else np.uint8)
    if form.colour == _PALETTE:
        indices = colour_form.indices_of(greys, form.palette()[0], form.indices)
        rows, filtered = colour_form.packed_rows(indices, form.bits), 0
    else:
        samples = colour_form.samples_of(greys, _CHANNELS[form.colour])
        rows, filtered = samples.astype(samples.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1), 2
        rows = np.concatenate([rows[:1], rows[1:] - rows[:-1]])  # the filter "up"
    lines = np.concatenate([np.full((height, 1), filtered, np.uint8), rows], axis=1)
    header = Chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, form.bits, form.colour, 0, 0, 0))
    return _file([header, *before, *form.chunks], zlib.compress(lines.tobytes(), 6), after)


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
    form = _form(image.source.identity_record, image.source.kind)
    own = form.chunk(b"iCCP") if form is not None else b""
    return own or next((chunk.data for chunk in chunks if chunk.name == b"iCCP"), b"")


def _chunks(identity_record: bytes, kind: FileKind) -> list[Chunk]:
    if not identity_record:
        return []
    chunks = []
    for name, data, after in record.Fields(record.unpack(identity_record, kind)).rows("chunks", 3):
        if not isinstance(after, bool):
            raise IntegrityError(_NO_CHUNKS)
        chunks.append(_checked(name, data, after))
    return chunks


def _checked(name: object, data: object, after: bool) -> Chunk:
    if not isinstance(name, bytes) or not isinstance(data, bytes):
        raise IntegrityError(_NO_CHUNKS)
    if not (_ANCILLARY.fullmatch(name) or name == b"PLTE") or len(data) > MAX_METADATA_BYTES:
        raise IntegrityError(_NO_CHUNKS)
    return Chunk(name, data, after)


def _form(identity_record: bytes, kind: FileKind) -> Form | None:
    """The form in an identity record, if there is one."""
    found = record.Fields(record.unpack(identity_record, kind)).mapping("form") if identity_record else {}
    if not found:
        return None
    fields = record.Fields(found)
    colour, bits = fields.integer("colour", 0, 6), fields.integer("bits", 1, 16)
    if bits not in _DEPTHS.get(colour, ()):
        raise IntegrityError(_MISFIT)
    chunks = tuple(_checked(name, data, False) for name, data in fields.rows("chunks", 2))
    form = Form(colour, bits, chunks, fields.data("indices"))
    if {chunk.name for chunk in chunks} - _OF_COLOUR - {b"iCCP"}:
        raise IntegrityError(_MISFIT)
    if colour == _PALETTE:
        try:
            form.palette()
        except UnreadableInputError:
            raise IntegrityError(_MISFIT) from None
    return form


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
        if len(chunks) > _MAX_CHUNKS:
            raise UnsupportedInputError(f"a PNG of more than {_MAX_CHUNKS} chunks beside the image data")
    if not chunks or not body:
        raise UnreadableInputError(DAMAGED)
    return chunks, b"".join(body)


def _check_kind(depth: int, colour: int, names: list[bytes]) -> None:
    if b"acTL" in names:
        raise UnsupportedInputError("an animated PNG; medveil takes single images")
    if colour not in _DEPTHS:
        raise UnreadableInputError("the header states a colour type that PNG does not have")
    if depth not in _DEPTHS[colour]:
        raise UnsupportedInputError(f"{depth} bits a sample; medveil takes PNG of 8 or 16 bits, or with a palette")


def _raw_length(height: int, width: int, bits_a_pixel: int, interlaced: bool) -> int:
    """Bytes of the inflated image data: a filter byte and the pixels for every row of every pass."""
    return sum(rows * (1 + -(-columns * bits_a_pixel // 8)) for rows, columns in _passes(height, width, interlaced))


def _passes(height: int, width: int, interlaced: bool) -> list[tuple[int, int]]:
    """Rows and columns of each pass that has pixels."""
    if not interlaced:
        return [(height, width)]
    sizes = [(-(-(height - top) // down), -(-(width - left) // right)) for top, left, down, right in _ADAM7]
    return [(rows, columns) for rows, columns in sizes if rows > 0 and columns > 0]


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


def _is_plausible(density: bytes) -> bool:
    """Whether it can be a density: pixels a metre up to ten million, or an aspect ratio of small numbers."""
    if len(density) != 9:
        return not density
    across, down, unit = struct.unpack(">IIB", density)
    low, high = _PER_METRE if unit == 1 else _RATIO
    return unit in (0, 1) and low <= across <= high and low <= down <= high


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
