"""Intensity: stored values of any depth to the grey values 0 … 255 of 8 bits, and back. No other place does this."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.images.image import FileKind, Image, Source
from medveil.metrics.image_quality import PEAK

Range = tuple[float, float]
"""Lowest and highest stored value: what becomes 0 and 255."""
Kind = type[np.floating[Any]]


def grey(
    pixels: NDArray[np.generic], values: Range, *, offset: float | None = None, kind: Kind = np.float64
) -> NDArray[Any]:  # fmt: skip
    """Stored values as grey values, neither rounded nor clipped.

    Args:
        pixels: integer, of any shape.
        values: the range that spans 255 grey values.
        offset: stored value that becomes 0; the lowest of the range where none is given.
        kind: float type in which it is reckoned and given.
    """
    low, high = values
    start = low if offset is None else offset
    return np.asarray((pixels.astype(kind) - kind(start)) * kind(PEAK / max(high - low, 1.0)))


def grey_of(image: Image, kind: Kind = np.float64) -> NDArray[Any]:
    """(height, width) of an image of one grey frame, by the range that its depth allows."""
    return grey(image.pixels, image.value_range, kind=kind)


def stored(
    grey_values: NDArray[np.floating[Any]], values: tuple[int, int], offset: float, dtype: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Inverse of `grey`, rounded to the nearest integer and clipped to the range."""
    low, high = values
    found = grey_values.astype(np.float64) * ((high - low) / PEAK) + offset
    return np.asarray(np.clip(np.rint(found), low, high).astype(dtype))


def grey_image(grey_values: NDArray[np.floating[Any]]) -> Image:
    """(height, width) grey values as an 8-bit image that comes from no file."""
    pixels = np.clip(np.rint(grey_values), 0, PEAK).astype(np.uint8)
    return Image.of_pixels(np.ascontiguousarray(pixels), 8, Source(FileKind.PNG, b""))


def unit_line(image: Image) -> tuple[float, float]:
    """Gain and offset that bring stored values to 0 … 1 by the range that the image's depth allows."""
    low, high = image.value_range
    return 1 / (high - low), -low / (high - low)
