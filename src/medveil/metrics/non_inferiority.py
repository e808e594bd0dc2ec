"""Non-inferiority: whether something is worse by no more than a margin that was named before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_KNOWN = 0.95
"""Share of draws that have to have a value, for a bound to be told: some have no patient of one class."""


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
    if len(known) < _KNOWN * len(draws) or not len(known) or not np.isfinite(difference):
        nothing = float("nan")
        return Compared(difference, (nothing, nothing), nothing, nothing, margin, Standing.INCONCLUSIVE)
    low, lower, upper, high = (float(found) for found in np.quantile(known, (0.025, 0.05, 0.95, 0.975)))
    standing = Standing.INCONCLUSIVE
    if lower > -margin:
        standing = Standing.NON_INFERIOR
    elif upper < -margin:
        standing = Standing.INFERIOR
    return Compared(float(difference), (low, high), lower, upper, margin, standing)


LEAST_PATIENTS = 20
"""Tested patients, of each side where there are two, below which nothing is decided: resamples of a few patients who
all did well differ little, and that is no certainty."""


def undecided(compared: Compared | None) -> Compared | None:
    """The same difference, with nothing concluded from it.

    For where too few were tested, or where the reference itself learned nothing, so that what is as good as nothing
    would pass for non-inferior.
    """
    return None if compared is None else replace(compared, standing=Standing.INCONCLUSIVE)
