"""Task `segmentation`: where the lungs are, learned from and found in every set of pictures.

PRIMIS, section on segmentation and Table 3 (Shiri et al. 2024). The paper names a U-Net and a 70/10/20 split and states
neither widths, size nor training; here every figure has an interval, several networks and stated settings.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medveil.datasets.splits import Split, has_folds, splits
from medveil.errors import InputError, UsageError
from medveil.experiments.unit import Key, Product, Tick, Unit
from medveil.metrics.inference import LEAST, training_chance
from medveil.metrics.overlap import DISTANCES, MEASURES, overlap
from medveil.tasks.image_sets import ORIGINAL, Gallery, TaskImage
from medveil.tasks.results import Overlay, Question, TaskResult
from medveil.tasks.segmentation_scores import DECIDING, cells_of, chance_of, ranked
from medveil.tasks.segmenter_training import BATCH, THRESHOLD, Plates, Segmented, learn_region, region_found
from medveil.tasks.task import Assignment
from medveil.training.augmentation import Recipe, square, standardised
from medveil.training.loop import learned_once

_MASKS = "masks"
LEAST_TRAINED = 4
"""Images that a network learns from, at least."""

_RATE = 3e-3
_Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
_SHOWN = {True: ("best", "median", "worst"), False: ("median", "worst")}


@dataclass
class _Lungs:
    """The masked images, how they are split, and what the networks see of them.

    Attributes:
        assignment: all that was given.
        images: those with a mask.
        split: one a run.
        shared: whether all runs test the same images, so that they differ by their seed alone.
        in_mm: whether distances are in mm: the spacing of every image is known.
    """

    assignment: Assignment
    images: tuple[TaskImage, ...]
    split: tuple[Split, ...]
    shared: bool
    in_mm: bool

    @property
    def gallery(self) -> Gallery:
        return self.assignment.gallery

    @property
    def _stacks(self) -> dict[str, Tensor]:
        return self.assignment.stacks.get("segmentation", dict)

    def stack(self, name: str, tick: Tick) -> Tensor:
        """(n, 1, side, side) pictures of a set."""
        if name not in self._stacks:
            side, parts = self.assignment.effort.segment_side, []
            for image in self.images:
                parts.append(standardised(self.gallery.picture(name, image.number), side))
                tick()
            self._stacks[name] = torch.cat(parts)
        return self._stacks[name]

    def goals(self) -> Tensor:
        """(n, 1, side, side) masks. Raises UsageError where one is not of the size of its image."""
        if _MASKS not in self._stacks:
            parts = []
            for image in self.images:
                mask, shape = self.gallery.mask(image.number), self.gallery.picture(ORIGINAL, image.number).shape
                if mask.shape != shape:
                    raise UsageError(
                        f"the mask of image #{image.number} has {mask.shape[0]} × {mask.shape[1]} pixels, the image "
                        f"{shape[0]} × {shape[1]}",
                        hint="a mask has the rows and columns of its image; correct it or leave the column mask empty",
                    )
                parts.append(square(mask, self.assignment.effort.segment_side))
            self._stacks[_MASKS] = torch.cat(parts)
        return self._stacks[_MASKS]

    def plates(self, name: str, part: NDArray[np.int64], tick: Tick) -> Plates:
        return self.stack(name, tick)[part], self.goals()[part]


class Segmentation:
    """See `medveil.tasks.task.Task`.

    >>> from medveil.tasks.image_sets import Gallery
    >>> from medveil.tasks.task import do_task
    >>> from medveil.testing import TASK_EFFORT
    >>> nothing = Assignment(Gallery([], {}, lambda number: None), TASK_EFFORT)
    >>> do_task(Segmentation(), nothing).status.value
    'refused'
    """

    name = "segmentation"
    title = "Outlining the lungs"
    needs = (
        "a manifest with patient_id and a column mask that names a lung mask of the image's size; "
        f"{LEAST.segmented} patients"
    )
    measures = (
        "Dice, Jaccard, false-negative and false-positive rates, surface distances, Hausdorff and its 95th percentile, "
        "trained and tested on every set; non-inferiority to the originals; outlines"
    )
    cost = "sets × runs × images × epochs × 0.01 s on one thread at 128 pixels with the smallest U-Net"

    def units(self, assignment: Assignment) -> tuple[Unit, ...]:
        lungs = _lungs(assignment)
        return tuple(
            Unit(
                _unit_key(lungs, train, run), "task", f"segmentation: {train}, run {number} of {len(lungs.split)}",
                partial(_learned, lungs, train, run),
            )
            for train in assignment.training_sets for number, run in enumerate(lungs.split, 1)
        )  # fmt: skip

    def result(self, assignment: Assignment, products: Mapping[Key, Product]) -> TaskResult:
        lungs = _lungs(assignment)
        trained = {
            name: [products[_unit_key(lungs, name, run)].arrays for run in lungs.split]
            for name in assignment.training_sets
        }
        return TaskResult(
            self.name, self.title, _settings(lungs, recipe_of(assignment)), _questions(lungs, trained),
            overlays=tuple(shown for name, runs in trained.items() for shown in _overlays(lungs, name, runs[0])),
            notes=_notes(lungs, trained),
        )  # fmt: skip


def _settings(lungs: _Lungs, recipe: Recipe) -> dict[str, Any]:
    effort = lungs.assignment.effort
    return {
        **asdict(recipe), "batch": BATCH, "loss": "Dice + cross-entropy",
        "optimiser": "Adam, weight decay 1e-4, cosine", "threshold": THRESHOLD, "runs": len(lungs.split),
        "resamples": effort.resamples, "margin": lungs.assignment.margin,
        "distances": "mm" if lungs.in_mm else "pixels",
        "splits": "folds of the manifest" if lungs.shared else "patient-wise folds, by hash",
        "training_images": len(lungs.split[0].train), "validation_images": len(lungs.split[0].validation),
    }  # fmt: skip


def recipe_of(assignment: Assignment) -> Recipe:
    """How this assignment's networks are trained."""
    effort = assignment.effort
    return Recipe(effort.segmenter, effort.segment_side, effort.segment_epochs, _RATE)


