"""Which cell of which code map a transform coefficient is: rank groups of predicted significance.

Map g holds the cells whose keys lie between two thresholds, zone after zone, within a zone the more significant first.
A map has a fixed number of cells; when it is full, further cells go to the next less significant map that has room, and
failing that to the next more significant one. Both sides know all that this depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Placement:
    """Where the cells of one zone go.

    Attributes:
        order: (n,) the zone's cells, most significant first.
        falling: (n,) 255 - key of each of them.
        parts: (map, first position, number of cells) of the maps that take any, in that order.
    """

    order: NDArray[np.int64]
    falling: NDArray[np.uint8]
    parts: list[tuple[int, int, int]]


class Ranking:
    """Hands out the positions of the maps, zone by zone.

    Args:
        thresholds: (maps - 1,) falling keys; map g takes the keys in [thresholds[g], thresholds[g - 1]).
        cells: number of cells of each map.
    """

    def __init__(self, thresholds: Sequence[int], cells: Sequence[int]) -> None:
        self._bounds = np.array([255 - key for key in (*thresholds, 0)], np.uint8)
        self._room = [int(count) for count in cells]
        self._used = [0] * len(self._room)

    @property
    def used(self) -> list[int]:
        """Number of cells handed out so far, of each map."""
        return list(self._used)

    def place(self, keys: NDArray[np.uint8]) -> Placement:
        """Places for the cells of the next zone; raises ValueError where there are none left."""
        falling = np.invert(keys)
        order = falling.argsort(kind="stable")
        falling = falling[order]
        counts = self._settle(falling.searchsorted(self._bounds, "right").tolist())
        parts = []
        for index, count in enumerate(counts):
            if count:
                parts.append((index, self._used[index], count))
                self._used[index] += count
                self._room[index] -= count
        return Placement(order, falling, parts)

    def _settle(self, reached: list[int]) -> list[int]:
        """Number of cells that each map takes, of so many that belong to it or to one before it."""
        counts = []
        waiting = seen = 0
        for total, room in zip(reached, self._room, strict=True):
            if total > seen:
                waiting += total - seen
                seen = total
            count = waiting if waiting < room else room
            waiting -= count
            counts.append(count)
        if not waiting:
            return counts
        for index in reversed(range(len(counts))):
            more = min(waiting, self._room[index] - counts[index])
            counts[index] += more
            waiting -= more
        if waiting:
            raise ValueError("the maps have fewer cells than the transform has coefficients")
        return counts
