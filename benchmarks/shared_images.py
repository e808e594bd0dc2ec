"""The real images that the benchmarks measure: beside the checkout in ../shared, or where MEDVEIL_SHARED says."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from benchmarks.provenance import REPOSITORY


@dataclass(frozen=True)
class Radiograph:
    """One image of the chest radiograph set: its file, its patient, and the file at its original size, if kept."""

    path: Path
    patient: str
    full: Path | None


def shared_folder() -> Path:
    """The folder of real images. Ends the program with a clear line where there is none."""
    folder = Path(os.environ.get("MEDVEIL_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "cxr" / "manifest.csv").is_file():
        sys.exit(f"this benchmark needs the real images; they are not in {folder}. Set MEDVEIL_SHARED to their folder.")
    return folder


def radiographs(fold: str, *, every: int = 1) -> list[Radiograph]:
    """The radiographs of a fold (train, val or test), sorted by file name; `every` n-th of them for a quick look."""
    folder = shared_folder() / "cxr"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == fold and row["split"] == "shared"]
    found = [
        Radiograph(folder / row["image"], row["patient_id"], folder / row["full"] if row["full"] else None)
        for row in sorted(rows, key=lambda row: row["image"])
    ]
    return found[::every]


def full_size(side: int) -> Radiograph:
    """The first radiograph that is kept at its original size of `side` x `side` pixels."""
    for fold in ("test", "val", "train"):
        for found in radiographs(fold):
            if found.full is not None and grey(found.full).shape == (side, side):
                return found
    sys.exit(f"the shared images hold none of {side} x {side} pixels at its original size")


def grey(path: Path) -> NDArray[np.generic]:
    """Pixels of a grey picture file, read by Pillow and not by medveil."""
    with Picture.open(path) as picture:
        return np.asarray(picture)
