"""How far one picture is from another: ME, MAE, RMSE, PSNR, SSIM, MS-SSIM. The caller always states the data range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
"""The data range of pictures of 8 bits, and of those that were brought to their grey values."""
MOST_DB = 100.0
"""What the PSNR of equal pictures counts as, so that means stay finite."""

_SIGMA = 1.5
_TRUNCATE = 3.5
_K1, _K2 = 0.01, 0.03
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_RADIUS = int(_TRUNCATE * _SIGMA + 0.5)

SSIM_SIDE = 2 * _RADIUS + 1
"""The shortest side that has an SSIM: that of the window (11)."""
MS_SSIM_SIDE = SSIM_SIDE << (len(_SCALES) - 1)
"""The shortest side that has an MS-SSIM: after four halvings, odd ends dropped, a window of 11 must still fit (176)."""

_Plane = NDArray[np.float64]


def rmse(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Root mean squared difference, in the units of the pixels.

    Raises:
        ValueError: the shapes differ.
    """
    return float(np.sqrt(np.mean(_difference(first, second) ** 2)))


def mean_error(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Mean of second less first, in the units of the pixels: opened less original, above 0 where it opens brighter.

    Raises:
        ValueError: the shapes differ.
    """
    return float(-np.mean(_difference(first, second)))


def mean_absolute_error(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Mean absolute difference, in the units of the pixels.

    Raises:
        ValueError: the shapes differ.
    """
    return float(np.mean(np.abs(_difference(first, second))))


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
    if min(first.shape) < SSIM_SIDE:
        raise ValueError(f"SSIM needs sides of at least {SSIM_SIDE} pixels, not {min(first.shape)}")
    luminance, structure = _terms(first.astype(np.float64), second.astype(np.float64), data_range)
    return float(np.mean(luminance * structure))


def ms_ssim(
    first: NDArray[np.generic], second: NDArray[np.generic], data_range: float, scales: int = len(_SCALES)
) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik, Asilomar 2003): 1 for equal pictures.

    Five scales, weights 0.0448, 0.2856, 0.3001, 0.2363, 0.1333; the window of `ssim`; each scale the 2x2 means of the
    one before, an odd last row or column dropped. Contrast and structure are averaged at every scale, luminance at the
    coarsest only. A scale of negative likeness counts as 0, where the paper leaves the root of a negative number open.
    Equal to MONAI's compute_ms_ssim and torchmetrics' multiscale SSIM (normalize="relu").

    Args:
        first, second: (height, width), both sides at least 176 (`MS_SSIM_SIDE`) for five scales, 11 for one.
        data_range: 255 for pictures of 8 bits.
        scales: how many; with fewer than five it is not what the publication defines. The finest ones are kept, and
            their weights made to sum to 1.

    Raises:
        ValueError: the shapes differ, a side is too short for the scales, or there is no such number of scales.
    """
    _difference(first, second)
    if not 1 <= scales <= len(_SCALES):
        raise ValueError(f"MS-SSIM has one to {len(_SCALES)} scales, not {scales}")
    if min(first.shape) < SSIM_SIDE << (scales - 1):
        least = SSIM_SIDE << (scales - 1)
        raise ValueError(f"MS-SSIM of {scales} scales needs sides of at least {least} pixels, not {min(first.shape)}")
    x, y = first.astype(np.float64), second.astype(np.float64)
    likeness = 1.0
    sum_of_weights = sum(_SCALES[:scales]) if scales < len(_SCALES) else 1.0
    for scale, weight in enumerate(_SCALES[:scales]):
        if scale:
            x, y = _halved(x), _halved(y)
        luminance, structure = _terms(x, y, data_range)
        mean = np.mean(luminance * structure if scale == scales - 1 else structure)
        likeness *= max(float(mean), 0.0) ** (weight / sum_of_weights)
    return likeness


def _terms(x: _Plane, y: _Plane, data_range: float) -> tuple[_Plane, _Plane]:
    """Maps of the luminance, and of the contrast and structure, of SSIM."""
    mean_x, mean_y = _smoothed(x), _smoothed(y)
    variances = _smoothed(x * x) - mean_x**2 + _smoothed(y * y) - mean_y**2
    covariance = _smoothed(x * y) - mean_x * mean_y
    small, smaller = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + small) / (mean_x**2 + mean_y**2 + small)
    return luminance, (2 * covariance + smaller) / (variances + smaller)


def _halved(plane: _Plane) -> _Plane:
    height, width = (side // 2 * 2 for side in plane.shape)
    return np.asarray(plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)))


def _difference(first: NDArray[np.generic], second: NDArray[np.generic]) -> _Plane:
    if first.shape != second.shape:
        raise ValueError(f"pictures of shapes {first.shape} and {second.shape} cannot be compared")
    difference: _Plane = first.astype(np.float64) - second.astype(np.float64)
    return difference


def _smoothed(plane: _Plane) -> _Plane:
    """Gaussian means of all windows that lie within the plane."""
    kernel = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    kernel /= kernel.sum()
    height, width = (side - 2 * _RADIUS for side in plane.shape)
    rows = sum(weight * plane[start : height + start] for start, weight in enumerate(kernel))
    return np.asarray(sum(weight * rows[:, start : width + start] for start, weight in enumerate(kernel)))
