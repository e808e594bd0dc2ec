"""Fidelity of one picture against another. Every figure names the data range that it was made with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def rmse(original: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Root mean squared error of two arrays of one shape, in their own units."""
    return float(np.sqrt(np.mean((original.astype(np.float64) - other.astype(np.float64)) ** 2)))


def psnr(original: NDArray[np.generic], other: NDArray[np.generic], *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB: 20 log10(data_range / RMSE); infinite for equal arrays."""
    error = rmse(original, other)
    return math.inf if error == 0 else 20.0 * math.log10(data_range / error)
