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
FEATURES = 11
FRACTION_BITS = 14
"""A prediction is an expected magnitude in units of 2**-14."""
KEYS = 240
_KEY_BITS = 19
_OWN = 2

_Cells = NDArray[np.float32]


@dataclass(frozen=True)
class Zone:
    """Cells that are predicted together: the channels of one diagonal in the blocks of one phase."""

    diagonal: int
    phase: int

    @property
    def kind(self) -> int:
        return KINDS[self.phase]


@cache
def channels(diagonal: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(u, v) of the channels with u + v = diagonal."""
    u = np.arange(max(0, diagonal - STRIDE + 1), min(diagonal, STRIDE - 1) + 1)
    return u, diagonal - u


class Surroundings:
    """Decoded magnitudes of a grid of blocks, and the features that they make for the cells that come next.

    Args:
        rows, columns: number of blocks down and across.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        side = STRIDE + _OWN
        self._own = np.zeros((side, side, rows + 2, columns + 2), np.float32)
        self._edge = np.zeros((side, side, rows, columns), np.float32)
        self._corner = np.zeros((side, side, rows, columns), np.float32)
        self._mean = np.zeros((side, side), np.float32)
        self._energy = np.zeros((3, rows, columns), np.float32)
        self._diagonal = 0
        self._below: _Cells = np.zeros((0, 0, 0, 0), np.float32)
        self._current: _Cells = np.zeros((0, 0, 0), np.float32)

    def shape(self, zone: Zone) -> tuple[int, int, int]:
        """(channels, rows, columns) of the zone's cells."""
        down, across = PHASES[zone.phase]
        channel_count = len(channels(zone.diagonal)[0])
        return channel_count, (self.rows - down + 1) // 2, (self.columns - across + 1) // 2

    def features(self, zone: Zone) -> _Cells:
        """(11, channels, rows, columns) integers as float32 of the zone's cells."""
        if zone.diagonal != self._diagonal:
            self._finish()
            self._start(zone.diagonal)
        down, across = PHASES[zone.phase]
        out = np.zeros((FEATURES, *self.shape(zone)), np.float32)
        out[: FEATURES - 2] = self._below[:, :, down::2, across::2]
        if zone.phase == 0:
            return out
        own = self._current
        rows, columns = slice(1 + down, 1 + self.rows, 2), slice(1 + across, 1 + self.columns, 2)
        above, below = slice(down, self.rows, 2), slice(2 + down, 2 + self.rows, 2)
        left, right = slice(across, self.columns, 2), slice(2 + across, 2 + self.columns, 2)
        if zone.phase > 1:
            out[9] = own[:, above, columns] + own[:, below, columns] + own[:, rows, left] + own[:, rows, right]
        out[10] = own[:, above, left] + own[:, above, right] + own[:, below, left] + own[:, below, right]
        return out

    def observe(self, zone: Zone, magnitudes: NDArray[np.int32]) -> None:
        """Take in the magnitudes, of the zone's shape, that were found."""
        down, across = PHASES[zone.phase]
        inner = self._current[:, 1 + down : 1 + self.rows : 2, 1 + across : 1 + self.columns : 2]
        np.minimum(magnitudes, CAP, out=inner, casting="unsafe")

    def _finish(self) -> None:
        """Sums over the diagonal that is now complete."""
        if self._diagonal == 0:
            return
        u, v = (index + _OWN for index in channels(self._diagonal))
        own = self._current
        self._own[u, v] = own
        self._edge[u, v] = own[:, :-2, 1:-1] + own[:, 2:, 1:-1] + own[:, 1:-1, :-2] + own[:, 1:-1, 2:]
        self._corner[u, v] = own[:, :-2, :-2] + own[:, :-2, 2:] + own[:, 2:, :-2] + own[:, 2:, 2:]
        blocks = self.rows * self.columns
        totals = own.reshape(len(u), -1).sum(axis=1, dtype=np.float64).astype(np.int64)
        self._mean[u, v] = np.minimum(4095, totals * 128 // blocks)
        self._energy = np.concatenate([self._energy[1:], own[:, 1:-1, 1:-1].sum(axis=0)[None]])

    def _start(self, diagonal: int) -> None:
        """The nine features of lower frequencies, for all blocks and the channels of a diagonal."""
        u, v = (index + _OWN for index in channels(diagonal))
        own = self._own[:, :, 1:-1, 1:-1]
        edge, corner, mean = self._edge, self._corner, self._mean
        energy = self._energy.sum(axis=0)
        count = len(u)
        shape = (FEATURES - 2, count, self.rows, self.columns)
        out = np.empty(shape, np.float32)
        out[0] = own[u - 1, v] + own[u, v - 1]
        out[1] = own[u - 1, v - 1]
        out[2] = own[u - 2, v] + own[u, v - 2]
        out[3] = edge[u - 1, v] + edge[u, v - 1]
        out[4] = corner[u - 1, v] + corner[u, v - 1]
        out[5] = edge[u - 1, v - 1] + edge[u - 2, v] + edge[u, v - 2]
        out[6] = np.minimum(energy, 1023)
        out[7] = np.minimum(_edge_sum(energy), 4095)
        out[8] = (mean[u - 1, v] + mean[u, v - 1])[:, None, None]
        self._below, self._diagonal = out, diagonal
        self._current = np.zeros((count, self.rows + 2, self.columns + 2), np.float32)


def _edge_sum(plane: _Cells) -> _Cells:
    """Sum over the four neighbours of each block, 0 beyond the rim."""
    padded = np.pad(plane, 1)
    total: _Cells = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return total


def predict(features: _Cells, weights: NDArray[np.float32], base: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Key of each cell, 0 (surely zero) to 239, sixteen an octave of the predicted magnitude.

    Args:
        features: (11, channels, rows, columns) of a zone.
        weights: (11,) integers as float32.
        base: (channels,) integers as float32, added to the cells of each channel.

    Returns:
        (channels x rows x columns,) keys.
    """
    _, count, rows, columns = features.shape
    sums = (weights @ features.reshape(len(weights), -1)).reshape(count, rows, columns)
    sums += base[:, None, None]
    index = np.clip(sums, 0, (1 << _KEY_BITS) - 1).astype(np.int32)
    keys: NDArray[np.uint8] = _key_table()[index.reshape(-1)]
    return keys


@cache
def _key_table() -> NDArray[np.uint8]:
    """Key of each prediction: exponent and four bits of the mantissa of (prediction + 16), from 0 on."""
    values = np.arange(1 << _KEY_BITS, dtype=np.int64) + 16
    exponents = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    keys = (exponents - 4) * 16 + (values >> (exponents - 4)) - 16
    table: NDArray[np.uint8] = np.minimum(keys, KEYS - 1).astype(np.uint8)
    return table
