"""Task `classification`: what disease a picture shows, trained and tested on every set of pictures.

PRIMIS, section on classification and Table 2. The paper states neither network nor size nor optimiser; here it is a
DenseNet-121 from MONAI unless another one is named, and every figure has an interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medveil.datasets.splits import Split, has_folds, splits
from medveil.errors import InputError
from medveil.experiments.unit import Key, Product, Tick, Unit
from medveil.metrics.inference import LEAST, non_inferiority, patient_draws, run_draws, training_chance, undecided
from medveil.tasks.classification_scores import RunOdds, Scored, curve, estimates, mean_draws, scored
from medveil.tasks.classifier_training import BATCH, class_log_odds, learn_classes
from medveil.tasks.comparisons import Asked, ClassGroup, groups
from medveil.tasks.image_sets import ORIGINAL, TaskImage
from medveil.tasks.results import Baseline, Curve, MatrixCell, Question, TaskResult
from medveil.tasks.shortcut_baselines import guess_by_group, guess_by_size
from medveil.tasks.task import Assignment
from medveil.training.augmentation import Recipe, standardised
from medveil.training.loop import learned_once

_Numbers = NDArray[np.int64]
_Floats = NDArray[np.float64]
_RATE = 1e-3
_Runs = Mapping[tuple[str, str], Sequence[RunOdds]]


@dataclass(frozen=True)
class _Ready:
    """A group with its images, classes and splits.

    Attributes:
        group: what is asked.
        images: of the group.
        targets: (n,) class of each.
        split: one a run.
        shared: whether all runs test the same images, so that they differ by their seed alone.
    """

    group: ClassGroup
    images: tuple[TaskImage, ...]
    targets: _Numbers
    split: tuple[Split, ...]
    shared: bool


class Classification:
    """See `medveil.tasks.task.Task`.

    Args:
        only: groups whose name begins so; all where empty.

    >>> from medveil.tasks.image_sets import Gallery
    >>> from medveil.tasks.task import do_task
    >>> from medveil.testing import TASK_EFFORT
    >>> nothing = Assignment(Gallery([], {}, lambda number: None), TASK_EFFORT)
    >>> do_task(Classification(), nothing).status.value
    'refused'
    """

    name = "classification"
    title = "Telling diseases apart"
    needs = (
        "a manifest with patient_id and label, and, where it has them, source, view and fold; "
        f"{LEAST.of_class} patients of each class"
    )
    measures = (
        "AUC, accuracy, sensitivity and specificity, trained and tested on every set; baselines of view, data set and "
        "size; non-inferiority to the originals"
    )
    cost = "sets × runs × images × epochs × 0.03 s on one thread at 128 pixels with DenseNet-121"

    def __init__(self, only: str = "") -> None:
        self.only = only

    def units(self, assignment: Assignment) -> tuple[Unit, ...]:
        ready = _ready(assignment, self.only)
        if not ready:
            raise InputError(_refusal(assignment))
        found = []
        for place, each in enumerate(ready, 1):
            for train in assignment.training_sets:
                for number, run in enumerate(each.split, 1):
                    about = f"data set {place} of {len(ready)}: {train}, run {number} of {len(each.split)}"
                    make = partial(_learned, each, train, run, assignment)
                    found.append(Unit(_key(each, train, run, assignment), "task", f"classification: {about}", make))
        return tuple(found)

    def result(self, assignment: Assignment, products: Mapping[Key, Product]) -> TaskResult:
        ready = _ready(assignment, self.only)
        questions: list[Question] = []
        for each in ready:
            questions += _questions(each, _matrix(each, assignment, products), assignment)
        recipe = recipe_of(assignment)
        settings = {
            **asdict(recipe), "batch": BATCH, "optimiser": "Adam, weight decay 1e-4, cosine",
            "runs": assignment.effort.seeds, "resamples": assignment.effort.resamples, "margin": assignment.margin,
            "splits": "folds of the manifest" if all(each.shared for each in ready) else "patient-wise folds, by hash",
        }  # fmt: skip
        return TaskResult(self.name, self.title, settings, tuple(questions), notes=_notes(ready))


def recipe_of(assignment: Assignment) -> Recipe:
    """How this assignment's classifiers are trained."""
    effort = assignment.effort
    return Recipe(effort.classifier, effort.classify_side, effort.classify_epochs, _RATE)


def _ready(assignment: Assignment, only: str) -> tuple[_Ready, ...]:
    """Groups whose every class is learned and tested in every run."""
    images = assignment.gallery.images
    found = []
    for group in groups(images, assignment.least.of_class):
        if not group.name.startswith(only):
            continue
        members = tuple(images[index] for index in group.members)
        targets = np.array([group.classes.index(image.label) for image in members], np.int64)
        split = splits(members, assignment.effort.seeds, assignment.seed)
        every = set(range(len(group.classes)))
        if all(set(targets[part].tolist()) == every for run in split for part in (run.train, run.test)):
            found.append(_Ready(group, members, targets, split, has_folds(members)))
    return tuple(found)


