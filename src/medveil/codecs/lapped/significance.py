"""Predicted significance of cells, from the magnitudes that were decoded before them; integers only.

The 255 AC channels of all blocks are decoded in zones: along the diagonals u + v = 1 … 30 of the channel square, and
on each diagonal in four phases, by whether a block's row and column are even or odd: (even, even), (odd, odd), and then
the two others, which have already decoded blocks on all four sides. The prediction of a cell is a linear form, fitted
on training images (tools/calibrate_lapped.py), of magnitudes in the same block at lower frequencies, in neighbouring
blocks at lower frequencies and, as far as decoded, at the same one, and of the image's mean at lower frequencies.

Exactness. Magnitudes are capped at 31; every feature and every weight is an integer, and the sum of |weight| x greatest
feature is below 2**24 for each zone (tested), so that float32 sums are exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.lapped.transform import STRIDE

CAP = 31
DIAGONALS = range(1, 2 * STRIDE - 1)
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))
KINDS = (0, 1, 2, 2)
"""The set of weights that each phase uses: none, diagonal, or all neighbours known at the same frequency."""
_CORNERS = (1, 3)
"""The phases after which blocks at the corners are decoded; beside a block they are from the third phase on."""
FEATURES = 11
FRACTION_BITS = 14
"""A prediction is an expected magnitude in units of 2**-14."""
KEYS = 240
_KEY_BITS = 19
_GREATEST = np.float32((1 << _KEY_BITS) - 1)
_BEFORE = 2
"""Channels of the features beyond either end of a diagonal, which are zero."""

_Cells = NDArray[np.float32]


@dataclass(frozen=True)
class Zone:
    """Cells that are predicted together: the channels of one diagonal in the blocks of one phase."""

    diagonal: int
    phase: int

    @property
    def kind(self) -> int:
        return KINDS[self.phase]

    @property
    def index(self) -> int:
        """Its number in decoding order."""
        return (self.diagonal - DIAGONALS[0]) * len(PHASES) + self.phase


@cache
def channels(diagonal: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(u, v) of the channels with u + v = diagonal."""
    u = np.arange(max(0, diagonal - STRIDE + 1), min(diagonal, STRIDE - 1) + 1)
    return u, diagonal - u


