"""Fusion: several attackers' likeness of the same pictures as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medveil.attacks.reidentification.recognizer import Scores

_TO_DEVIATION = 1.4826  # of a normal distribution: its standard deviation over its median absolute deviation


def fused(matrices: Sequence[Scores], reference: Sequence[Scores] = ()) -> Scores:
    """The sum of what each attacker says, each less its median and in units of its own spread (a robust z-score).

    Most pairs are of two people, so the median and the median absolute deviation are theirs; where more than half of
    all values are equal, the spread is the standard deviation instead. An attacker who says the same of all pairs adds
    nothing. Likeness has other values in each data set and view: fuse each of them by itself.

    Args:
        matrices: of the same queries and gallery, one an attacker; NaN where a pair was not looked at.
        reference: where given, one for each of `matrices`, of any shape: the same attackers' likeness of people of
            her own, whose median and spread are taken instead.

    Returns:
        (queries, gallery); NaN where any attacker has not looked at the pair, since a sum of fewer would be less.

    Raises:
        ValueError: there is no matrix, or shapes or numbers of matrices differ.

    >>> import numpy as np
    >>> thumbnails, key_points = np.float32([[0.1, 0.2, 0.9]]), np.float32([[4, 5, np.nan]])
    >>> [f"{value:.2f}" for value in fused([thumbnails, key_points])[0]]
    ['-1.35', '0.67', 'nan']
    """
    if not matrices or len({matrix.shape for matrix in matrices}) > 1:
        raise ValueError(f"a fusion needs matrices of one shape, not {[matrix.shape for matrix in matrices]}")
    if reference and len(reference) != len(matrices):
        raise ValueError(f"{len(matrices)} matrices need as many references, not {len(reference)}")
    total = np.zeros(matrices[0].shape, np.float64)
    for matrix, known in zip(matrices, reference or matrices, strict=True):
        middle, spread = _normal(known)
        total += (matrix - middle) / spread
    return total.astype(np.float32)


def _normal(matrix: Scores) -> tuple[float, float]:
    """Median and spread of what was looked at; a spread of 1 where all is equal."""
    values = matrix[np.isfinite(matrix)].astype(np.float64)
    if not len(values):
        return 0.0, 1.0
    middle = float(np.median(values))
    spread = _TO_DEVIATION * float(np.median(np.abs(values - middle))) or float(values.std())
    return middle, spread or 1.0
