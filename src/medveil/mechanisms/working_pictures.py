"""Working pictures: every picture of an audit at one size and in one range, so that attackers can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.planes import averaged
from medveil.codecs.code import Bucket
from medveil.images.intensity import grey
from medveil.mechanisms.observation import Picture
from medveil.metrics.image_quality import PEAK


@dataclass(frozen=True)
class Window:
    """Which stored values count as 0 and as 255 in working pictures.

    Attributes:
        low, high: stored values; (0, 255) for images of 8 bits.
    """

    low: float = 0.0
    high: float = 255.0


def resized(plane: NDArray[np.float32], rows: int, columns: int, *, smooth: bool = False) -> Picture:
    """A plane at another size: means of areas, or, smooth, linear between pixels."""
    from PIL import Image as Pillow

    if plane.shape == (rows, columns):
        return plane
    if not smooth:
        return averaged(plane, rows, columns)
    whole = Pillow.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(whole.resize((columns, rows), Pillow.Resampling.BILINEAR), np.float32)


def working_picture(pixels: NDArray[np.generic], bucket: Bucket, window: Window, side: int) -> Picture:
    """Pixels as a working picture.

    The picture is continued by its last row and column up to the bucket's size, which everybody sees, and the bucket is
    then reduced by area means to side × side; so pictures of one bucket lie over each other pixel for pixel. Pixels
    of the working size already are one: controls publish working pictures, whose bucket may be larger.

    Args:
        pixels: (height, width), no larger than the bucket.
        bucket: public size class.
        window: the range that becomes 0 … 255; values beyond are clipped.
        side: S.

    Returns:
        (S, S) float32.
    """
    scaled = grey(pixels, (window.low, window.high), kind=np.float32)
    height, width = scaled.shape
    clipped: Picture = np.clip(scaled, 0.0, PEAK)
    if height == width == side:
        return clipped
    padded = np.pad(clipped, ((0, bucket.height - height), (0, bucket.width - width)), mode="edge")
    return resized(padded, side, side)
