"""The four directions of a plane, and the pairs of neighbours along them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Rows down and columns right to the neighbour at distance 1: 0°, 135°, 90°, 45°. Four more are opposites."""

_Levels = NDArray[np.int64]


def sides(values: _Levels, direction: tuple[int, int]) -> tuple[_Levels, _Levels]:
    """Two views of one shape: a pixel, and at the same place its neighbour in that direction."""
    down, right = direction
    height, width = values.shape
    first = values[: height - down, max(0, -right) : width - max(0, right)]
    second = values[down:, max(0, right) : width + min(0, right)]
    return first, second


def pairs(levels: _Levels, direction: tuple[int, int]) -> tuple[_Levels, _Levels]:
    """(n,), (n,): levels of the pairs of neighbours that both lie in the mask (level above 0)."""
    first, second = sides(levels, direction)
    both = (first > 0) & (second > 0)
    return first[both], second[both]
