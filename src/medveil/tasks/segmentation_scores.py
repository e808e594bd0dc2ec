"""Scoring of the task `segmentation`: from measures of each image to the cells of a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.metrics.inference import LEAST, interval, non_inferiority, patient_draws, run_draws, undecided
from medveil.metrics.overlap import MEASURES
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import Estimate, MatrixCell

DECIDING = "dice"
LEAST_DICE = 0.5
"""Mean Dice on originals below which nothing is concluded: what is as bad as that would pass for non-inferior."""
_LEVEL = 0.95
_Floats = NDArray[np.float64]

Measured = Mapping[tuple[str, str], _Floats]
"""Train and test set to (runs, images, measures): every run has every image."""


@dataclass(frozen=True)
class Chance:
    """Resampled patients and runs, the same for all cells, so that differences are paired.

    Attributes:
        patients: how many there are.
        images: (resamples, images) how often each image counts.
        runs: name of a training set to (resamples, runs), how often each of its networks counts.
    """

    patients: int
    images: NDArray[np.float32]
    runs: Mapping[str, _Floats]


def chance_of(
    patients: NDArray[np.int64], sets: Sequence[str], runs: int, resamples: int, generator: np.random.Generator
) -> Chance:
    """Draw patients, and apart from them for each training set the runs, with replacement.

    Networks of one seed that were trained on different sets have no more in common than others.

    Args:
        patients: (images,) whose image each is.
        sets: names of training sets.
        runs: how many networks there are of each; 1 draws nothing.
        resamples: how often.
        generator: draws.
    """
    whose = np.unique(patients, return_inverse=True)[1]
    count = int(whose.max()) + 1
    images = patient_draws(count, resamples, generator)[:, whose]
    return Chance(count, images, {name: run_draws(runs, resamples, generator) for name in sets})


def cells_of(
    measured: Measured, chance: Chance, margin: float, spread: Mapping[tuple[str, str], float] | None = None,
    least: int = LEAST.decided
) -> tuple[MatrixCell, ...]:  # fmt: skip
    """The matrix: of each measure the mean over runs of each image, then mean and SD over images.

    Args:
        measured: every training set and test set.
        chance: what the 95 % intervals are from, by percentiles.
        margin: of non-inferiority in Dice.
        least: patients from which on something is decided.
        spread: for a cell the chance of training that its draws lack, see `training_chance`; 0 where there is none.
    """
    generator = np.random.default_rng(len(measured))
    dice = MEASURES.index(DECIDING)
    reference = measured[ORIGINAL, ORIGINAL]
    before = _means(reference[:, :, dice : dice + 1], chance, ORIGINAL)[:, 0]
    decided = float(reference[:, :, dice].mean()) >= LEAST_DICE
    cells = []
    for (train, test), values in measured.items():
        draws = _means(values, chance, train)
        images = values.mean(axis=0)
        estimates = {
            name: Estimate(
                float(images[:, number].mean()),
                float(images[:, number].std(ddof=1)) if len(images) > 1 else 0.0,
                interval(draws[:, number], _LEVEL),
            )
            for number, name in enumerate(MEASURES)
        }
        compared = None
        if (train, test) != (ORIGINAL, ORIGINAL):
            difference = float(values[:, :, dice].mean() - reference[:, :, dice].mean())
            lost = draws[:, dice] - before
            lost = lost + generator.normal(0.0, (spread or {}).get((train, test), 0.0), len(lost))
            compared = non_inferiority(difference, lost, margin, chance.patients, least)
            compared = compared if decided else undecided(compared)
        cells.append(MatrixCell(train, test, estimates, compared, draws[:, dice]))
    return tuple(cells)


def _means(values: _Floats, chance: Chance, train: str) -> _Floats:
    """(resamples, measures)."""
    weights = chance.images.astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    shares = chance.runs[train] / values.shape[0]
    means = np.zeros((len(weights), values.shape[2]))
    for run, table in enumerate(values):
        means += shares[:, run : run + 1] * (weights @ table)
    return means


def ranked(dice: _Floats) -> dict[str, int]:
    """Positions of the images with the best, the median (the lower one of two) and the worst Dice."""
    order = np.argsort(dice, kind="stable")
    return {"best": int(order[-1]), "median": int(order[(len(order) - 1) // 2]), "worst": int(order[0])}