def _lungs(assignment: Assignment) -> _Lungs:
    """What there is to segment. Raises InputError where it is too little."""
    images = tuple(image for image in assignment.gallery.images if image.masked)
    patients = len({image.patient for image in images})
    there = f"there are {len(images)} images with a lung mask (column mask of the manifest), of {patients} patients"
    least = max(assignment.least.segmented, 0 if has_folds(images) else assignment.effort.seeds)
    if patients < least:
        raise InputError(f"Segmentation needs masks of {least} patients or more: {there}.")
    split = splits(images, assignment.effort.seeds, assignment.seed)
    if any(len(run.train) < LEAST_TRAINED or not len(run.test) for run in split):
        raise InputError(
            f"Segmentation needs {LEAST_TRAINED} or more images to learn from and others to test on: {there}."
        )
    in_mm = all(image.spacing is not None for image in images)
    return _Lungs(assignment, images, split, has_folds(images), in_mm)


def _unit_key(lungs: _Lungs, train: str, run: Split) -> Key:
    return (
        "segmentation", repr(recipe_of(lungs.assignment)), train, run.seed, _digest(lungs, run),
        "mm" if lungs.in_mm else "pixels", *MEASURES, *lungs.gallery.sets,
    )  # fmt: skip


def _learned(lungs: _Lungs, train: str, run: Split, tick: Tick) -> Product:
    """Train on one set, and test on every set."""
    training, validation = lungs.plates(train, run.train, tick), lungs.plates(train, run.validation, tick)
    recipe = recipe_of(lungs.assignment)
    chosen_by = validation if len(run.validation) else None
    learned = learned_once(
        lambda: learn_region(training, chosen_by, recipe, run.seed, tick), lambda made: made.network,
        "region", *training, *(chosen_by or ()), recipe, run.seed,
    )  # fmt: skip
    return Product(_tested(lungs, train, run, learned, tick))


def _tested(lungs: _Lungs, train: str, run: Split, learned: Segmented, tick: Tick) -> Arrays:
    """Measures of every test image in every set, and the masks found of those that are shown."""
    names = lungs.gallery.sets
    images = [lungs.images[index] for index in run.test]
    truths = [lungs.gallery.mask(image.number) for image in images]
    arrays: dict[str, NDArray[np.generic]] = {
        "training": np.array([learned.dice, learned.attempts, learned.learned], np.float64)
    }
    for name in names:
        rows, masks = [], []
        shapes = [(len(truth), truth.shape[1]) for truth in truths]
        for image, truth, mask in zip(
            images, truths, region_found(learned.network, lungs.stack(name, tick)[run.test], shapes), strict=True
        ):
            rows.append(astuple(overlap(truth, mask, image.spacing if lungs.in_mm else None)))
            tick()
            if name == train:
                masks.append(mask)
        arrays[_key(name)] = np.array(rows, np.float64)
        if name == train:
            chosen = ranked(arrays[_key(name)][:, MEASURES.index(DECIDING)].astype(np.float64))
            for rank in _SHOWN[train == ORIGINAL]:
                arrays[f"shown {rank}"] = np.array(chosen[rank])
                arrays[f"mask {rank}"] = masks[chosen[rank]]
    return arrays


def _key(name: str) -> str:
    return f"measures {name}"


