"""What can still be done with opened images: the shared radiographs as they were, and as each quality opens them.

Networks at 128 pixels learn the train fold, are chosen with the val fold and told once on the test fold; five seeds.
No image of val or test was seen by a codec in training either. No spacing is known: nothing is resampled, and
distances are in pixels.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.benchmark import Measured, Parts
from benchmarks.shared_images import grey, shared_folder
from medveil.audit.audit_run import fixed_threads
from medveil.audit.reference_codecs import recodings
from medveil.experiments.progress import Progress
from medveil.experiments.unit import Product, Result, Status
from medveil.experiments.unit_store import UnitStore
from medveil.images import read
from medveil.tasks.classification import Classification
from medveil.tasks.image_sets import ORIGINAL, Gallery, TaskImage
from medveil.tasks.radiomics import Radiomics
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE
from medveil.tasks.results import FeatureAgreement, Question, TaskResult
from medveil.tasks.segmentation import Segmentation
from medveil.tasks.task import Assignment, Task, TaskEffort, do_task

SEED = 2024
QUALITIES = ("primis:16", "lapped:40", "primis:4", "primis:8")
"""Codec and sparsity, or quality in dB: `primis` at the step of its weights, `lapped` as a sealed release has it."""
PRIMARY = ("lapped:40", "primis:16")
"""Those that bars were set for."""
EFFORT = TaskEffort(
    seeds=5, classifier="densenet121", segmenter="unet", classify_side=128, segment_side=128, classify_epochs=1,
    segment_epochs=10, resamples=5000, radiomics_images=100_000,
)  # fmt: skip
_CACHE_BYTES = 2 << 30
_SMALL, _WORST = 10.0, 6


@dataclass(frozen=True)
class Row:
    """A row of the manifest of the shared radiographs."""

    name: str
    image: TaskImage
    mask: str


def kept_in(folder: Path | None) -> UnitStore | None:
    """Where finished trainings and opened pictures are kept: those of the commit that the code is at, if any."""
    return Parts(folder, benchmark="utility").store


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
    store = kept_in(keep)

    def original(number: int) -> NDArray[np.float32]:
        return grey(folder / by_number[number].name).astype(np.float32)

    def mask(number: int) -> NDArray[np.bool_]:
        return grey(folder / by_number[number].mask) > 127

    def opened(quality: str) -> Callable[[int], NDArray[np.float32]]:
        (codec,) = recodings([quality], fixed=quality.startswith("lapped"))

        def picture(number: int) -> NDArray[np.float32]:
            name = by_number[number].name
            key = ("picture", quality, name)
            found = store.find(key) if store is not None else None
            if found is None:
                found = Result(Status.DONE, Product({"pixels": codec.pixels(read(folder / name))}))
                if store is not None:
                    store.keep(key, found)
            return found.product.arrays["pixels"].astype(np.float32)

        return picture

    sets = {ORIGINAL: original, **{quality: opened(quality) for quality in qualities}}
    return Gallery([row.image for row in chosen], sets, mask, cache_bytes=_CACHE_BYTES)


def _done(
    task: Task, gallery: Gallery, effort: TaskEffort, keep: Path | None, learned: tuple[str, ...] = ()
) -> TaskResult:
    """What a task found; what begins is printed with the seconds since the start. Raises RuntimeError if it ended."""
    start, said = time.monotonic(), [""]

    def tell(done: int, total: int, text: str) -> None:
        if text != said[0]:
            said[0] = text
            print(f"[{time.monotonic() - start:6.0f} s] {text}", flush=True)

    assignment = Assignment(gallery, effort, SEED, learned=learned)
    found = do_task(task, assignment, kept_in(keep), progress=Progress(tell))
    if found.status is not Status.DONE:
        raise RuntimeError(f"{task.name}: {found.status.value}: {found.refusal}")
    return found


# Classification: PRIMIS Table 2 on other data


@dataclass(frozen=True)
class Part:
    """One gallery.

    Attributes:
        network: classifier by name.
        sources: data sets in it.
        qualities: sets beside the originals.
        learned: those that networks learn from; all where empty.
        epochs: how often each image is seen.
        group: which of its groups is asked, by the beginning of its name.
        runs: trainings a set, each from another seed.
        side: in pixels of what a network sees.
        resamples: of every bootstrap.
    """

    network: str
    sources: tuple[str, ...]
    qualities: tuple[str, ...]
    epochs: float
    group: str
    learned: tuple[str, ...] = ()
    runs: int = 5
    side: int = 128
    resamples: int = 5000


SCRATCH, PRETRAINED = "densenet121", "efficientnet-lite0-imagenet"
PARTS = (
    Part(SCRATCH, ("kermany",), QUALITIES, 10, "kermany"),
    Part(PRETRAINED, ("kermany",), PRIMARY, 8, "kermany", (ORIGINAL,)),
    Part(SCRATCH, ("nih",), (), 5, "nih"),
    Part(SCRATCH, ("kermany", "hannover", "ieee8023"), (), 3, "across"),
)


def utility_classification(keep: Path | None = None, threads: int = 1, part: int = -1) -> Measured:
    """Classification, trained and tested on originals and on opened images: PRIMIS Table 2 on other data.

    DenseNet-121 from scratch and EfficientNet-lite0 from ImageNet. Data sets: kermany with all qualities; nih, and
    COVID-19 across data sets, on originals alone. With `part` only that one, into the kept folder.
    """
    parts = PARTS if part < 0 else PARTS[part : part + 1]
    with fixed_threads(threads):
        results = classified(parts, keep)
    settings = {"parts": [asdict(each) for each in parts]}
    return Measured({**results, "threads": threads}, results["images"], SEED, settings)


def classified(parts: Sequence[Part], keep: Path | None) -> dict[str, Any]:
    """All questions."""
    found_parts, seen = [], set()
    for part in parts:
        chosen = rows(part.sources)
        effort = replace(
            EFFORT, seeds=part.runs, classifier=part.network, classify_side=part.side, classify_epochs=part.epochs,
            resamples=part.resamples,
        )  # fmt: skip
        gallery = gallery_of(chosen, part.qualities, keep)
        found = _done(Classification(part.group), gallery, effort, keep, part.learned)
        questions = [_question(question) for question in found.questions]
        found_parts.append({"network": part.network, "settings": dict(found.settings), "questions": questions})
        seen |= {row.name for row in chosen}
    return rounded({"parts": found_parts, "images": len(seen)})


def _question(question: Question) -> dict[str, Any]:
    return {
        "name": question.name, "title": question.title, "classes": dict(question.classes),
        "images": question.images, "patients": question.patients, "caution": question.caution,
        "baselines": [{"name": each.name, "title": each.title, **asdict(each.value)} for each in question.baselines],
        "matrix": _matrix(question),
    }  # fmt: skip


def _matrix(question: Question) -> list[dict[str, Any]]:
    return [
        {"train": cell.train, "test": cell.test, "values": {name: asdict(value) for name, value in cell.values.items()},
         "difference": asdict(cell.compared) if cell.compared else None}
        for cell in question.cells
    ]  # fmt: skip


# Segmentation: PRIMIS Table 3 on other data


def utility_segmentation(
    keep: Path | None = None, threads: int = 1, qualities: tuple[str, ...] = QUALITIES, effort: TaskEffort = EFFORT
) -> Measured:
    """Lungs segmented by a U-Net from originals and from opened images, outlines compared at the image's own size."""
    with fixed_threads(threads):
        chosen = rows(("kermany",), masked=True)
        found = _done(Segmentation(), gallery_of(chosen, qualities, keep), effort, keep)
    question = found.questions[0]
    results = {
        "images": question.images, "patients": question.patients, "settings": dict(found.settings),
        "notes": list(found.notes), "matrix": _matrix(question),
    }  # fmt: skip
    return Measured(rounded(results), len(chosen), SEED)


