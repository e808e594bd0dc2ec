"""All 93 features of a masked picture in one fixed order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UsageError
from medveil.metrics.radiomics import first_order, glcm, gldm, glrlm, glszm, ngtdm
from medveil.metrics.radiomics.directions import DIRECTIONS, pairs
from medveil.metrics.radiomics.discretise import Bins, Width, grey_levels

CLASSES: dict[str, tuple[str, ...]] = {
    "firstorder": first_order.NAMES,
    "glcm": glcm.NAMES,
    "glszm": glszm.NAMES,
    "ngtdm": ngtdm.NAMES,
    "glrlm": glrlm.NAMES,
    "gldm": gldm.NAMES,
}
"""Feature classes in the order of the published table, with 18, 24, 16, 5, 16 and 14 names."""

NAMES: tuple[str, ...] = tuple(f"{kind}_{name}" for kind, names in CLASSES.items() for name in names)
"""The 93 names, as PyRadiomics has them after `original_`."""

CLASS_OF: tuple[str, ...] = tuple(kind for kind, names in CLASSES.items() for _ in names)
"""Class of each of the 93."""

_Floats = NDArray[np.float64]


def features(picture: _Floats, mask: NDArray[np.bool_], discretisation: Bins | Width) -> _Floats:
    """The 93 features of the original picture in the mask, cut to its bounding box.

    As PyRadiomics 3.0.1 (van Griethuysen et al., Cancer Research 77(21), 2017) gives them for a picture of two
    dimensions with its own settings: four directions, distance 1, symmetric co-occurrences, one matrix a direction and
    the mean of the features, 8-connected zones, alpha 0. Each class states where PyRadiomics leaves IBSI (Zwanenburg
    et al., Radiology 295(2), 2020). Resampling is a step before this one (`resampling.resampled`).

    Masks that PyRadiomics refuses are refused: empty, one pixel, one row or column. So is a mask in which no two pixels
    are neighbours, for which it gives NaN. One grey level is allowed and gives its stand-in values.

    Args:
        picture: (H, W) finite grey values.
        mask: (H, W) bool, where the features are taken.
        discretisation: `Bins` or `Width`.

    Returns:
        (93,) in the order of NAMES.

    Raises:
        UsageError: the shapes do not fit, a grey value is not finite, or the mask is one of those above.
    """
    if picture.ndim != 2 or mask.shape != picture.shape:
        raise UsageError(
            f"A picture of shape {picture.shape} with a mask of shape {mask.shape}: radiomics needs one plane and "
            "a mask of the same size."
        )
    box = _bounding_box(mask.astype(np.bool_))
    picture, mask = picture[box].astype(np.float64), mask[box].astype(np.bool_)
    if not np.isfinite(picture[mask]).all():
        raise UsageError("A grey value in the mask is not a finite number.")
    levels = grey_levels(picture, mask, discretisation)
    if not any(len(pairs(levels, direction)[0]) for direction in DIRECTIONS):
        raise UsageError("No two pixels of the mask are neighbours: there is no texture.", hint="Use another mask.")
    found = {
        "firstorder": first_order.first_order_features(picture, levels),
        "glcm": glcm.glcm_features(levels),
        "glszm": glszm.glszm_features(levels),
        "ngtdm": ngtdm.ngtdm_features(levels),
        "glrlm": glrlm.glrlm_features(levels),
        "gldm": gldm.gldm_features(levels),
    }
    return np.array([found[kind][name] for kind, names in CLASSES.items() for name in names], np.float64)


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) < 2 or len(columns) < 2:
        raise UsageError(
            f"The mask spans {len(rows)} rows and {len(columns)} columns: radiomics needs at least 2 of each.",
            hint="Leave the image out, or check that the mask belongs to it.",
        )
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
