"""How well scores of cells tell the true entries of a code: AUC, and bits recovered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap
from medveil.mechanisms.observation import Shown
from medveil.metrics.ranking import auc


def cell_figures(
    scores: Sequence[NDArray[np.float32]], maps: Sequence[CodeMap], shown: Sequence[Shown], *, in_place: bool
) -> dict[str, float]:
    """AUC of true against other cells, and bits recovered.

    Candidates are the shown cells where entries are shown in their own cells among others; else all cells of the map.
    A map's AUC weighs as much as it has true entries. Bits recovered are, over all maps, (true entries among the S best
    scored candidates) × log2(N / S), with S true entries among N candidates; equal scores share their place.

    Args:
        scores: for each map a score a cell; cells without one count as the least likely.
        maps: the true code.
        shown: what everybody sees of it, or nothing.
        in_place: whether entries are shown in their own cells.

    Returns:
        support_auc and recovered_bits; empty where no map has both true and other candidates.
    """
    weighted, entries, bits = 0.0, 0, 0.0
    for number, (score, true) in enumerate(zip(scores, maps, strict=False)):
        is_true = np.zeros(true.cells, bool)
        is_true[true.positions] = True
        every = _fitted(score, true.cells)
        among = shown[number].positions if in_place and number < len(shown) else None
        if among is not None and _holds(among, true):
            every, is_true = every[among], is_true[among]
        count = int(is_true.sum())
        if not 0 < count < len(is_true):
            continue
        weighted += count * auc(every, is_true)
        entries += count
        bits += hits(every, is_true) * float(np.log2(len(is_true) / count))
    return {"support_auc": weighted / entries, "recovered_bits": bits} if entries else {}


def hits(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Positives among as many best scores as there are positives; of equal scores the share that is left to fill."""
    count = int(positive.sum())
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    surely, equal = scores > least, scores == least
    left = count - int(surely.sum())
    return float(positive[surely].sum()) + left * float(positive[equal].mean())


def _fitted(score: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Scores of just so many cells: another package of the same size class may have a few more or fewer."""
    sound = np.nan_to_num(score[:cells].astype(np.float32), nan=-np.inf)
    missing = cells - len(sound)
    return np.concatenate([sound, np.full(missing, -np.inf, np.float32)]) if missing else sound


def _holds(shown: NDArray[np.int64], true: CodeMap) -> bool:
    """Whether the shown cells are more than the true ones, and hold all of them."""
    return len(shown) > len(true.positions) and bool(np.isin(true.positions, shown).all())
