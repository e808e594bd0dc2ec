"""Texture features of the lungs from opened images: the heat map of PRIMIS on other data.

93 features in the lung masks of kermany's test fold, of images that no codec was trained on. No spacing is known, so
that nothing is resampled. The first image of each patient for the ICCs, all images for the relative errors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.provenance import record, save
from benchmarks.utility import QUALITIES, SEED, FolderKeep, asked, gallery_of, rounded, rows, telling
from medveil.audit.running import fixed_threads
from medveil.tasks.radiomics import Radiomics
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE
from medveil.tasks.results import FeatureAgreement
from medveil.tasks.task import Assignment, NoKeep, TaskEffort

EFFORT = TaskEffort(
    seeds=5, classifier="densenet121", segmenter="unet", classify_side=128, segment_side=128, classify_epochs=1,
    segment_epochs=1, resamples=1, radiomics_images=100_000,
)  # fmt: skip
_SMALL = 10.0
_WORST = 6


def told(found: FeatureAgreement) -> dict[str, Any]:
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


def run(
    keep: Path | None = None, threads: int = 1, *, qualities: Sequence[str] = QUALITIES, effort: TaskEffort = EFFORT
) -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    with fixed_threads(threads):
        chosen = rows(("kermany",), fold="test", masked=True)
        gallery = gallery_of(chosen, qualities, keep)
        kept = FolderKeep(keep) if keep else NoKeep()
        found = Radiomics().run(Assignment(gallery, effort, SEED, keep=kept, tell=telling(start)))
    results = rounded({"sets": [told(each) for each in found.agreements], "settings": dict(found.settings)})
    seconds = time.monotonic() - start
    return record(
        "utility_radiomics",
        seconds=seconds,
        images=len(chosen),
        seed=SEED,
        settings={"threads": threads, "qualities": list(qualities), **asdict(effort)},
        results=results,
    )


def main() -> None:
    """Print what was found; with --save also write the evidence."""
    wanted = asked(argparse.ArgumentParser(prog="python -m benchmarks.utility_radiomics", description=__doc__))
    evidence = run(wanted.keep, wanted.threads)
    if wanted.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
