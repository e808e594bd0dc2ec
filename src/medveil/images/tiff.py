"""TIFF files: one grey page, 8 or 16 bits, signed or not; also in the form of a coloured one (see `colour_form`)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import colour_form, record, tiff_directory
from medveil.images.bounds import DAMAGED, MAX_METADATA_BYTES, check_metadata, check_size, silent, walled
from medveil.images.image import FileKind, Image, Source
from medveil.images.tiff_directory import LONG, MAX_ENTRIES, POINTERS, RATIONAL, SHORT, Entry

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIPS = 256, 257, 258, 259, 262, 266, 273
_ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 274, 277, 278, 279
_RESOLUTION_ACROSS, _RESOLUTION_DOWN, _RESOLUTION_UNIT, _PREDICTOR = 282, 283, 296, 317
_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 322, 323, 339
_PLANES, _COLOUR_MAP, _EXTRA_SAMPLES = 284, 320, 338
_GREYS, _RGB, _PALETTE = (0, 1), 2, 3  # photometric interpretations
_FORMS = ((0, 2), (1, 2), (_RGB, 3), (_RGB, 4), (_PALETTE, 1))  # photometric interpretation and samples a pixel
# Fields whose content depends on the samples of a pixel: grey response, transfer function, white point, profile.
_OF_COLOUR = frozenset([280, 281, 290, 291, 301, 318, 319, _COLOUR_MAP, 340, 341, 532, 34675])
# How the pixels lie in this very file: written anew, never part of the identity record. 330 points to further images.
_STRUCTURE = frozenset([254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 288, 289])
_STRUCTURE |= frozenset([296, 317, 322, 323, 324, 325, 330, 338, 339, 347, *range(512, 522)])
# What a decoder has to know. Strips and tiles: 273, 278, 279 and 322 to 325.
_OF_DECODING = frozenset([256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 339])
_NONE, _DEFLATE = 1, 8
_COMPRESSIONS = frozenset([_NONE, 5, _DEFLATE, 32773, 32946])
_MILLIMETRES = {2: 25.4, 3: 10.0}
_UNITS = (1, 2, 3)  # none, inch, centimetre
_MAX_RESOLUTION, _MAX_DENOMINATOR = 100_000, 1000
_MISFIT = "the image's record does not fit its pixels"


@dataclass(frozen=True)
class Form:
    """The form of a coloured picture in which a grey one lay in its file.

    Attributes:
        photometric: 0 or 1 (with alpha), 2 (RGB) or 3 (palette).
        bits: of a sample, or of an index.
        channels: samples a pixel.
        extra: what the alpha is, as tag 338 says it.
        fields: those that depend on the samples, the palette among them.
        indices: what `colour_form.pack_indices` gave.
    """

    photometric: int
    bits: int
    channels: int
    extra: int = 0
    fields: tuple[Entry, ...] = ()
    indices: bytes = b""

    def palette(self) -> tuple[NDArray[np.int64], int]:
        """The grey value of each entry (-1: coloured), and of how many bits they are."""
        value = next((entry.value for entry in self.fields if entry.tag == _COLOUR_MAP and entry.kind == SHORT), b"")
        if len(value) != 6 << self.bits:
            raise UnreadableInputError("the palette has not as many entries as the depth asks for")
        colours = np.frombuffer(value, "<u2").reshape(3, -1).T
        if _are_bytes(colours):
            return colour_form.greys_of(colours >> 8), 8
        return colour_form.greys_of(colours), 16


def _are_bytes(colours: NDArray[np.uint16]) -> bool:
    """Whether these are bytes, as writers scale them: by 256 or by 257."""
    low, high = colours & 0xFF, colours >> 8
    return bool(((low == 0) | (low == high)).all())


def read(data: bytes) -> Image:
    """The image of a TIFF file.

    Raises:
        UnreadableInputError: truncated or damaged.
        UnsupportedInputError: colour, transparency, several pages, float or other depths, another compression, or too
            large.
    """
    fields = tiff_directory.read(data)
    height, width = _one(fields, _HEIGHT), _one(fields, _WIDTH)
    check_size(height, width)
    depth, photometric, sample_format = (
        _one(fields, _BITS, 1),
        _one(fields, _PHOTOMETRIC),
        _one(fields, _SAMPLE_FORMAT, 1),
    )
    form = _form_of(fields, depth, photometric)
    _check_kind(fields, depth, sample_format, form)
    signed = sample_format == 2
    if form is None:
        pixels = _decode(_plain(data, fields, {_PHOTOMETRIC: 1, _SAMPLE_FORMAT: 1}), height, width, depth)
    else:
        pixels, form = _formed(data, fields, form)
        depth = 8 * pixels.dtype.itemsize
    compression = _NONE if _one(fields, _COMPRESSION, _NONE) == _NONE else _DEFLATE
    known: dict[str, Any] = {
        "depth": depth,
        "signed": int(signed),
        "photometric": photometric if photometric in _GREYS else 1,
        "compression": compression,
    }
    known["orientation"] = orientation if 1 <= (orientation := _one(fields, _ORIENTATION, 1)) <= 8 else 1
    values = [fields[tag].value for tag in (_RESOLUTION_ACROSS, _RESOLUTION_DOWN) if tag in fields]
    stored = {"resolution": b"".join(values), "unit": _one(fields, _RESOLUTION_UNIT, 2)}
    stored = stored if [len(value) for value in values] == [8, 8] else {}
    travels = _plausible(stored)
    known |= travels
    of_form = _OF_COLOUR if form is not None else frozenset()
    rest = _rows([entry for entry in fields.values() if entry.tag not in _STRUCTURE and entry.tag not in of_form])
    own = stored if stored != travels else {}
    identity: dict[str, Any] = {"fields": rest, **own} if rest or own or form is not None else {}
    if form is not None:
        identity["form"] = {**asdict(form), "fields": _rows(form.fields)}
    identity_record = record.pack(FileKind.TIFF, identity) if identity else b""
    check_metadata(len(identity_record))
    pixel_record = record.pack(FileKind.TIFF, known)
    return restore(pixels.view(np.int16) if signed else pixels, depth, pixel_record, identity_record)


def _form_of(fields: Mapping[int, Entry], depth: int, photometric: int) -> Form | None:
    """The form of the picture; None for a plain grey one."""
    channels = _one(fields, _SAMPLES, 1)
    if photometric in _GREYS and channels == 1:
        return None
    if (photometric, channels) not in _FORMS:
        raise UnsupportedInputError(
            "other samples than grey, RGB, each with or without alpha, or a palette; medveil takes grey images"
        )
    own = tuple(entry for entry in fields.values() if entry.tag in _OF_COLOUR and not entry.inner)
    return Form(photometric, depth, channels, _one(fields, _EXTRA_SAMPLES, 0), own)


def _formed(data: bytes, fields: Mapping[int, Entry], form: Form) -> tuple[NDArray[Any], Form]:
    """The grey pixels of a picture in a form, and the form with what the pixels don't say of it."""
    height, width = _one(fields, _HEIGHT), _one(fields, _WIDTH)
    if form.photometric == _PALETTE:
        greys, bits = form.palette()
        indices = _decode(_plain(data, fields, {}), height, width, 8, mode="P")
        colour_form.check_indices(indices, greys, np.ones(len(greys), np.bool_))
        packed = colour_form.pack_indices(indices, greys)
        return greys[indices].astype(np.uint8 if bits == 8 else np.uint16), replace(form, indices=packed)
    return colour_form.grey_of(_samples(data, fields, form)), form


