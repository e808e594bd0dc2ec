"""Coding of the DC plane: coarse to fine, each sample predicted from decoded ones around it.

First every 2**k-th sample of every 2**k-th row, then, halving the distance, the samples in the middle of four known
ones and those between two known ones down and across. The remainders are coded by adaptive models chosen by how much
the known neighbours differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.symbols import Frequencies, SymbolReader, SymbolWriter, folded_prior
from medveil.errors import IntegrityError

LARGEST = 1 << 28
_SPREADS = (4, 8, 14, 20, 28, 40, 56, 80, 112, 160, 240, 400)
"""Limits of the contexts: differences of the greatest and the least of the known neighbours."""
_RATIOS = (800, 818, 833, 875, 905, 926, 943, 957, 966, 975, 982, 988, 992)
"""Ratio in thousandths of the geometric law that each context starts with (medians of the train fold)."""
_SYMBOLS = 128
_WEIGHT = 2048
_Plane = NDArray[np.int64]
_Step = tuple[slice, slice]


def write(writer: SymbolWriter, plane: _Plane) -> None:
    """Write a plane of integers below 2**28."""

    def code(where: _Step, predicted: _Plane, context: _Plane, models: list[Frequencies]) -> _Plane:
        values = plane[where]
        remainder = (values - predicted).reshape(-1)
        folded = np.where(remainder < 0, -2 * remainder - 1, 2 * remainder)
        for index in range(len(models)):
            writer.magnitudes(folded[context == index], models[index])
        return values

    _walk(plane.shape, code)


def read(reader: SymbolReader, shape: tuple[int, int]) -> _Plane:
    """Read a plane that `write` wrote."""

    def code(where: _Step, predicted: _Plane, context: _Plane, models: list[Frequencies]) -> _Plane:
        folded = np.zeros(predicted.size, np.int64)
        for index in range(len(models)):
            chosen = np.flatnonzero(context == index)
            folded[chosen] = reader.magnitudes(len(chosen), models[index])
        remainder = np.where(folded & 1, -(folded + 1) // 2, folded // 2)
        found: _Plane = predicted + remainder.reshape(predicted.shape)
        if found.size and int(np.abs(found).max()) > LARGEST:
            raise IntegrityError("a DC value exceeds what any image has")
        return found

    return _walk(shape, code)


_Code = Callable[[_Step, _Plane, _Plane, list[Frequencies]], _Plane]


def _walk(shape: tuple[int, ...], code: _Code) -> _Plane:
    known = np.zeros(shape, np.int64)
    top = max(0, (max(shape) - 1).bit_length())
    models = [Frequencies(folded_prior(_SYMBOLS, ratio, _WEIGHT)) for ratio in _RATIOS]
    first = (slice(0, 1), slice(0, 1))
    start = [Frequencies(folded_prior(_SYMBOLS, _RATIOS[-1], _WEIGHT))]
    zero = np.zeros((1, 1), np.int64)
    known[first] = code(first, zero, zero.reshape(-1), start)
    for level in reversed(range(top)):
        for where, predicted, spread in _steps(known, 1 << level):
            if predicted.size:
                context = np.searchsorted(np.array(_SPREADS), spread.reshape(-1), side="right").astype(np.int64)
                known[where] = code(where, predicted, context, models)
    return known


def _steps(known: _Plane, gap: int) -> Iterator[tuple[_Step, _Plane, _Plane]]:
    """(where, predictions, spread of the known neighbours) for the three kinds of samples between those known."""
    height, width = known.shape
    rows, columns = np.arange(gap, height, 2 * gap), np.arange(gap, width, 2 * gap)
    even_rows, even_columns = np.arange(0, height, 2 * gap), np.arange(0, width, 2 * gap)

    def neighbours(at_rows: _Plane, at_columns: _Plane, offsets: list[tuple[int, int]]) -> tuple[_Plane, _Plane]:
        count = np.zeros((len(at_rows), len(at_columns)), np.int64)
        total = np.zeros_like(count)
        low, high = np.full_like(count, LARGEST), np.full_like(count, -LARGEST)
        for down, across in offsets:
            row, column = at_rows + down, at_columns + across
            inside = np.outer((row >= 0) & (row < height), (column >= 0) & (column < width))
            near = known[np.ix_(np.clip(row, 0, height - 1), np.clip(column, 0, width - 1))]
            total += near * inside
            count += inside
            low = np.where(inside, np.minimum(low, near), low)
            high = np.where(inside, np.maximum(high, near), high)
        count = np.maximum(count, 1)
        return (total + count // 2) // count, high - low

    corners = [(-gap, -gap), (-gap, gap), (gap, -gap), (gap, gap)]
    yield (slice(gap, None, 2 * gap), slice(gap, None, 2 * gap)), *neighbours(rows, columns, corners)
    edges = [(-gap, 0), (gap, 0), (0, -gap), (0, gap)]
    yield (slice(gap, None, 2 * gap), slice(0, None, 2 * gap)), *neighbours(rows, even_columns, edges)
    yield (slice(0, None, 2 * gap), slice(gap, None, 2 * gap)), *neighbours(even_rows, columns, edges)
