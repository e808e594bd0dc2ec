"""Simple guesses: what can be said of a class without looking at a picture, as the baseline of every classifier."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Numbers = NDArray[np.int64]


def guess_by_group(
    groups: Sequence[Hashable], targets: _Numbers, classes: int, learned: _Numbers, asked: _Numbers
) -> _Floats:
    """How often each class was seen in an image's group: of view, or of data set.

    Args:
        groups: of each image.
        targets: class of each image.
        classes: how many there are.
        learned, asked: indices of the images that are learned from, and that are guessed.

    Returns:
        (asked, classes) log of the probability. Each group counts one image more, shared out as the classes are in all.
    """
    whole = np.bincount(targets[learned], minlength=classes) + 1.0
    counts: dict[Hashable, _Floats] = {}
    for index in learned:
        row = counts.setdefault(groups[index], whole / whole.sum())
        row[targets[index]] += 1
    table = np.array([counts.get(groups[index], whole) for index in asked]).reshape(len(asked), classes)
    found: _Floats = np.log(table / table.sum(axis=1, keepdims=True))
    return found


def guess_by_size(
    shapes: NDArray[np.float64], targets: _Numbers, classes: int, learned: _Numbers, asked: _Numbers
) -> _Floats:
    """What height and width alone tell, by logistic regression on their logarithms, squares and product.

    Args:
        shapes: (images, 2) height and width in pixels.
        Others as in `guess_by_group`.

    Returns:
        (asked, classes) log of the probability; of a class that was not learned, that of one in a million.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    logs = np.log(shapes)
    model = make_pipeline(
        PolynomialFeatures(2, include_bias=False), StandardScaler(), LogisticRegression(max_iter=1000)
    )
    found = np.full((len(asked), classes), np.log(1e-6))
    seen = np.unique(targets[learned])
    if len(seen) < 2 or not len(asked):
        return found
    model.fit(logs[learned], targets[learned])
    found[:, seen] = model.predict_log_proba(logs[asked])
    return found
