"""How sure: bootstrap and sign flips by patient, many tests at once, and worse by no more than a margin.

Two images of one patient are never taken for independent. Many tests at once: Holm's step-down correction (Holm,
Scandinavian Journal of Statistics 6, 1979). Non-inferiority: whether something is worse by no more than a margin that
was named before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

EXACT_PATIENTS = 12
"""Up to here all 2^patients sign flips are counted instead of drawn."""

_ENOUGH = 100
"""Flips as good as the observation after which no more are drawn: p is then known within about 10 %."""

_KNOWN = 0.95
"""Share of draws that have to have a value, for a bound to be told: some have no patient of one class."""

_UNSEEN = 0.25
"""Share of one patient of the smaller side that is added to the standard error. By simulation, with it and Student's t,
"non-inferior" is wrong in 3 of 100 trials with 20 patients a side, in 13 at worst (30 to 40 a side, AUC near 1), and
in 5 with 80; by percentiles alone, of 10 patients a side, in 24."""

_BATCH = 1 << 20

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LeastPatients:
    """How many patients at least something rests on. Of what rests on fewer nothing is said.

    Attributes:
        verdict: on an attack, whatever the numbers say.
        alike: to rule anything out where all differences are equal: that all of five show nothing leaves room for much
            that shows in one patient of three.
        decided: tested, of the smaller side where there are two, to decide on non-inferiority, or to score
            a source apart: resamples of a few patients who all did well differ little, and that is no certainty.
        of_class: to be asked for as a class, and for its name to be told.
        agreement: of an ICC: with fewer its interval says nothing.
        segmented: to learn a segmentation.
    """

    verdict: int = 5
    alike: int = 20
    decided: int = 20
    of_class: int = 20
    agreement: int = 20
    segmented: int = 4


LEAST = LeastPatients()
"""What every audit asks for."""


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


def bootstrap_means(
    values: _Floats, patients: NDArray[np.int64], resamples: int, generator: np.random.Generator
) -> _Floats:
    """Means over the images of as many patients as there are, drawn with replacement.

    Args:
        values: (n,) one number an image.
        patients: (n,) whose image it is.

    Returns:
        (resamples,) means over all images of the drawn patients, a patient drawn twice counting twice.
    """
    count = len(np.unique(patients))
    rows = max(1, _BATCH // count)
    parts = [
        weighted_means(values, patients, patient_draws(count, min(rows, resamples - start), generator))
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(parts)


def patient_draws(count: int, resamples: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """(resamples, count): how often each patient is drawn when `count` are drawn with replacement."""
    drawn = generator.integers(0, count, (resamples, count))
    drawn += np.arange(resamples)[:, None] * count
    return np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float32)


def weighted_means(values: _Floats, patients: NDArray[np.int64], draws: NDArray[np.float32]) -> _Floats:
    """Mean over images for each row of draws, which counts the patients in the order of their numbers."""
    _, whose = np.unique(patients, return_inverse=True)
    centre = float(np.mean(values))  # single precision is enough for what is left
    table = np.stack([np.bincount(whose, values - centre), np.bincount(whose)], axis=1).astype(np.float32)
    sums = (draws @ table).astype(np.float64)
    means: _Floats = sums[:, 0] / sums[:, 1] + centre
    return means


def sign_flip_p(
    differences: _Floats, patients: NDArray[np.int64], resamples: int, generator: np.random.Generator
) -> float:
    """One-sided p of "the mean is above 0": how often it would be as large, were each patient's sign a coin's toss.

    Exact where each patient's differences are as likely as their negatives, which is so when the attacker's two guesses
    could change places; not for skewed differences of mean 0 in general. Up to 12 patients all flips are counted, so
    that p is a multiple of 1/2^patients; above, flips are drawn until 100 of them reach the observation, or to the end
    (Besag, Clifford, Biometrika 78, 1991; p counts the observation itself and is valid at any number of flips).

    Args:
        differences: (n,) one number an image.
        patients: (n,) whose image it is; all images of a patient flip together.
        resamples: flips drawn at most; the smallest p is 1/(resamples + 1).
    """
    _, whose = np.unique(patients, return_inverse=True)
    sums = np.bincount(whose, differences).astype(np.float64)
    count = len(sums)
    # A flipped total reaches the observed one when what was flipped sums to 0 or less.
    slack = 1e-12 * float(np.abs(sums).sum())
    if count <= EXACT_PATIENTS:
        flips = (np.arange(1 << count)[:, None] >> np.arange(count)) & 1
        return float(np.mean(flips @ sums <= slack))
    rows = max(1, _BATCH // count)
    reached = 0
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        bits = np.frombuffer(generator.bytes(size * count // 8 + 1), np.uint8)
        flips = np.unpackbits(bits)[: size * count].reshape(size, count).astype(np.float64)
        hits = reached + np.cumsum(flips @ sums <= slack)
        if hits[-1] >= _ENOUGH:
            return _ENOUGH / (start + 1 + int(np.searchsorted(hits, _ENOUGH)))
        reached = int(hits[-1])
    return (reached + 1) / (resamples + 1)


def interval(samples: _Floats, level: float) -> tuple[float, float]:
    """Two-sided percentile interval: what lies between both tails of (1 − level)/2."""
    low, high = np.quantile(samples, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def upper_bound(samples: _Floats, level: float) -> float:
    """One-sided percentile bound, never between two samples but the greater of them; the largest if there are few.

    Percentile bounds of few patients are too narrow; whoever draws a conclusion from the absence of something should
    hold a bound by Student's t beside it.
    """
    return float(np.quantile(samples, level, method="higher"))


def holm_adjusted(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values after Holm: reject all that are at most alpha, and any false rejection at all has probability ≤ alpha.

    This holds however the tests depend on each other.

    Args:
        p: (m,) p-values, each valid by itself.

    Returns:
        (m,) in the same order, each at least as large as before, at most 1.

    Raises:
        ValueError: a p-value is not in 0 … 1.
    """
    values = _checked(p)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    found = np.empty_like(values)
    found[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return found


def holm_levels(p: Sequence[float] | NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The level at which each hypothesis is tested when Holm steps down through them.

    The smallest p is held against alpha/m, the next against alpha/(m − 1), and so on until one is not rejected; that
    one and all after it keep the level of that step. A hypothesis is rejected exactly when p ≤ its level.

    Confidence bounds. Let p_k test "the parameter exceeds margin_k", and let bound_k be the one-sided bound at the
    level given here. Then, with probability ≥ 1 − alpha, *all* of these hold together: each parameter whose hypothesis
    was rejected is within its margin, and each other parameter is within its bound (Guilbaud, Biometrical Journal 50,
    2008; Strassburger and Bretz, Statistics in Medicine 27, 2008). What is not covered together: a bound that lies
    below the margin of a rejected hypothesis. That number is valid by itself at its own level; of all of them at once
    only "within the margin" may be said. Bounds that hold together as numbers need alpha/m throughout (Bonferroni).

    Args:
        p: (m,) p-values, each valid by itself.
        alpha: level of the whole family.

    Returns:
        (m,) levels, alpha/m … alpha, in the order of p.

    Raises:
        ValueError: a p-value is not in 0 … 1.
    """
    values = _checked(p)
    order = np.argsort(values, kind="stable")
    levels = alpha / np.arange(len(values), 0, -1)
    failed = np.flatnonzero(values[order] > levels)
    if len(failed):
        levels[failed[0] :] = levels[failed[0]]
    found = np.empty_like(values)
    found[order] = levels
    return found


def _checked(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise ValueError("p-values are a list of numbers from 0 to 1")
    return values


def non_inferiority(
    difference: float, draws: NDArray[np.float64], margin: float, patients: int, least: int = LEAST.decided
) -> Compared:
    """Judge a difference by the bootstrap draws of it.

    Each bound is the wider one of the draws' percentile and of Student's t with their standard deviation, which is more
    careful where few patients were tested and all did well. Nothing is decided of fewer than `least` patients.

    Args:
        difference: new less reference, higher is better.
        draws: (resamples,) the same of resampled patients, the same patients for new and reference.
        margin: above 0.
        patients: tested, of the smaller side where there are two.
        least: patients from which on something is decided.

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
    if patients >= least and lower > -margin:
        standing = Standing.NON_INFERIOR
    elif patients >= least and upper < -margin:
        standing = Standing.INFERIOR
    ci = (min(low, difference - two), max(high, difference + two))
    if patients < least:
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
