"""Train the shipped weights of the codec `primis` on the shared `train` fold (sources nih, kermany, hannover).

One run a sparsity, in a folder of its own below `--work`; a run that was killed goes on. At the end weights, log and
card are copied to the package.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from benchmarks.provenance import clean_commit
from benchmarks.shared_images import shared_folder

from medveil.codecs.primis.codec import WEIGHTS
from medveil.codecs.primis.training_run import STEPS, TrainingResult, train_codec
from medveil.training.primis_training import LOG, LogEntry, Settings

# Quantisation steps in training; the files state STEPS.
TRAINING_STEPS = {4: 3.0, 8: 2.0, 16: 1.0}
SOURCES = ("nih", "kermany", "hannover")
DATA = (
    "chest radiographs: NIH ChestX-ray14, Kermany 2018 (CC BY 4.0), Hannover Medical School (CC BY 3.0); `train` fold"
)


def settings_for(sparsity: int) -> Settings:
    """Settings of the shipped runs."""
    return Settings(steps=450, step=TRAINING_STEPS[sparsity], validate_every=50, patience=1000)


def images_allowed(folder: Path) -> list[Path]:
    """Images of the train and val folds whose licence allows any use with attribution."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["source"] in SOURCES and row["fold"] in ("train", "val")]
    return sorted(folder / row["image"] for row in rows)


def ship(result: TrainingResult, sparsity: int) -> None:
    """Copy weights, log and card of a finished run to the package."""
    WEIGHTS.mkdir(exist_ok=True)
    folder = result.model.parent
    for source, suffix in ((result.model, "safetensors"), (folder / LOG, "jsonl"), (folder / "README.md", "md")):
        (WEIGHTS / f"primis-s{sparsity}.{suffix}").write_bytes(source.read_bytes())


def main() -> None:
    """Train and ship."""
    parser = argparse.ArgumentParser(prog="python -m tools.train_weights", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--sparsity", type=int, nargs="+", default=sorted(STEPS))
    asked = parser.parse_args()
    folder = shared_folder() / "cxr"
    for sparsity in asked.sparsity:

        def report(entry: LogEntry, sparsity: int = sparsity) -> None:
            print(f"S={sparsity} step {entry.step}: {entry.validation_psnr:.3f} dB, {entry.seconds:.0f} s", flush=True)

        result = train_codec(
            images_allowed(folder),
            asked.work / f"primis-s{sparsity}",
            sparsity=sparsity,
            manifest=folder / "manifest.csv",
            resume=True,
            settings=settings_for(sparsity),
            progress=report,
            level_step=STEPS[sparsity],
            data=DATA,
            commit=clean_commit() or "uncommitted",
        )
        ship(result, sparsity)


if __name__ == "__main__":
    main()