def _refusal(assignment: Assignment) -> str:
    labelled = [image for image in assignment.gallery.images if image.label]
    if not labelled:
        return "The manifest names no class: it needs a column label, such as normal or pneumonia."
    patients, least = len({image.patient for image in labelled}), assignment.least.of_class
    return (
        f"No data set has two classes of at least {least} patients each, both to learn from and to test on: there are "
        f"{len(labelled)} images with a label, of {patients} patients."
    )


def _key(ready: _Ready, train: str, run: Split, assignment: Assignment) -> Key:
    group, recipe = ready.group, repr(recipe_of(assignment))
    return ("classification", recipe, group.name, *group.classes, train, run.seed, *assignment.gallery.sets)


def _learned(ready: _Ready, train: str, run: Split, assignment: Assignment, tick: Tick) -> Product:
    """Train on one set, and test on every set."""
    recipe, classes = recipe_of(assignment), len(ready.group.classes)
    of_group: dict[str, Tensor] = assignment.stacks.get(f"classification {ready.group.name}", dict)

    def stack(name: str) -> Tensor:
        if name not in of_group:
            pictures = []
            for image in ready.images:
                pictures.append(standardised(assignment.gallery.picture(name, image.number), recipe.side))
                tick()
            of_group[name] = torch.cat(pictures)
        return of_group[name]

    pictures, targets = stack(train)[run.train], ready.targets[run.train]
    network = learned_once(
        lambda: learn_classes(pictures, targets, classes, recipe, run.seed, tick), lambda made: made,
        "classes", pictures, targets, classes, recipe, run.seed,
    )  # fmt: skip
    arrays = {_odds(name): class_log_odds(network, stack(name)[run.test]) for name in assignment.gallery.sets}
    chosen = class_log_odds(network, stack(train)[run.validation]) if len(run.validation) else np.zeros((0, classes))
    return Product({**arrays, "validation": chosen})


def _matrix(ready: _Ready, assignment: Assignment, products: Mapping[Key, Product]) -> _Runs:
    """What networks of every set, one a run, say of every set."""
    found: dict[tuple[str, str], Sequence[RunOdds]] = {}
    for train in assignment.training_sets:
        arrays = [products[_key(ready, train, run, assignment)].arrays for run in ready.split]
        for name in assignment.gallery.sets:
            found[train, name] = [
                RunOdds(run.test, each[_odds(name)], run.validation, each["validation"])
                for run, each in zip(ready.split, arrays, strict=True)
            ]
    return found


def _odds(name: str) -> str:
    return f"odds {name}"


def _questions(ready: _Ready, matrix: _Runs, assignment: Assignment) -> list[Question]:
    """Every question of a group, scored in every cell with the same resampled patients."""
    generator = np.random.default_rng([assignment.seed, len(ready.images)])
    resamples = assignment.effort.resamples
    tested = _tested(ready)
    patients = np.unique([ready.images[index].patient for index in tested], return_inverse=True)[1]
    weights = np.zeros((resamples, len(ready.images)), np.float32)
    weights[:, tested] = patient_draws(int(patients.max()) + 1, resamples, generator)[:, patients]
    count = len(ready.split)
    names = assignment.gallery.sets
    equal = np.ones((resamples, count))
    drawn = {name: run_draws(count, resamples, generator) for name in names}
    runs_of = drawn if ready.shared else dict.fromkeys(names, equal)
    guesses = _guesses(ready, assignment)
    return [_question(asked, ready, matrix, weights, runs_of, guesses, assignment) for asked in ready.group.asked]