def _samples(data: bytes, fields: Mapping[int, Entry], form: Form) -> NDArray[Any]:
    """The samples (height, width, channels).

    Pillow makes 8 bits of 16 in colour; so the file is declared one of single bytes, which it decodes as they stand.
    The horizontal differences of predictor 2 are added up here.
    """
    height, width, size = _one(fields, _HEIGHT), _one(fields, _WIDTH), form.bits // 8
    step, order = form.channels * size, "<" if data[:2] == b"II" else ">"
    check_size(height, width * step)
    tile = _one(fields, _TILE_WIDTH, width)
    stated = {_WIDTH: width * step, _BITS: 8, _PHOTOMETRIC: 1, _SAMPLES: 1, _SAMPLE_FORMAT: 1, _PREDICTOR: 1}
    rows = _decode(_plain(data, fields, stated | {_TILE_WIDTH: tile * step}), height, width * step, 8)
    samples = rows.view(f"{order}u{size}").reshape(height, width, form.channels).astype(f"u{size}")
    if _one(fields, _PREDICTOR, 1) == 2:
        for left in range(0, width, tile):
            part = samples[:, left : left + tile]
            np.cumsum(part, axis=1, dtype=samples.dtype, out=part)
    return samples


def _plausible(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolution that travels: two numbers that can be one, as fractions of their own, and their unit.

    What a file has in place of them, eight letters for a fraction, is identity.
    """
    if not stored or stored["unit"] not in _UNITS:
        return {}
    across, across_by, down, down_by = struct.unpack("<4I", stored["resolution"])
    if not (across_by and down_by):
        return {}
    found = [Fraction(across, across_by), Fraction(down, down_by)]
    near = [fraction.limit_denominator(_MAX_DENOMINATOR) for fraction in found]
    if not all(0 < fraction <= _MAX_RESOLUTION for fraction in near):
        return {}
    parts = [number for fraction in near for number in fraction.as_integer_ratio()]
    if near == found and max(across_by, down_by) <= _MAX_DENOMINATOR:
        parts = [across, across_by, down, down_by]
    return {"resolution": struct.pack("<4I", *parts), "unit": stored["unit"]}


def _one(fields: Mapping[int, Entry], tag: int, default: int | None = None) -> int:
    values = fields[tag].integers if tag in fields else ()
    if len(values) == 1:
        return values[0]
    if values or default is None:
        if tag in (_BITS, _SAMPLE_FORMAT) and len(set(values)) == 1:
            return values[0]
        raise UnreadableInputError(DAMAGED)
    return default


def _check_kind(fields: Mapping[int, Entry], depth: int, sample_format: int, form: Form | None) -> None:
    depths = (1, 2, 4, 8) if form is not None and form.photometric == _PALETTE else (8, 16)
    if sample_format not in (1, 2) or depth not in depths or (sample_format == 2 and (depth == 8 or form is not None)):
        raise UnsupportedInputError("other pixels than unsigned integers of 8 or 16 bits or signed ones of 16 bits")
    if _one(fields, _COMPRESSION, _NONE) not in _COMPRESSIONS:
        raise UnsupportedInputError("a TIFF compression other than none, LZW, deflate or PackBits")
    if _one(fields, _FILL_ORDER, 1) != 1:
        raise UnsupportedInputError("a TIFF with the bits of each byte turned round (fill order 2)")
    if form is not None and _one(fields, _PLANES, 1) != 1:
        raise UnsupportedInputError("a TIFF whose colour planes stand apart; medveil takes samples side by side")
    if form is not None and _one(fields, _PREDICTOR, 1) not in (1, 2):
        raise UnsupportedInputError("a TIFF predictor other than none or horizontal differences")
    tile_width, tile_height = _one(fields, _TILE_WIDTH, 1), _one(fields, _TILE_HEIGHT, 1)
    if not tile_width or not tile_height:
        raise UnreadableInputError(DAMAGED)
    if tile_width * tile_height > 4 * _one(fields, _HEIGHT) * _one(fields, _WIDTH) + (1 << 20):
        raise UnsupportedInputError("tiles much larger than the image")


def _plain(data: bytes, fields: Mapping[int, Entry], stated: Mapping[int, int]) -> bytes:
    """The file with a directory of nothing but what it takes to decode the pixels as they are stored.

    Decoders turn a picture as its orientation says, or XMP where that is missing; and signed or inverted ones are
    changed, or not taken. The directory has no more entries than the file's, and stands in its place.

    Args:
        data: the file.
        fields: those of its directory.
        stated: values in place of the file's, of fields that it has.
    """
    order = "<" if data[:2] == b"II" else ">"
    table = []
    for tag in sorted(_OF_DECODING.intersection(fields)):
        at, value = fields[tag].at, stated.get(tag)
        if value is None:
            table.append(data[at : at + 12])
        elif value <= 0xFFFF:
            table.append(struct.pack(order + "HHIHH", tag, SHORT, 1, value, 0))
        else:
            table.append(struct.pack(order + "HHII", tag, LONG, 1, value))
    directory = struct.pack(order + "H", len(table)) + b"".join(table) + bytes(4)
    plain, start = bytearray(data), struct.unpack_from(order + "I", data, 4)[0]
    plain[start : start + len(directory)] = directory
    return bytes(plain)


def _decode(data: bytes, height: int, width: int, depth: int, *, mode: str = "L") -> NDArray[np.generic]:
    with walled(), silent():
        from PIL.TiffImagePlugin import TiffImageFile

        picture = TiffImageFile(io.BytesIO(data))
        if picture.size != (width, height) or picture.mode != (mode if depth == 8 else picture.mode):
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
    if len(_own(identity_record).data("resolution")) not in (0, 16):
        raise IntegrityError(_MISFIT)
    form = _form(identity_record)
    if form is not None and (signed or (form.photometric != _PALETTE and form.bits != depth)):
        raise IntegrityError(_MISFIT)
    return Image.of_pixels(
        pixels, bits_stored, Source(FileKind.TIFF, pixel_record, identity_record), spacing_mm=_spacing(fields)
    )


def _own(identity_record: bytes) -> record.Fields:
    return record.Fields(record.unpack(identity_record, FileKind.TIFF) if identity_record else {})


def _identity(identity_record: bytes) -> list[Entry]:
    return _entries(record.unpack(identity_record, FileKind.TIFF).get("fields")) if identity_record else []


def _form(identity_record: bytes) -> Form | None:
    """The form in an identity record, if there is one."""
    found = record.Fields(record.unpack(identity_record, FileKind.TIFF)).mapping("form") if identity_record else {}
    if not found:
        return None
    fields = record.Fields(found)
    kind = fields.integer("photometric", 0, 3), fields.integer("channels", 1, 4)
    bits, extra = fields.integer("bits", 1, 16), fields.integer("extra", 0, 0xFFFF)
    own = tuple(_entries(found.get("fields", []), 0))
    form = Form(kind[0], bits, kind[1], extra, own, fields.data("indices"))
    if kind not in _FORMS or bits not in ((1, 2, 4, 8) if kind[0] == _PALETTE else (8, 16)):
        raise IntegrityError(_MISFIT)
    if any(entry.tag not in _OF_COLOUR or entry.inner for entry in own):
        raise IntegrityError(_MISFIT)
    if kind[0] == _PALETTE:
        try:
            form.palette()
        except UnreadableInputError:
            raise IntegrityError(_MISFIT) from None
    return form


def _spacing(fields: record.Fields) -> tuple[float, float] | None:
    resolution, unit = fields.data("resolution"), fields.integer("unit", 0, 0xFFFF, 1)
    if len(resolution) != 16 or unit not in _MILLIMETRES:
        return None
    across, across_by, down, down_by = struct.unpack("<4I", resolution)
    if not (across and across_by and down and down_by):
        return None
    return _MILLIMETRES[unit] * down_by / down, _MILLIMETRES[unit] * across_by / across


def is_inverted(image: Image) -> bool:
    """Whether 0 is white."""
    return record.Fields(record.unpack(image.source.pixel_record, FileKind.TIFF)).integer("photometric", 0, 1) == 0


def write(image: Image, *, exact: bool) -> bytes:
    """A TIFF file of the image, little endian, one strip; with an identity record also its other fields.

    Args:
        image: what to write.
        exact: whether the pixels are the original's; then, with an identity record, it has the original's form.
    """
    fields = record.Fields(record.unpack(image.source.pixel_record, FileKind.TIFF))
    compression, (resolution, unit) = fields.integer("compression", 1, 8), _resolution(image, fields)
    height, width = image.pixels.shape
    form = _form(image.source.identity_record) if exact else None
    if form is None:
        form = Form(fields.integer("photometric", 0, 1), image.bits_stored, 1)
    strip = _strip(_cells(image.pixels, form), compression, predicted=form.bits >= 8)
    shorts = {
        _BITS: [form.bits] * form.channels, _COMPRESSION: [compression], _PHOTOMETRIC: [form.photometric],
        _ORIENTATION: [fields.integer("orientation", 1, 8)], _SAMPLES: [form.channels],
        _SAMPLE_FORMAT: [2 if image.signed else 1] * form.channels
    }  # fmt: skip
    if form.channels % 2 == 0:
        shorts[_EXTRA_SAMPLES] = [form.extra]
    if compression == _DEFLATE and form.bits >= 8:
        shorts[_PREDICTOR] = [2]
    if resolution:
        shorts[_RESOLUTION_UNIT] = [unit]
    longs = {_WIDTH: width, _HEIGHT: height, _ROWS_PER_STRIP: height, _STRIP_BYTES: len(strip)}
    entries = [Entry(tag, SHORT, struct.pack(f"<{len(values)}H", *values)) for tag, values in shorts.items()]
    entries += [Entry(tag, LONG, struct.pack("<I", value)) for tag, value in longs.items()]
    if resolution:
        entries += [
            Entry(_RESOLUTION_ACROSS, RATIONAL, resolution[:8]),
            Entry(_RESOLUTION_DOWN, RATIONAL, resolution[8:]),
        ]
    entries += [*form.fields, *_identity(image.source.identity_record)]
    return tiff_directory.write(entries, _STRIPS, strip)


def _resolution(image: Image, fields: record.Fields) -> tuple[bytes, int]:
    """The original's with identity, else as much of it as travels; no bytes where there is none."""
    own = _own(image.source.identity_record)
    if image.source.identity_record:
        fields = own if own.data("resolution") else fields
        return fields.data("resolution"), fields.integer("unit", 0, 0xFFFF, 1)
    stored = {"resolution": fields.data("resolution"), "unit": fields.integer("unit", 0, 0xFFFF, 1)}
    travels = _plausible(stored) if stored["resolution"] else {}
    return travels.get("resolution", b""), travels.get("unit", 1)


def _cells(pixels: NDArray[Any], form: Form) -> NDArray[Any]:
    """The pixels as they lie in a picture of this form: rows of samples, or of packed indices."""
    if form.photometric == _PALETTE:
        return colour_form.packed_rows(colour_form.indices_of(pixels, form.palette()[0], form.indices), form.bits)
    return colour_form.samples_of(pixels, form.channels) if form.channels > 1 else pixels


def _strip(pixels: NDArray[Any], compression: int, *, predicted: bool) -> bytes:
    """The pixels little endian; where there is compression deflated, after horizontal differencing (predictor 2)."""
    cells = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).view(f"<u{pixels.dtype.itemsize}")
    if compression == _NONE:
        return cells.tobytes()
    differences = cells.copy()
    if predicted:
        differences[:, 1:] -= cells[:, :-1]
    return zlib.compress(differences.tobytes(), 6)
