"""Chance by patient: bootstrap and sign flips that never take two images of one patient for independent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXACT_PATIENTS = 12
"""Up to here all 2^patients sign flips are counted instead of drawn."""

_ENOUGH = 100
"""Flips as good as the observation after which no more are drawn: p is then known within about 10 %."""

_BATCH = 1 << 20

_Floats = NDArray[np.float64]


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
