"""Scores of classifiers: AUC, accuracy, sensitivity and specificity of one question over several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.ranking import auc, auc_draws
from medveil.tasks.comparisons import Asked
from medveil.tasks.results import Estimate

METRICS = ("auc", "accuracy", "sensitivity", "specificity")
_Floats = NDArray[np.float64]
_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class RunOdds:
    """What one run says of the images that it was tested on, and of those that it was chosen with.

    Attributes:
        members: (n,) which images were tested, in the numbering of the group.
        log_odds: (n, classes) log of the probability of each class.
        validation, validation_odds: the same of the validation images; may be empty.
    """

    members: _Numbers
    log_odds: _Floats
    validation: _Numbers
    validation_odds: _Floats


@dataclass(frozen=True)
class Scored:
    """One question in one cell of the matrix.

    Attributes:
        runs: (runs, 4) AUC, accuracy, sensitivity, specificity.
        draws: (4, runs, resamples) the same of each run on resampled patients.
    """

    runs: _Floats
    draws: _Floats


def scored(
    asked: Asked, classes: Sequence[str], targets: _Numbers, runs: Sequence[RunOdds], weights: NDArray[np.float32]
) -> Scored:
    """Score a question.

    Two sides: the score is the log-odds of the positive classes against the negative ones, other classes left out. All
    classes: AUC, sensitivity and specificity are means of one class against the rest (macro average; the paper does
    not state its own). Thresholds are those at which sensitivity plus specificity is largest on the validation images,
    even odds where there are none of a side.

    Args:
        asked: the question.
        classes: of the group, in the order of the columns.
        targets: (images of the group,) class of each.
        runs: of one cell.
        weights: (resamples, images of the group) how often each counts.
    """
    sides = _sides(asked, classes)
    found = [_run(sides, targets, run, weights, several=not asked.positive) for run in runs]
    return Scored(np.stack([values for values, _ in found]), np.stack([draws for _, draws in found], axis=1))


def estimates(found: Scored, run_weights: _Floats) -> dict[str, Estimate]:
    """Means over runs, SDs of runs, and intervals of resampled patients and runs."""
    return {
        name: Estimate(
            _mean(found.runs[:, column]), _sd(found.runs[:, column]), _interval(mean_draws(found, run_weights, name))
        )
        for column, name in enumerate(METRICS)
    }


def mean_draws(found: Scored, run_weights: _Floats, metric: str = "auc") -> _Floats:
    """(resamples,) a metric, the mean over as many runs as there are, drawn with replacement.

    Args:
        found: of `scored`.
        run_weights: (resamples, runs) how often each run counts.
        metric: one of METRICS.
    """
    draws = found.draws[METRICS.index(metric)]
    known = np.isfinite(draws)
    weights = run_weights.T * known
    total = weights.sum(axis=0)
    sums = (weights * np.where(known, draws, 0.0)).sum(axis=0)
    found_means: _Floats = np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)
    return found_means


def curve(asked: Asked, classes: Sequence[str], targets: _Numbers, runs: Sequence[RunOdds]) -> tuple[_Floats, _Floats]:
    """ROC of a question with two sides, false-positive rate and sensitivity, the mean of the runs at equal rates."""
    from sklearn.metrics import roc_curve

    grid = np.linspace(0.0, 1.0, 101)
    heights = []
    for run in runs:
        (negative, positive), *_ = _sides(asked, classes)
        score, truth, _ = _side_scores(negative, positive, targets[run.members], run.log_odds)
        if truth.any() and not truth.all():
            rate, height, _ = roc_curve(truth, score)
            heights.append(np.interp(grid, rate, height))
    return grid, np.mean(heights, axis=0) if heights else np.full(len(grid), np.nan)


def _sides(asked: Asked, classes: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    columns = {name: column for column, name in enumerate(classes)}
    if asked.positive:
        return [([columns[name] for name in asked.negative], [columns[name] for name in asked.positive])]
    return [([other for other in columns.values() if other != one], [one]) for one in columns.values()]


def _run(
    sides: Sequence[tuple[list[int], list[int]]], targets: _Numbers, run: RunOdds, weights: NDArray[np.float32], *,
    several: bool,
) -> tuple[_Floats, _Floats]:  # fmt: skip
    values, draws = [], []
    for negative, positive in sides:
        score, truth, kept = _side_scores(negative, positive, targets[run.members], run.log_odds)
        threshold = _threshold(*_side_scores(negative, positive, targets[run.validation], run.validation_odds)[:2])
        right = (score >= threshold) == truth
        counts = weights[:, run.members[kept]]
        shares = [
            _share(right, counts),
            _share(right[truth], counts[:, truth]),
            _share(right[~truth], counts[:, ~truth]),
        ]
        values.append([auc(score, truth), *(share for share, _ in shares)])
        draws.append([auc_draws(score, truth, counts), *(drawn for _, drawn in shares)])
    table, drawn = np.mean(values, axis=0), np.mean(draws, axis=0)
    if several:  # of all classes at once
        right = run.log_odds.argmax(axis=1) == targets[run.members]
        table[1], drawn[1] = _share(right, weights[:, run.members])
    return table, drawn


def _share(right: NDArray[np.bool_], counts: NDArray[np.float32]) -> tuple[float, _Floats]:
    """Share of what is right, and the same of resampled patients."""
    total = counts.sum(axis=1, dtype=np.float64)
    sums = (counts * right).sum(axis=1, dtype=np.float64)
    drawn = np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)
    return (float(right.mean()) if len(right) else float("nan")), drawn


def _side_scores(
    negative: Sequence[int], positive: Sequence[int], targets: _Numbers, log_odds: _Floats
) -> tuple[_Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    kept = np.isin(targets, [*negative, *positive])
    shown = log_odds[kept]
    score = np.logaddexp.reduce(shown[:, positive], axis=1) - np.logaddexp.reduce(shown[:, negative], axis=1)
    return score, np.isin(targets[kept], positive), kept


def _threshold(score: _Floats, truth: NDArray[np.bool_]) -> float:
    """The middle between the two scores where sensitivity plus specificity is largest."""
    if not truth.any() or truth.all():
        return 0.0
    order = np.argsort(score, kind="stable")
    ranked, sign = score[order], truth[order]
    edges = np.concatenate([[ranked[0] - 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] + 1]])
    missed = np.concatenate([[0], np.cumsum(sign)]) / sign.sum()
    let_off = np.concatenate([[0], np.cumsum(~sign)]) / (~sign).sum()
    return float(edges[int(np.argmax(let_off - missed))])


def _mean(values: _Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _sd(values: _Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else 0.0


def _interval(draws: _Floats) -> tuple[float, float]:
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.clip(np.quantile(known, (0.025, 0.975)), 0.0, 1.0)  # drawn runs may weigh a little below 0
    return float(low), float(high)
