"""AUC of resampled patients, many resamples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]


def auc_draws(score: _Floats, positive: NDArray[np.bool_], weights: NDArray[np.floating[Any]]) -> _Floats:
    """AUC in which each image counts as often as its patient was drawn, ties half.

    Args:
        score: (n,) without NaN, the higher the more positive.
        positive: (n,) which are.
        weights: (resamples, n) how often each counts.

    Returns:
        (resamples,) AUC; NaN where no positive or no negative counts.
    """
    order = np.argsort(score, kind="stable")
    ranked, sign = score[order], positive[order]
    counts = np.asarray(weights, np.float64)[:, order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    above = np.add.reduceat(counts * sign, first, axis=1)
    below = np.add.reduceat(counts * ~sign, first, axis=1)
    wins = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    pairs = above.sum(axis=1) * below.sum(axis=1)
    found: _Floats = np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0)
    return found
