"""Grey values to grey levels: a fixed number of bins, or bins of a fixed width."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UsageError

MOST_LEVELS = 4096
"""Most grey levels that a picture may have: a co-occurrence matrix has the square of it."""

_Floats = NDArray[np.float64]
_Levels = NDArray[np.int64]


@dataclass(frozen=True)
class Bins:
    """A fixed number of bins of equal width between the smallest and the largest grey value in the mask.

    Levels are floor(N·(x − min)/(max − min)) + 1, the largest value being in bin N (IBSI, "fixed bin number"). What
    scales or shifts the grey values of a whole picture leaves the levels as they are, and so cannot be seen in any
    texture feature; `Width` sees it.

    Args:
        count: number of bins, 2 … MOST_LEVELS; the published experiment has 64.

    Raises:
        UsageError: the count is outside of that.
    """

    count: int = 64

    def __post_init__(self) -> None:
        if not 2 <= self.count <= MOST_LEVELS:
            raise UsageError(
                f"{self.count} bins: radiomics needs 2 to {MOST_LEVELS} grey levels.",
                hint="64 bins is what the published comparison has.",
            )


@dataclass(frozen=True)
class Width:
    """Bins of one width in grey values, with edges at multiples of it; the lowest bin that is used is level 1.

    Levels are floor(x/w) − floor(min/w) + 1, as PyRadiomics has it; IBSI lets the first bin begin at the smallest grey
    value ("fixed bin size"), which would let the edges move with one dark pixel.

    Args:
        width: in grey values of the picture, above 0. 25 (PyRadiomics' own default) gives 8-bit pictures at most 11
            levels; for pictures of b bits 25·2^(b − 8) is the like.

    Raises:
        UsageError: the width is not a number above 0.
    """

    width: float = 25.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.width) and self.width > 0):
            raise UsageError(
                f"A bin width of {self.width}: it is in grey values and has to be above 0.",
                hint="25 is usual for 8 bits.",
            )


def grey_levels(picture: _Floats, mask: NDArray[np.bool_], discretisation: Bins | Width) -> _Levels:
    """Grey level of every pixel in the mask.

    With `Bins` a picture of one grey value has the level in the middle of the range, count/2 + 1, as PyRadiomics.

    Args:
        picture: (H, W) finite grey values.
        mask: (H, W) bool with at least one pixel.

    Returns:
        (H, W): 1 … N in the mask, 0 outside.

    Raises:
        UsageError: the bins are so narrow that there would be more than MOST_LEVELS.
    """
    values = picture[mask]
    if isinstance(discretisation, Bins):
        edges: _Floats = np.histogram_bin_edges(values, discretisation.count)
        found = np.minimum(np.searchsorted(edges, values, "right"), discretisation.count)
    else:
        width, low, high = discretisation.width, float(values.min()), float(values.max())
        if (high - low) / width > MOST_LEVELS - 2:
            raise UsageError(
                f"A bin width of {width} gives more than {MOST_LEVELS} grey levels in one picture.",
                hint="Choose a wider bin: 25·2^(b − 8) for pictures of b bits.",
            )
        edges = np.arange(low - low % width, high + 2 * width, width)
        found = np.searchsorted(edges, values, "right")
    levels: _Levels = np.zeros(picture.shape, np.int64)
    levels[mask] = found
    return levels
