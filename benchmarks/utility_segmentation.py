"""Lungs segmented from originals and from opened images: PRIMIS Table 3 on other data.

U-Net from MONAI at 128 pixels, trained on the train fold of kermany, chosen with its val fold, told once on its test
fold; five seeds. Outlines are compared at the image's own size, in pixels, since no spacing is known.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.provenance import record, save
from benchmarks.utility import QUALITIES, SEED, FolderKeep, asked, gallery_of, rounded, rows, telling
from medveil.audit.running import fixed_threads
from medveil.tasks.segmentation import Segmentation
from medveil.tasks.task import Assignment, NoKeep, TaskEffort

EFFORT = TaskEffort(
    seeds=5, classifier="densenet121", segmenter="unet", classify_side=128, segment_side=128, classify_epochs=1,
    segment_epochs=10, resamples=5000, radiomics_images=1,
)  # fmt: skip


def run(
    keep: Path | None = None, threads: int = 1, *, qualities: Sequence[str] = QUALITIES, effort: TaskEffort = EFFORT
) -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    with fixed_threads(threads):
        chosen = rows(("kermany",), masked=True)
        kept = FolderKeep(keep) if keep else NoKeep()
        found = Segmentation().run(
            Assignment(gallery_of(chosen, qualities, keep), effort, SEED, keep=kept, tell=telling(start))
        )
    question = found.questions[0]
    results = {
        "images": question.images, "patients": question.patients, "settings": dict(found.settings),
        "notes": list(found.notes),
        "matrix": [
            {
                "train": cell.train, "test": cell.test,
                "values": {name: asdict(value) for name, value in cell.values.items()},
                "difference": asdict(cell.compared) if cell.compared else None,
            }
            for cell in question.cells
        ],
    }  # fmt: skip
    seconds = time.monotonic() - start
    return record(
        "utility_segmentation", seconds=seconds, images=len(chosen), seed=SEED,
        settings={"threads": threads, "qualities": list(qualities), **asdict(effort)},
        results=rounded(results),
    )  # fmt: skip


def main() -> None:
    """Print what was found; with --save also write the evidence."""
    wanted = asked(argparse.ArgumentParser(prog="python -m benchmarks.utility_segmentation", description=__doc__))
    evidence = run(wanted.keep, wanted.threads)
    if wanted.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
