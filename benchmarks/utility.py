"""What can still be done with opened images: the shared radiographs as they were, and as each quality opens them."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.provenance import SaveOption, clean_commit
from benchmarks.shared_images import grey, shared_folder
from medveil.codecs.code import Bucket, Codec, Profile
from medveil.codecs.registry import get_codec
from medveil.files.atomic import write_bytes
from medveil.images import read
from medveil.tasks.image_sets import ORIGINAL, Gallery, TaskImage
from medveil.tasks.task import Arrays, NoKeep

SEED = 2024
QUALITIES = ("primis:16", "lapped:40", "primis:4", "primis:8")
"""Codec and sparsity, or quality in dB: `primis` at the step of its weights, `lapped` as a sealed release has it."""
PRIMARY = ("lapped:40", "primis:16")
"""Those that bars were set for."""
_CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Row:
    """A row of the manifest of the shared radiographs."""

    name: str
    image: TaskImage
    mask: str


class FolderKeep:
    """Finished parts in a folder, each under the commit that made it; where the code is at none, nothing is kept.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._commit = folder, clean_commit()

    def find(self, *unit: str) -> Arrays | None:
        path = self._path(unit)
        if self._commit is None or not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def keep(self, arrays: Arrays, *unit: str) -> None:
        import io

        if self._commit is None:
            return
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **dict(arrays))
        write_bytes(self._path(unit), buffer.getvalue(), overwrite=True)

    def _path(self, unit: tuple[str, ...]) -> Path:
        return self._folder / f"{hashlib.sha256(json.dumps([self._commit, *unit]).encode()).hexdigest()}.npz"


def rows(sources: Sequence[str], *, fold: str = "", masked: bool = False) -> list[Row]:
    """Rows of the manifest, numbered as they stand in it; patients by their place among all.

    Args:
        sources: data sets.
        fold: train, val or test; all where empty.
        masked: only images with a lung mask.
    """
    folder = shared_folder() / "cxr"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    patients = {name: place for place, name in enumerate(sorted({row["patient_id"] for row in table}))}
    return [
        Row(
            row["image"],
            TaskImage(number, patients[row["patient_id"]], row["source"], row["view"], row["label"], row["fold"],
                      None, bool(row["mask"])),
            row["mask"],
        )
        for number, row in enumerate(table)
        if row["source"] in sources and (not fold or row["fold"] == fold) and (row["mask"] or not masked)
    ]  # fmt: skip


def gallery_of(chosen: Sequence[Row], qualities: Sequence[str], keep: Path | None) -> Gallery:
    """The images of these rows, as they were and at these qualities."""
    folder = shared_folder() / "cxr"
    by_number = {row.image.number: row for row in chosen}
    kept = FolderKeep(keep) if keep is not None else NoKeep()

    def original(number: int) -> NDArray[np.float32]:
        return grey(folder / by_number[number].name).astype(np.float32)

    def mask(number: int) -> NDArray[np.bool_]:
        return grey(folder / by_number[number].mask) > 127

    def opened(quality: str) -> Callable[[int], NDArray[np.float32]]:
        codec, profile = codec_of(quality)

        def picture(number: int) -> NDArray[np.float32]:
            name = by_number[number].name
            arrays = kept.find("picture", quality, name)
            if arrays is None:
                arrays = {"pixels": reopened(folder / name, codec, profile)}
                kept.keep(arrays, "picture", quality, name)
            return arrays["pixels"].astype(np.float32)

        return picture

    sets = {ORIGINAL: original, **{quality: opened(quality) for quality in qualities}}
    return Gallery([row.image for row in chosen], sets, mask, cache_bytes=_CACHE_BYTES)


def codec_of(quality: str) -> tuple[Codec, Profile]:
    """primis:16 → the codec and its profile."""
    name, _, amount = quality.partition(":")
    codec = get_codec(name)
    if name == "primis":
        return codec, codec.profile(quality_centidb=0, sparsity=int(amount), deep=0)
    return codec, codec.profile(quality_centidb=round(100 * float(amount)), sparsity=None, deep=0)


def reopened(path: Path, codec: Codec, profile: Profile) -> NDArray[np.generic]:
    """The pixels that a recipient opens. Protection itself loses nothing; coding does."""
    image = read(path)
    bucket = Bucket.of(*image.pixels.shape)
    composition = codec.composition(profile, bucket) if profile.quality_centidb else None
    return codec.decode(codec.encode(image, profile, composition), profile, bucket)


@dataclass(frozen=True)
class Asked:
    """What the command line of such a benchmark says."""

    keep: Path | None
    save: bool
    threads: int
    part: int | None


def asked(parser: argparse.ArgumentParser) -> Asked:
    """Parse `--keep FOLDER`, `--save`, `--threads N` and `--part N`."""
    parser.add_argument("--keep", type=Path, help="folder for pictures and finished trainings, to go on after a break")
    parser.add_argument("--save", action=SaveOption, help="write the evidence")
    parser.add_argument("--threads", type=int, default=1, help="of torch; another number gives slightly other figures")
    parser.add_argument("--part", type=int, help="only this part, into the kept folder; no tables")
    found = parser.parse_args()
    return Asked(found.keep, found.save, found.threads, found.part)


def rounded(value: Any) -> Any:
    """Numbers with six significant digits, in any nesting."""
    if isinstance(value, Mapping):
        return {str(name): rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def telling(start: float) -> Callable[[str], None]:
    """Prints what begins, with the seconds since the start."""

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - start:6.0f} s] {text}", flush=True)

    return tell
