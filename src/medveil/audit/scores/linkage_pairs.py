"""Linkage: do two packages show one patient? Pairs within one stratum and visible header only, so that data set, view
and visible size can neither count as leakage nor hide it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.audit.protocol import header_of
from medveil.audit.results import Pairs
from medveil.mechanisms.observation import Case
from medveil.metrics.ranking import share_below, top_k, tpr_at_fpr

MOST_NEGATIVES = 20_000
RATES = (0.01, 0.001)
_TOPS = (1, 5)
_Index = NDArray[np.int64]


def linkage(
    cases: Sequence[Case], embeddings: Sequence[NDArray[np.float32] | None], generator: np.random.Generator
) -> tuple[Pairs | None, dict[str, float]]:
    """Pairs of images under attack with their likeness, and figures of identification.

    Args:
        cases: images under attack.
        embeddings: the attacker's, one a case; None where it has none.
        generator: draws the pairs of two patients, where there are more than 20,000.

    Returns:
        Pairs, None where no two images of one patient, or of two, can be compared; and figures: tpr_at_fpr_… (where
        there are enough pairs for such a rate), top_1, top_5, top_1_by_chance, gallery (its mean size), queries.
    """
    groups = _groups(cases, embeddings)
    one, other, group = _all_pairs(groups)
    patients = np.array([case.subject.patient for case in cases], np.int64)
    same = patients[one] == patients[other]
    if not same.any() or same.all():
        return None, {}
    kept = np.sort(np.concatenate([np.flatnonzero(same), _some(np.flatnonzero(~same), generator)]))
    one, other, same, group = one[kept], other[kept], same[kept], group[kept]
    unit = {index: _unit(embedding) for index, embedding in enumerate(embeddings) if embedding is not None}
    score = np.array([float(unit[a] @ unit[b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)], np.float32)
    level, sound = _levelled(score, same, group)
    if not same[sound].any():
        return None, {}
    pairs = Pairs(level[sound], same[sound], np.stack([patients[one], patients[other]], axis=1)[sound])
    return pairs, rates(pairs) | _identification(groups, unit, patients)


def rates(pairs: Pairs) -> dict[str, float]:
    """Share of pairs of one patient above all but so few of the pairs of two; where there are enough of these."""
    negatives = int((~pairs.same).sum())
    return {
        f"tpr_at_fpr_{rate:g}": tpr_at_fpr(pairs.score, pairs.same, rate) for rate in RATES if rate * negatives >= 1
    }


def _groups(cases: Sequence[Case], embeddings: Sequence[NDArray[np.float32] | None]) -> list[_Index]:
    """Indices of comparable images: of one stratum and visible header, with embeddings of one length."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for index, (case, embedding) in enumerate(zip(cases, embeddings, strict=True)):
        if embedding is not None:
            found[case.subject.stratum, header_of(case.observation), embedding.size].append(index)
    return [np.array(group, np.int64) for group in found.values()]


def _all_pairs(groups: Sequence[_Index]) -> tuple[_Index, _Index, _Index]:
    """(one, other, number of their group) of every pair within a group."""
    ones, others, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for number, group in enumerate(groups):
        upper, lower = np.triu_indices(len(group), 1)
        ones.append(group[upper])
        others.append(group[lower])
        numbers.append(np.full(len(upper), number, np.int64))
    return np.concatenate(ones), np.concatenate(others), np.concatenate(numbers)


def _levelled(
    score: NDArray[np.float32], same: NDArray[np.bool_], group: _Index
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Likeness as the share of the group's pairs of two patients that are less alike, equal ones counting half; and
    which pairs have any to be held against.

    Groups differ in how alike their images are and in how many patients come twice. Pooled as it is, likeness would
    count that as leakage, or hide leakage behind it.
    """
    level, sound = np.zeros(len(score), np.float32), np.zeros(len(score), bool)
    for number in np.unique(group):
        own = group == number
        if (own & ~same).any():
            level[own] = share_below(score[own], score[own & ~same])
            sound[own] = True
    return level, sound


def _some(negatives: _Index, generator: np.random.Generator) -> _Index:
    if len(negatives) <= MOST_NEGATIVES:
        return negatives
    return generator.choice(negatives, MOST_NEGATIVES, replace=False)


def _unit(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of length 1; zeros where it is zero or not a number."""
    flat = np.nan_to_num(embedding.astype(np.float64).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
    length = float(np.linalg.norm(flat))
    return flat / length if length else flat


def _identification(
    groups: Sequence[_Index], unit: dict[int, NDArray[np.float64]], patients: _Index
) -> dict[str, float]:
    """Is the likeliest other image of the stratum one of the same patient?"""
    tops: dict[int, list[float]] = {top: [] for top in _TOPS}
    chances, sizes = [], []
    for group in groups:
        vectors = np.stack([unit[index] for index in group.tolist()])
        likeness = np.round(vectors @ vectors.T, 6)  # what differs less is rounding
        np.fill_diagonal(likeness, np.nan)
        same = (patients[group][:, None] == patients[group]) & ~np.eye(len(group), dtype=bool)
        asked = same.any(axis=1) & (same.sum(axis=1) < len(group) - 1)  # somebody to find, and to mistake for
        for row in np.flatnonzero(asked).tolist():
            for top, share in top_k(likeness[[row]], same[[row]], _TOPS).items():
                tops[top].append(share)
            chances.append(float(same[row].sum()) / (len(group) - 1))
            sizes.append(len(group) - 1)
    if not sizes:
        return {}
    found = {f"top_{top}": float(np.mean(shares)) for top, shares in tops.items()}
    return found | {
        "top_1_by_chance": float(np.mean(chances)), "gallery": float(np.mean(sizes)), "queries": float(len(sizes)),
    }  # fmt: skip
