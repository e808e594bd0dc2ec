"""NIfTI files: one slice of 8- or 16-bit integers, .nii or .nii.gz, version 1 or 2.

The header is a fixed structure, so it is kept as bytes: what travels with the pixels is a copy in which everything but
geometry, type and scaling is zero, and of those only what the header's codes say is in use and can be such a quantity.
Rows of an Image run along NIfTI's second axis, as the data lie in the file.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import record
from medveil.images.bounds import DAMAGED, MAX_METADATA_BYTES, check_metadata, check_size
from medveil.images.image import FileKind, Image, Source

_GZIP = b"\x1f\x8b"
_GZIP_WBITS = 31
_MISFIT = "the image's record does not fit its pixels"
_DTYPES = {2: "u1", 256: "i1", 4: "i2", 512: "u2"}
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, metre, millimetre, micrometre
_TIMES = (0, 8, 16, 24, 32, 40, 48)  # unknown, second, millisecond, microsecond, hertz, ppm, radian per second
_CODES = range(6)  # of a transform: none, scanner, aligned, Talairach, MNI 152, another template
_FARTHEST = 1e5  # mm, of a place; a side of a voxel is shorter
_LARGEST = 1e9  # of a scale and of a displayed value
_SMALLEST = 1e-9  # of a number that is not zero: text read as a number is often smaller
_PRINTABLE = re.compile(rb"[ -~]{4}")
_DIGITS = 5  # of a number whose bytes could be read as text


@dataclass(frozen=True)
class _Version:
    """Where a version of the header has what: (offset, struct format); `travels` are the ranges that stay."""

    length: int
    magic: tuple[int, bytes, bytes]
    dim: tuple[int, str]
    datatype: tuple[int, str]
    pixdim: tuple[int, str]
    offset: tuple[int, str]
    scale: tuple[int, str]
    units: tuple[int, str]
    bits: tuple[int, str]
    display: tuple[int, str]
    codes: tuple[int, str]
    quaternion: tuple[int, str]
    rows: tuple[int, str]
    travels: tuple[tuple[int, int], ...]


_ONE = _Version(
    length=348,
    magic=(344, b"n+1\0", b"ni1\0"),
    dim=(40, "8h"),
    datatype=(70, "h"),
    pixdim=(76, "4f"),
    offset=(108, "f"),
    scale=(112, "2f"),
    units=(123, "B"),
    bits=(72, "h"),
    display=(124, "2f"),
    codes=(252, "2h"),
    quaternion=(256, "6f"),
    rows=(280, "12f"),
    # size; dim; type, bits; pixdim 0-3; offset, slope, intercept; units, display range; both transforms; magic
    travels=((0, 4), (40, 56), (70, 74), (76, 92), (108, 120), (123, 132), (252, 328), (344, 348)),
)
_TWO = _Version(
    length=540, magic=(4, b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"), dim=(16, "8q"), datatype=(12, "h"),
    pixdim=(104, "4d"), offset=(168, "q"), scale=(176, "2d"), units=(500, "i"), bits=(14, "h"), display=(192, "2d"),
    codes=(344, "2i"), quaternion=(352, "6d"), rows=(400, "12d"),
    travels=((0, 80), (104, 136), (168, 208), (344, 496), (500, 504))
)  # fmt: skip


@dataclass(frozen=True)
class _Header:
    """The fields of a header that matter here."""

    raw: bytes
    version: _Version
    order: str
    height: int
    width: int
    dtype: np.dtype[np.generic]
    offset: int
    slope: float
    intercept: float
    spacing: tuple[float, float] | None

    @property
    def end(self) -> int:
        return self.offset + self.height * self.width * self.dtype.itemsize

    @property
    def pixel_dtype(self) -> np.dtype[np.generic]:
        """The type of the pixels of an Image; signed bytes are widened."""
        return np.dtype(np.int16) if self.dtype.kind == "i" else self.dtype.newbyteorder("=")


def looks_like(data: bytes) -> bool:
    """Whether this begins as NIfTI or as gzip."""
    return data[:2] == _GZIP or _layout(data) is not None


def _layout(data: bytes) -> tuple[_Version, str] | None:
    for version in (_ONE, _TWO):
        for order in "<>":
            if data[:4] == struct.pack(order + "i", version.length) and len(data) >= version.length:
                place, single, pair = version.magic
                if data[place : place + len(single)] in (single, pair):
                    return version, order
    return None


def read(data: bytes) -> Image:
    """The image of a NIfTI file.

    Raises:
        UnreadableInputError: truncated or damaged.
        UnsupportedInputError: a volume or series, float or wide pixels, a header without its pixels, or too large.
    """
    zipped = data[:2] == _GZIP
    head = _inflated(data, _TWO.length) if zipped else data
    if (layout := _layout(head)) is None:
        if zipped:
            raise UnsupportedInputError("not a PNG, JPEG, TIFF, NIfTI or DICOM file")
        raise UnreadableInputError(DAMAGED)
    header = _header(head[: layout[0].length], *layout)
    check_size(header.height, header.width)
    check_metadata(header.offset)
    if zipped:
        data = _inflated(data, header.end, whole=True)
    if len(data) < header.end:
        raise UnreadableInputError("the file is shorter than its header states")
    if any(data[header.end :]):
        raise UnsupportedInputError("the file is longer than its header states")
    cells = np.frombuffer(data, header.dtype, header.height * header.width, header.offset)
    pixels = np.ascontiguousarray(cells.reshape(header.height, header.width).astype(header.pixel_dtype))
    between = data[header.version.length : header.offset]
    clean = _clean(header)
    full = _merged(header, clean)
    stored = {"stored": header.raw} if full != header.raw else {}
    pixel_record = record.pack(FileKind.NIFTI, {"header": clean, "gzip": int(zipped)})
    identity_record = record.pack(FileKind.NIFTI, {"header": full, "between": between, **stored})
    return restore(pixels, 8 * header.dtype.itemsize, pixel_record, identity_record)


def _inflated(data: bytes, length: int, *, whole: bool = False) -> bytes:
    """The first `length` bytes of a gzip file; `whole`: it must end there, with a right checksum."""
    inflater = zlib.decompressobj(_GZIP_WBITS)
    try:
        result = inflater.decompress(data, length)
        if whole:
            result += inflater.decompress(inflater.unconsumed_tail, 1)
            if not inflater.eof or inflater.unused_data.strip(b"\0"):
                raise UnreadableInputError("the compressed file does not end where its header states")
    except zlib.error:
        raise UnreadableInputError(DAMAGED) from None
    return result


def _header(raw: bytes, version: _Version, order: str) -> _Header:
    def field(place: tuple[int, str]) -> tuple[float, ...]:
        return struct.unpack_from(order + place[1], raw, place[0])

    place, single, _ = version.magic
    if raw[place : place + len(single)] != single:
        raise UnsupportedInputError("a NIfTI header whose pixels are in another file", hint="Store both as one .nii.")
    axes, *sides = (int(value) for value in field(version.dim))
    if not 1 <= axes <= 7:
        raise UnreadableInputError(DAMAGED)
    if axes < 2 or any(side != 1 for side in sides[2:axes]):
        raise UnsupportedInputError("a volume or series; medveil takes single images")
    dtype = _DTYPES.get(int(field(version.datatype)[0]))
    if dtype is None:
        raise UnsupportedInputError("float, colour or wide pixels; medveil takes integers of 8 or 16 bits")
    offset, pixdim = field(version.offset)[0], field(version.pixdim)
    if not version.length <= offset <= 2 * MAX_METADATA_BYTES:  # false for NaN too
        raise UnreadableInputError(DAMAGED)
    scale = _MILLIMETRES.get(int(field(version.units)[0]) & 7, 0.0)
    spacing = (abs(pixdim[2]) * scale, abs(pixdim[1]) * scale)
    slope, intercept = field(version.scale)
    scaled = slope != 0 and math.isfinite(slope) and math.isfinite(intercept)
    return _Header(
        raw=raw, version=version, order=order, height=sides[1], width=sides[0], dtype=np.dtype(order + dtype),
        offset=int(offset), slope=slope if scaled else 1.0, intercept=intercept if scaled else 0.0,
        spacing=spacing if all(0 < side < 1e6 for side in spacing) else None
    )  # fmt: skip


def _bare(header: _Header) -> bytes:
    """The header with everything zero that does not travel with the pixels; they follow at once."""
    bare = bytearray(header.version.length)
    for start, end in header.version.travels:
        bare[start:end] = header.raw[start:end]
    place, form = header.version.offset
    struct.pack_into(header.order + form, bare, place, header.version.length + 4)
    return bytes(bare)


def _clean(header: _Header) -> bytes:
    """As `_bare`, with only those values that are in use and can be what they are for; no byte of it is free text."""
    bare, version, order = bytearray(_bare(header)), header.version, header.order

    def get(place: tuple[int, str]) -> tuple[float, ...]:
        return struct.unpack_from(order + place[1], header.raw, place[0])

    def put(place: tuple[int, str], values: Sequence[float]) -> None:
        struct.pack_into(order + place[1], bare, place[0], *values)

    def numbers(place: tuple[int, str], limit: float) -> list[float] | None:
        """The numbers at a place, if all of them can be of that size."""
        values = [_unreadable(value, order + place[1][-1]) for value in get(place)]
        return values if all(value == 0 or _SMALLEST <= abs(value) <= limit for value in values) else None

    axes, *sides = (int(value) for value in get(version.dim))
    put(version.dim, [axes, *sides[:axes], *(side if side in (0, 1) else 1 for side in sides[axes:])])
    put(version.bits, [8 * header.dtype.itemsize])
    sign, *steps = get(version.pixdim)
    kept = [_unreadable(step, order + version.pixdim[1][-1]) for step in steps]
    kept = [step if _SMALLEST <= abs(step) <= _FARTHEST else 0.0 for step in kept]
    put(version.pixdim, [sign if sign in (-1, 0, 1) else 0.0, *kept])
    scale = numbers(version.scale, _LARGEST)
    put(version.scale, scale if scale and scale[0] else [0.0, 0.0])
    display = numbers(version.display, _LARGEST)
    put(version.display, display if display and display[0] > display[1] else [0.0, 0.0])
    units = int(get(version.units)[0])
    put(version.units, [(units & 7) | (units & 0x38 if units & 0x38 in _TIMES else 0)])
    quaternion, rows = numbers(version.quaternion, _FARTHEST), numbers(version.rows, _FARTHEST)
    by_quaternion, by_rows = (int(code) if code in _CODES else 0 for code in get(version.codes))
    if not quaternion or sum(value**2 for value in quaternion[:3]) > 1.001:
        by_quaternion = 0
    if not rows or not any(rows):
        by_rows = 0
    put(version.codes, [by_quaternion, by_rows])
    put(version.quaternion, quaternion if by_quaternion and quaternion else [0.0] * 6)
    put(version.rows, rows if by_rows and rows else [0.0] * 12)
    return bytes(bare)


def _unreadable(value: float, form: str) -> float:
    """The number, rounded where four of its bytes in a row are printable: it may be text. Infinite for no number."""
    if not math.isfinite(value):
        return math.inf
    return float(f"{value:.{_DIGITS}g}") if _PRINTABLE.search(struct.pack(form, value)) else value


def _merged(header: _Header, clean: bytes) -> bytes:
    """The whole header, with what travels as it is in a clean one: the form in which identity records hold it."""
    full, place = bytearray(header.raw), header.version.offset[0]
    offset = slice(place, place + struct.calcsize(header.version.offset[1]))
    for start, end in header.version.travels:
        full[start:end] = clean[start:end]
    full[offset] = header.raw[offset]
    return bytes(full)


def _parsed(raw: bytes) -> _Header:
    layout = _layout(raw)
    if layout is None or len(raw) != layout[0].length:
        raise IntegrityError(_MISFIT)
    try:
        return _header(raw, *layout)
    except (UnreadableInputError, UnsupportedInputError):
        raise IntegrityError(_MISFIT) from None


def restore(pixels: NDArray[np.generic], bits_stored: int, pixel_record: bytes, identity_record: bytes) -> Image:
    """The image with these pixels and records.

    Raises:
        IntegrityError: a record is not one that this module writes, or does not fit the pixels.
    """
    fields = record.Fields(record.unpack(pixel_record, FileKind.NIFTI))
    fields.integer("gzip", 0, 1)
    header = _parsed(fields.data("header", _TWO.length))
    fits = pixels.shape == (header.height, header.width) and pixels.dtype == header.pixel_dtype
    if not fits or bits_stored != 8 * header.dtype.itemsize or _bare(header) != header.raw:
        raise IntegrityError(_MISFIT)
    _identity(identity_record, header)
    rescale = (header.slope, header.intercept)
    source = Source(FileKind.NIFTI, pixel_record, identity_record)
    return Image.of_pixels(pixels, bits_stored, source, spacing_mm=header.spacing, rescale=rescale)


def _identity(identity_record: bytes, bare: _Header) -> tuple[bytes, bytes]:
    """The full header and what stands between it and the pixels (extensions)."""
    if not identity_record:
        return _clean(bare), bytes(4)
    fields = record.Fields(record.unpack(identity_record, FileKind.NIFTI))
    full, between = _parsed(fields.data("header", _TWO.length)), fields.data("between", 2 * MAX_METADATA_BYTES)
    if _bare(full) != bare.raw or full.version.length + len(between) != full.offset:
        raise IntegrityError(_MISFIT)
    stored = fields.data("stored", _TWO.length)
    if not stored:
        return full.raw, between
    own = _parsed(stored)
    if (own.version, own.order, own.height, own.width, own.dtype, own.offset) != (
        full.version, full.order, full.height, full.width, full.dtype, full.offset,
    ):  # fmt: skip
        raise IntegrityError(_MISFIT)
    return stored, between


def public(image: Image) -> Image:
    """The image as everybody may have it: how large its voxels are and how its values are scaled, but not where it lay
    in the scanner, which is another place in every examination, and not how it was displayed.
    """
    fields = record.Fields(record.unpack(image.source.pixel_record, FileKind.NIFTI))
    header = _parsed(fields.data("header", _TWO.length))
    bare, version = bytearray(header.raw), header.version
    for place, form in (version.display, version.codes, version.quaternion, version.rows):
        bare[place : place + struct.calcsize(header.order + form)] = bytes(struct.calcsize(header.order + form))
    struct.pack_into(header.order + version.pixdim[1][-1], bare, version.pixdim[0], 0)  # the quaternion's sign
    kept = record.pack(FileKind.NIFTI, {"header": bytes(bare), "gzip": fields.integer("gzip", 0, 1)})
    return restore(image.pixels, image.bits_stored, kept, b"")


def write(image: Image) -> bytes:
    """A NIfTI file of the image, compressed if the original was; with an identity record under its full header."""
    fields = record.Fields(record.unpack(image.source.pixel_record, FileKind.NIFTI))
    header = _parsed(fields.data("header", _TWO.length))
    raw, between = _identity(image.source.identity_record, header)
    data = raw + between + image.pixels.astype(header.dtype).tobytes()
    if not fields.integer("gzip", 0, 1):
        return data
    deflater = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WBITS)
    return deflater.compress(data) + deflater.flush()


def suffix(image: Image) -> str:
    """`.nii`, or `.nii.gz` if the original was compressed."""
    zipped = record.Fields(record.unpack(image.source.pixel_record, FileKind.NIFTI)).integer("gzip", 0, 1)
    return ".nii.gz" if zipped else ".nii"
