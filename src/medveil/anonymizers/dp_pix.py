"""dp-pix: pixelation with discrete Laplace noise, which is differentially private for m pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.anonymizer import Anonymizer, setting
from medveil.anonymizers.planes import unpadded, with_values
from medveil.errors import UsageError
from medveil.images.image import Image
from medveil.protection.keystream import Keystream, Stream, bounded

_MAX_SCALE = 1 << 50  # of the noise, so that what is drawn stays far below 2**62


@dataclass(frozen=True)
class DPPix(Anonymizer):
    """DP-Pix (Fan 2018): the sum of each b × b cell with noise of scale m (2**bits - 1) / ε, divided by its pixels.

    Two pictures are neighbours if at most m pixels differ; then this is ε-differentially private for them (Laplace
    mechanism: a sum changes by at most 2**bits - 1 a pixel, and the sums together by m times that).

    Differences from the publication: noise is drawn on integer sums from the discrete Laplace distribution, exactly
    (Canonne, Kamath and Steinke 2020), since rounded noise of floating point can be told apart; the cells at the right
    and at the bottom border may be smaller, instead of cutting the picture; padding becomes the
    lowest value that the depth allows: a shape of no data would show where no noise is, and a value that is taken from
    the picture would hang on single pixels. Size, depth and what else a file says are not covered by ε.

    >>> from medveil.images.image import Image
    >>> DPPix(b=8, epsilon=Fraction(1, 10), m=1).scale(8)
    Fraction(2550, 1)
    """

    name: ClassVar[str] = "dp-pix"
    title: ClassVar[str] = "pixelation with discrete Laplace noise"
    promise: ClassVar[str] = (
        "ε-differential privacy for m pixels of a picture, and no more for a person; releases add up."
    )
    source: ClassVar[str] = "Fan 2018, Image pixelization with differential privacy"
    measured: ClassVar[str] = (
        "b 8 epsilon 1 m 16, chest radiographs of 128 pixels: matched AUC 0.73 over several releases (untouched 0.85), "
        "the very image found first in 35 %; see docs/evidence/open-releases.md"
    )
    cost: ClassVar[str] = "milliseconds a picture, the more the smaller b"
    secret: ClassVar[bool] = True

    b: int = setting(16, "side of a cell in pixels", low=1, high=4096)
    epsilon: Fraction = setting(Fraction(1), "ε for m pixels", low="0.001", high=1000)
    m: int = setting(16, "pixels in which neighbouring pictures differ", low=1, high=1 << 24)

    def scale(self, bits: int) -> Fraction:
        """Scale of the noise of a cell's sum, for pictures of this depth."""
        return Fraction(self.m * ((1 << bits) - 1)) / self.epsilon

    @property
    def spends(self) -> Fraction:
        return self.epsilon

    def epsilon_of(self, image: Image) -> Fraction:
        """ε of the whole picture: two people's pictures may differ in all pixels, which is that many times m."""
        return self.epsilon * -(-image.pixels.size // self.m)

    def apply(self, images: Sequence[Image], key: bytes) -> Image:
        image = images[0]
        lowest = image.value_range[0]
        sums, counts = _cells(unpadded(image, lowest).astype(np.int64) - lowest, self.b)
        noise = discrete_laplace(Keystream(key, "anonymize/dp-pix"), self.scale(image.bits_stored), sums.size)
        means = (sums + noise.reshape(sums.shape)) / counts + lowest
        height, width = image.pixels.shape
        whole = np.repeat(np.repeat(means, self.b, axis=0), self.b, axis=1)
        return with_values(image, whole[:height, :width])


def _cells(values: NDArray[np.int64], side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sum and the number of pixels of each cell; those at the right and the bottom border may be smaller."""
    starts = [np.arange(0, length, side) for length in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    sizes = [np.diff([*start, length]) for start, length in zip(starts, values.shape, strict=True)]
    return sums, np.multiply.outer(*sizes)


def discrete_laplace(stream: Stream, scale: Fraction, count: int) -> NDArray[np.int64]:
    """Integers x with probability proportional to exp(-|x| / scale), exactly.

    Canonne, Kamath and Steinke 2020, The discrete Gaussian for differential privacy, algorithm 2, for many at once: no
    floating point is used.

    Raises:
        UsageError: the scale is beyond what can be drawn.
    """
    top, bottom = scale.numerator, scale.denominator
    if top > _MAX_SCALE:
        raise UsageError(
            f"noise of scale {float(scale):.3g} cannot be drawn", hint="use a larger epsilon, or one of fewer digits"
        )
    kept: list[NDArray[np.int64]] = []
    missing = count
    while missing:
        rest = bounded(stream, top, missing)
        rest = rest[_accepted(stream, rest, top)]
        size = (rest + top * _runs(stream, len(rest))) // bottom
        minus = bounded(stream, 2, len(size)).astype(bool)
        drawn = np.where(minus, -size, size)[~(minus & (size == 0))]
        kept.append(drawn[:missing])
        missing -= len(kept[-1])
    return np.concatenate([*kept, np.empty(0, np.int64)])


def _accepted(stream: Stream, rest: NDArray[np.int64], top: int) -> NDArray[np.bool_]:
    """For each whether a coin of probability exp(-rest / top) falls on heads: the alternating series, as coins."""
    odd = np.zeros(len(rest), bool)
    going, step = np.arange(len(rest)), 1
    while len(going):
        going = going[bounded(stream, top * step, len(going)) < rest[going]]
        odd[going] ^= True
        step += 1
    return ~odd


def _runs(stream: Stream, count: int) -> NDArray[np.int64]:
    """How often in a row a coin of probability exp(-1) falls on heads, for so many rows."""
    lengths = np.zeros(count, np.int64)
    going = np.arange(count)
    while len(going):
        going = going[_accepted(stream, np.ones(len(going), np.int64), 1)]
        lengths[going] += 1
    return lengths