# Radiomics: the heat map of PRIMIS on other data


def utility_radiomics(
    keep: Path | None = None, threads: int = 1, qualities: tuple[str, ...] = QUALITIES, effort: TaskEffort = EFFORT
) -> Measured:
    """93 texture features in the lung masks of kermany's test fold, of images that no codec was trained on.

    The first image of each patient for the ICCs, all images for the relative errors.
    """
    with fixed_threads(threads):
        chosen = rows(("kermany",), fold="test", masked=True)
        found = _done(Radiomics(), gallery_of(chosen, qualities, keep), effort, keep)
    results = {"sets": [_agreement(each) for each in found.agreements], "settings": dict(found.settings)}
    return Measured(rounded(results), len(chosen), SEED)


def _agreement(found: FeatureAgreement) -> dict[str, Any]:
    """One set at one discretisation as plain values."""
    order = np.argsort(found.lower)
    low21 = found.figures["icc21_low"]
    return {
        "set": found.set_name, "bins": found.bins, "images": found.images, "patients": found.patients,
        "groups": dict(found.groups),
        "kept_icc31": float(np.mean(found.lower > EXCELLENT_ABOVE)),
        "kept_icc21": float(np.mean(low21 > EXCELLENT_ABOVE)),
        "estimate_icc21": float(np.mean(found.figures["icc21"] > EXCELLENT_ABOVE)),
        "small_error": float(np.mean(found.are < _SMALL)),
        "worst": [
            {"feature": found.features[index], "lower": float(found.lower[index]),
             "mean_re": float(found.figures["mean_re"][index])} for index in order[:_WORST]
        ],
        "features": {
            name: {"are": found.are[index], "icc31": found.icc[index], "icc31_low": found.lower[index],
                   "icc21": found.figures["icc21"][index], "icc21_low": low21[index]}
            for index, name in enumerate(found.features)
        },
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Numbers with six significant digits, in any nesting."""
    if isinstance(value, Mapping):
        return {str(name): rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
