"""Thumbnails: small pictures held against each other by the order of their grey values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medveil.attacks.reidentification.linear_embedding import unit
from medveil.attacks.reidentification.recognizer import (
    Known,
    Learned,
    Recognition,
    RecognizerEffort,
    Scores,
    View,
    Wanted,
)
from medveil.mechanisms.working_pictures import resized

_SIDE = 32


class Thumbnails:
    """Rank correlation (Spearman) of both pictures, brought to 32 × 32 pixels. It learns nothing.

    >>> import numpy as np
    >>> ramp = np.arange(4096, dtype=np.float32).reshape(64, 64) / 16
    >>> found = Thumbnails().scores([View(ramp)], [View(ramp), View(255 - ramp)])
    >>> found.round(2).tolist()
    [[1.0, -1.0]]
    """

    name = "thumbnails"
    title = "thumbnails of 32 pixels, by rank correlation"
    source = ""
    cost = "seconds"
    learns = False
    trains = False
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        return self

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        return np.asarray(_ranks(queries) @ _ranks(gallery).T, np.float32)


def _ranks(views: Sequence[View]) -> Scores:
    """(n, 1024): ranks of the pixels of each, less their mean, of length 1; equal ones share their rank."""
    from scipy.stats import rankdata

    small = np.stack([resized(view.plane, _SIDE, _SIDE).ravel() for view in views])
    ranks = rankdata(small, axis=1).astype(np.float32)
    return unit(ranks - ranks.mean(1, keepdims=True))
