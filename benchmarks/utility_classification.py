"""Classification, trained and tested on originals and on opened images: PRIMIS Table 2 on other data.

Networks at 128 pixels: DenseNet-121 from MONAI, from scratch, and EfficientNet-lite0 from ImageNet. A network learns
one data set on its train fold, its thresholds are chosen on the val fold, and the test fold is told once; five seeds.
No image of val or test was seen by a codec in training either. Data sets: kermany with all qualities; nih, and
COVID-19 across data sets, on originals alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.provenance import record, save
from benchmarks.utility import PRIMARY, QUALITIES, SEED, FolderKeep, asked, gallery_of, rounded, rows, telling
from medveil.audit.running import fixed_threads
from medveil.tasks.classification import Classification
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import Question
from medveil.tasks.task import Assignment, NoKeep, TaskEffort


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


def effort_of(part: Part) -> TaskEffort:
    """What a network is given."""
    return TaskEffort(
        seeds=part.runs, classifier=part.network, segmenter="unet", classify_side=part.side, segment_side=part.side,
        classify_epochs=part.epochs, segment_epochs=8, resamples=part.resamples, radiomics_images=400,
    )  # fmt: skip


def told(question: Question) -> dict[str, Any]:
    """A question as plain values."""
    return {
        "name": question.name, "title": question.title, "classes": dict(question.classes),
        "images": question.images, "patients": question.patients, "caution": question.caution,
        "baselines": [
            {"name": each.name, "title": each.title, **asdict(each.value)} for each in question.baselines
        ],
        "matrix": [
            {
                "train": cell.train, "test": cell.test,
                "values": {name: asdict(value) for name, value in cell.values.items()},
                "difference": asdict(cell.compared) if cell.compared else None,
            }
            for cell in question.cells
        ],
    }  # fmt: skip


def measure(parts: Sequence[Part], keep: Path | None, start: float) -> dict[str, Any]:
    """All questions."""
    told_parts, seen = [], set()
    for part in parts:
        chosen = rows(part.sources)
        assignment = Assignment(
            gallery_of(chosen, part.qualities, keep), effort_of(part), SEED, learned=part.learned,
            keep=FolderKeep(keep) if keep else NoKeep(), tell=telling(start),
        )  # fmt: skip
        found = Classification(part.group).run(assignment)
        told_parts.append(
            {
                "network": part.network,
                "settings": dict(found.settings),
                "questions": [told(question) for question in found.questions],
            }
        )
        seen |= {row.name for row in chosen}
    return rounded({"parts": told_parts, "images": len(seen)})


def run(keep: Path | None = None, threads: int = 1) -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    with fixed_threads(threads):
        results = measure(PARTS, keep, start)
    seconds, images = time.monotonic() - start, results["images"]
    return record(
        "utility_classification", seconds=seconds, images=images, seed=SEED,
        settings={"threads": threads, "parts": [asdict(part) for part in PARTS]},
        results={**results, "threads": threads},
    )  # fmt: skip


def main() -> None:
    """Print what was found; with --save also write the evidence."""
    wanted = asked(argparse.ArgumentParser(prog="python -m benchmarks.utility_classification", description=__doc__))
    if wanted.part is not None:
        with fixed_threads(wanted.threads):
            measure([PARTS[wanted.part]], wanted.keep, time.monotonic())
        return
    evidence = run(wanted.keep, wanted.threads)
    if wanted.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
