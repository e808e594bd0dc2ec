"""Splitting: which images a network learns from, is chosen with, and is tested on. No patient is in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.tasks.image_sets import TaskImage

_VALIDATION = 0.125  # of the patients who are not tested: 70/10/20 in five folds
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Indices into the images that were split, one training run.

    Attributes:
        train, validation, test: (n,) int, disjoint by patient.
        seed: of the run.
    """

    train: Numbers
    validation: Numbers
    test: Numbers
    seed: int


def has_folds(images: Sequence[TaskImage]) -> bool:
    """Whether the manifest's own folds can be used: there are images to train on and others to test on."""
    folds = {image.fold for image in images}
    return "train" in folds and "test" in folds


def splits(images: Sequence[TaskImage], seeds: int, seed: int) -> tuple[Split, ...]:
    """One split a training run.

    With folds in the manifest all runs share them and differ in their seed. Without, the patients are dealt into as
    many folds as there are seeds, by a keyed hash, and every fold is tested once; `seeds` is at least 2.

    Args:
        images: at least one patient a fold.
        seeds: number of runs.
        seed: of the whole.
    """
    if has_folds(images):
        fold = np.array([image.fold for image in images])
        parts = (np.flatnonzero(fold == "train"), np.flatnonzero((fold == "val") | (fold == "validation")),
                 np.flatnonzero(fold == "test"))  # fmt: skip
        return tuple(Split(*parts, seed=seed + run) for run in range(seeds))
    runs = max(seeds, 2)
    patients = np.array([image.patient for image in images])
    ranked = _stratified(images, seed)
    place = {patient: index for index, patient in enumerate(ranked)}
    dealt = np.array([place[int(patient)] % runs for patient in patients])
    found = []
    for run in range(runs):
        others = [patient for patient in ranked if place[patient] % runs != run]
        order = sorted(others, key=lambda patient: _rank(seed, f"validation {run}", patient))
        chosen = set(order[: max(1, round(_VALIDATION * len(order)))] if len(order) > 2 else [])
        validates = np.isin(patients, list(chosen)) & (dealt != run)
        found.append(
            Split(np.flatnonzero((dealt != run) & ~validates), np.flatnonzero(validates), np.flatnonzero(dealt == run),
                  seed + run)
        )  # fmt: skip
    return tuple(found)


def _stratified(images: Sequence[TaskImage], seed: int) -> list[int]:
    """Patients in an order in which those of one source and label follow each other, at random within: dealt out in
    turn, they spread evenly."""
    kinds: dict[int, tuple[str, str]] = {}
    for image in images:
        kinds[image.patient] = max(kinds.get(image.patient, ("", "")), (image.source, image.label))
    return sorted(kinds, key=lambda patient: (kinds[patient], _rank(seed, "fold", patient)))


def _rank(seed: int, purpose: str, patient: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{purpose}\0{patient}".encode()).digest()
