"""How near one picture is to another, by libraries that are not medveil."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
"""Data range of every PSNR and SSIM of 8-bit images here."""


def squared_error(original: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Mean squared error."""
    return float(np.mean((original.astype(np.float64) - other.astype(np.float64)) ** 2))


def decibels(mse: float) -> float:
    """PSNR of a mean squared error, peak 255. An exact picture counts as 1/12 squared grey value (58.9 dB)."""
    return float(10 * np.log10(PEAK**2 / max(mse, 1 / 12)))


def ssim(original: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """SSIM with a gaussian window of sigma 1.5, no sample covariance, data range 255 (scikit-image)."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            original, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=PEAK
        )
    )


def interval(
    statistic_of: Sequence[Sequence[float]], patients: Sequence[str], *, seed: int, draws: int = 2000
) -> tuple[float, float]:
    """95 % bootstrap interval over patients.

    Args:
        statistic_of: one row of numbers an image, (value,) for a mean or (numerator, denominator) for a ratio of sums.
        patients: of the same images; all images of a patient are drawn together.
        seed: of the draws.
        draws: number of resamples.
    """
    values = np.asarray(statistic_of, dtype=np.float64)
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1] + 1))
    np.add.at(sums, owner, np.column_stack([values, np.ones(len(values))]))
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    totals = sums[drawn].sum(axis=1)
    ratios = totals[:, 0] / totals[:, 1]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)
