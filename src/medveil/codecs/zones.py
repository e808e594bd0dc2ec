"""The walk over all AC cells of an image in decoding order, which encoder and decoder share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.ranking import Placement, Ranking
from medveil.codecs.significance import DIAGONALS, PHASES, Surroundings, Zone, channels, predict
from medveil.codecs.significance_tables import base_of, weights_of
from medveil.codecs.transform import STRIDE

Coder = Callable[[Zone, "ZoneCells", Placement, NDArray[np.uint8]], NDArray[np.int32]]
"""Gives the levels of a zone's cells, in the zone's own order, from where they are and how they are placed."""


class ZoneCells:
    """Where the cells of a zone are in an array (16, 16, rows, columns)."""

    def __init__(self, zone: Zone) -> None:
        self._channels = channels(zone.diagonal)
        self._down, self._across = PHASES[zone.phase]

    def get(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """The zone's cells as one vector."""
        u, v = self._channels
        return array[:, :, self._down :: 2, self._across :: 2][u, v].reshape(-1)

    def put(self, array: NDArray[np.int32], values: NDArray[np.int32]) -> None:
        """Store cells of shape (channels, rows, columns)."""
        u, v = self._channels
        array[:, :, self._down :: 2, self._across :: 2][u, v] = values


def walk(rows: int, columns: int, ranking: Ranking, coder: Coder) -> NDArray[np.int32]:
    """Levels (256, rows, columns) of all cells; those of the DC channel are 0."""
    surroundings = Surroundings(rows, columns)
    levels = np.zeros((STRIDE, STRIDE, rows, columns), np.int32)
    for diagonal in DIAGONALS:
        for phase in range(len(PHASES)):
            zone = Zone(diagonal, phase)
            shape = surroundings.shape(zone)
            if 0 in shape:
                continue
            keys = predict(surroundings.features(zone), weights_of(zone), base_of(zone))
            cells = ZoneCells(zone)
            found = coder(zone, cells, ranking.place(keys), keys).reshape(shape)
            cells.put(levels, found)
            surroundings.observe(zone, np.abs(found))
    return levels.reshape(STRIDE * STRIDE, rows, columns)
