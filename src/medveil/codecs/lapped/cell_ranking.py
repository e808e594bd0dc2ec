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
        starts, counts: for each map the first position used there and the number of cells, in that order.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    def parts(self) -> list[tuple[int, int, int]]:
        """(map, first position, number of cells) of the maps that take any."""
        return [(int(index), int(self.starts[index]), int(self.counts[index])) for index in np.flatnonzero(self.counts)]


class Ranking:
    """Hands out the positions of the maps, zone by zone.

    Args:
        thresholds: (maps - 1,) falling keys; map g takes the keys in [thresholds[g], thresholds[g - 1]).
        cells: number of cells of each map.
    """

    def __init__(self, thresholds: Sequence[int], cells: Sequence[int]) -> None:
        self._lower = np.concatenate([np.asarray(thresholds, np.int64), [0]])
        self._room = np.asarray(cells, np.int64)
        self._used = np.zeros(len(self._room), np.int64)

    @property
    def used(self) -> list[int]:
        """Number of cells handed out so far, of each map."""
        return [int(count) for count in self._used]

    def place(self, keys: NDArray[np.uint8]) -> Placement:
        order = np.argsort(np.uint8(255) - keys, kind="stable")
        histogram = np.bincount(keys, minlength=256)
        at_least = np.concatenate([np.cumsum(histogram[::-1])[::-1], [0]])
        reached = np.maximum.accumulate(at_least[self._lower])
        wanted = np.diff(reached, prepend=0)
        counts = self._settle(wanted)
        starts = self._used.copy()
        self._used += counts
        self._room -= counts
        return Placement(order, starts, counts)

    def _settle(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = np.zeros_like(wanted)
        waiting = 0
        for index in range(len(wanted)):
            waiting += int(wanted[index])
            counts[index] = min(waiting, int(self._room[index]))
            waiting -= int(counts[index])
        for index in reversed(range(len(wanted))):
            more = min(waiting, int(self._room[index] - counts[index]))
            counts[index] += more
            waiting -= more
        if waiting:
            raise ValueError("the maps have fewer cells than the transform has coefficients")
        return counts
