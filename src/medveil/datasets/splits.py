"""Patient-wise splits: no patient is on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medveil.datasets.manifest import Record

# Share of patients for validation where the manifest names no folds.
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """Images to train on and images to validate on.

    Attributes:
        patients_known: False when no manifest said who is who, so that every image counted as a patient of its own.
    """

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    patients_known: bool


def split_images(images: Sequence[Path], records: Sequence[Record] | None, seed: int) -> Split:
    """Split images by patient.

    Folds that the manifest names are kept: `train` trains, `val` validates, everything else (`test` …) is left
    alone. Without folds, a keyed hash of the patient decides, so that adding a patient moves no other. Images that
    the manifest does not list are left out. At least one image is kept for training.
    """
    if records is None:
        known = [Record(path.resolve(), str(path.resolve()), "") for path in images]
    else:
        by_path = {record.path: record for record in records}
        known = [by_path[path.resolve()] for path in images if path.resolve() in by_path]
    if any(record.fold for record in known):
        train = [record.path for record in known if record.fold == "train"]
        validation = [record.path for record in known if record.fold in ("val", "validation")]
    else:
        validation_patients = _drawn(sorted({record.patient for record in known}), seed)
        train = [record.path for record in known if record.patient not in validation_patients]
        validation = [record.path for record in known if record.patient in validation_patients]
    return Split(tuple(sorted(train)), tuple(sorted(validation)), records is not None)


def _drawn(patients: Sequence[str], seed: int) -> frozenset[str]:
    if len(patients) < 2:
        return frozenset()

    def rank(patient: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{patient}".encode()).digest()

    threshold = int(VALIDATION_SHARE * 2**32)
    drawn = {patient for patient in patients if int.from_bytes(rank(patient)[:4]) < threshold}
    return frozenset(drawn or {min(patients, key=rank)}) if len(drawn) < len(patients) else frozenset({patients[0]})
