"""pixelate: the mean of each cell of a grid in place of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medveil.anonymizers.anonymizer import Anonymizer, setting
from medveil.anonymizers.planes import averaged, unpadded, with_values
from medveil.images.image import Image


@dataclass(frozen=True)
class Pixelate(Anonymizer):
    """Pixelation. Area means down, nearest neighbour up, so that a cell is one value.

    The comparison of implicit neural obfuscation (its reduction by r, of a picture of side s, is `cells` = s / r; the
    publication does not name its interpolation). Cells are as nearly square as whole numbers of them allow.

    >>> import numpy as np
    >>> from medveil.images.intensity import grey_image
    >>> picture = grey_image(np.array([[0, 2, 8, 8], [4, 2, 8, 8]], np.float32))
    >>> Pixelate(cells=2).apply([picture], bytes(32)).pixels
    array([[2, 2, 8, 8],
           [2, 2, 8, 8]], dtype=uint8)
    """

    name: ClassVar[str] = "pixelate"
    title: ClassVar[str] = "the mean of each cell of a grid"
    promise: ClassVar[str] = "Nothing is promised. It is deterministic: whoever has the image finds its picture again."
    source: ClassVar[str] = "the comparison in implicit neural obfuscation"
    measured: ClassVar[str] = (
        "cells 16, chest radiographs of 128 pixels: matched AUC 0.84 (untouched 0.85), "
        "the very image found first always; see docs/evidence/open-releases.md"
    )
    cost: ClassVar[str] = "about a millisecond a picture"

    cells: int = setting(16, "cells along the longer side", low=1, high=4096)

    def apply(self, images: Sequence[Image], key: bytes) -> Image:
        pixels = unpadded(images[0])
        longer = max(pixels.shape)
        rows, columns = (min(side, max(1, round(self.cells * side / longer))) for side in pixels.shape)
        means = averaged(pixels, rows, columns)
        nearest = [np.arange(side) * cells // side for side, cells in zip(pixels.shape, means.shape, strict=True)]
        return with_values(images[0], means[np.ix_(*nearest)])
