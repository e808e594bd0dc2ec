"""Splits by patient: which images are learned from, chosen with and tested on. No patient is on two sides.

Splits by a seed rank the patients by a keyed hash, so that the order of the images decides nothing; those of an audit
draw from its generator. `experiments.sampling` draws images of patients to look at, and splits nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medveil.datasets.manifest import Record

VALIDATION_SHARE = 0.1
"""Of the patients, where a manifest names no folds for training a codec."""
_VALIDATION = 0.125  # of the patients who are not tested: 70/10/20 in five folds
_VALIDATION_FOLDS = ("val", "validation")
Numbers = NDArray[np.int64]


class Imaged(Protocol):
    """What a split looks at: whose image it is, its fold, and its data set and class, which are dealt out evenly."""

    @property
    def patient(self) -> int: ...
    @property
    def fold(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def label(self) -> str: ...


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


def has_folds(images: Sequence[Imaged]) -> bool:
    """Whether the manifest's own folds can be used: there are images to train on and others to test on."""
    return {"train", "test"} <= {image.fold for image in images}


def splits(images: Sequence[Imaged], runs: int, seed: int) -> tuple[Split, ...]:
    """One split a training run.

    With folds in the manifest all runs share them and differ in their seed. Without, the patients are dealt into as
    many folds as there are runs, those of one source and label evenly, and every fold is tested once; there are at
    least 2 runs then.

    Args:
        images: at least one patient a fold.
        runs: number of runs.
        seed: of the whole.
    """
    if has_folds(images):
        fold = np.array([image.fold for image in images])
        train, validation, test = (np.flatnonzero(np.isin(fold, each)) for each in ("train", _VALIDATION_FOLDS, "test"))
        return tuple(Split(train, validation, test, seed + run) for run in range(runs))
    runs = max(runs, 2)
    patients = np.array([image.patient for image in images])
    kinds: dict[int, tuple[str, str]] = {}
    for image in images:
        kinds[image.patient] = max(kinds.get(image.patient, ("", "")), (image.source, image.label))
    ranked = sorted(kinds, key=lambda patient: (kinds[patient], _rank(seed, "fold", patient)))
    fold_of = {patient: place % runs for place, patient in enumerate(ranked)}
    dealt = np.array([fold_of[int(patient)] for patient in patients])
    found = []
    for run in range(runs):
        others = [patient for patient in ranked if fold_of[patient] != run]
        order = sorted(others, key=lambda patient: _rank(seed, f"validation {run}", patient))
        chosen = order[: max(1, round(_VALIDATION * len(order)))] if len(order) > 2 else []
        validates = np.isin(patients, chosen) & (dealt != run)
        train, validation, test = map(np.flatnonzero, ((dealt != run) & ~validates, validates, dealt == run))
        found.append(Split(train, validation, test, seed + run))
    return tuple(found)


def split_files(
    images: Sequence[Path], rows: Sequence[Record | None] | None, seed: int
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Images to train a codec on, and to validate it with.

    Folds that the manifest names are kept: `train` trains, `val` validates, everything else (`test` …) is left
    alone. Without folds, a keyed hash of the patient decides, so that adding a patient moves no other. Images that
    the manifest does not list are left out. At least one image is kept for training.

    Args:
        images: files.
        rows: of each image its row in the manifest, see `medveil.datasets.manifest.match_rows`; None where there is no
            manifest: every image counts as a patient of its own then.
        seed: of the hash.
    """
    places = [path.resolve() for path in images]
    if rows is None:
        known = [Record(path, str(path), "") for path in places]
    else:
        known = [replace(row, path=path) for path, row in zip(places, rows, strict=True) if row is not None]
    if any(record.fold for record in known):
        sides = [[each for each in known if each.fold in names] for names in (("train",), _VALIDATION_FOLDS)]
    else:
        patients = {record.patient for record in known}
        drawn = {each for each in patients if int.from_bytes(_rank(seed, each)[:4]) < int(VALIDATION_SHARE * 2**32)}
        if len(patients) > 1:
            drawn = drawn or set(held_out(sorted(patients), 0.0, seed))
            drawn = drawn if drawn < patients else {min(patients)}
        sides = [[each for each in known if (each.patient in drawn) is held] for held in (False, True)]
    train, validation = (tuple(sorted(record.path for record in side)) for side in sides)
    return train, validation


def held_out(patients: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """About that share of at least two different patients, by a keyed hash: at least one, and never all."""
    order = sorted(set(patients), key=lambda patient: _rank(seed, patient))
    return frozenset(order[: min(max(round(share * len(order)), 1), len(order) - 1)])


def dealt_by_patient(patients: Sequence[int], parts: int, generator: np.random.Generator) -> list[list[int]]:
    """Indices in `parts` parts of about the same number of images, all images of a patient in one part."""
    counts, order = _shuffled(patients, generator)
    order.sort(key=lambda patient: -counts[patient])  # the largest first, so that the parts come out even
    sizes, where = [0] * parts, {}
    for patient in order:
        part = sizes.index(min(sizes))
        where[patient] = part
        sizes[part] += counts[patient]
    return [[index for index, patient in enumerate(patients) if where[patient] == part] for part in range(parts)]


def validation_patients(patients: Sequence[int], share: float, generator: np.random.Generator) -> frozenset[int]:
    """Patients to choose with: about that share of the images, at least one patient where there are two.

    Args:
        patients: whose image each is.
        share: of the images.
        generator: of the draw.
    """
    if len(set(patients)) < 2:
        return frozenset()
    counts, order = _shuffled(patients, generator)
    wanted, taken, images = share * len(patients), [], 0
    for patient in order[:-1]:
        if not images or images + counts[patient] <= wanted:
            taken.append(patient)
            images += counts[patient]
    return frozenset(taken)


def _shuffled(patients: Sequence[int], generator: np.random.Generator) -> tuple[Counter[int], list[int]]:
    """How many images each patient has, and the patients in drawn order."""
    counts = Counter(patients)
    return counts, [sorted(counts)[place] for place in generator.permutation(len(counts))]


def _rank(seed: int, *purpose: str | int) -> bytes:
    return hashlib.sha256("\0".join(map(str, (seed, *purpose))).encode()).digest()
