"""One family a file: the 14 features of the grey level dependence matrix (Sun, Wee, CVGIP 23(3), 1983)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.radiomics.directions import DIRECTIONS, sides
from medveil.metrics.radiomics.size_matrix import size_features

FIELDS = {
    "DependenceEntropy": "entropy_bits", "DependenceNonUniformity": "uneven_size",
    "DependenceNonUniformityNormalized": "uneven_size_normalised", "DependenceVariance": "size_variance",
    "GrayLevelNonUniformity": "uneven_level", "GrayLevelVariance": "level_variance", "HighGrayLevelEmphasis": "high",
    "LargeDependenceEmphasis": "large", "LargeDependenceHighGrayLevelEmphasis": "large_high",
    "LargeDependenceLowGrayLevelEmphasis": "large_low", "LowGrayLevelEmphasis": "low",
    "SmallDependenceEmphasis": "small", "SmallDependenceHighGrayLevelEmphasis": "small_high",
    "SmallDependenceLowGrayLevelEmphasis": "small_low",
}  # fmt: skip
"""Features and what they are in `SizeFeatures`."""
NAMES = tuple(FIELDS)

_Levels = NDArray[np.int64]


def dependences(levels: _Levels) -> _Levels:
    """(H, W) of every pixel 1 + how many of its 8 neighbours have its own grey level (alpha 0, distance 1)."""
    count: _Levels = np.ones(levels.shape, np.int64)
    for direction in DIRECTIONS:
        alike = np.equal(*sides(levels, direction))
        for side in sides(count, direction):
            side += alike
    return count


def gldm_features(levels: _Levels) -> dict[str, float]:
    """Features of the dependences (IBSI: neighbouring grey level dependence, coarseness 0, whose share is always 1).

    Args:
        levels: (H, W) grey levels, 0 outside the mask.
    """
    inside = levels > 0
    return size_features(levels[inside], dependences(levels)[inside]).named(FIELDS)
