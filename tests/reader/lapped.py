"""Chapter 7: pixels of a `lapped` code; docs/format-preview.md: of one that refines a preview."""

from __future__ import annotations

from dataclasses import replace

from tests.reader.codes import CodeMap, SparseCode
from tests.reader.lapped_side import Side, read_side
from tests.reader.lapped_transform import LIMIT, Plane, inverse
from tests.reader.lapped_walk import Ranking, Surroundings
from tests.reader.refusal import require

_MAPS = (13, 25)


def decode(code: SparseCode, bucket: tuple[int, int], base: SparseCode | None = None) -> tuple[Plane, Side]:
    """(rows of pixels, side bytes) of a code, with the code of the preview where it refines that."""
    coefficients, side = _decoded(code, bucket, base)
    samples = inverse(coefficients)
    return [
        [_pixel((samples[row][column] + 32) >> 6, side, (row, column)) for column in range(side.width)]
        for row in range(side.height)
    ], side


def _decoded(code: SparseCode, bucket: tuple[int, int], base: SparseCode | None) -> tuple[Plane, Side]:
    """Coefficients, block (r, c) having (u, v) at row 16 r + u, column 16 c + v, and the side bytes."""
    require(len(code.maps) in _MAPS, "a number of maps that lapped does not have")
    side = read_side(code.side, len(code.maps), bucket)
    require(side.refines == (base is not None), "a code without the preview that it refines, or one that refines none")
    rows, columns = len(side.dc), len(side.dc[0])
    cells = sum(each.cells for each in code.maps)
    require(255 * rows * columns <= cells <= 256 * (rows + 4) * (columns + 4), "maps of another size")
    if base is None:
        return _coefficients(code.maps, side, None), side
    known, origin = _decoded(base, bucket, None)
    require(side.pixel_kind == origin.pixel_kind, "a preview of another image")
    require(side.padding is None or origin.padding is None, "two padding records")
    found = _coefficients(code.maps, side, known)
    total = [[one + two for one, two in zip(*lines, strict=True)] for lines in zip(known, found, strict=True)]
    return total, replace(side, padding=side.padding or origin.padding)


def _coefficients(maps: list[CodeMap], side: Side, known: Plane | None) -> Plane:
    """Coefficients of one code; `known` are those of the preview that it refines."""
    rows, columns = len(side.dc), len(side.dc[0])
    out = [[0] * (16 * columns) for _ in range(16 * rows)]
    for row in range(rows):
        for column in range(columns):
            out[16 * row][16 * column] = min(max(side.dc[row][column] * side.step, -LIMIT), LIMIT)
    levels = [dict(zip(each.positions, each.levels, strict=True)) for each in maps]
    ranking = Ranking(side.thresholds, [each.cells for each in maps])
    surroundings = Surroundings(rows, columns)
    for diagonal in range(1, 31):
        surroundings.start(diagonal)
        for phase in range(4):
            zone = list(surroundings.keys(diagonal, phase))
            for index, number, position in ranking.place([key for _, key in zone]):
                u, v, row, column = zone[index][0]
                level = levels[number].get(position, 0)
                before = known[16 * row + u][16 * column + v] if known else 0
                if level or before:
                    surroundings.observe((u, v, row, column), _magnitude(level, before, side.step))
                if level:
                    out[16 * row + u][16 * column + v] = _dequantised(level, side.offsets[number], side.step)
        surroundings.finish(diagonal)
    return out


def _magnitude(level: int, before: int, step: int) -> int:
    """Of a level and what the preview has there, in steps, halves up."""
    return (abs(before + level * step) + step // 2) // step


def _dequantised(level: int, offset: int, step: int) -> int:
    nearer = offset if abs(level) == 1 else 1
    size = min((64 * abs(level) - nearer) * step >> 6, LIMIT)
    return -size if level < 0 else size


def _pixel(value: int, side: Side, place: tuple[int, int]) -> int:
    low, high = side.value_range
    value = min(max(value, low), high)
    padding = side.padding
    if padding is None:
        return value
    if padding.low <= value <= padding.high:
        up = padding.high + 1 <= high and (padding.low - 1 < low or padding.low + padding.high < low + high)
        value = padding.high + 1 if up else padding.low - 1
    return min(max(padding.values.get(place, value), low), high)
