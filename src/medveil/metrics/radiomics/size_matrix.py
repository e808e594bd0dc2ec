"""What zones, runs and dependences share: features of a table "grey level × size" of counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.radiomics.first_order import entropy_bits

_Floats = NDArray[np.float64]
_Levels = NDArray[np.int64]


@dataclass(frozen=True)
class SizeFeatures:
    """Features of one table. `small` and `large` are emphases, `low` and `high` those of the grey level.

    `uneven_…` are the non-uniformities Σ(Σ n)²/N, `…_normalised` those over N once more; `share` is N over the number
    of pixels that the N things hold together.
    """

    small: float
    large: float
    low: float
    high: float
    small_low: float
    small_high: float
    large_low: float
    large_high: float
    uneven_level: float
    uneven_level_normalised: float
    uneven_size: float
    uneven_size_normalised: float
    level_variance: float
    size_variance: float
    entropy_bits: float
    share: float

    def named(self, fields: Mapping[str, str]) -> dict[str, float]:
        """The same under the names that a family has for them: name to field."""
        return {name: float(getattr(self, field)) for name, field in fields.items()}


def size_features(levels: _Levels, sizes: _Levels) -> SizeFeatures:
    """Features of things (zones, runs, pixels) that have a grey level and a size.

    Args:
        levels: (N,) grey level of each, from 1.
        sizes: (N,) size of each, from 1.
    """
    count = len(levels)
    span = int(sizes.max()) + 1
    cells, numbers = np.unique(levels * span + sizes, return_counts=True)
    # Only cells that hold something: the largest zone can have as many pixels as the mask.
    level, size = (cells // span).astype(np.float64), (cells % span).astype(np.float64)
    share: _Floats = numbers / count
    per_level, per_size = np.bincount(levels).astype(np.float64), np.bincount(sizes).astype(np.float64)
    uneven_level, uneven_size = float(per_level @ per_level), float(per_size @ per_size)
    level2, size2 = level**2, size**2
    return SizeFeatures(
        small=float(np.sum(share / size2)),
        large=float(np.sum(share * size2)),
        low=float(np.sum(share / level2)),
        high=float(np.sum(share * level2)),
        small_low=float(np.sum(share / (level2 * size2))),
        small_high=float(np.sum(share * level2 / size2)),
        large_low=float(np.sum(share * size2 / level2)),
        large_high=float(np.sum(share * size2 * level2)),
        uneven_level=uneven_level / count,
        uneven_level_normalised=uneven_level / count**2,
        uneven_size=uneven_size / count,
        uneven_size_normalised=uneven_size / count**2,
        level_variance=_variance(numbers, level),
        size_variance=_variance(numbers, size),
        entropy_bits=entropy_bits(share),
        share=count / float(sizes.sum()),
    )


def _variance(numbers: _Levels, values: _Floats) -> float:
    # Counts are divided last: the variance of one value alone is then 0 to the last digit.
    count = numbers.sum()
    return float(numbers @ (values - numbers @ values / count) ** 2 / count)
