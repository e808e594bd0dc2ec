"""One family a file: the 16 features of the grey level size zone matrix (Thibault, Fertil et al., PRIP 2009)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medveil.metrics.radiomics.directions import DIRECTIONS, sides
from medveil.metrics.radiomics.size_matrix import size_features

FIELDS = {
    "GrayLevelNonUniformity": "uneven_level", "GrayLevelNonUniformityNormalized": "uneven_level_normalised",
    "GrayLevelVariance": "level_variance", "HighGrayLevelZoneEmphasis": "high", "LargeAreaEmphasis": "large",
    "LargeAreaHighGrayLevelEmphasis": "large_high", "LargeAreaLowGrayLevelEmphasis": "large_low",
    "LowGrayLevelZoneEmphasis": "low", "SizeZoneNonUniformity": "uneven_size",
    "SizeZoneNonUniformityNormalized": "uneven_size_normalised", "SmallAreaEmphasis": "small",
    "SmallAreaHighGrayLevelEmphasis": "small_high", "SmallAreaLowGrayLevelEmphasis": "small_low",
    "ZoneEntropy": "entropy_bits", "ZonePercentage": "share", "ZoneVariance": "size_variance",
}  # fmt: skip
"""Features and what they are in `SizeFeatures`."""
NAMES = tuple(FIELDS)

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
    return size_features(*zones(levels)).named(FIELDS)
