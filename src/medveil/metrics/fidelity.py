"""How far one picture is from another: RMSE, PSNR, SSIM. The data range is always stated by the caller."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIGMA = 1.5
_TRUNCATE = 3.5
_K1, _K2 = 0.01, 0.03

_Plane = NDArray[np.float64]


def rmse(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Root mean squared difference, in the units of the pixels.

    Raises:
        ValueError: the shapes differ.
    """
    return float(np.sqrt(np.mean(_difference(first, second) ** 2)))


def psnr(first: NDArray[np.generic], second: NDArray[np.generic], data_range: float) -> float:
    """Peak signal-to-noise ratio in dB, infinite for equal pictures.

    Args:
        first, second: pictures of one shape.
        data_range: the peak: 255 for pictures of 8 bits.
    """
    error = rmse(first, second)
    return float(20 * np.log10(data_range / error)) if error else float("inf")


def ssim(first: NDArray[np.generic], second: NDArray[np.generic], data_range: float) -> float:
    """Mean structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13(4), 2004).

    Gaussian window of sigma 1.5, cut at 3.5 sigma (11x11), population covariance, rim of 5 pixels left out: equal to
    scikit-image's structural_similarity(gaussian_weights=True, use_sample_covariance=False).

    Args:
        first, second: (height, width), both sides at least 11.
        data_range: 255 for pictures of 8 bits.

    Raises:
        ValueError: the shapes differ, or a side is below 11.
    """
    _difference(first, second)
    radius = int(_TRUNCATE * _SIGMA + 0.5)
    if min(first.shape) < 2 * radius + 1:
        raise ValueError(f"SSIM needs sides of at least {2 * radius + 1} pixels, not {min(first.shape)}")
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = _smoothed(x, radius), _smoothed(y, radius)
    variance_x = _smoothed(x * x, radius) - mean_x * mean_x
    variance_y = _smoothed(y * y, radius) - mean_y * mean_y
    covariance = _smoothed(x * y, radius) - mean_x * mean_y
    small, smaller = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    likeness = (2 * mean_x * mean_y + small) * (2 * covariance + smaller)
    likeness /= (mean_x**2 + mean_y**2 + small) * (variance_x + variance_y + smaller)
    return float(likeness.mean())


def _difference(first: NDArray[np.generic], second: NDArray[np.generic]) -> _Plane:
    if first.shape != second.shape:
        raise ValueError(f"pictures of shapes {first.shape} and {second.shape} cannot be compared")
    difference: _Plane = first.astype(np.float64) - second.astype(np.float64)
    return difference


def _smoothed(plane: _Plane, radius: int) -> _Plane:
    """Gaussian means of all windows that lie within the plane."""
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    kernel /= kernel.sum()
    height, width = plane.shape
    rows = sum(weight * plane[start : height - 2 * radius + start] for start, weight in enumerate(kernel))
    return np.asarray(sum(weight * rows[:, start : width - 2 * radius + start] for start, weight in enumerate(kernel)))