def _question(
    asked: Asked, ready: _Ready, matrix: _Runs, weights: NDArray[np.float32], runs_of: Mapping[str, _Floats],
    guesses: Sequence[tuple[str, str, Sequence[RunOdds]]], assignment: Assignment,
) -> Question:  # fmt: skip
    group = ready.group

    def score(runs: Sequence[RunOdds]) -> Scored:
        return scored(asked, group.classes, ready.targets, runs, weights)

    classes = asked.negative + asked.positive or group.classes
    shown = [index for index in _tested(ready) if ready.images[index].label in classes]
    fewest = _fewest(asked, ready, shown)
    scores = {place: score(runs) for place, runs in matrix.items()}
    reference = scores[ORIGINAL, ORIGINAL]
    before = mean_draws(reference, runs_of[ORIGINAL])
    cells = []
    for (train, test), found in scores.items():
        means = mean_draws(found, runs_of[train])
        cell = MatrixCell(train, test, estimates(found, runs_of[train]), draws=means)
        if (train, test) != (ORIGINAL, ORIGINAL):
            difference = float(np.nanmean(found.runs[:, 0]) - np.nanmean(reference.runs[:, 0]))
            draws = means - before
            if not ready.shared and train != ORIGINAL:
                spread = training_chance(found.runs[:, 0] - reference.runs[:, 0])
                draws = draws + np.random.default_rng(assignment.seed).normal(0.0, spread, len(draws))
            cell = replace(
                cell, compared=non_inferiority(difference, draws, assignment.margin, fewest, assignment.least.decided)
            )
        cells.append(cell)
    still = np.ones_like(runs_of[ORIGINAL])
    baselines = tuple(Baseline(name, title, estimates(score(runs), still)["auc"]) for name, title, runs in guesses)
    doubt = _doubt(fewest, assignment.least.decided, cells[0])
    if doubt:
        cells = [replace(cell, compared=undecided(cell.compared)) for cell in cells]
    return Question(
        f"{group.name}/{asked.name}", f"{group.name}: {asked.title}",
        {name: sum(ready.images[index].label == name for index in shown) for name in classes},
        len(shown), len({ready.images[index].patient for index in shown}), "auc", tuple(cells), baselines,
        " ".join(words for words in (asked.caution, doubt) if words),
        _curves(asked, ready, matrix, guesses) if asked.positive else (),
    )  # fmt: skip


def _tested(ready: _Ready) -> _Numbers:
    """Indices of all images that any run tests."""
    return np.unique(np.concatenate([run.test for run in ready.split]))


def _fewest(asked: Asked, ready: _Ready, shown: Sequence[int]) -> int:
    """Tested patients of the smaller side; of the smallest class where all are asked for."""
    sides = (asked.negative, asked.positive) if asked.positive else [(name,) for name in ready.group.classes]
    return min(
        len({ready.images[index].patient for index in shown if ready.images[index].label in side}) for side in sides
    )


def _doubt(fewest: int, least: int, raw: MatrixCell) -> str:
    """Why nothing is concluded on non-inferiority; empty where something may be."""
    if fewest < least:
        return f"Not decided: {fewest} patients of one side were tested, and at least {least} are needed."
    if not raw.values["auc"].ci[0] > 0.5:
        return "Not decided: the networks learned nothing from originals that chance does not explain."
    return ""


def _curves(
    asked: Asked, ready: _Ready, matrix: _Runs, guesses: Sequence[tuple[str, str, Sequence[RunOdds]]]
) -> tuple[Curve, ...]:
    lines = [(train, runs) for (train, test), runs in matrix.items() if train == test]
    lines += [(f"{title}, no picture", runs) for _, title, runs in guesses]
    return tuple(Curve(name, *curve(asked, ready.group.classes, ready.targets, runs)) for name, runs in lines)


def _guesses(ready: _Ready, assignment: Assignment) -> list[tuple[str, str, Sequence[RunOdds]]]:
    """Baselines that see no picture: of view and of data set where there are several, and of size."""
    views = [image.view for image in ready.images]
    sources = [image.source for image in ready.images]
    shapes = [assignment.gallery.picture(ORIGINAL, image.number).shape for image in ready.images]
    count = len(ready.group.classes)
    found: list[tuple[str, str, Sequence[RunOdds]]] = []
    for name, title, kinds in (("view", "view alone", views), ("source", "data set alone", sources)):
        if len(set(kinds)) > 1:
            found.append((name, title, [
                RunOdds(run.test, guess_by_group(kinds, ready.targets, count, run.train, run.test), run.validation,
                       guess_by_group(kinds, ready.targets, count, run.train, run.validation)) for run in ready.split
            ]))  # fmt: skip
    if len(set(shapes)) > 1:
        sizes = np.array(shapes, np.float64)
        found.append(("size", "height and width alone", [
            RunOdds(run.test, guess_by_size(sizes, ready.targets, count, run.train, run.test), run.validation,
                   guess_by_size(sizes, ready.targets, count, run.train, run.validation)) for run in ready.split
        ]))  # fmt: skip
    return found


def _notes(ready: Sequence[_Ready]) -> tuple[str, ...]:
    told = [
        "One network a data set and run; its classes answer every question of that data set, others left out.",
        "Intervals are of resampled patients"
        + (
            " and seeds."
            if any(each.shared for each in ready)
            else "; each patient is tested in one run, and differences hold the spread of the runs."
        ),
    ]
    if any(asked.caution for each in ready for asked in each.group.asked):
        told.append("Questions across data sets are confounded: see their cautions.")
    return tuple(told)
