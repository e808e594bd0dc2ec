"""The 18 features of the grey values alone, whatever their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EPSILON = float(np.spacing(1))
"""What PyRadiomics adds to a share before the logarithm: 2^-52. Kept, so that figures agree to the last digits."""

NAMES = (
    "10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis", "Maximum",
    "MeanAbsoluteDeviation", "Mean", "Median", "Minimum", "Range", "RobustMeanAbsoluteDeviation", "RootMeanSquared",
    "Skewness", "TotalEnergy", "Uniformity", "Variance",
)  # fmt: skip

_Floats = NDArray[np.float64]


def entropy_bits(shares: _Floats) -> float:
    """−Σ p·log2(p + 2^-52), in bits."""
    return -float(np.sum(shares * np.log2(shares + EPSILON)))


def first_order_features(picture: _Floats, levels: NDArray[np.int64]) -> dict[str, float]:
    """First-order statistics of the grey values; only entropy and uniformity see the levels.

    Deviations of PyRadiomics from IBSI that are followed: kurtosis is not the excess (3 for a normal distribution);
    a picture of one grey value has skewness and kurtosis 0. Total energy is the energy times the area of a pixel,
    here 1, because the pictures are resampled to 1 × 1 mm or have no scale.

    Args:
        picture: (H, W) grey values.
        levels: (H, W) grey levels, 0 outside the mask.
    """
    inside = levels > 0
    values = picture[inside]
    shares = np.bincount(levels[inside]) / values.size
    shares = shares[shares > 0]
    lowest, low, quarter, median, upper, high, highest = (
        float(found) for found in np.percentile(values, (0, 10, 25, 50, 75, 90, 100))
    )
    mean = float(values.mean())
    away = values - mean
    square = away**2
    variance = float(square.mean())
    robust = values[(values >= low) & (values <= high)]
    spread = variance or 1.0
    energy = float(np.sum(values**2))
    return {
        "10Percentile": low,
        "90Percentile": high,
        "Energy": energy,
        "Entropy": entropy_bits(shares),
        "InterquartileRange": upper - quarter,
        "Kurtosis": float((square**2).mean()) / spread**2,
        "Maximum": highest,
        "MeanAbsoluteDeviation": float(np.abs(away).mean()),
        "Mean": mean,
        "Median": median,
        "Minimum": lowest,
        "Range": highest - lowest,
        "RobustMeanAbsoluteDeviation": float(np.abs(robust - robust.mean()).mean()),
        "RootMeanSquared": float(np.sqrt(energy / values.size)),
        "Skewness": float((square * away).mean()) / spread**1.5,
        "TotalEnergy": energy,
        "Uniformity": float(np.sum(shares**2)),
        "Variance": variance,
    }
