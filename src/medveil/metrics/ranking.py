"""How well a score tells same from different: AUC and its chance by patient, TPR at low FPR, top-k, MAP@R."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.inference import patient_draws, sign_flip_p

_BATCH = 1 << 19

_Floats = NDArray[np.float64]
_Scores = NDArray[np.floating[Any]]
_Counts = NDArray[np.float64] | NDArray[np.int32]


def auc(score: _Scores, same: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties counting half.

    Args:
        score: (n,) of any kind of number without NaN.
        same: (n,) bool, which are positive.

    Returns:
        0 … 1; NaN without a positive or without a negative.

    Raises:
        ValueError: a score is NaN.
    """
    return _auc_of(np.sort(score), score[same])


def tpr_at_fpr(score: _Scores, same: NDArray[np.bool_], fpr: float) -> float:
    """Largest share of positives above a threshold that at most `fpr` of the negatives reach; nothing interpolated."""
    positive, negative = score[same], np.sort(score[~same])
    if not len(positive) or not len(negative):
        return float("nan")
    # Ties fall on the same side of a threshold: only what is strictly above the last negative let through counts.
    allowed = math.floor(fpr * len(negative) + 1e-9)
    if allowed >= len(negative):
        return 1.0
    return float(np.mean(positive > negative[len(negative) - 1 - allowed]))


