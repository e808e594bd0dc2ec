"""The walk over all AC cells of an image in decoding order, which encoder and decoder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.lapped.cell_ranking import Placement, Ranking
from medveil.codecs.lapped.significance import DIAGONALS, PHASES, Surroundings, Zone, channels, predict
from medveil.codecs.lapped.significance_tables import base_of, weights_of

Number = TypeVar("Number", np.float32, np.int32)
Coder = Callable[["ZoneCells", Placement, NDArray[np.uint8]], NDArray[np.int32]]
"""Gives the magnitudes of a zone's cells, in the zone's own order, from where they are, how they are placed and their
keys."""


class ZoneCells:
    """Where the cells of a zone are in an array (16, 16, rows, columns)."""

    def __init__(self, zone: Zone, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._channels = channels(zone.diagonal)
        self._down, self._across = PHASES[zone.phase]

    def get(self, array: NDArray[Number]) -> NDArray[Number]:
        """The zone's cells as one vector."""
        u, v = self._channels
        return array[:, :, self._down :: 2, self._across :: 2][u, v].reshape(-1)

    def put(self, array: NDArray[np.int32], values: NDArray[np.int32]) -> None:
        """Store one vector of the zone's cells."""
        u, v = self._channels
        array[:, :, self._down :: 2, self._across :: 2][u, v] = values.reshape(self._shape)


def walk(rows: int, columns: int, ranking: Ranking, coder: Coder) -> None:
    """Visit all AC cells of rows x columns blocks, zone by zone."""
    surroundings = Surroundings(rows, columns)
    for diagonal in DIAGONALS:
        for phase in range(len(PHASES)):
            zone = Zone(diagonal, phase)
            shape = surroundings.shape(zone)
            if 0 in shape:
                continue
            keys = predict(surroundings.features(zone), weights_of(zone), base_of(zone))
            found = coder(ZoneCells(zone, shape), ranking.place(keys), keys)
            surroundings.observe(zone, found.reshape(shape))
