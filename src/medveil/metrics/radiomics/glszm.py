"""The 16 features of the grey level size zone matrix (Thibault, Fertil et al., PRIP 2009)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medveil.metrics.radiomics.directions import DIRECTIONS, sides
from medveil.metrics.radiomics.size_matrix import size_features

NAMES = (
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelZoneEmphasis",
    "LargeAreaEmphasis", "LargeAreaHighGrayLevelEmphasis", "LargeAreaLowGrayLevelEmphasis",
    "LowGrayLevelZoneEmphasis", "SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "SmallAreaEmphasis",
    "SmallAreaHighGrayLevelEmphasis", "SmallAreaLowGrayLevelEmphasis", "ZoneEntropy", "ZonePercentage",
    "ZoneVariance",
)  # fmt: skip

_Levels = NDArray[np.int64]


def zones(levels: _Levels) -> tuple[_Levels, _Levels]:
    """(N,) level and (N,) pixels of the zones: 8-connected parts of the mask with one grey level."""
    inside = levels > 0
    own = levels[inside]
    number = np.zeros(levels.shape, np.int64)
    number[inside] = np.arange(len(own))
    links = []
    for direction in DIRECTIONS:
        first, second = sides(levels, direction)
        alike = (first == second) & (first > 0)
        from_, to = sides(number, direction)
        links.append(np.stack((from_[alike], to[alike])))
    link = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(link.shape[1], np.bool_), (link[0], link[1])), shape=(len(own), len(own)))
    count, zone = connected_components(graph, directed=False)
    level = np.zeros(count, np.int64)
    level[zone] = own
    return level, np.bincount(zone, minlength=count).astype(np.int64)


def glszm_features(levels: _Levels) -> dict[str, float]:
    """Features of the zones; as IBSI.

    Args:
        levels: (H, W) grey levels, 0 outside the mask.
    """
    found = size_features(*zones(levels))
    return {
        "GrayLevelNonUniformity": found.uneven_level,
        "GrayLevelNonUniformityNormalized": found.uneven_level_normalised,
        "GrayLevelVariance": found.level_variance,
        "HighGrayLevelZoneEmphasis": found.high,
        "LargeAreaEmphasis": found.large,
        "LargeAreaHighGrayLevelEmphasis": found.large_high,
        "LargeAreaLowGrayLevelEmphasis": found.large_low,
        "LowGrayLevelZoneEmphasis": found.low,
        "SizeZoneNonUniformity": found.uneven_size,
        "SizeZoneNonUniformityNormalized": found.uneven_size_normalised,
        "SmallAreaEmphasis": found.small,
        "SmallAreaHighGrayLevelEmphasis": found.small_high,
        "SmallAreaLowGrayLevelEmphasis": found.small_low,
        "ZoneEntropy": found.entropy_bits,
        "ZonePercentage": found.share,
        "ZoneVariance": found.size_variance,
    }
