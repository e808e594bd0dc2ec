"""How often a shown entry is a true one, by its place and its value: counted over the attacker's own images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap
from medveil.mechanisms.observation import Case, Observation, Shown

Plane = NDArray[np.float32]
_RANK_GROUPS = 64
_LEVEL_BINS = 24
_RATIO_BINS = 40
_PRIOR_WEIGHT = 16.0
"""Entries that the estimate from a larger class counts for in a smaller one."""
_SURE = 12.0
"""Log-odds beyond which counting says nothing more."""


def is_true(shown: Shown, code_map: CodeMap) -> NDArray[np.bool_]:
    """Which of the shown entries are nonzero in the true code."""
    return np.isin(shown.positions, code_map.positions, assume_unique=True)


def labelled(cases: Sequence[Case]) -> list[tuple[Observation, list[NDArray[np.bool_]], tuple[CodeMap, ...]]]:
    """For each case that has a code and shows one: what is seen, which entries are true, and the true maps."""
    found = []
    for case in cases:
        code, seen = case.code, case.observation
        if code is not None and seen.maps:
            truth = [is_true(*pair) for pair in zip(seen.maps, code.maps, strict=True)]
            found.append((seen, truth, code.maps))
    return found


class CellStatistics:
    """Log-odds that a cell is nonzero in the true code, from the cell's group and what it shows.

    A group is a channel of a map, or, where cells are in order of priority, a 64th of a map. Every class of (group,
    value) is estimated by its own frequency, drawn towards the naive Bayes product of its group's frequency and its
    value's likelihood ratio within the map.

    Args:
        cases: the attacker's own, at least one with a code.
        vector_lengths: for each map, as of `medveil.attacks.views.vector_lengths`.
    """

    def __init__(self, cases: Sequence[Case], vector_lengths: Sequence[int]) -> None:
        self._vector_lengths = vector_lengths
        known = labelled(cases)
        count = len(known[0][0].maps)
        self._edges = [_edges(np.concatenate([seen.maps[i].values for seen, _, _ in known])) for i in range(count)]
        self._absent: list[Plane] = []
        self._classes: list[Plane] = []
        self._ratios: list[Plane] = []
        for index in range(count):
            self._count(index, [(seen.maps[index], truth[index], maps[index]) for seen, truth, maps in known])

    def scores(self, maps: Sequence[Shown]) -> tuple[Plane, ...]:
        """Log-odds of every cell, by the first feature alone."""
        return tuple(
            self.spread(index, shown, features[:, 0])
            for index, (shown, features) in enumerate(zip(maps, self.features(maps), strict=True))
        )

    def spread(self, index: int, shown: Shown, entries: Plane) -> Plane:
        """Scores of all cells of a map: of the shown ones as given, of the others their group's."""
        scores: Plane = self._absent[index][self.groups(index, np.arange(shown.cells), shown.cells)]
        scores[shown.positions] = entries
        return scores

    def features(self, maps: Sequence[Shown]) -> list[Plane]:
        """For each map (K, 2) log-odds of the shown entries: by group and value, and by value over the largest one."""
        found = []
        for index, shown in enumerate(maps):
            groups = self.groups(index, shown.positions, shown.cells)
            bins = np.searchsorted(self._edges[index], shown.values, side="right")
            found.append(
                np.stack([self._classes[index][groups, bins], self._ratios[index][_ratio_bins(shown.values)]], 1)
            )
        return found

    def groups(self, index: int, positions: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
        """The group of each of these cells of a map."""
        if self._vector_lengths[index]:
            return positions % self._vector_lengths[index]
        return positions * _RANK_GROUPS // max(cells, 1)

    def _count(self, index: int, known: list[tuple[Shown, NDArray[np.bool_], CodeMap]]) -> None:
        groups, bins = self._vector_lengths[index] or _RANK_GROUPS, len(self._edges[index]) + 1
        total, true = np.zeros((groups, bins)), np.zeros((groups, bins))
        ratio_total, ratio_true = np.zeros(_RATIO_BINS), np.zeros(_RATIO_BINS)
        cells, nonzeros = np.zeros(groups), np.zeros(groups)
        for shown, truth, code_map in known:
            classes = self.groups(index, shown.positions, shown.cells) * bins
            classes += np.searchsorted(self._edges[index], shown.values, side="right")
            total += np.bincount(classes, minlength=groups * bins).reshape(groups, bins)
            true += np.bincount(classes[truth], minlength=groups * bins).reshape(groups, bins)
            ratios = _ratio_bins(shown.values)
            ratio_total += np.bincount(ratios, minlength=_RATIO_BINS)
            ratio_true += np.bincount(ratios[truth], minlength=_RATIO_BINS)
            cells += np.bincount(self.groups(index, np.arange(shown.cells), shown.cells), minlength=groups)
            nonzeros += np.bincount(self.groups(index, code_map.positions, code_map.cells), minlength=groups)
        self._absent.append(_absent_odds(cells - total.sum(1), nonzeros - true.sum(1)))
        self._classes.append(_class_odds(total, true))
        share = _share(ratio_true.sum(), ratio_total.sum(), 0.5)
        self._ratios.append(_log_odds(_share(ratio_true, ratio_total, share)))


def _class_odds(total: NDArray[np.float64], true: NDArray[np.float64]) -> Plane:
    overall = _share(true.sum(), total.sum(), 0.5)
    by_group = _log_odds(_share(true.sum(1), total.sum(1), overall))
    by_value = _log_odds(_share(true.sum(0), total.sum(0), overall)) - _log_odds(overall)
    naive = 1 / (1 + np.exp(-np.clip(by_group[:, None] + by_value[None, :], -_SURE, _SURE)))
    return _log_odds(_share(true, total, naive))


def _absent_odds(total: NDArray[np.float64], true: NDArray[np.float64]) -> Plane:
    return _log_odds(_share(true, total, _share(true.sum(), total.sum(), 0.0)))


def _share(
    part: NDArray[np.float64], whole: NDArray[np.float64], expected: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    return np.asarray((part + _PRIOR_WEIGHT * np.asarray(expected)) / (whole + _PRIOR_WEIGHT))


def _log_odds(share: NDArray[np.float64]) -> Plane:
    least = np.exp(-_SURE)
    held = np.clip(share, least, 1 - least)
    return np.asarray(np.log(held / (1 - held)), np.float32)


def _edges(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """Lowest value of each bin but the first: the quantiles, or every value where there are few."""
    if not len(values):
        return np.zeros(0, np.int64)
    quantiles = np.quantile(values, np.linspace(0, 1, _LEVEL_BINS + 1)[1:-1], method="higher")
    few = np.unique(values)
    edges = few[1:] if len(few) <= _LEVEL_BINS else np.unique(np.concatenate([quantiles, [0]]))
    return edges.astype(np.int64)


def _ratio_bins(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where values lie between minus and plus the largest of them all."""
    largest = max(int(np.abs(values).max(initial=1)), 1)
    return np.minimum((values + largest) * _RATIO_BINS // (2 * largest), _RATIO_BINS - 1).astype(np.int64)


class Weighing:
    """Several log-odds made one: logistic regression, so that what two of them both know counts once.

    Args:
        features: (n, k).
        truth: (n,) bool.
    """

    def __init__(self, features: Plane, truth: NDArray[np.bool_]) -> None:
        inputs = np.concatenate([features, np.ones((len(features), 1), np.float32)], 1).astype(np.float64)
        self.weights = np.zeros(inputs.shape[1])
        penalty = np.eye(inputs.shape[1])
        for _ in range(12):
            expected = 1 / (1 + np.exp(-np.clip(inputs @ self.weights, -30, 30)))
            slope = inputs.T @ (truth - expected) - penalty @ self.weights
            curvature = (inputs * (expected * (1 - expected))[:, None]).T @ inputs + penalty
            self.weights += np.linalg.solve(curvature, slope)

    def __call__(self, features: Plane) -> Plane:
        """(n,) log-odds."""
        found = features @ self.weights[:-1] + self.weights[-1]
        return np.asarray(np.clip(found, -2 * _SURE, 2 * _SURE), np.float32)
