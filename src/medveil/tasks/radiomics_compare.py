"""What opening a protected image does to its 93 features: relative error, ICC with CI, reproducibility groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UsageError
from medveil.metrics.agreement import Icc, Reproducibility, icc, relative_error, reproducibility_group
from medveil.metrics.radiomics.table import NAMES

EXCELLENT_ABOVE = 0.75
"""Lower bound of an ICC above which a feature counts as kept."""

_FEWEST_PATIENTS = 3

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Agreement of the features of original and opened images; every table is (f,) in the order of `names`.

    Args:
        names: of the features.
        images: how many the relative errors are over.
        patients: how many the ICCs are over, an image each.
        mean_re, mean_are, median_are: relative error in %, signed and absolute, over all images.
        left_out: images left out of the relative errors because the feature is about 0 in the original.
        icc: ICC(2,1) and ICC(3,1) with intervals of 95 %.
        groups21, groups31: reproducibility by the lower bound of ICC(2,1) and ICC(3,1).
    """

    names: tuple[str, ...]
    images: int
    patients: int
    mean_re: _Floats
    mean_are: _Floats
    median_are: _Floats
    left_out: NDArray[np.int64]
    icc: Icc
    groups21: tuple[Reproducibility, ...]
    groups31: tuple[Reproducibility, ...]

    def counts(self) -> dict[str, dict[Reproducibility, int]]:
        """Features in each group, by the lower bound of "icc21" and of "icc31"."""
        return {
            form: {group: Counter(groups)[group] for group in Reproducibility}
            for form, groups in (("icc21", self.groups21), ("icc31", self.groups31))
        }

    def share_kept(self) -> dict[str, float]:
        """Share of all features, undefined ones among them, whose lower bound is above EXCELLENT_ABOVE."""
        return {
            form: float(np.mean(low > EXCELLENT_ABOVE))
            for form, low in (("icc21", self.icc.icc21_low), ("icc31", self.icc.icc31_low))
        }


def compare(
    original: _Floats, opened: _Floats, patients: NDArray[np.generic], names: tuple[str, ...] = NAMES
) -> Comparison:
    """Compares two tables of features of the same images.

    The intervals of an ICC hold for independent subjects, and two images of a patient are not: the ICCs are over the
    first image of each patient, in the order of the rows. Relative errors have no interval and are over all images.

    Args:
        original, opened: (n, f) features of the same images with the same masks.
        patients: (n,) whose image each row is.
        names: f names.

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
    agreement = icc(original[first], opened[first])
    return Comparison(
        names=names, images=len(original), patients=len(first), mean_re=_over_images(errors.signed, "mean"),
        mean_are=_over_images(errors.absolute, "mean"), median_are=_over_images(errors.absolute, "median"),
        left_out=errors.left_out, icc=agreement,
        groups21=tuple(reproducibility_group(float(low)) for low in agreement.icc21_low),
        groups31=tuple(reproducibility_group(float(low)) for low in agreement.icc31_low)
    )  # fmt: skip


def _over_images(errors: _Floats, how: str) -> _Floats:
    """(f,) mean or median of what is not NaN; NaN for a feature that is left out in every image."""
    middle = np.mean if how == "mean" else np.median
    kept = [column[~np.isnan(column)] for column in errors.T]
    return np.array([float(middle(column)) if len(column) else np.nan for column in kept])