class _Diagonal:
    """Decoded magnitudes of a diagonal that is complete, and sums over them; by u + 2, zeros where it has no channel.

    Planes of blocks are flat here and in `Surroundings`, with a rim of one block: whole diagonals are added at once.

    Args:
        size: length of a plane.
    """

    def __init__(self, size: int) -> None:
        self.own, self.edge, self.corner = np.zeros((3, STRIDE + _BEFORE, size), np.float32)
        self.mean = np.zeros((STRIDE + _BEFORE, 1), np.float32)
        self.energy = np.zeros(size, np.float32)

    @classmethod
    def of(cls, diagonal: int, planes: _Cells, width: int, blocks: int) -> _Diagonal:
        """That of magnitudes (channels, size), zero at the rim, in rows of this width; `blocks` without the rim."""
        found, where, flat = cls(planes.shape[1]), _slice(diagonal, 0), planes.reshape(-1)
        inner = slice(width + 1, -width - 1)
        found.own[where] = planes
        found.edge[where].reshape(-1)[inner] = _beside(flat, width)
        found.corner[where].reshape(-1)[inner] = _corners(flat, width)
        totals = np.add.reduce(planes, axis=1, dtype=np.float64).astype(np.int64)
        found.mean[where, 0] = np.minimum(4095, totals * 128 // blocks)
        np.add.reduce(planes, axis=0, out=found.energy)
        return found


class Surroundings:
    """Decoded magnitudes of a grid of blocks, and the keys that they give the cells that come next.

    Args:
        rows, columns: number of blocks down and across.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._width, self._size = columns + 2, (rows + 2) * (columns + 2)
        self._none = _Diagonal(self._size)
        self._last = [self._none] * 3
        self._diagonal = 0
        self._lower: _Cells = np.zeros((0, 0), np.float32)
        self._sums: dict[int, _Cells] = {}
        self._current: _Cells = np.zeros(0, np.float32)
        self._found = False

    def shape(self, zone: Zone) -> tuple[int, int, int]:
        """(channels, rows, columns) of the zone's cells."""
        down, across = PHASES[zone.phase]
        channel_count = len(channels(zone.diagonal)[0])
        return channel_count, (self.rows - down + 1) // 2, (self.columns - across + 1) // 2

    def keys(self, zone: Zone, weights: NDArray[np.float32], base: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Key of each of the zone's cells, 0 (surely zero) to 239, sixteen an octave of the predicted magnitude.

        Args:
            zone: what comes next; zones come in decoding order.
            weights: (11,) integers as float32, the same for all zones of one diagonal and kind.
            base: (channels,) integers as float32, added to the cells of each channel; likewise.

        Returns:
            (channels x rows x columns,) keys.
        """
        self._begin(zone)
        if zone.kind not in self._sums:
            self._sums[zone.kind] = weights[: len(self._lower)] @ self._lower + base.repeat(self._size)
        sums = self._sums[zone.kind]
        if zone.phase:
            sums, flat = sums.copy(), self._current
            inner = sums[self._width + 1 : -self._width - 1]
            if zone.phase > 1:
                inner += _beside(flat, self._width) * weights[9]
            if zone.phase in _CORNERS:
                inner += _corners(flat, self._width) * weights[10]
        index = np.minimum(np.maximum(self._cells(zone, sums), np.float32(0)), _GREATEST).astype(np.int32)
        return _key_table().take(index.reshape(-1))

    def features(self, zone: Zone) -> _Cells:
        """(11, channels, rows, columns) integers as float32 of the zone's cells: what the weights are fitted to."""
        self._begin(zone)
        out = np.zeros((FEATURES, self._current.size), np.float32)
        out[: len(self._lower)] = self._lower
        inner, flat = out[:, self._width + 1 : -self._width - 1], self._current
        if zone.phase > 1:
            inner[9] = _beside(flat, self._width)
        if zone.phase in _CORNERS:
            inner[10] = _corners(flat, self._width)
        return self._cells(zone, out)

    def observe(self, zone: Zone, magnitudes: NDArray[np.int32]) -> None:
        """Take in the magnitudes, of the zone's shape, that were found; a zone without any need not be told."""
        np.minimum(magnitudes, CAP, out=self._cells(zone, self._current), casting="unsafe")
        self._found = True

    def _cells(self, zone: Zone, planes: _Cells) -> _Cells:
        """Those of the zone, (…, channels, rows, columns), of (…, channels x size) values of the diagonal: a view."""
        down, across = PHASES[zone.phase]
        grid = planes.reshape(*planes.shape[:-1], -1, self.rows + 2, self._width)
        return grid[..., 1 + down : 1 + self.rows : 2, 1 + across : 1 + self.columns : 2]

    def _begin(self, zone: Zone) -> None:
        """Where this is the first zone of its diagonal: the features of lower frequencies, for all blocks."""
        if zone.diagonal == self._diagonal:
            return
        if self._diagonal:
            last = self._none
            if self._found:
                planes = self._current.reshape(-1, self._size)
                last = _Diagonal.of(self._diagonal, planes, self._width, self.rows * self.columns)
            self._last = [last, *self._last[:-1]]
        one, two, three = self._last
        here, before, twice = (_slice(zone.diagonal, back) for back in range(3))
        count = here.stop - here.start
        out = np.empty((FEATURES - 2, count, self._size), np.float32)
        np.add(one.own[before], one.own[here], out=out[0])
        out[1] = two.own[before]
        np.add(two.own[twice], two.own[here], out=out[2])
        np.add(one.edge[before], one.edge[here], out=out[3])
        np.add(one.corner[before], one.corner[here], out=out[4])
        np.add(two.edge[before], two.edge[twice], out=out[5])
        out[5] += two.edge[here]
        energy = one.energy + two.energy + three.energy
        out[6] = np.minimum(energy, 1023)
        out[7] = 0
        out[7, :, self._width + 1 : -self._width - 1] = np.minimum(_beside(energy, self._width), 4095)
        np.add(one.mean[before], one.mean[here], out=out[8])
        self._lower, self._diagonal, self._found = out.reshape(len(out), -1), zone.diagonal, False
        self._sums.clear()
        self._current = np.zeros(count * self._size, np.float32)


@cache
def _slice(diagonal: int, back: int) -> slice:
    """Where, by u + 2, the channels of a diagonal are, or those of `back` rows above them."""
    u, _ = channels(diagonal)
    return slice(int(u[0]) + _BEFORE - back, int(u[-1]) + 1 + _BEFORE - back)


def _beside(flat: _Cells, width: int) -> _Cells:
    """Sum over the four neighbours of each block from the second of the second row on, in rows of this width.

    For blocks at a rim these are others; nobody looks at those.
    """
    total: _Cells = flat[1 : -1 - 2 * width] + flat[1 + 2 * width : -1]
    total += flat[width : -width - 2]
    total += flat[width + 2 : len(flat) - width]
    return total


def _corners(flat: _Cells, width: int) -> _Cells:
    """The same over the four blocks at the corners of each."""
    pairs = flat[:-2] + flat[2:]
    total: _Cells = pairs[: -2 * width] + pairs[2 * width :]
    return total


@cache
def _key_table() -> NDArray[np.uint8]:
    """Key of each prediction: exponent and four bits of the mantissa of (prediction + 16), from 0 on."""
    values = np.arange(1 << _KEY_BITS, dtype=np.int64) + 16
    exponents = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    keys = (exponents - 4) * 16 + (values >> (exponents - 4)) - 16
    table: NDArray[np.uint8] = np.minimum(keys, KEYS - 1).astype(np.uint8)
    return table
