"""How well a found region agrees with the true one: overlap and distances of the outlines."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Agreement of the pixels P that were found with those, T, that are true, in one image.

    The outline of a region are its pixels with one of their four neighbours outside of it or beyond the border of the
    picture. A distance is that of an outline pixel to the nearest one of the other outline, in mm where the spacing is
    known, else in pixels.

    Attributes:
        dice: 2·|P∩T| / (|P| + |T|).
        jaccard: |P∩T| / |P∪T|.
        false_negative_rate: |T∖P| / |T|.
        false_positive_rate: |P∖T| / |T|, may exceed 1.
        false_discovery_rate: |P∖T| / |P|, which others call the false-positive rate.
        surface_mean: mean of the distances of both outlines, pooled.
        surface_sd: their standard deviation (divisor n).
        hausdorff: the largest of them.
        hausdorff_95: 95th percentile of the distances of each outline to the other, the larger of the two (numpy's
            linear interpolation), as MONAI has it; a percentile of the pooled distances would be smaller.
        padded_mean, padded_sd: mean and standard deviation over two maps of the size of the picture that are 0 off the
            outline. They shrink as the picture grows and are here only because the published figures seem to be these.
    """

    dice: float
    jaccard: float
    false_negative_rate: float
    false_positive_rate: float
    false_discovery_rate: float
    surface_mean: float
    surface_sd: float
    hausdorff: float
    hausdorff_95: float
    padded_mean: float
    padded_sd: float


MEASURES = tuple(field.name for field in fields(Overlap))
DISTANCES = MEASURES[MEASURES.index("surface_mean") :]
"""Those in mm or pixels; the others are shares."""


def overlap(truth: Mask, found: Mask, spacing: tuple[float, float] | None = None) -> Overlap:
    """Compare two regions of one image.

    Nothing found where nothing is true is perfect: Dice and Jaccard 1, all else 0. Where only one of them is empty,
    Dice and Jaccard are 0, a rate whose divisor is 0 is 0 if it counts nothing and else 1, and the distances are as if
    each pixel of the outline that there is were as far off as the diagonal of the picture is long.

    Args:
        truth, found: (H, W) bool.
        spacing: distance of rows and of columns in mm; None for distances in pixels.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != found.shape or truth.ndim != 2:
        raise ValueError(f"regions of shapes {truth.shape} and {found.shape}; both have to be one (H, W)")
    both, missed, added = (int(np.sum(part)) for part in (truth & found, truth & ~found, found & ~truth))
    there, back = _surface_distances(truth, found, spacing)
    pooled = np.concatenate([there, back])
    entries = 2 * truth.size
    padded = float(pooled.sum()) / entries
    return Overlap(
        dice=_share(2 * both, 2 * both + missed + added, empty=1.0),
        jaccard=_share(both, both + missed + added, empty=1.0), false_negative_rate=_share(missed, both + missed),
        false_positive_rate=_share(added, both + missed), false_discovery_rate=_share(added, both + added),
        surface_mean=float(pooled.mean()) if len(pooled) else 0.0,
        surface_sd=float(pooled.std()) if len(pooled) else 0.0, hausdorff=float(pooled.max(initial=0.0)),
        hausdorff_95=max(float(np.quantile(side, 0.95)) if len(side) else 0.0 for side in (there, back)),
        padded_mean=padded, padded_sd=math.sqrt(max(float(np.sum(pooled**2)) / entries - padded**2, 0.0))
    )  # fmt: skip


def _share(part: int, whole: int, empty: float = 0.0) -> float:
    if whole:
        return part / whole
    return 1.0 if part else empty


def _surface_distances(truth: Mask, found: Mask, spacing: tuple[float, float] | None) -> tuple[_Floats, _Floats]:
    """Of each pixel of the true outline to the found one, and the other way round."""
    from scipy.spatial import cKDTree

    scale = np.asarray(spacing or (1.0, 1.0), np.float64)
    first, second = (np.argwhere(_outline(mask)) * scale for mask in (truth, found))
    if not len(first) or not len(second):
        diagonal = float(np.linalg.norm(np.asarray(truth.shape) * scale))
        return np.full(len(first), diagonal), np.full(len(second), diagonal)
    return cKDTree(second).query(first)[0], cKDTree(first).query(second)[0]


def _outline(mask: Mask) -> Mask:
    around = np.pad(mask, 1)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    outline: Mask = mask & ~inside
    return outline