def _digest(lungs: _Lungs, run: Split) -> str:
    parts = [[lungs.images[index].number for index in part] for part in (run.train, run.validation, run.test)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _questions(lungs: _Lungs, trained: dict[str, list[Arrays]]) -> tuple[Question, ...]:
    """All data sets together, and each apart where there are several."""
    tested = np.unique(np.concatenate([run.test for run in lungs.split]))
    sources = Counter(source for source, _ in {(lungs.images[i].source, lungs.images[i].patient) for i in tested})
    several = len({image.source for image in lungs.images}) > 1
    questions = [_question(lungs, trained, tested, "lungs", "Lungs")]
    for source in sorted(sources):
        if several and source and sources[source] >= lungs.assignment.least.decided:
            members = np.array([index for index in tested if lungs.images[index].source == source])
            questions.append(_question(lungs, trained, members, f"{source}/lungs", f"{source}: lungs"))
    return tuple(questions)


def _question(
    lungs: _Lungs, trained: dict[str, list[Arrays]], members: NDArray[np.int64], name: str, title: str
) -> Question:
    assignment = lungs.assignment
    names = assignment.gallery.sets
    measured = {
        (train, test): _table(lungs, [arrays[_key(test)] for arrays in runs], members)
        for train, runs in trained.items() for test in names
    }  # fmt: skip
    patients = np.array([lungs.images[index].patient for index in members])
    chance = chance_of(
        patients, names, len(measured[ORIGINAL, ORIGINAL]), assignment.effort.resamples,
        np.random.default_rng([assignment.seed, len(members)]),
    )  # fmt: skip
    return Question(
        name, title, {"lungs": len(members)}, len(members), len(set(patients.tolist())), DECIDING,
        cells_of(measured, chance, assignment.margin, _spread(lungs, trained), assignment.least.decided),
    )  # fmt: skip


def _spread(lungs: _Lungs, trained: dict[str, list[Arrays]]) -> dict[tuple[str, str], float]:
    """The chance of training in each cell where runs test different patients, so that they cannot be drawn."""
    dice = MEASURES.index(DECIDING)

    def means(train: str, test: str) -> _Floats:
        return np.array([float(arrays[_key(test)][:, dice].mean()) for arrays in trained[train]])

    if lungs.shared:
        return {}
    before = means(ORIGINAL, ORIGINAL)
    return {
        (train, test): training_chance(means(train, test) - before)
        for train in trained if train != ORIGINAL for test in lungs.gallery.sets
    }  # fmt: skip


def _table(lungs: _Lungs, runs: Sequence[NDArray[np.generic]], members: NDArray[np.int64]) -> _Floats:
    """(runs, members, measures); where each run tests other images, they make one run together."""
    width = len(lungs.images)
    table = np.full((len(runs), width, len(MEASURES)), np.nan)
    for number, (run, values) in enumerate(zip(lungs.split, runs, strict=True)):
        table[number, run.test] = values
    if not lungs.shared:
        return np.asarray(np.nanmean(table[:, members], axis=0, keepdims=True))
    return table[:, members]


def _overlays(lungs: _Lungs, name: str, arrays: Arrays) -> list[Overlay]:
    """Of the first run, tested on the set that it learned from."""
    found = []
    for rank in _SHOWN[name == ORIGINAL]:
        place = int(arrays[f"shown {rank}"])
        number = lungs.images[lungs.split[0].test[place]].number
        found.append(Overlay(
            number, name, rank, float(arrays[_key(name)][place, MEASURES.index(DECIDING)]),
            lungs.gallery.picture(name, number), lungs.gallery.mask(number), arrays[f"mask {rank}"].astype(np.bool_),
        ))  # fmt: skip
    return found


def _notes(lungs: _Lungs, trained: dict[str, list[Arrays]]) -> tuple[str, ...]:
    notes = [
        "One network a training set and run, for the images of all data sets; its outlines are compared at the image's "
        f"own size, distances in {'mm' if lungs.in_mm else 'pixels of the image'}; nothing is mended in them. SD is "
        "over images.",
        "false_negative_rate is missed/true, false_positive_rate added/true and false_discovery_rate added/found "
        f"pixels; {DISTANCES[-2]} and {DISTANCES[-1]} are over all pixels of the picture, and depend on its size.",
        "Intervals are of resampled patients"
        + (
            " and seeds."
            if lungs.shared
            else "; each patient is tested in one run, and differences hold the spread of the runs."
        ),
    ]
    again = {name: sum(int(arrays["training"][1]) > 1 for arrays in runs) for name, runs in trained.items()}
    dead = {name: sum(not arrays["training"][2] for arrays in runs) for name, runs in trained.items()}
    for counts, what in ((again, "were trained again after they had learned nothing"), (dead, "learned nothing")):
        if any(counts.values()):
            told = ", ".join(f"{count} on {name}" for name, count in counts.items() if count)
            notes.append(f"Networks that {what}: {told}.")
    tested = {lungs.images[index].patient for run in lungs.split for index in run.test}
    if len(tested) < lungs.assignment.least.decided:
        notes.append(
            f"Masks of {len(tested)} patients were tested: intervals from so few are too narrow, and nothing is "
            "decided."
        )
    if not all(len(run.validation) for run in lungs.split):
        notes.append("No images to choose networks with: those of the last step are used.")
    return tuple(notes)
