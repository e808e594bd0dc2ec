"""Chapter 7: what is public of a sealed `lapped` code, and the side bytes of every one."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from tests.reader.codes import Composition
from tests.reader.dc_plane import read_plane
from tests.reader.keystream import unpacked
from tests.reader.refusal import RefusedError, require
from tests.reader.symbols import SymbolReader
from tests.reader.tables import table
from tests.reader.varints import read_varint

_PPM = 1_000_000
_BIAS = 1 << 17
_MAX_STEP = 1 << 26


def composition(quality_centidb: int, deep: int, height: int, width: int) -> Composition:
    """Shape of the sealed codes of a profile in a bucket."""
    require(2000 <= quality_centidb <= 7000, "a quality that no profile has")
    kind = "deep_" if deep else ""
    rows = table(f"lapped.{kind}budgets")
    shift = _shift(height * width, table(f"lapped.{kind}area_shifts"))
    *densities, level_bits = _between(quality_centidb + shift, rows)
    cells = (height // 16) * (width // 16) * 255
    maps, start, share = [], 0, 0
    for ppm, density in zip(table("lapped.cells_ppm"), densities, strict=True):
        share += ppm
        stop = cells * share // _PPM
        maps.append((stop - start, (stop - start) * density // _PPM))
        start = stop
    return Composition(maps, 64 + cells * level_bits // 8000)


def _shift(area: int, shifts: list[list[int]]) -> int:
    (small, raised), (large, lowered) = shifts
    inside = min(max(area, small), large)
    return (raised * (large - inside) + lowered * (inside - small)) // (large - small)


def _between(quality: int, rows: list[list[int]]) -> list[int]:
    """The row of a quality, linear between the rows beside it."""
    quality = min(max(quality, rows[0][0]), rows[-1][0])
    above = next(index for index, row in enumerate(rows) if row[0] >= quality)
    (first, *before), (second, *after) = rows[max(0, above - 1)], rows[above]
    if first == second:
        return after
    near, far = quality - first, second - quality
    return [(one * far + two * near) // (second - first) for one, two in zip(before, after, strict=True)]


@dataclass(frozen=True)
class Padding:
    """Range of the padding, and the values of the padding pixels by (row, column)."""

    low: int
    high: int
    values: dict[tuple[int, int], int]


@dataclass(frozen=True)
class Side:
    """What the side bytes state."""

    height: int
    width: int
    bits_stored: int
    signed: bool
    step: int
    thresholds: list[int]
    offsets: list[int]
    padding: Padding | None
    dc: list[list[int]]
    refines: bool

    @property
    def pixel_kind(self) -> tuple[int, int, int, bool]:
        return self.height, self.width, self.bits_stored, self.signed

    @property
    def value_range(self) -> tuple[int, int]:
        low = -(1 << (self.bits_stored - 1)) if self.signed else 0
        return low, low + (1 << self.bits_stored) - 1


def read_side(data: bytes, maps: int, bucket: tuple[int, int]) -> Side:
    """The side bytes of a code of this number of maps and of an image of this bucket."""
    height, at = read_varint(data, 0)
    width, at = read_varint(data, at)
    require(height >= 1 and width >= 1, "an image without pixels")
    require((-(-height // 64) * 64, -(-width // 64) * 64) == bucket, "a size of another bucket")
    require(at < len(data), "side bytes are cut off")
    flags = data[at]
    bits_stored, signed = (flags & 15) + 1, bool(flags & 16)
    require(bits_stored >= 8, "an impossible depth")
    step, at = read_varint(data, at + 1)
    require(1 <= step <= _MAX_STEP, "an impossible step")
    thresholds = table("lapped.free_thresholds")
    if flags & 64:
        thresholds, at = list(data[at : at + maps - 1]), at + maps - 1
    require(len(thresholds) == maps - 1 and at + maps <= len(data), "side bytes are cut off, or of another code")
    require(thresholds == sorted(thresholds, reverse=True), "thresholds that rise")
    offsets, at = list(struct.unpack_from(f"{maps}b", data, at)), at + maps
    padding = None
    if flags & 32:
        padding, at = _read_padding(data, at, height, width)
    dc = read_plane(SymbolReader(data[at:]), -(-height // 16), -(-width // 16))
    return Side(height, width, bits_stored, signed, step, thresholds, offsets, padding, dc, flags >= 128)


def _read_padding(data: bytes, at: int, height: int, width: int) -> tuple[Padding, int]:
    low, at = read_varint(data, at)
    high, at = read_varint(data, at)
    count, at = read_varint(data, at)
    require(low <= high < 2 * _BIAS and count <= height * width, "an impossible padding range or count")
    packed, at = _inflate(data, at, -(-height * width // 8))
    steps, at = _inflate(data, at, 4 * count)
    changes = unpacked(packed, height * width)
    mask = [False] * width
    places = []
    for row in range(height):
        mask = [was ^ bool(change) for was, change in zip(mask, changes[row * width : (row + 1) * width], strict=True)]
        places += [(row, column) for column, inside in enumerate(mask) if inside]
    values = list(struct.unpack(f"<{count}I", steps))
    if count == 1:
        values *= len(places)
    require(len(values) == len(places), "as many padding values as padding pixels are needed")
    require(max(values, default=0) + low <= high, "a padding value beyond the padding range")
    found = {place: value + low - _BIAS for place, value in zip(places, values, strict=True)}
    return Padding(low - _BIAS, high - _BIAS, found), at


def _inflate(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    size, at = read_varint(data, at)
    require(size <= len(data) - at, "a padding record is cut off")
    try:
        inflater = zlib.decompressobj()
        out = inflater.decompress(data[at : at + size], length + 1)
    except zlib.error:
        raise RefusedError("a padding record is no zlib stream") from None
    whole = len(out) == length and inflater.eof and not inflater.unused_data
    require(whole, "a padding record of the wrong length")
    return out, at + size
