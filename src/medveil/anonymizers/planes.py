"""What methods do to the plane of an image: take out padding, average areas, sample between pixels, and grey it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.images import is_inverted
from medveil.images.image import Image
from medveil.images.intensity import grey
from medveil.metrics.image_quality import PEAK

Plane = NDArray[np.float32]
"""(height, width) values as they are stored, or grey values 0 … 255."""
_TAILS = (0.5, 99.5)  # percentiles of the stored values that become black and white


def unpadded(image: Image, instead: int | None = None) -> NDArray[np.generic]:
    """The stored values, (height, width), with others where there is no data.

    Where a picture has no data is a shape of its own, which no method here would change.

    Args:
        image: any.
        instead: the value there; the lowest that there is elsewhere where none is given.
    """
    pixels = image.pixels
    if image.padding is None:
        return pixels
    low, high = image.padding
    values = pixels.astype(np.int32)
    empty = (values >= low) & (values <= high)
    if not empty.any():
        return pixels
    if instead is None:
        instead = pixels[~empty].min() if not empty.all() else image.value_range[0]
    return np.where(empty, instead, pixels).astype(pixels.dtype)


def with_values(image: Image, values: NDArray[np.floating]) -> Image:
    """The image with these values as pixels, rounded and clipped to what its depth allows; it has no padding."""
    low, high = image.value_range
    pixels = np.clip(np.rint(values), low, high).astype(image.frames.dtype)
    return image.with_pixels(np.ascontiguousarray(pixels), padding=None)


def averaged(plane: NDArray[np.generic], rows: int, columns: int) -> Plane:
    """The means of rows × columns equal areas; an area may begin and end within a pixel."""
    from PIL import Image as Pillow

    whole = Pillow.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(whole.resize((columns, rows), Pillow.Resampling.BOX), np.float32)


def sampled(plane: Plane, rows: Plane, columns: Plane) -> Plane:
    """The values at these places, linear between pixels; beyond the border that of the border.

    Args:
        plane: (height, width).
        rows, columns: places of any shape, (0, 0) in the middle of the first pixel.

    Returns:
        The shape of `rows`.
    """
    height, width = plane.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top = np.minimum(rows.astype(np.int32), max(height - 2, 0))
    left = np.minimum(columns.astype(np.int32), max(width - 2, 0))
    down, right = rows - top, columns - left
    flat, first = plane.ravel(), top * width + left
    below, beside = (width if height > 1 else 0), (1 if width > 1 else 0)
    upper = flat[first] * (1 - right) + flat[first + beside] * right
    lower = flat[first + below] * (1 - right) + flat[first + below + beside] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def enlarged(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """A plane of samples, the outer ones on the border, at another size, linear between samples."""
    places = [np.linspace(0, count - 1, side, dtype=np.float32) for count, side in zip(plane.shape, shape, strict=True)]
    rows, columns = np.meshgrid(*places, indexing="ij")
    return sampled(plane, rows, columns)


def displaced(image: Image, down: Plane, right: Plane) -> Image:
    """The image with each pixel taken from elsewhere: so many pixels further down and to the right."""
    height, width = image.pixels.shape
    rows = np.arange(height, dtype=np.float32)[:, None] + down
    columns = np.arange(width, dtype=np.float32)[None, :] + right
    return with_values(image, sampled(unpadded(image).astype(np.float32), rows, columns))


def square(image: Image, side: int) -> Plane:
    """(side, side) grey values: the whole picture, each axis by itself brought to that size, in its own range.

    The 0.5 % darkest pixels are black and the 0.5 % brightest white, so that pictures of any depth can be mixed; what
    is stored inverted (MONOCHROME1) is turned.
    """
    pixels = unpadded(image)
    low, high = (float(value) for value in np.percentile(pixels.astype(np.float32), _TAILS))
    scaled = np.clip(grey(pixels, (low, high), kind=np.float32), 0.0, PEAK)
    return averaged(PEAK - scaled if is_inverted(image) else scaled, side, side)
