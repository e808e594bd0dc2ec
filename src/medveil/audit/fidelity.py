"""Fidelity: what recipients of each tier open, against the originals, at full size.

Grey values are those of 8 bits: what is deeper is brought to 0 … 255 by its range of stored values, so that a PSNR is
the one against the peak of the stored depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.audit.results import Example, FidelityRow, TierFidelity
from medveil.audit.targets.keyed import Holding
from medveil.codecs.code import Codec
from medveil.errors import IntegrityError
from medveil.images.image import Image
from medveil.keys.tiers import KeyRing, Tier
from medveil.mechanisms.observation import Subject
from medveil.metrics.histograms import PooledCorrelation, joint_histogram
from medveil.metrics.image_quality import MS_SSIM_SIDE, ms_ssim, psnr, rmse, ssim
from medveil.metrics.inference import bootstrap_means, interval
from medveil.releases.release import Release

PEAK = 255.0
MOST_DB = 100.0  # of equal pictures
METRICS = ("me", "mae", "rmse", "psnr", "ssim", "ms_ssim")
_WORST = 3
_SSIM_SIDE = 11
_Plane = NDArray[np.float64]


@dataclass(frozen=True)
class _Opened:
    """One image as it was and as it is opened, in grey values of 8 bits."""

    subject: Subject
    original: _Plane
    opened: _Plane


def tier_fidelity(
    release: Release, ring: KeyRing, codec: Codec, holdings: Sequence[Holding], tier: Tier, *,
    resamples: int, generator: np.random.Generator, tick: Callable[[], None] = lambda: None,
) -> TierFidelity:  # fmt: skip
    """Open images at a tier and compare them with their originals.

    MS-SSIM is of the images whose sides are at least 176 pixels, which the row's number of images tells.

    Args:
        release, codec: the release and its codec.
        ring: keys that open the tier.
        holdings: packages with their originals.
        tier: what is opened.
        resamples: of the bootstrap over patients.
        generator: of its draws.
        tick: called after each image.

    Raises:
        IntegrityError: a package is damaged, or opens to an image of another size.
    """
    lowered = ring.lowered(tier)
    values: list[dict[str, float]] = []
    histogram = np.zeros((256, 256), np.int64)
    pooled = PooledCorrelation()
    worst: list[tuple[float, int, Example]] = []
    for holding in holdings:
        pair = _pair(release, holding, lowered, codec)
        values.append(_figures(pair.original, pair.opened))
        histogram += joint_histogram(pair.original, pair.opened)
        pooled = pooled.add(pair.original, pair.opened)
        place = (values[-1]["psnr"], pair.subject.number)
        if len(worst) < _WORST or place < worst[-1][:2]:
            worst = sorted([*worst, (*place, _example(pair))], key=lambda each: each[:2])[:_WORST]
        tick()
    patients = np.array([holding.subject.patient for holding in holdings], np.int64)
    numbers = np.array([holding.subject.number for holding in holdings], np.int64)
    rows = [_row(metric, values, patients, numbers, resamples, generator) for metric in METRICS]
    examples = tuple(example for *_, example in worst)
    return TierFidelity(tier.value, tuple(row for row in rows if row), histogram, pooled.r_squared, examples)


def _pair(release: Release, holding: Holding, ring: KeyRing, codec: Codec) -> _Opened:
    opened = release.open_package(holding.entry, ring, codec)
    if opened is None or not isinstance(opened.content, Image):
        raise IntegrityError("a package does not open to an image")
    original = holding.subject.image
    if opened.content.pixels.shape != original.pixels.shape:
        raise IntegrityError("a package opens to an image of another size than its original")
    return _Opened(holding.subject, grey(original.pixels, original), grey(opened.content.pixels, original))


def grey(pixels: NDArray[np.generic], image: Image) -> _Plane:
    """Stored values as grey values 0 … 255, by the range that the image's depth allows."""
    low, high = image.value_range
    return (pixels.astype(np.float64) - low) * (PEAK / (high - low))


def _figures(original: _Plane, opened: _Plane) -> dict[str, float]:
    difference = opened - original
    found = {
        "me": float(difference.mean()), "mae": float(np.abs(difference).mean()), "rmse": rmse(original, opened),
        "psnr": min(psnr(original, opened, PEAK), MOST_DB),
    }  # fmt: skip
    side = min(original.shape)
    if side >= _SSIM_SIDE:
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


def _example(pair: _Opened) -> Example:
    """The original, what is opened, and the size of their difference."""
    original, opened = pair.original.astype(np.float32), pair.opened.astype(np.float32)
    return Example(pair.subject.number, original, opened, np.abs(opened - original))
