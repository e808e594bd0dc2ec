"""MS-SSIM: two pictures held against each other by structural similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medveil.attacks.reidentification.recognizer import (
    Known,
    Learned,
    Plane,
    Recognition,
    RecognizerEffort,
    Scores,
    View,
    Wanted,
    pair_by_pair,
)
from medveil.mechanisms.working_pictures import resized
from medveil.metrics.image_quality import MS_SSIM_SIDE, PEAK, SSIM_SIDE, ms_ssim


class MsSsim:
    """Structural similarity of both pictures at five scales, with which Privacy-Net's authors attack by a threshold.

    All pictures are brought to 176 × 176 pixels, the least that five scales take; where one is smaller than that, all
    are brought to its size, and there are fewer scales. Differences: the likeness is told as it is, and where the
    threshold stands is whoever judges it to say; the publication names MS-SSIM, but its code takes one scale of one
    crop.

    >>> import numpy as np
    >>> ramp = np.arange(4096, dtype=np.float32).reshape(64, 64) / 16
    >>> found = MsSsim().scores([View(ramp)], [View(ramp), View(255 - ramp)])
    >>> found.round(2).tolist()
    [[1.0, 0.0]]
    """

    name = "ms-ssim"
    title = "structural similarity at five scales"
    source = "Kim et al., IEEE TMI 2021, Privacy-Net"
    cost = "three milliseconds a pair"
    learns = False
    trains = False
    pairwise = True

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        return self

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        smallest = min(min(view.plane.shape) for view in (*queries, *gallery))
        side = min(max(smallest, SSIM_SIDE), MS_SSIM_SIDE)
        scales = 1 + int(np.log2(side / SSIM_SIDE))
        pictures = {id(view): _square(view.plane, side) for view in (*queries, *gallery)}
        return pair_by_pair(
            queries, gallery, wanted, lambda one, two: ms_ssim(pictures[id(one)], pictures[id(two)], PEAK, scales)
        )


def _square(plane: Plane, side: int) -> Plane:
    clean = np.clip(np.nan_to_num(plane), 0.0, PEAK).astype(np.float32)
    return resized(clean, side, side, smooth=True)
