"""Fidelity: what recipients of each tier open, against the originals, at full size.

Grey values are those of 8 bits: what is deeper is brought to 0 … 255 by its range of stored values, so that a PSNR is
the one against the peak of the stored depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.audit.results import Example, FidelityRow, TierFidelity
from medveil.audit.targets.target import ImageSet
from medveil.experiments.unit import Product
from medveil.images.intensity import grey, grey_of
from medveil.mechanisms.observation import Subject
from medveil.metrics.histograms import PooledCorrelation, joint_histogram
from medveil.metrics.image_quality import MOST_DB, MS_SSIM_SIDE, PEAK, SSIM_SIDE, ms_ssim, psnr, rmse, ssim
from medveil.metrics.inference import bootstrap_means, interval
from medveil.tasks.image_sets import ORIGINAL, Gallery

METRICS = ("me", "mae", "rmse", "psnr", "ssim", "ms_ssim")
_WORST = 3
_Plane = NDArray[np.float64]


def tier_fidelity(
    tier: ImageSet, subjects: Sequence[Subject], *,
    resamples: int, generator: np.random.Generator, tick: Callable[[], None] = lambda: None,
) -> TierFidelity:  # fmt: skip
    """Open images at a tier and compare them with their originals.

    MS-SSIM is of the images whose sides are at least 176 pixels, which the row's number of images tells.

    Args:
        tier: what is opened.
        subjects: whose images.
        resamples: of the bootstrap over patients.
        generator: of its draws.
        tick: called after each image.

    Raises:
        IntegrityError: a package is damaged, or opens to an image of another size.
    """
    values: list[dict[str, float]] = []
    histogram = np.zeros((256, 256), np.int64)
    pooled = PooledCorrelation()
    worst: list[tuple[float, int, Example]] = []
    for subject in subjects:
        original, opened = grey_of(subject.image), grey(tier.stored(subject), subject.image.value_range)
        values.append(_figures(original, opened))
        histogram += joint_histogram(original, opened)
        pooled = pooled.add(original, opened)
        place = (values[-1]["psnr"], subject.number)
        if len(worst) < _WORST or place < worst[-1][:2]:
            example = _example(subject.number, original, opened)
            worst = sorted([*worst, (*place, example)], key=lambda each: each[:2])[:_WORST]
        tick()
    patients = np.array([subject.patient for subject in subjects], np.int64)
    numbers = np.array([subject.number for subject in subjects], np.int64)
    rows = [_row(metric, values, patients, numbers, resamples, generator) for metric in METRICS]
    examples = tuple(example for *_, example in worst)
    return TierFidelity(tier.name, tuple(row for row in rows if row), histogram, pooled.r_squared, examples)


def set_likeness(gallery: Gallery, name: str, numbers: Sequence[int], tick: Callable[[], None]) -> Product:
    """How near the pictures of a set of the tasks come to the originals: `psnr` (dB, peak 255) and `ssim` of each.

    SSIM is NaN for images with a side below 11 pixels.
    """
    decibels, likeness = [], []
    for number in numbers:
        original = gallery.picture(ORIGINAL, number).astype(np.float64)
        opened = gallery.picture(name, number).astype(np.float64)
        decibels.append(min(psnr(original, opened, PEAK), MOST_DB))
        likeness.append(ssim(original, opened, PEAK) if min(original.shape) >= SSIM_SIDE else float("nan"))
        tick()
    return Product({"psnr": np.array(decibels), "ssim": np.array(likeness)})


def _figures(original: _Plane, opened: _Plane) -> dict[str, float]:
    difference = opened - original
    found = {
        "me": float(difference.mean()), "mae": float(np.abs(difference).mean()), "rmse": rmse(original, opened),
        "psnr": min(psnr(original, opened, PEAK), MOST_DB),
    }  # fmt: skip
    side = min(original.shape)
    if side >= SSIM_SIDE:
        found["ssim"] = ssim(original, opened, PEAK)
    if side >= MS_SSIM_SIDE:
        found["ms_ssim"] = ms_ssim(original, opened, PEAK)
    return found


def _row(
    metric: str, values: Sequence[dict[str, float]], patients: NDArray[np.int64], numbers: NDArray[np.int64],
    resamples: int, generator: np.random.Generator,
) -> FidelityRow | None:  # fmt: skip
    kept = np.array([metric in each for each in values])
    if not kept.any():
        return None
    figures = np.array([each[metric] for each in values if metric in each])
    draws = bootstrap_means(figures, patients[kept], resamples, generator)
    badness = {"me": np.abs(figures), "mae": figures, "rmse": figures}.get(metric, -figures)
    order = np.argsort(-badness, kind="stable")[:_WORST]
    spread = float(figures.std(ddof=1)) if len(figures) > 1 else 0.0
    return FidelityRow(
        metric, float(figures.mean()), spread, interval(draws, 0.95), len(figures),
        tuple(int(number) for number in numbers[kept][order]),
    )  # fmt: skip


def _example(number: int, original: _Plane, opened: _Plane) -> Example:
    """The original, what is opened, and the size of their difference."""
    planes = original.astype(np.float32), opened.astype(np.float32)
    return Example(number, *planes, np.abs(planes[1] - planes[0]))
