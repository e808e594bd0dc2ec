"""The plane of open releases: every simple method at several strengths, by the same attackers and the same tasks.

The shared radiographs of two data sets, the longer side reduced, are released by each method and audited: attackers
cross-fit, since all folds are in the release, so that networks of tasks learn from the train fold and are tested on
the test fold. Among the releases are the settings of DP-Pix of PriCheXy-Net (Table 1: b 1, 2, 4, 8 at ε 0.1 and m 1)
and the pixelation of implicit neural obfuscation (÷ 2, 4, 6).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image as Picture

from benchmarks.audits import Said
from benchmarks.benchmark import Measured, Parts
from benchmarks.shared_images import shared_folder
from medveil.anonymizers.registry import get_anonymizer
from medveil.attacks.reidentification.recognizer import RecognizerEffort
from medveil.audit.audit_run import audit_target
from medveil.audit.presets import TaskBudget, find_preset
from medveil.audit.record import JSON
from medveil.audit.targets.anonymized import anonymized_target
from medveil.datasets.manifest import match_rows, read_manifest
from medveil.keys.identity import Identity, generate
from medveil.releases.anonymizing import Row, anonymize
from medveil.releases.writing.inputs import Input
from medveil.report.page import write_report
from medveil.report.plane import point_of, table_of
from medveil.tasks.task import TaskEffort

SEED = 0
RELEASES = (
    *(("pixelate", f"cells={cells}") for cells in (64, 32, 21, 16, 8)),
    *(("dp-pix", f"b={b} epsilon=0.1 m=1") for b in (1, 2, 4, 8)),
    *(("dp-pix", f"b={b} epsilon={epsilon} m=16") for b, epsilon in ((8, 1), (8, 0.3), (16, 1))),
    *(("warp", f"mm={mm}") for mm in (5, 10, 20)),
    *(("mixup", f"n={n}") for n in (2, 3, 5)),
    *(("k-same", f"k={k}") for k in (5, 10, 20)),
)
"""(method, settings); at a longer side of 128 pixels 64, 32 and 21 cells are ÷ 2, 4 and 6."""
RECOGNIZERS = ("thumbnails", "hog", "eigenpictures", "contrastive", "metadata")
"""One of each family but for key points, of which pictures of 128 pixels have few."""
_COLUMNS = ("image", "mask", "patient_id", "source", "view", "sex", "label", "fold")
_QUICK = find_preset("quick")
PRESET = replace(
    _QUICK, own_images=400, tested_images=400, fidelity_images=60, folds=2, resamples=1000, recognition_own=400,
    recognition_tested=400,
    recognition=RecognizerEffort(side=64, steps=140, batch=64, network="resnet18", key_points=512, pairs=20_000),
    tasks=TaskBudget(2000, TaskEffort(1, "resnet18", "unet", 64, 64, 6.0, 6.0, 1000, 0)),
)  # fmt: skip


@dataclass(frozen=True)
class Images:
    """What is released: reduced copies, and who is who."""

    folder: Path
    manifest: Path


def run(
    work: Path, keep: Path | None = None, releases: tuple[str, ...] = (), sources: tuple[str, ...] = ("kermany", "nih"),
    side: int = 128, every: int = 2, recognizers: tuple[str, ...] = RECOGNIZERS,
    tasks: tuple[str, ...] = ("classification", "segmentation"), threads: int = 1,
) -> Measured:  # fmt: skip
    """What open releases by the simple methods give away, and what they are good for.

    Args:
        keep: where finished releases are kept, each under the commit that measured it.
        releases: such as "pixelate cells=16"; all where none is named.
        sources: data sets.
        side: the longer one, in pixels.
        every: every n-th patient only.
        recognizers: attackers.
        tasks: names.
        threads: processor threads.
    """
    images = reduced(work / "images", sources, side, every)
    chosen = [each for each in RELEASES if not releases or " ".join(each) in releases]
    parts = Parts(keep, side=side, every=every, sources=list(sources), recognizers=list(recognizers))
    owner = generate(work / "owner.key")
    reports = []
    for place, (method, settings) in enumerate(chosen):
        make = partial(_audited, work / str(place), images, method, settings, owner, recognizers, tasks, threads)
        reports.append(parts.part(f"{method} {settings}", make))
    points = [point_of(report, number) for number, report in enumerate(reports, 1)]
    results = {"rows": table_of(points), "attackers": [_by_attacker(report) for report in reports], "side": side}
    return Measured(results, len(images.manifest.read_text().splitlines()) - 1, SEED, seconds=parts.seconds)


def reduced(folder: Path, sources: Sequence[str], side: int, every: int) -> Images:
    """Copies of the images and masks of every n-th patient, the longer side reduced, with a manifest."""
    shared = shared_folder() / "cxr"
    with (shared / "manifest.csv").open(encoding="utf-8", newline="") as file:
        table = [row for row in csv.DictReader(file) if row["source"] in sources]
    patients = sorted({row["patient_id"] for row in table})[::every]
    kept = [row for row in table if row["patient_id"] in set(patients)]
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for row in kept:
        for column, way in (("image", Picture.Resampling.BOX), ("mask", Picture.Resampling.NEAREST)):
            if row.get(column):
                with Picture.open(shared / row[column]) as picture:
                    scale = min(1.0, side / max(picture.size))
                    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
                    picture.convert("L").resize(size, way).save(folder / row[column])
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    return Images(folder / "images", manifest)


def released(place: Path, images: Images, method: str, settings: str, owner: Identity) -> tuple[Path, Path]:
    """Release the images by a method; the release and its link file."""
    made = get_anonymizer(method, dict(each.split("=", 1) for each in settings.split()))

    def rows(tasks: Sequence[Input]) -> Mapping[int, Row]:
        matched = match_rows(read_manifest(images.manifest), [task.path for task in tasks], [images.folder]).rows
        return {task.number: Row(row.patient, (row.source,)) for task, row in zip(tasks, matched, strict=True) if row}

    place.mkdir()
    out, link = place / "public", place / "link.csv"
    anonymize([images.folder], out, link, made, owner=owner, rows=rows, again=True, jobs=1)
    return out, link


def _audited(
    place: Path, images: Images, method: str, settings: str, owner: Identity, recognizers: tuple[str, ...],
    tasks: tuple[str, ...], threads: int,
) -> dict[str, Any]:  # fmt: skip
    """report.json of the audit of a release, what is needed of it."""
    public, link = released(place, images, method, settings, owner)
    out = place / "audit"
    audit_target(
        lambda **how: anonymized_target(public, images.folder, link, images.manifest, **how),
        beside={"release": public}, out=out, preset=PRESET, attacks=recognizers, seed=SEED, threads=threads,
        tasks=tasks, write=partial(write_report, pictures=False), progress=Said(),
    )  # fmt: skip
    report = json.loads((out / JSON).read_text(encoding="utf-8"))
    return {name: report[name] for name in ("release", "identification", "tasks", "conclusion", "fidelity")}


def _by_attacker(report: Mapping[str, Any]) -> dict[str, Any]:
    """Matched AUC of each attacker's strongest mode, by question."""
    found: dict[str, Any] = {"release": point_of(report, 1).name}
    for row in report["identification"]["rows"]:
        if row["matched_auc"] is not None:
            best = found.setdefault(row["question"], {})
            best[row["recognizer"]] = max(best.get(row["recognizer"], 0.0), row["matched_auc"])
    return found
