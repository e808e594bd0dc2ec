"""What a task finds, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.experiments.unit import Status
from medveil.metrics.inference import Compared


@dataclass(frozen=True)
class Estimate:
    """A metric: its mean, the SD (of seeds or of images, which the task states), and a 95 % interval by patient."""

    mean: float
    sd: float
    ci: tuple[float, float]


@dataclass(frozen=True)
class MatrixCell:
    """Trained on one set, tested on another.

    Attributes:
        train, test: names of sets.
        values: metric to estimate.
        compared: with training and testing on originals, in the question's deciding metric; None for that cell itself.
        draws: (resamples,) the deciding metric of resampled patients, the same ones in every cell, and in every audit
            of the same images and seed.
    """

    train: str
    test: str
    values: Mapping[str, Estimate]
    compared: Compared | None = None
    draws: NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Baseline:
    """What can be said without looking at the lungs: from the view alone, say."""

    name: str
    title: str
    value: Estimate


@dataclass(frozen=True)
class Curve:
    """A line of a figure: ROC of a cell, x false-positive rate and y sensitivity."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True)
class Overlay:
    """A segmented image for the report: (H, W) grey values, the true mask, and the found one, by set."""

    number: int
    set_name: str
    rank: str
    value: float
    picture: NDArray[np.float32] = field(repr=False)
    truth: NDArray[np.bool_] = field(repr=False)
    found: NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True)
class Question:
    """One question that a task asks of the images.

    Attributes:
        name: such as `kermany/bacterial_pneumonia-vs-viral_pneumonia`.
        title: the same for readers.
        classes: name to number of images tested.
        images, patients: tested.
        metric: the deciding one, a key of the cells' values.
        cells: the matrix.
        baselines: no-information ones.
        caution: what confounds it; empty where nothing is known to.
        curves: of its figure.
    """

    name: str
    title: str
    classes: Mapping[str, int]
    images: int
    patients: int
    metric: str
    cells: tuple[MatrixCell, ...]
    baselines: tuple[Baseline, ...] = ()
    caution: str = ""
    curves: tuple[Curve, ...] = ()

    def cell(self, train: str, test: str) -> MatrixCell:
        """Raises KeyError where there is none."""
        for cell in self.cells:
            if (cell.train, cell.test) == (train, test):
                return cell
        raise KeyError(f"{train}, {test}")


@dataclass(frozen=True)
class FeatureAgreement:
    """How well the texture features of one set agree with those of the originals.

    Attributes:
        set_name: which.
        bins: how grey values were made levels.
        images, patients: in it.
        features: names, (93,).
        are, icc, lower: (93,) mean absolute relative error in per cent, ICC, and lower bound of its 95 % interval.
        figures: further ones by feature: re, icc21, icc31, … , each (93,).
        groups: poor, fair, good, excellent, undefined to number of features, by the lower bound.
    """

    set_name: str
    bins: str
    images: int
    patients: int
    features: tuple[str, ...]
    are: NDArray[np.float64]
    icc: NDArray[np.float64]
    lower: NDArray[np.float64]
    figures: Mapping[str, NDArray[np.float64]]
    groups: Mapping[str, int]


@dataclass(frozen=True)
class TaskResult:
    """One task, done or refused.

    Attributes:
        name, title: of the task.
        settings: network, working size, seeds, steps … for the report.
        questions: of classification and segmentation.
        agreements: of radiomics.
        overlays: of segmentation.
        status: done, refused or failed.
        refusal: why it was refused, or the class of the error with which it failed; then all else is empty.
        notes: what a reader must know, a sentence a line.
        seconds: that it took.
    """

    name: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    agreements: tuple[FeatureAgreement, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    refusal: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    status: Status = Status.DONE
