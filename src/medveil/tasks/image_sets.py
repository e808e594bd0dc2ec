"""Gallery: the same images in several sets, as they were and as recipients open them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.experiments.cache import ByteCache

ORIGINAL = "original"
"""Name of the set of images as they were."""
_CACHE_BYTES = 1 << 30

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TaskImage:
    """What a task knows of an image beside its pixels.

    Attributes:
        number: of the image.
        patient: number of whose it is.
        source, view: data set and projection as the manifest writes them; empty where it does not.
        label: class as the manifest writes it; empty where it does not.
        fold: train, val, test, or empty.
        spacing: row and column distance in mm, or None.
        masked: whether there is a lung mask.
    """

    number: int
    patient: int
    source: str = ""
    view: str = ""
    label: str = ""
    fold: str = ""
    spacing: tuple[float, float] | None = None
    masked: bool = False


class Gallery:
    """Images, the sets in which they can be seen, and their masks.

    Args:
        images: what is known of each.
        sets: name to a function that gives the pixels of an image by its number: (H, W) float32, grey values
            0 … 255. `original` is one of them; in every set an image has the same size.
        mask: lung mask of an image that is masked, (H, W) bool.
        cache_bytes: most bytes of pixels that are kept in memory.
    """

    def __init__(
        self, images: Sequence[TaskImage], sets: Mapping[str, Callable[[int], Pixels]],
        mask: Callable[[int], Mask], *, cache_bytes: int = _CACHE_BYTES,
    ) -> None:  # fmt: skip
        self.images = tuple(images)
        self._sets = dict(sets)
        self._mask = mask
        self._kept: ByteCache[tuple[str, int], Pixels] = ByteCache(cache_bytes, lambda pixels: pixels.nbytes)

    @property
    def sets(self) -> tuple[str, ...]:
        """Names, the original first."""
        return (ORIGINAL, *(name for name in self._sets if name != ORIGINAL))

    def picture(self, name: str, number: int) -> Pixels:
        """(H, W) float32 grey values 0 … 255 of an image in a set. Opened once, while there is room."""
        return self._kept.get((name, number), lambda: self._sets[name](number))

    def mask(self, number: int) -> Mask:
        """(H, W) bool."""
        return self._mask(number)
