"""The 14 features of the grey level dependence matrix (Sun, Wee, Computer Vision, Graphics … 23(3), 1983)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.radiomics.directions import DIRECTIONS, sides
from medveil.metrics.radiomics.size_matrix import size_features

NAMES = (
    "DependenceEntropy", "DependenceNonUniformity", "DependenceNonUniformityNormalized", "DependenceVariance",
    "GrayLevelNonUniformity", "GrayLevelVariance", "HighGrayLevelEmphasis", "LargeDependenceEmphasis",
    "LargeDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis", "LowGrayLevelEmphasis",
    "SmallDependenceEmphasis", "SmallDependenceHighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis",
)  # fmt: skip

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
    found = size_features(levels[inside], dependences(levels)[inside])
    return {
        "DependenceEntropy": found.entropy_bits,
        "DependenceNonUniformity": found.uneven_size,
        "DependenceNonUniformityNormalized": found.uneven_size_normalised,
        "DependenceVariance": found.size_variance,
        "GrayLevelNonUniformity": found.uneven_level,
        "GrayLevelVariance": found.level_variance,
        "HighGrayLevelEmphasis": found.high,
        "LargeDependenceEmphasis": found.large,
        "LargeDependenceHighGrayLevelEmphasis": found.large_high,
        "LargeDependenceLowGrayLevelEmphasis": found.large_low,
        "LowGrayLevelEmphasis": found.low,
        "SmallDependenceEmphasis": found.small,
        "SmallDependenceHighGrayLevelEmphasis": found.small_high,
        "SmallDependenceLowGrayLevelEmphasis": found.small_low,
    }
