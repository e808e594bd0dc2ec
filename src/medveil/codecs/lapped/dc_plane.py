"""Coding of the DC plane: coarse to fine, each sample predicted from decoded ones around it.

First every 2**k-th sample of every 2**k-th row, then, halving the distance, the samples in the middle of four known
ones and those between two known ones down and across. The remainders are coded by adaptive models chosen by how much
the known neighbours differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

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
_SMALL = 4096
"""Samples of a plane, that of 1024 x 1024 pixels, of which it is remembered what is around each."""
_Plane = NDArray[np.int64]
_Step = tuple[slice, slice]


def write(writer: SymbolWriter, plane: _Plane) -> None:
    """Write a plane of integers below 2**28."""

    def code(where: _Step, predicted: _Plane, context: _Plane, models: list[Frequencies]) -> _Plane:
        values = plane[where]
        remainder = (values - predicted).reshape(-1)
        folded = np.where(remainder < 0, -2 * remainder - 1, 2 * remainder)
        for index in np.flatnonzero(np.bincount(context)):
            writer.magnitudes(folded[context == index], models[index])
        return values

    _walk(plane.shape, code)


def coded(plane: _Plane) -> bytes:
    """A plane by itself, as `write` writes it."""
    writer = SymbolWriter()
    write(writer, plane)
    return writer.to_bytes()


def read(reader: SymbolReader, shape: tuple[int, int]) -> _Plane:
    """Read a plane that `write` wrote."""

    def code(where: _Step, predicted: _Plane, context: _Plane, models: list[Frequencies]) -> _Plane:
        folded = np.zeros(predicted.size, np.int64)
        for index in np.flatnonzero(np.bincount(context)):
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
    models = [Frequencies(folded_prior(_SYMBOLS, ratio, _WEIGHT)) for ratio in _RATIOS]
    first = (slice(0, 1), slice(0, 1))
    start = [Frequencies(folded_prior(_SYMBOLS, _RATIOS[-1], _WEIGHT))]
    zero = np.zeros((1, 1), np.int64)
    known[first] = code(first, zero, zero.reshape(-1), start)
    height, width = shape
    for around in _small_steps(height, width) if height * width <= _SMALL else _steps(height, width):
        predicted, spread = around.look(known)
        context = np.searchsorted(np.array(_SPREADS), spread, side="right").astype(np.int64)
        known[around.where] = code(around.where, predicted, context, models)
    return known


@dataclass(frozen=True)
class _Around:
    """The samples of one step, and the four known ones around each.

    Attributes:
        where: the samples.
        shape: how many of them down and across.
        cells: (4, samples) positions of those around them in the plane, row by row; some position where there is none.
        inside: (4, samples) whether there is one.
        count: (samples,) how many there are.
    """

    where: _Step
    shape: tuple[int, int]
    cells: _Plane
    inside: NDArray[np.bool_]
    count: _Plane

    def look(self, known: _Plane) -> tuple[_Plane, _Plane]:
        """(predictions of the samples, differences of the greatest and the least of those around each)."""
        near = known.reshape(-1)[self.cells]
        total = (near * self.inside).sum(axis=0)
        low = np.where(self.inside, near, LARGEST).min(axis=0)
        high = np.where(self.inside, near, -LARGEST).max(axis=0)
        predicted: _Plane = ((total + self.count // 2) // self.count).reshape(self.shape)
        return predicted, high - low


def _steps(height: int, width: int) -> Iterator[_Around]:
    """The steps of a plane: at each distance the three kinds of samples between those known."""
    for level in reversed(range(max(0, (max(height, width) - 1).bit_length()))):
        gap = 1 << level
        corners = [(-gap, -gap), (-gap, gap), (gap, -gap), (gap, gap)]
        edges = [(-gap, 0), (gap, 0), (0, -gap), (0, gap)]
        for top, left, offsets in ((gap, gap, corners), (gap, 0, edges), (0, gap, edges)):
            where = (slice(top, None, 2 * gap), slice(left, None, 2 * gap))
            rows, columns = np.arange(top, height, 2 * gap), np.arange(left, width, 2 * gap)
            if not len(rows) or not len(columns):
                continue
            at = [((rows + down)[:, None], (columns + across)[None]) for down, across in offsets]
            inside = [(row >= 0) & (row < height) & (column >= 0) & (column < width) for row, column in at]
            cells = [row.clip(0, height - 1) * width + column.clip(0, width - 1) for row, column in at]
            known = np.stack(inside).reshape(len(at), -1)
            shape = (len(rows), len(columns))
            yield _Around(where, shape, np.stack(cells).reshape(len(at), -1), known, np.maximum(known.sum(axis=0), 1))


@lru_cache(64)
def _small_steps(height: int, width: int) -> tuple[_Around, ...]:
    return tuple(_steps(height, width))
