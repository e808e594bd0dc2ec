"""Chapter 7: the inverse transform, in integers."""

from __future__ import annotations

from tests.reader.tables import table

LIMIT = 1 << 27
_HALF = 1 << 19
_BITS = 20

Plane = list[list[int]]


def inverse(coefficients: Plane) -> Plane:
    """Samples of a plane of coefficients: block (r, c) has frequency (u, v) at row 16 r + u, column 16 c + v."""
    return _transposed([_line(line) for line in _transposed([_line(line) for line in coefficients])])


def _transposed(plane: Plane) -> Plane:
    return [list(line) for line in zip(*plane, strict=True)]


def _line(line: list[int]) -> list[int]:
    """Both steps along one line of whole blocks."""
    out: list[int] = []
    for start in range(0, len(line), 16):
        out += _product(line[start : start + 16], table("lapped.dct"))
    for start in range(8, len(line) - 8, 16):
        out[start : start + 16] = _product(out[start : start + 16], table("lapped.prefilter"))
    return out


def _product(values: list[int], matrix: Plane) -> list[int]:
    """Row vector times matrix, over 2**20, halves up."""
    sums = [_HALF] * 16
    for value, row in zip(values, matrix, strict=True):
        if value:
            held = min(max(value, -LIMIT), LIMIT)
            sums = [total + held * entry for total, entry in zip(sums, row, strict=True)]
    return [total >> _BITS for total in sums]
