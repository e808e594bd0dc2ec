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
        lower: one-sided 95 % lower bound; non-inferior where it is above −margin; NaN where nothing may be concluded.
        upper: one-sided 95 % upper bound; inferior where it is below −margin; NaN likewise.
        margin: the largest loss that counts as none, named before.
        standing: of the three.
    """

    difference: float
    ci: tuple[float, float]
    lower: float
    upper: float
    margin: float
    standing: Standing


LEAST_PATIENTS = 20
"""Tested patients, of the smaller side where there are two, below which nothing is decided: resamples of a few patients
who all did well differ little, and that is no certainty."""

_UNSEEN = 0.25
"""Share of one patient of the smaller side that is added to the standard error. By simulation, with it and Student's t,
"non-inferior" is wrong in 3 of 100 trials with 20 patients a side, in 13 at worst (30 to 40 a side, AUC near 1), and
in 5 with 80; by percentiles alone, of 10 patients a side, in 24."""


def compare(difference: float, draws: NDArray[np.float64], margin: float, patients: int) -> Compared:
    """Judge a difference by the bootstrap draws of it.

    Each bound is the wider one of the draws' percentile and of Student's t with their standard deviation, which is more
    careful where few patients were tested and all did well. Nothing is decided below LEAST_PATIENTS.

    Args:
        difference: new less reference, higher is better.
        draws: (resamples,) the same of resampled patients, the same patients for new and reference.
        margin: above 0.
        patients: tested, of the smaller side where there are two.

    Raises:
        ValueError: the margin is not above 0.
    """
    from scipy.stats import t

    if not margin > 0:
        raise ValueError(f"a margin of {margin}; it has to be above 0")
    known = draws[np.isfinite(draws)]
    if not len(known) or len(known) < _KNOWN * len(draws) or not np.isfinite(difference) or patients < 2:
        nothing = float("nan")
        return Compared(difference, (nothing, nothing), nothing, nothing, margin, Standing.INCONCLUSIVE)
    low, lower, upper, high = (float(found) for found in np.quantile(known, (0.025, 0.05, 0.95, 0.975)))
    error = float(np.hypot(known.std(), _UNSEEN / patients))
    one, two = (float(t.ppf(level, patients - 1)) * error for level in (0.95, 0.975))
    lower, upper = min(lower, difference - one), max(upper, difference + one)
    standing = Standing.INCONCLUSIVE
    if patients >= LEAST_PATIENTS and lower > -margin:
        standing = Standing.NON_INFERIOR
    elif patients >= LEAST_PATIENTS and upper < -margin:
        standing = Standing.INFERIOR
    ci = (min(low, difference - two), max(high, difference + two))
    if patients < LEAST_PATIENTS:
        lower = upper = float("nan")
    return Compared(float(difference), ci, lower, upper, margin, standing)


def undecided(compared: Compared | None) -> Compared | None:
    """The same difference, with nothing concluded from it.

    For where the reference itself learned nothing, so that what is as good as nothing would pass for non-inferior.
    """
    nothing = float("nan")
    if compared is None:
        return None
    return replace(compared, lower=nothing, upper=nothing, standing=Standing.INCONCLUSIVE)


def run_draws(runs: int, resamples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(resamples, runs): how often each of a few runs counts when as many are drawn with replacement.

    What deviates from 1 is stretched by √(runs/(runs − 1)): the mean of drawn runs varies by that factor less than the
    mean of new ones would. A weight may be a little below 0; each row sums to the number of runs.
    """
    drawn = generator.multinomial(runs, np.full(runs, 1 / runs), resamples)
    stretch = np.sqrt(runs / (runs - 1)) if runs > 1 else 1.0
    return np.asarray(1 + (drawn - 1) * stretch, np.float64)


def training_chance(differences: NDArray[np.float64]) -> float:
    """Standard error of the mean of the runs' own differences, for runs that test different patients.

    Args:
        differences: (runs,) new less reference, run by run. It holds the chance of patients too, so it is careful.
    """
    known = differences[np.isfinite(differences)]
    return float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else 0.0
