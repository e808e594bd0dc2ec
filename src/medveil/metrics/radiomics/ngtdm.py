"""One family a file: the 5 features of the neighbourhood grey tone difference matrix.

Amadasun, King, IEEE Trans. SMC 19(5), 1989.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.radiomics.directions import DIRECTIONS, sides

NAMES = ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")

_COARSEST = 1e6  # PyRadiomics' stand-in for 1/0

_Floats = NDArray[np.float64]
_Levels = NDArray[np.int64]


def differences(levels: _Levels) -> _Floats:
    """(H, W) how far a pixel's grey level is from the mean of its neighbours in the mask, of 8; 0 without any."""
    inside = (levels > 0).astype(np.int64)
    total, count = np.zeros_like(levels), np.zeros_like(levels)
    for direction in DIRECTIONS:
        for of, from_ in ((total, levels), (count, inside)):
            (first, second), (own, other) = sides(of, direction), sides(from_, direction)
            first += other
            second += own
    found: _Floats = np.where(count > 0, np.abs(levels - total / np.maximum(count, 1)), 0.0)
    return found


def ngtdm_features(levels: _Levels) -> dict[str, float]:
    """Features of the differences.

    Deviations of PyRadiomics from IBSI that are followed: pixels without a neighbour in the mask count, with difference
    0, where IBSI leaves them out; without any difference coarseness is 10^6, and the others are 0.

    Args:
        levels: (H, W) grey levels, 0 outside the mask.
    """
    inside = levels > 0
    own = levels[inside]
    number = np.bincount(own)
    difference = np.bincount(own, differences(levels)[inside])
    i = np.flatnonzero(number).astype(np.float64)
    share, s = number[number > 0] / own.size, difference[number > 0]
    gaps = np.abs(i[:, None] - i[None, :])
    weighted, total, levels_present = float(share @ s), float(s.sum()), len(i)
    both = share[:, None] + share[None, :]
    level_share, part = i * share, share * s
    busy = float(np.sum(np.abs(level_share[:, None] - level_share[None, :])))
    contrast = float(share @ gaps**2 @ share) * total / own.size
    return {
        "Busyness": weighted / busy if busy else 0.0,
        "Coarseness": 1 / weighted if weighted else _COARSEST,
        "Complexity": float(np.sum(gaps * (part[:, None] + part[None, :]) / both)) / own.size,
        "Contrast": contrast / (levels_present * (levels_present - 1)) if levels_present > 1 else 0.0,
        "Strength": float(np.sum(both * gaps**2)) / total if total else 0.0,
    }
