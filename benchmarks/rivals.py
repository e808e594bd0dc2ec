"""What a user would take instead: JPEG 2000, JPEG XL, JPEG-LS, each inside an AEAD.

Two ways to choose the quality of a set of images:
- *constant dB*: every image is searched to the same PSNR;
- *constant step*: one setting for all images. JPEG XL has its distance. OpenJPEG has no such setting, so JPEG 2000 gets
  what a constant step stands for: the same slope of squared error against bytes in every image, which is the best that
  any choice of step can do for that set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.benchmark import in_processes

PEAK = 255.0
"""Data range of every PSNR and SSIM of 8-bit images here."""
AEAD_BYTES = 28
"""Nonce (12) and tag (16) of AES-256-GCM or ChaCha20-Poly1305, added to every file of a rival."""

_TOLERANCE_DB = 0.005
_SLOPES = np.geomspace(0.05, 2000, 400)
_FINE_DB = np.arange(30.0, 52.0, 0.02)

Pixels = NDArray[np.generic]


def squared_error(original: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Mean squared error."""
    return float(np.mean((original.astype(np.float64) - other.astype(np.float64)) ** 2))


def decibels(mse: float) -> float:
    """PSNR of a mean squared error, peak 255. An exact picture counts as 1/12 squared grey value (58.9 dB)."""
    return float(10 * np.log10(PEAK**2 / max(mse, 1 / 12)))


