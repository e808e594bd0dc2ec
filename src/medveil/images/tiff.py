"""TIFF files: one grey page, 8 or 16 bits, signed or not."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import record, tiff_directory
from medveil.images.bounds import DAMAGED, MAX_METADATA_BYTES, check_metadata, check_size, silent, walled
from medveil.images.image import FileKind, Image, Source
from medveil.images.tiff_directory import LONG, MAX_ENTRIES, POINTERS, RATIONAL, SHORT, Entry

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIPS = 256, 257, 258, 259, 262, 266, 273
_ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 274, 277, 278, 279
_RESOLUTION_ACROSS, _RESOLUTION_DOWN, _RESOLUTION_UNIT, _PREDICTOR = 282, 283, 296, 317
_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 322, 323, 339
# How the pixels lie in this very file: written anew, never part of the identity record. 330 points to further images.
_STRUCTURE = frozenset([254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 288, 289])
_STRUCTURE |= frozenset([296, 317, 322, 323, 324, 325, 330, 338, 339, 347, *range(512, 522)])
_NONE, _DEFLATE = 1, 8
_COMPRESSIONS = frozenset([_NONE, 5, _DEFLATE, 32773, 32946])
_MILLIMETRES = {2: 25.4, 3: 10.0}
_MISFIT = "the image's record does not fit its pixels"


def read(data: bytes) -> Image:
    """The image of a TIFF file.

    Raises:
        UnreadableInputError: truncated or damaged.
        UnsupportedInputError: colour, several pages, float or other depths, another compression, or too large.
    """
    fields = tiff_directory.read(data)
    height, width = _one(fields, _HEIGHT), _one(fields, _WIDTH)
    check_size(height, width)
    depth, photometric, sample_format = (
        _one(fields, _BITS, 1),
        _one(fields, _PHOTOMETRIC),
        _one(fields, _SAMPLE_FORMAT, 1),
    )
    _check_grey(fields, depth, photometric, sample_format)
    signed = sample_format == 2
    pixels = _decode(_plain(data, fields), height, width, depth)
    compression = _NONE if _one(fields, _COMPRESSION, _NONE) == _NONE else _DEFLATE
    known: dict[str, Any] = {
        "depth": depth,
        "signed": int(signed),
        "photometric": photometric,
        "compression": compression,
    }
    known["orientation"] = orientation if 1 <= (orientation := _one(fields, _ORIENTATION, 1)) <= 8 else 1
    resolution = [fields[tag].value for tag in (_RESOLUTION_ACROSS, _RESOLUTION_DOWN) if tag in fields]
    if [len(value) for value in resolution] == [8, 8]:
        known["resolution"], known["unit"] = b"".join(resolution), _one(fields, _RESOLUTION_UNIT, 2)
    rest = _rows([entry for entry in fields.values() if entry.tag not in _STRUCTURE])
    identity = record.pack(FileKind.TIFF, {"fields": rest}) if rest else b""
    check_metadata(len(identity))
    return restore(pixels.view(np.int16) if signed else pixels, depth, record.pack(FileKind.TIFF, known), identity)


def _one(fields: Mapping[int, Entry], tag: int, default: int | None = None) -> int:
    values = fields[tag].integers if tag in fields else ()
    if len(values) == 1:
        return values[0]
    if values or default is None:
        if tag == _BITS and len(set(values)) == 1:
            return values[0]
        raise UnreadableInputError(DAMAGED)
    return default


def _check_grey(fields: Mapping[int, Entry], depth: int, photometric: int, sample_format: int) -> None:
    if photometric not in (0, 1) or _one(fields, _SAMPLES, 1) != 1:
        raise UnsupportedInputError("colour, palette or transparency; medveil takes grey images")
    if sample_format not in (1, 2) or depth not in (8, 16) or (sample_format == 2 and depth == 8):
        raise UnsupportedInputError("other pixels than unsigned integers of 8 or 16 bits or signed ones of 16 bits")
    if _one(fields, _COMPRESSION, _NONE) not in _COMPRESSIONS or _one(fields, _FILL_ORDER, 1) != 1:
        raise UnsupportedInputError("a TIFF compression other than none, LZW, deflate or PackBits")
    tile = _one(fields, _TILE_WIDTH, 1) * _one(fields, _TILE_HEIGHT, 1)
    if tile > 4 * _one(fields, _HEIGHT) * _one(fields, _WIDTH) + (1 << 20):
        raise UnsupportedInputError("tiles much larger than the image")


def _plain(data: bytes, fields: Mapping[int, Entry]) -> bytes:
    """The file with pixels declared upright, unsigned and black at zero, so that the decoder leaves them as stored."""
    plain = bytearray(data)
    for tag in (_PHOTOMETRIC, _ORIENTATION, _SAMPLE_FORMAT):
        if tag in fields:
            place, length = fields[tag].place, len(fields[tag].value)
            plain[place : place + length] = (1).to_bytes(length, "little" if data[:2] == b"II" else "big")
    return bytes(plain)


def _decode(data: bytes, height: int, width: int, depth: int) -> NDArray[np.generic]:
    with walled(), silent():
        from PIL.TiffImagePlugin import TiffImageFile

        picture = TiffImageFile(io.BytesIO(data))
        if picture.size != (width, height) or picture.mode != ("L" if depth == 8 else picture.mode):
            raise UnreadableInputError(DAMAGED)
        picture.load()
        pixels = np.asarray(picture)
    if pixels.shape != (height, width) or pixels.dtype.kind not in "ui":
        raise UnreadableInputError(DAMAGED)
    return np.ascontiguousarray(pixels.astype(np.uint8 if depth == 8 else np.uint16))


def _rows(entries: Sequence[Entry]) -> list[list[Any]]:
    """The entries as the identity record holds them: tag, type, and bytes or the rows of an inner directory."""
    return [[entry.tag, entry.kind, _rows(entry.inner) if entry.inner else entry.value] for entry in entries]


def _entries(rows: object, depth: int = 0) -> list[Entry]:
    if not isinstance(rows, list) or depth > 3 or len(rows) > MAX_ENTRIES:
        raise IntegrityError(_MISFIT)
    entries = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(number, int) for number in row[:2]):
            raise IntegrityError(_MISFIT)
        tag, kind, value = row
        if not 0 <= tag <= 0xFFFF or not 1 <= kind <= 13 or (depth == 0 and tag in _STRUCTURE):
            raise IntegrityError(_MISFIT)
        if isinstance(value, bytes) and len(value) <= MAX_METADATA_BYTES:
            entries.append(Entry(tag, kind, value))
        elif tag in POINTERS and value:
            entries.append(Entry(tag, kind, b"", tuple(_entries(value, depth + 1))))
        else:
            raise IntegrityError(_MISFIT)
    return entries


def restore(pixels: NDArray[np.generic], bits_stored: int, pixel_record: bytes, identity_record: bytes) -> Image:
    """The image with these pixels and records.

    Raises:
        IntegrityError: a record is not one that this module writes, or does not fit the pixels.
    """
    fields = record.Fields(record.unpack(pixel_record, FileKind.TIFF))
    depth, signed = fields.integer("depth", 8, 16), fields.integer("signed", 0, 1)
    fields.integer("photometric", 0, 1)
    fields.integer("orientation", 1, 8)
    if fields.integer("compression", 1, 8) not in (_NONE, _DEFLATE) or len(fields.data("resolution")) not in (0, 16):
        raise IntegrityError(_MISFIT)
    expected = np.int16 if signed else np.uint8 if depth == 8 else np.uint16
    if depth not in (8, 16) or depth != bits_stored or pixels.dtype != expected or (signed and depth == 8):
        raise IntegrityError(_MISFIT)
    _identity(identity_record)
    return Image(pixels, bits_stored, Source(FileKind.TIFF, pixel_record, identity_record), _spacing(fields))


def _identity(identity_record: bytes) -> list[Entry]:
    return _entries(record.unpack(identity_record, FileKind.TIFF).get("fields")) if identity_record else []


def _spacing(fields: record.Fields) -> tuple[float, float] | None:
    resolution, unit = fields.data("resolution"), fields.integer("unit", 0, 0xFFFF, 1)
    if len(resolution) != 16 or unit not in _MILLIMETRES:
        return None
    across, across_by, down, down_by = struct.unpack("<4I", resolution)
    if not (across and across_by and down and down_by):
        return None
    return _MILLIMETRES[unit] * down_by / down, _MILLIMETRES[unit] * across_by / across


def write(image: Image) -> bytes:
    """A TIFF file of the image, little endian, one strip; with an identity record also its other fields."""
    fields = record.Fields(record.unpack(image.source.pixel_record, FileKind.TIFF))
    compression, resolution = fields.integer("compression", 1, 8), fields.data("resolution")
    height, width = image.pixels.shape
    strip = _strip(image.pixels, compression)
    shorts = {
        _BITS: image.bits_stored,
        _COMPRESSION: compression,
        _PHOTOMETRIC: fields.integer("photometric", 0, 1),
        _ORIENTATION: fields.integer("orientation", 1, 8),
        _SAMPLES: 1,
        _SAMPLE_FORMAT: 2 if image.signed else 1,
    }
    if compression == _DEFLATE:
        shorts[_PREDICTOR] = 2
    if resolution:
        shorts[_RESOLUTION_UNIT] = fields.integer("unit", 0, 0xFFFF, 1)
    longs = {_WIDTH: width, _HEIGHT: height, _ROWS_PER_STRIP: height, _STRIP_BYTES: len(strip)}
    entries = [Entry(tag, SHORT, struct.pack("<H", value)) for tag, value in shorts.items()]
    entries += [Entry(tag, LONG, struct.pack("<I", value)) for tag, value in longs.items()]
    if resolution:
        entries += [
            Entry(_RESOLUTION_ACROSS, RATIONAL, resolution[:8]),
            Entry(_RESOLUTION_DOWN, RATIONAL, resolution[8:]),
        ]
    return tiff_directory.write([*entries, *_identity(image.source.identity_record)], _STRIPS, strip)


def _strip(pixels: NDArray[np.generic], compression: int) -> bytes:
    """The pixels little endian; deflated after horizontal differencing (predictor 2) where there is compression."""
    cells = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).view(f"<u{pixels.dtype.itemsize}")
    if compression == _NONE:
        return cells.tobytes()
    differences = cells.copy()
    differences[:, 1:] -= cells[:, :-1]
    return zlib.compress(differences.tobytes(), 6)
