"""What opening a protected image does to its 93 features: relative error, ICC with CI, reproducibility groups."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UsageError
from medveil.metrics.agreement import Reproducibility, icc, relative_error, reproducibility_group
from medveil.metrics.radiomics.table import NAMES
from medveil.tasks.results import FeatureAgreement

EXCELLENT_ABOVE = 0.75
"""Lower bound of an ICC above which a feature counts as kept."""

_FEWEST_PATIENTS = 3

_Floats = NDArray[np.float64]


def compare(
    set_name: str, discretisation: str, original: _Floats, opened: _Floats, patients: NDArray[np.generic],
    names: tuple[str, ...] = NAMES,
) -> FeatureAgreement:  # fmt: skip
    """Compares two tables of features of the same images.

    The intervals of an ICC hold for independent subjects, and two images of a patient are not: the ICCs are over the
    first image of each patient, in the order of the rows. Relative errors have no interval and are over all images.

    Args:
        set_name, discretisation: what is compared with the original, and how grey levels were made.
        original, opened: (n, f) features of the same images with the same masks.
        patients: (n,) whose image each row is.
        names: f names.

    Returns:
        In its `figures`: mean_re and median_are, the relative error in %, signed and absolute; left_out, images that
        have no such error because the feature is about 0 in the original; both ICCs with intervals of 95 %.

    Raises:
        UsageError: tables that don't fit each other, or fewer than 3 patients.
    """
    original, opened = np.asarray(original, np.float64), np.asarray(opened, np.float64)
    if original.shape != opened.shape or original.shape != (len(patients), len(names)):
        raise UsageError(
            f"Tables of shape {original.shape} and {opened.shape} for {len(patients)} images and {len(names)} "
            "features: both need a row an image and a column a feature."
        )
    first = np.sort(np.unique(patients, return_index=True)[1])
    if len(first) < _FEWEST_PATIENTS:
        raise UsageError(
            f"Images of {len(first)} patients: an ICC needs at least {_FEWEST_PATIENTS}.",
            hint="Give masks for more images.",
        )
    errors = relative_error(original, opened)
    found = icc(original[first], opened[first])
    counts = Counter(reproducibility_group(float(low)) for low in found.icc31_low)
    figures = {
        "mean_re": _over_images(errors.signed, "mean"), "median_are": _over_images(errors.absolute, "median"),
        "left_out": errors.left_out.astype(np.float64),
        **{f"{form}{end}": getattr(found, f"{form}{end}") for form in ("icc21", "icc31")
           for end in ("", "_low", "_high")},
    }  # fmt: skip
    return FeatureAgreement(
        set_name, discretisation, len(original), len(first), names, _over_images(errors.absolute, "mean"),
        found.icc31, found.icc31_low, figures, {group.value: counts[group] for group in Reproducibility},
    )  # fmt: skip


def _over_images(errors: _Floats, how: str) -> _Floats:
    """(f,) mean or median of what is not NaN; NaN for a feature that is left out in every image."""
    middle = np.mean if how == "mean" else np.median
    kept = [column[~np.isnan(column)] for column in errors.T]
    return np.array([float(middle(column)) if len(column) else np.nan for column in kept])
