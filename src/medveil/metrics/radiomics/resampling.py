"""Pixels of one size in mm, before features are taken."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from medveil.errors import UsageError

_MOST_PIXELS = 1 << 26

_Floats = NDArray[np.float64]


def resampled(
    picture: _Floats, mask: NDArray[np.bool_], spacing: tuple[float, float] | None, target: float = 1.0
) -> tuple[_Floats, NDArray[np.bool_]]:
    """Picture and mask on a grid of square pixels.

    The picture by cubic B-splines, mirrored at its rim (PyRadiomics' and IBSI's choice among those allowed; values may
    pass the range of the original by some grey values and are not rounded), the mask by the nearest pixel, halves going
    to the higher index. Both grids have the same centre (IBSI); PyRadiomics lets the corners meet. There is no filter
    before sampling down: the original carries its own resolution.

    Args:
        picture: (H, W) grey values.
        mask: (H, W) bool.
        spacing: mm from row to row and from column to column (as DICOM states it). None, if unknown: a pixel is then
            taken as the unit, isotropic, and nothing is resampled.
        target: mm between pixels of the result.

    Returns:
        Picture and mask of ceil(H·spacing/target) × ceil(W·spacing/target) pixels.

    Raises:
        UsageError: shapes that differ, a spacing that is not above 0, or a result of more than 67 million pixels.
    """
    if picture.ndim != 2 or mask.shape != picture.shape:
        raise UsageError(
            f"A picture of shape {picture.shape} with a mask of shape {mask.shape}: they have to be planes of one size."
        )
    if spacing is None:
        return picture.astype(np.float64), mask.astype(np.bool_)
    if not all(math.isfinite(each) and each > 0 for each in (*spacing, target)):
        raise UsageError(
            "A distance between pixels is not above 0 mm.", hint="Leave the spacing out if it is not known."
        )
    # A distance that is 1 mm but for rounding must not add a row.
    sides = [max(1, math.ceil(side * each / target - 1e-6)) for side, each in zip(picture.shape, spacing, strict=True)]
    if math.prod(sides) > _MOST_PIXELS:
        raise UsageError(f"Resampling to {target} mm would give {sides[0]} × {sides[1]} pixels.")
    places = [
        (np.arange(new) - (new - 1) / 2) * (target / each) + (old - 1) / 2
        for old, new, each in zip(picture.shape, sides, spacing, strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij")
    values: _Floats = map_coordinates(picture.astype(np.float64), grid, order=3, mode="mirror")
    # A half stays a half under rounding.
    nearest = [
        np.clip(np.floor(at + 0.5 + 1e-9).astype(np.int64), 0, old - 1)
        for at, old in zip(places, picture.shape, strict=True)
    ]
    found: NDArray[np.bool_] = mask.astype(np.bool_)[np.ix_(*nearest)]
    return values, found
