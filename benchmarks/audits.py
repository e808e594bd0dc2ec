"""Audits of releases of the test fold, a protection level each, and whether an audit repeats itself.

The attacker's own images are of the train and val folds. In the repetitions she has none beside those of the release,
so that she cross-fits.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image as Picture

import medveil
from benchmarks.benchmark import Measured
from benchmarks.provenance import machine
from benchmarks.shared_images import radiographs, shared_folder
from medveil.audit.audit_run import audit_release
from medveil.audit.record import JSON
from medveil.keys.identity import Identity, generate
from medveil.keys.openers import Opener, load_opener
from medveil.report.page import write_report

THREADS = 1  # two audits side by side are faster on two cores than one after the other with two threads
SEED = 0
_KEPT = ("metric", "attacker", "baseline", "advantage", "ci", "upper", "p", "margin", "smallest_visible", "worst",
         "patients", "images", "verdict")  # fmt: skip


def _audited(
    level: str, preset: str = "standard", release: Path | None = None, key: Path | None = None,
    report: Path | None = None, every: int = 1, attacks: tuple[str, ...] = (), threads: int = THREADS,
) -> Measured:  # fmt: skip
    """What an audit of a release of the test fold finds.

    Args:
        level: of protection.
        preset: of the audit.
        release, key: a release of the test fold at this level, and a key that sees which package is which; else one is
            made in a temporary folder.
        report: where the report goes, and what is finished so far; a temporary folder by default.
        every: every n-th image of the fold only, where the release is made here.
        attacks: names; none for all.
        threads: processor threads; another number gives slightly other figures.
    """
    originals = shared_folder() / "cxr"
    opener: Opener
    with tempfile.TemporaryDirectory() as place:
        if release is None:
            opener = owner = generate(Path(place) / "owner.key")
            release = _shared([image.path for image in radiographs("test", every=every)], Path(place), owner, level, 1)
        elif key is None:
            raise SystemExit("--release needs the owner's key: --key KEY")
        else:
            opener = load_opener(key)
        out = report or Path(place) / "report"
        audit_release(
            release, identity=opener, originals=originals, out=out, manifest=originals / "manifest.csv", preset=preset,
            attacks=attacks, resume=True, seed=SEED, threads=threads,
            write=partial(write_report, pictures=False), progress=Said(),
        )  # fmt: skip
        results = figures(json.loads((out / JSON).read_text(encoding="utf-8")))
    if results["release"]["protection"] != level:
        raise SystemExit(f"the release is {results['release']['protection']}, not {level}")
    return Measured(results, results["data"]["images"], SEED)


audit_sealed, audit_encrypted = (partial(_audited, level) for level in ("sealed", "encrypted"))


def audit_repeat(
    small: tuple[int, ...] = (60, 128), large: tuple[int, ...] = (200, 256), threads: int = 2, preset: str = "quick",
    attacks: tuple[str, ...] = (),
) -> Measured:  # fmt: skip
    """Is an audit repeatable, and how long does preset `quick` take?

    Twice on a small release, with the same seed and threads: report.json must agree in all but the seconds. Once on a
    larger one, timed. Both are (images, longer side).
    """
    found: dict[str, Any] = {"preset": preset, "threads": threads, "cores": machine()["cores"]}
    for name, (count, side), times in (("twice", small, 2), ("timed", large, 1)):
        if not count:
            continue
        print(f"  {count} images of {side} pixels", flush=True)
        runs = []
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            owner, images = generate(place / "owner.key"), place / "images"
            images.mkdir()
            manifest = reduced(images, count, side)
            release = _shared(sorted(images.glob("*.png")), place, owner, "sealed", threads)
            for number in range(times):
                start, out = time.perf_counter(), place / f"report{number}"
                audit_release(
                    release, identity=owner, originals=images, out=out, manifest=manifest, preset=preset,
                    attacks=attacks, seed=SEED, threads=threads, write=write_report, progress=Said(),
                )  # fmt: skip
                runs.append((json.loads((out / JSON).read_text(encoding="utf-8")), time.perf_counter() - start))
        reports = [without_seconds(report) for report, _ in runs]
        found[name] = {
            "images": count, "side": side, "minutes": [round(seconds / 60, 2) for _, seconds in runs],
            "conclusion": runs[0][0]["conclusion"], "differences": differences(reports[0], reports[-1]),
            "figures": _leaves(reports[0]),
        }  # fmt: skip
    return Measured(found, small[0] + large[0], SEED)


def _shared(images: list[Path], place: Path, owner: Identity, level: str, jobs: int) -> Path:
    settings = medveil.ShareSettings(to=(owner.recipient,), protection=level, jobs=jobs)
    medveil.share(images, place / "release", settings, owner=owner)
    return place / "release"


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of report.json is evidence."""
    release, wanted = report["release"], ("protection", "codec", "quality", "decoys", "tiers", "packages")
    return {
        "release": {name: release[name] for name in wanted},
        "settings": {name: report["settings"][name] for name in ("preset", "seed", "threads", "limits")},
        "data": report["data"],
        "attacks": [_attack(attack) for attack in report["attacks"]],
        "refused": [{name: each[name] for name in ("name", "title", "reason")} for each in report["refused"]],
        "controls": [
            {**{name: each[name] for name in ("name", "title", "kind", "expected", "got", "ok", "by", "on")},
             "attacks": [_attack(attack) for attack in each["attacks"]]}
            for each in report["controls"]
        ],
        "matrix": report["matrix"],
        "sensitivity": report["sensitivity"],
        "fidelity": [
            {"tier": tier["tier"], "r_squared": tier["r_squared"],
             "metrics": {name: {key: row[key] for key in ("mean", "sd", "ci", "images")}
                         for name, row in tier["metrics"].items()}}
            for tier in report["fidelity"]
        ],
        **{name: report[name] for name in ("conclusion", "because", "seconds")},
    }  # fmt: skip


def _attack(attack: Mapping[str, Any]) -> dict[str, Any]:
    measured = {name: {key: one[key] for key in _KEPT} for name, one in attack["measured"].items()}
    return {**{name: attack[name] for name in ("name", "title", "verdict", "metric", "extra", "seconds")},
            "measured": measured}  # fmt: skip


class Said:
    """Progress: a line when a stage begins."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, done: int, total: int, text: str) -> None:
        stage = text.partition(" (")[0]
        if stage != self._stage:
            self._stage = stage
            print(f"  [{done}/{total}] {text}", flush=True)


def without_seconds(value: Any) -> Any:
    """A report without anything under a key named seconds."""
    if isinstance(value, dict):
        return {name: without_seconds(each) for name, each in value.items() if name != "seconds"}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two reports differ, as paths of keys."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [path for name in one for path in differences(one[name], other[name], f"{at}.{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [path for place, (left, right) in pairs for path in differences(left, right, f"{at}.{place}")]
    return [] if one == other else [at.lstrip(".")]


def reduced(folder: Path, count: int, side: int) -> Path:
    """So many images of the test fold, the longer side reduced to `side`, with a manifest; returns that."""
    rows = []
    for image in radiographs("test")[:count]:
        with Picture.open(image.path) as picture:
            scale = side / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            picture.convert("L").resize(size, Picture.Resampling.BOX).save(folder / image.path.name)
        rows.append((image.path.name, image.patient, image.path.stem.partition("_")[0]))
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "patient_id", "source"), *rows])
    return manifest


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_leaves, value.values()))
    return sum(map(_leaves, value)) if isinstance(value, list) else 1
