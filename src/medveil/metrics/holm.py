"""Many tests at once: Holm's step-down correction (Holm, Scandinavian Journal of Statistics 6, 1979)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def adjusted(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values after Holm: reject all that are at most alpha, and any false rejection at all has probability ≤ alpha.

    This holds however the tests depend on each other.

    Args:
        p: (m,) p-values, each valid by itself.

    Returns:
        (m,) in the same order, each at least as large as before, at most 1.

    Raises:
        ValueError: a p-value is not in 0 … 1.
    """
    values = _checked(p)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    found = np.empty_like(values)
    found[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return found


def step_levels(p: Sequence[float] | NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The level at which each hypothesis is tested when Holm steps down through them.

    The smallest p is held against alpha/m, the next against alpha/(m − 1), and so on until one is not rejected; that
    one and all after it keep the level of that step. A hypothesis is rejected exactly when p ≤ its level.

    Confidence bounds. Let p_k test "the parameter exceeds margin_k", and let bound_k be the one-sided bound at the
    level given here. Then, with probability ≥ 1 − alpha, *all* of these hold together: each parameter whose hypothesis
    was rejected is within its margin, and each other parameter is within its bound (Guilbaud, Biometrical Journal 50,
    2008; Strassburger and Bretz, Statistics in Medicine 27, 2008). What is not covered together: a bound that lies
    below the margin of a rejected hypothesis. That number is valid by itself at its own level; of all of them at once
    only "within the margin" may be said. Bounds that hold together as numbers need alpha/m throughout (Bonferroni).

    Args:
        p: (m,) p-values, each valid by itself.
        alpha: level of the whole family.

    Returns:
        (m,) levels, alpha/m … alpha, in the order of p.

    Raises:
        ValueError: a p-value is not in 0 … 1.
    """
    values = _checked(p)
    order = np.argsort(values, kind="stable")
    levels = alpha / np.arange(len(values), 0, -1)
    failed = np.flatnonzero(values[order] > levels)
    if len(failed):
        levels[failed[0] :] = levels[failed[0]]
    found = np.empty_like(values)
    found[order] = levels
    return found


def _checked(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise ValueError("p-values are a list of numbers from 0 to 1")
    return values
