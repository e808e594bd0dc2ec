"""The walk over all AC cells of an image in decoding order, which encoder and decoder share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.lapped.significance import DIAGONALS, PHASES, Surroundings, Zone, channels
from medveil.codecs.lapped.significance_tables import base_of, weights_of

Number = TypeVar("Number", np.float32, np.int32)
Coder = Callable[["ZoneCells", NDArray[np.uint8]], NDArray[np.int32] | None]
"""Gives the magnitudes of a zone's cells, in the zone's own order, or None where all are 0, from where they are and
their keys."""


class ZoneCells:
    """Where the cells of a zone are in an array (16, 16, rows, columns).

    Attributes:
        index: number of the zone in decoding order.
        shape: (channels, rows, columns) of its cells.
    """

    def __init__(self, zone: Zone, shape: tuple[int, int, int]) -> None:
        self.index = zone.index
        self.shape = shape
        self._channels = channels(zone.diagonal)
        self._down, self._across = PHASES[zone.phase]

    def get(self, array: NDArray[Number]) -> NDArray[Number]:
        """The zone's cells as one vector."""
        u, v = self._channels
        return array[:, :, self._down :: 2, self._across :: 2][u, v].reshape(-1)

    def put(self, array: NDArray[np.int32], values: NDArray[np.int32]) -> None:
        """Store one vector of the zone's cells."""
        u, v = self._channels
        array[:, :, self._down :: 2, self._across :: 2][u, v] = values.reshape(self.shape)


@lru_cache(64)
def _zones(rows: int, columns: int) -> tuple[tuple[Zone, ZoneCells], ...]:
    """Every zone of rows x columns blocks, in decoding order."""
    shape_of = Surroundings(rows, columns).shape
    zones = [Zone(diagonal, phase) for diagonal in DIAGONALS for phase in range(len(PHASES))]
    return tuple((zone, ZoneCells(zone, shape_of(zone))) for zone in zones)


def in_order(array: NDArray[Number]) -> list[NDArray[Number]]:
    """The cells of an array (16, 16, rows, columns), zone by zone."""
    return [cells.get(array) for _, cells in _zones(array.shape[2], array.shape[3])]


def walk(rows: int, columns: int, coder: Coder) -> None:
    """Visit all AC cells of rows x columns blocks, zone by zone."""
    surroundings = Surroundings(rows, columns)
    for zone, cells in _zones(rows, columns):
        if 0 in cells.shape:
            continue
        found = coder(cells, surroundings.keys(zone, weights_of(zone), base_of(zone)))
        if found is not None:
            surroundings.observe(zone, found.reshape(cells.shape))
