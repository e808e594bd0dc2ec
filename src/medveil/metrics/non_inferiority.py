"""Non-inferiority: whether something is worse by no more than a margin that was named before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Standing(StrEnum):
    """What a comparison shows."""

    NON_INFERIOR = "non-inferior"
    INFERIOR = "inferior"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Compared:
    """A paired difference, new less reference, of a metric that is better when higher.

    Attributes:
        difference: as measured.
        ci: two-sided 95 % interval.
        lower: one-sided 95 % lower bound; non-inferior where it is above −margin.
        upper: one-sided 95 % upper bound; inferior where it is below −margin.
        margin: the largest loss that counts as none, named before.
        standing: of the three.
    """

    difference: float
    ci: tuple[float, float]
    lower: float
    upper: float
    margin: float
    standing: Standing


def compare(difference: float, draws: NDArray[np.float64], margin: float) -> Compared:
    """Judge a difference by the bootstrap draws of it.

    Args:
        difference: new less reference, higher is better.
        draws: (resamples,) the same of resampled patients, the same patients for new and reference.
        margin: above 0.

    Raises:
        ValueError: the margin is not above 0.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin}; it has to be above 0")
    known = draws[np.isfinite(draws)]
    if not len(known) or not np.isfinite(difference):
        nothing = float("nan")
        return Compared(difference, (nothing, nothing), nothing, nothing, margin, Standing.INCONCLUSIVE)
    low, lower, upper, high = (float(found) for found in np.quantile(known, (0.025, 0.05, 0.95, 0.975)))
    standing = Standing.INCONCLUSIVE
    if lower > -margin:
        standing = Standing.NON_INFERIOR
    elif upper < -margin:
        standing = Standing.INFERIOR
    return Compared(float(difference), (low, high), lower, upper, margin, standing)