def share_below(values: _Scores, others: _Scores) -> _Floats:
    """(n,) share of the others below each value, equal ones half; of positives among negatives the mean is the AUC."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")
    return below / (2 * len(ranked))


def auc_draws(score: _Scores, positive: NDArray[np.bool_], weights: NDArray[np.floating[Any]]) -> _Floats:
    """AUC in which each thing counts as often as it was drawn, many resamples at once, ties half.

    Args:
        score: (n,) without NaN, the higher the more positive.
        positive: (n,) which are.
        weights: (resamples, n) how often each counts.

    Returns:
        (resamples,) AUC; NaN where no positive or no negative counts.
    """
    counts = np.asarray(weights.T, np.float64)
    order = np.argsort(score[~positive], kind="stable")
    return _weighted(score[positive], score[~positive][order], counts[positive], counts[~positive][order])


def bootstrap_auc(
    score: _Scores, same: NDArray[np.bool_], patients: NDArray[np.int64], resamples: int,
    generator: np.random.Generator, everybody: NDArray[np.int64] | None = None,
) -> _Floats:  # fmt: skip
    """AUC of pairs among as many patients as there are, drawn with replacement.

    A patient drawn w times brings the own pairs w times, and each pair with a patient drawn v times w·v times; nobody
    is paired with a second draw of the same patient. Draws without any pair of one kind are drawn again.

    Args:
        score: (P,) likeness of the pair.
        same: (P,) bool, whether both images are of one patient.
        patients: (P, 2) whose images.
        everybody: who is drawn from, where that is more than those who have a pair: of two measures of the same people
            the same ones are then drawn. Further people of the pairs are drawn apart from them.

    Raises:
        ValueError: there is no pair of one kind.
    """
    if same.all() or not same.any():
        raise ValueError("an AUC needs pairs of one patient and pairs of two")
    names = np.unique(patients if everybody is None else everybody)
    others = np.setdiff1d(patients, names)
    index = np.where(
        np.isin(patients, others), len(names) + np.searchsorted(others, patients), np.searchsorted(names, patients)
    )
    apart = generator.spawn(1)[0]
    order = np.argsort(score[~same], kind="stable")
    first, second, owner = index[~same, 0][order], index[~same, 1][order], index[same, 0]
    columns = max(1, _BATCH // max(len(score), len(names) + len(others)))
    found: list[_Floats] = []
    done = 0
    while done < resamples:
        # One draw a column: every step then runs along memory.
        draws = [patient_draws(len(names), columns, generator)]
        draws += [patient_draws(len(others), columns, apart)] if len(others) else []
        drawn = np.concatenate(draws, axis=1).T.astype(np.int32)
        values = _weighted(score[same], score[~same][order], drawn[owner], drawn[first] * drawn[second])
        found.append(values[np.isfinite(values)])
        done += len(found[-1])
    return np.concatenate(found)[:resamples]


def permuted_auc_p(
    score: _Scores, same: NDArray[np.bool_], patients: NDArray[np.int64], resamples: int,
    generator: np.random.Generator
) -> float:  # fmt: skip
    """One-sided p of "pairs of one patient score higher than pairs of two", by sign flips of whole patients.

    Pairs share images and patients: shuffling `same` over the pairs would take them for independent and be too sure.
    Shuffling which image is whose needs the score of every pair, which pairs that were chosen do not give. So AUC − ½
    is written as a sum with one term a patient: how far the own pairs lie above the middle of the negatives, which is
    what the null makes 0, and how far the negatives with this patient in them move the AUC from where it is (their
    part of the first-order influence function, which sums to 0 over patients, and is there so that images that look
    like everything or like nothing are not taken for luck). The terms of two patients are independent but for
    terms of second order, and `sign_flip_p` judges their sum. With one term that carries everything p is no less than
    ½, however many negatives there are. Approximate where terms are skewed; simulated in tests/metrics/test_ranking.py.

    Args and raises: as `bootstrap_auc`. The smallest p is 1/2^(patients that have a pair of their own), about.
    """
    if same.all() or not same.any():
        raise ValueError("an AUC needs pairs of one patient and pairs of two")
    names, index = np.unique(patients, return_inverse=True)
    index = index.reshape(patients.shape)
    own = share_below(score[same], score[~same])
    others = share_below(-score[~same], -score[same])  # share of the positives above each negative
    value = float(own.mean())
    terms: _Floats = np.bincount(index[same, 0], (own - 0.5) / len(own), len(names)).astype(np.float64)
    for side in (0, 1):
        terms += np.bincount(index[~same, side], (others - value) / len(others), len(names))
    return sign_flip_p(terms, np.arange(len(names)), resamples, generator)


def top_k(scores: _Scores, same: NDArray[np.bool_], ks: Sequence[int]) -> dict[int, float]:
    """Share of queries with an image of the same patient among their first k guesses.

    Args:
        scores, same, ks: as of `top_k_each`. Queries without a match are left out.

    Returns:
        k to share, NaN where no query has a match.
    """
    found = top_k_each(scores, same, ks)
    return {k: _mean_of_known(found[:, place]) for place, k in enumerate(ks)}


def top_k_each(scores: _Scores, same: NDArray[np.bool_], ks: Sequence[int]) -> _Floats:
    """For each query the chance that an image of the same patient is among its first k guesses.

    Equal scores are ordered by chance, and the chance itself is computed: who scores all alike gets k/gallery for one
    match, whatever the order of the gallery.

    Args:
        scores: (Q, G) likeness of gallery image to query; NaN where the image is not in this query's gallery (itself).
        same: (Q, G) bool, of the same patient.
        ks: which k.

    Returns:
        (Q, k) 0 … 1; NaN for a query without a match.
    """
    found = np.full((len(scores), len(ks)), np.nan)
    for number, (row, match) in enumerate(zip(scores, same, strict=True)):
        present = ~np.isnan(row)
        right = match & present
        if not right.any():
            continue
        best = row[right].max()
        ahead, tied = int(np.sum(row[present] > best)), row == best
        ties, good = int(tied.sum()), int((tied & right).sum())
        for place, k in enumerate(ks):
            places = min(max(k - ahead, 0), ties)
            found[number, place] = 1 - math.comb(ties - good, places) / math.comb(ties, places)
    return found


def chance_of_top_k(matches: int, gallery: int, k: int) -> float:
    """Chance that one of the matches is among k images of the gallery that are drawn without looking.

    >>> round(chance_of_top_k(1, 100, 5), 4), chance_of_top_k(2, 4, 1)
    (0.05, 0.5)
    """
    drawn = min(k, gallery)
    return 1 - math.comb(gallery - matches, drawn) / math.comb(gallery, drawn)


def map_at_r(scores: _Scores, same: NDArray[np.bool_]) -> float:
    """Mean over queries of (1/R)·Σ precision at i over the hits i ≤ R, where R images match the query (Musgrave 2020).

    Args and queries left out: as `top_k`. Among equal scores the wrong ones go first.
    """
    return _mean_of_known(average_precisions(scores, same, at_r=True))


def average_precisions(scores: _Scores, same: NDArray[np.bool_], *, at_r: bool = False) -> _Floats:
    """For each query (1/R)·Σ precision at i over the hits i, where R images match: the mean of them is mAP.

    Args:
        scores, same: as of `top_k_each`. Among equal scores the wrong ones go first.
        at_r: only over the hits among the first R guesses, as in MAP@R.

    Returns:
        (Q,) 0 … 1; NaN for a query without a match.

    >>> average_precisions(np.array([[3.0, 2.0, 1.0]]), np.array([[True, False, True]])).round(4).tolist()
    [0.8333]
    """
    found = np.full(len(scores), np.nan)
    for number, (row, match) in enumerate(zip(scores, same, strict=True)):
        present = ~np.isnan(row)
        right = match[present]
        wanted = int(right.sum())
        if wanted:
            hits = right[np.lexsort((right, -row[present]))][: wanted if at_r else len(right)]
            found[number] = float(np.sum(hits * np.cumsum(hits) / np.arange(1, len(hits) + 1)) / wanted)
    return found


def _mean_of_known(values: _Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else float("nan")


def _auc_of(ranked: _Scores, positive: _Scores) -> float:
    """AUC from all scores in order and those of the positives among them: their mid-ranks by bisection.

    Sorting plain numbers is several times quicker than finding the order that sorts them.
    """
    if len(ranked) and np.isnan(ranked[-1]):
        raise ValueError("a score is NaN")
    others = len(ranked) - len(positive)
    if not len(positive) or not others:
        return float("nan")
    positive = np.sort(positive)
    twice = np.searchsorted(ranked, positive, "left") + np.searchsorted(ranked, positive, "right") + 1
    wins = float(twice.sum()) / 2 - len(positive) * (len(positive) + 1) / 2
    return wins / (len(positive) * others)


def _weighted(positive: _Scores, negative: _Scores, own: _Counts, other: _Counts) -> _Floats:
    """(k,) AUC of k resamples; NaN where nothing of one kind counts.

    Args:
        positive, negative: scores, those of the negatives rising.
        own, other: (positives, k) and (negatives, k) how often each counts.
    """
    low, high = (np.searchsorted(negative, positive, side) for side in ("left", "right"))
    running = np.zeros((len(negative) + 1, own.shape[1]), other.dtype)
    np.cumsum(other, axis=0, out=running[1:])
    counts = own.astype(np.float64)
    pairs = counts.sum(axis=0) * running[-1]
    below = np.sum(counts * (running[low] + running[high]), axis=0) / 2
    found: _Floats = np.divide(below, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return found