def ssim(original: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """SSIM with a gaussian window of sigma 1.5, no sample covariance, data range 255 (scikit-image)."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            original, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=PEAK
        )
    )


def interval(
    statistic_of: Sequence[Sequence[float]], patients: Sequence[str], *, seed: int, draws: int = 2000
) -> tuple[float, float]:
    """95 % bootstrap interval over patients.

    Args:
        statistic_of: one row of numbers an image, (value,) for a mean or (numerator, denominator) for a ratio of sums.
        patients: of the same images; all images of a patient are drawn together.
        seed: of the draws.
        draws: number of resamples.
    """
    values = np.asarray(statistic_of, dtype=np.float64)
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1] + 1))
    np.add.at(sums, owner, np.column_stack([values, np.ones(len(values))]))
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    totals = sums[drawn].sum(axis=1)
    ratios = totals[:, 0] / totals[:, 1]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Rival:
    """A codec with one knob.

    Attributes:
        name: as printed.
        knobs: settings from coarse to fine between which a search stays.
        logarithmic: whether the knob works by ratios.
    """

    name: str
    knobs: tuple[float, ...]
    logarithmic: bool

    def encode(self, pixels: Pixels, knob: float) -> bytes:
        import imagecodecs

        if self.name.startswith("JPEG 2000"):
            # a bare code stream, five levels, 64 x 64 code blocks; 9/7 is OpenJPEG's best, 5/3 a common default
            reversible = self.name.endswith("5/3")
            return imagecodecs.jpeg2k_encode(pixels, level=knob, codecformat="j2k", reversible=reversible, numthreads=1)
        return imagecodecs.jpegxl_encode(pixels, distance=knob, effort=7, numthreads=1)

    def decode(self, data: bytes) -> Pixels:
        import imagecodecs

        decode = imagecodecs.jpegxl_decode if self.name == "JPEG XL" else imagecodecs.jpeg2k_decode
        return np.asarray(decode(data, numthreads=1))


_TARGETS_DB = (31, 33, 35, 36, 37, 38, 39, 40, 41, 42, 43, 45, 47, 50)
JPEG_2000 = Rival("JPEG 2000 9/7", _TARGETS_DB, logarithmic=False)
JPEG_2000_53 = Rival("JPEG 2000 5/3", _TARGETS_DB, logarithmic=False)
JPEG_XL = Rival("JPEG XL", (16, 10, 7, 5, 3.5, 2.5, 1.8, 1.2, 0.8, 0.5, 0.3), logarithmic=True)
RIVALS = (JPEG_2000, JPEG_2000_53, JPEG_XL)


@dataclass(frozen=True)
class Curve:
    """One image at every knob of a rival: bytes and mean squared error."""

    pixels: int
    sizes: tuple[int, ...]
    errors: tuple[float, ...]

    @property
    def decibels(self) -> NDArray[np.float64]:
        """PSNR at each knob, made strictly increasing."""
        return np.maximum.accumulate([decibels(error) for error in self.errors]) + np.arange(len(self.errors)) * 1e-9

    def size_at(self, goal: float) -> float:
        """Bytes at a PSNR, between the knobs."""
        return float(np.exp(np.interp(goal, self.decibels, np.log(self.sizes))))

    def best_at(self, slope: float) -> float:
        """PSNR at which squared error + slope x bytes is least."""
        known = self.decibels
        fine = _FINE_DB[(known[0] <= _FINE_DB) & (known[-1] >= _FINE_DB)]
        if not fine.size:
            return float(known[0])
        size = np.exp(np.polynomial.Polynomial.fit(known, np.log(self.sizes), 3)(fine))  # smooth, so slopes make sense
        error = 255.0**2 / 10 ** (fine / 10) * self.pixels
        return float(fine[np.argmin(error + slope * size)])


@dataclass(frozen=True)
class Coded:
    """One image, coded: bytes with the AEAD's, PSNR, SSIM."""

    size: int
    psnr: float
    ssim: float = 0.0


def curves(rival: Rival, images: Sequence[Pixels], jobs: int) -> list[Curve]:
    """Every image at every knob."""
    return list(in_processes(partial(_curve, rival), jobs, images))


def lines(rival: Rival, known: Sequence[Curve]) -> dict[str, list[tuple[float, float]]]:
    """Way of choosing quality -> points (bits per pixel, mean dB), between the measured settings, for a plot."""
    pixels = sum(curve.pixels for curve in known)

    def point(goals: Sequence[float]) -> tuple[float, float]:
        size = sum(curve.size_at(goal) for curve, goal in zip(known, goals, strict=True))
        return 8 * size / pixels, float(np.mean(goals))

    found = {"constant dB": [point([float(goal)] * len(known)) for goal in np.arange(35.0, 46.5)]}
    if rival is not JPEG_XL:
        slopes = [[curve.best_at(slope) for curve in known] for slope in np.geomspace(10, 1000, 14)]
        found["constant slope"] = [point(goals) for goals in slopes]
    else:
        sizes, levels = np.sum([c.sizes for c in known], axis=0), np.mean([c.decibels for c in known], axis=0)
        found["constant distance"] = [(8 * float(s) / pixels, float(d)) for s, d in zip(sizes, levels, strict=True)]
    return found


def at_constant_db(
    rival: Rival, images: Sequence[Pixels], known: Sequence[Curve], goals: float | Sequence[float], jobs: int
) -> list[Coded]:
    """Every image searched to its goal (one for all, or one each) in dB."""
    wanted = [goals] * len(images) if isinstance(goals, float) else list(goals)
    return list(in_processes(partial(_searched, rival), jobs, images, known, wanted))


def at_constant_slope(
    rival: Rival, images: Sequence[Pixels], known: Sequence[Curve], mean_db: float, jobs: int
) -> tuple[list[Coded], float]:
    """(images at one slope of squared error against bytes whose mean PSNR is `mean_db`, that slope)."""
    means = [float(np.mean([curve.best_at(slope) for curve in known])) for slope in _SLOPES]
    slope = float(np.exp(np.interp(-mean_db, -np.array(means), np.log(_SLOPES))))
    goals = [curve.best_at(slope) for curve in known]
    shift = mean_db - float(np.mean(goals))
    return at_constant_db(rival, images, known, [goal + shift for goal in goals], jobs), slope


def at_constant_knob(
    rival: Rival, images: Sequence[Pixels], known: Sequence[Curve], mean_db: float, jobs: int
) -> tuple[list[Coded], float]:
    """(images at one knob for all whose mean PSNR is `mean_db`, that knob)."""
    means = np.mean([curve.decibels for curve in known], axis=0)
    scale = _scaled(rival, np.asarray(rival.knobs))
    first = float(np.interp(mean_db, means, scale))
    slope = np.gradient(means, scale)
    knob, coded = 0.0, []
    for _ in range(3):
        knob = _unscaled(rival, first)
        coded = list(in_processes(partial(_coded, rival, knob), jobs, images))
        miss = mean_db - float(np.mean([one.psnr for one in coded]))
        if abs(miss) < 2 * _TOLERANCE_DB:
            break
        first += miss / float(np.interp(first, scale, slope))
    return coded, knob


def lossless(images: Sequence[Pixels], jobs: int) -> dict[str, int]:
    """Bytes of all images with the AEAD's, by codec; each is decoded and compared."""
    rows = list(in_processes(_lossless, jobs, images))
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def _scaled(rival: Rival, knob: Any) -> Any:
    return -np.log(knob) if rival.logarithmic else np.asarray(knob, dtype=np.float64)


def _unscaled(rival: Rival, value: float) -> float:
    return float(np.exp(-value)) if rival.logarithmic else float(value)


def _curve(rival: Rival, pixels: Pixels) -> Curve:
    sizes, errors = [], []
    for knob in rival.knobs:
        data = rival.encode(pixels, knob)
        sizes.append(len(data) + AEAD_BYTES)
        errors.append(squared_error(pixels, rival.decode(data)))
    return Curve(pixels.size, tuple(sizes), tuple(errors))


def _coded(rival: Rival, knob: float, pixels: Pixels) -> Coded:
    data = rival.encode(pixels, knob)
    other = rival.decode(data)
    return Coded(len(data) + AEAD_BYTES, decibels(squared_error(pixels, other)), ssim(pixels, other))


def _searched(rival: Rival, pixels: Pixels, curve: Curve, goal: float) -> Coded:
    """The file whose PSNR is nearest to the goal, found by steps along the curve's slope."""
    scale, known = _scaled(rival, np.asarray(rival.knobs)), curve.decibels
    knob = float(np.interp(goal, known, scale))
    slope = float(np.interp(knob, scale, np.gradient(known, scale))) or 1.0
    found: list[tuple[Coded, Pixels]] = []
    for _ in range(6):
        data = rival.encode(pixels, _unscaled(rival, knob))
        other = rival.decode(data)
        coded = Coded(len(data) + AEAD_BYTES, decibels(squared_error(pixels, other)))
        found.append((coded, other))
        miss = goal - coded.psnr
        if abs(miss) < _TOLERANCE_DB:
            break
        knob = float(np.clip(knob + miss / slope, scale[0], scale[-1]))
    nearest, other = min(found, key=lambda one: abs(goal - one[0].psnr))
    return replace(nearest, ssim=ssim(pixels, other))


def _lossless(pixels: Pixels) -> dict[str, int]:
    import imagecodecs as ic

    pairs: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
        "JPEG-LS": (ic.jpegls_encode, ic.jpegls_decode),
        "JPEG 2000": (partial(ic.jpeg2k_encode, codecformat="j2k", reversible=True), ic.jpeg2k_decode),
        "JPEG XL": (partial(ic.jpegxl_encode, lossless=True, effort=7, numthreads=1), ic.jpegxl_decode),
    }
    sizes = {}
    for name, (encode, decode) in pairs.items():
        data = encode(pixels)
        if not np.array_equal(decode(data), pixels):
            raise RuntimeError(f"{name} did not come back exactly")
        sizes[name] = len(data) + AEAD_BYTES
    return sizes
