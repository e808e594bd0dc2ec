"""The 16 features of the grey level run length matrix (Galloway, Computer Graphics and Image Processing 4(2), 1975)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.radiomics.directions import DIRECTIONS
from medveil.metrics.radiomics.size_matrix import size_features

FIELDS = {
    "GrayLevelNonUniformity": "uneven_level", "GrayLevelNonUniformityNormalized": "uneven_level_normalised",
    "GrayLevelVariance": "level_variance", "HighGrayLevelRunEmphasis": "high", "LongRunEmphasis": "large",
    "LongRunHighGrayLevelEmphasis": "large_high", "LongRunLowGrayLevelEmphasis": "large_low",
    "LowGrayLevelRunEmphasis": "low", "RunEntropy": "entropy_bits", "RunLengthNonUniformity": "uneven_size",
    "RunLengthNonUniformityNormalized": "uneven_size_normalised", "RunPercentage": "share",
    "RunVariance": "size_variance", "ShortRunEmphasis": "small", "ShortRunHighGrayLevelEmphasis": "small_high",
    "ShortRunLowGrayLevelEmphasis": "small_low",
}  # fmt: skip
"""Features and what they are in `SizeFeatures`."""
NAMES = tuple(FIELDS)

_Levels = NDArray[np.int64]


def lines(levels: _Levels, direction: tuple[int, int]) -> _Levels:
    """(lines, longest + 1): the picture read along a direction, one line a row, filled up with 0; 0 comes last."""
    height, width = levels.shape
    down, right = direction
    if not down:
        return np.pad(levels, ((0, 0), (0, 1)))
    if not right:
        return np.pad(levels.T, ((0, 0), (0, 1)))
    row, column = np.nonzero(levels)
    found: _Levels = np.zeros((height + width - 1, height + 1), np.int64)
    found[column - right * row + (height - 1 if right > 0 else 0), row] = levels[row, column]
    return found


def runs(line: _Levels) -> tuple[_Levels, _Levels]:
    """(N,) level and (N,) pixels of the runs of one grey level in lines that end with a 0; 0 itself makes no run."""
    flat = line.ravel()
    start = np.flatnonzero(np.diff(flat, prepend=0))
    length = np.diff(start, append=len(flat))
    level = flat[start]
    return level[level > 0], length[level > 0]


def glrlm_features(levels: _Levels) -> dict[str, float]:
    """Mean over the four directions of the features of the runs. The rim of the mask ends a run.

    A direction in which no line has two pixels of the mask is left out of the mean, as PyRadiomics does.

    Args:
        levels: (H, W) grey levels, 0 outside the mask; two pixels of the mask at least share a line.
    """
    found = []
    for direction in DIRECTIONS:
        line = lines(levels, direction)
        if int(np.count_nonzero(line, axis=1).max()) > 1:
            found.append(size_features(*runs(line)).named(FIELDS))
    return {name: float(np.mean([each[name] for each in found])) for name in NAMES}
