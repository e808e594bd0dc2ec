"""The audit of a release of the test fold, at each protection level: what `medveil audit` finds, as evidence.

`audit_sealed` and `audit_encrypted` are this, each with its level. The attacker's own images are of
the train and val folds. A release that is there can be given; else one is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import medveil
from benchmarks.provenance import SaveOption, record, save
from benchmarks.shared_images import radiographs, shared_folder
from medveil.audit.report import JSON
from medveil.audit.running import audit_release
from medveil.keys.identity import generate
from medveil.keys.openers import Opener, load_opener

LEVELS = ("sealed", "encrypted")
THREADS = 1  # two audits side by side are faster on two cores than one after the other with two threads
SEED = 0
_KEPT = ("metric", "attacker", "baseline", "advantage", "ci", "upper", "p", "margin", "smallest_visible", "worst",
         "patients", "images", "verdict")  # fmt: skip


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of report.json is evidence."""
    release = report["release"]
    return {
        "release": {name: release[name] for name in ("protection", "codec", "quality", "decoys", "tiers", "packages")},
        "settings": {name: report["settings"][name] for name in ("preset", "seed", "threads", "limits")},
        "data": report["data"],
        "attacks": [_attack(attack) for attack in report["attacks"]],
        "refused": [{name: each[name] for name in ("name", "title", "reason")} for each in report["refused"]],
        "controls": [
            {**{name: each[name] for name in ("name", "title", "kind", "expected", "got", "ok", "by")},
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
        "conclusion": report["conclusion"],
        "because": report["because"],
        "seconds": report["seconds"],
    }  # fmt: skip


def _attack(attack: Mapping[str, Any]) -> dict[str, Any]:
    measured = {name: {key: one[key] for key in _KEPT} for name, one in attack["measured"].items()}
    return {"name": attack["name"], "title": attack["title"], "verdict": attack["verdict"], "metric": attack["metric"],
            "measured": measured, "extra": attack["extra"], "seconds": attack["seconds"]}  # fmt: skip


@contextmanager
def shared_release(level: str, folder: Path | None, key: Path | None, every: int) -> Iterator[tuple[Path, Opener]]:
    """A release of the test fold and its owner's key: the given ones, or new ones that vanish."""
    if folder is not None:
        if key is None:
            raise SystemExit("--release needs the owner's key: -i KEY")
        yield folder, load_opener(key)
        return
    with tempfile.TemporaryDirectory() as place:
        owner = generate(Path(place) / "owner.key")
        images = [image.path for image in radiographs("test", every=every)]
        settings = medveil.ShareSettings(to=(owner.recipient,), protection=level, jobs=THREADS)
        medveil.share(images, Path(place) / "release", settings, owner=owner)
        yield Path(place) / "release", owner


def run(
    level: str = "sealed", *, preset: str = "standard", release: Path | None = None, key: Path | None = None,
    report: Path | None = None, every: int = 1, attacks: Sequence[str] = (),
    threads: int = THREADS,
) -> dict[str, Any]:  # fmt: skip
    """The evidence of one level.

    Args:
        level: of protection.
        preset: of the audit.
        release, key: a release of the test fold at this level, and a key that sees which package is which.
        report: where the report goes, and what is finished so far; a temporary folder by default.
        every: every n-th image of the fold only, where the release is made here.
        attacks: names; none for all.
        threads: processor threads; another number gives slightly other figures.
    """
    start = time.monotonic()
    originals = shared_folder() / "cxr"
    with tempfile.TemporaryDirectory() as place, shared_release(level, release, key, every) as (folder, identity):
        out = report or Path(place) / "report"
        found = audit_release(
            folder, identity=identity, originals=originals, out=out, manifest=originals / "manifest.csv", preset=preset,
            attacks=attacks, resume=True, seed=SEED, threads=threads, pictures=False, progress=Said(),
        )  # fmt: skip
        results = figures(json.loads((out / JSON).read_text(encoding="utf-8")))
    if found.release["protection"] != level:
        raise SystemExit(f"the release is {found.release['protection']}, not {level}")
    seconds, images = time.monotonic() - start, results["data"]["images"]
    return record(
        f"audit_{level}",
        seconds=seconds,
        images=images,
        seed=SEED,
        settings={"preset": preset, "every": every, "attacks": list(attacks), "threads": threads},
        results=results,
    )


class Said:
    """Progress: a line when a stage begins."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, done: int, total: int, text: str) -> None:
        stage = text.partition(" (")[0]
        if stage != self._stage:
            self._stage = stage
            print(f"  [{done}/{total}] {text}", flush=True)


def main(level: str | None = None) -> None:
    """Audit, print the tables; with --save also write the evidence."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.audit_{level or 'release'}", description=__doc__)
    if level is None:
        parser.add_argument("--protection", choices=LEVELS, required=True)
    parser.add_argument("--release", type=Path, metavar="FOLDER", help="a release of the test fold at this level")
    parser.add_argument("-i", "--identity", type=Path, metavar="KEY", help="its owner's key")
    parser.add_argument("--preset", default="standard", metavar="NAME")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="keep the report here, and go on with it")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th image, for a quick look")
    parser.add_argument("--threads", type=int, default=THREADS, metavar="N")
    parser.add_argument("--attacks", default="", metavar="NAMES", help="only these, for a quick look")
    parser.add_argument("--save", action=SaveOption, help="write the JSON into evidence/")
    asked = parser.parse_args()
    evidence = run(
        level or asked.protection, preset=asked.preset, release=asked.release, key=asked.identity,
        report=asked.report, every=asked.every, attacks=[name for name in asked.attacks.split(",") if name],
        threads=asked.threads,
    )  # fmt: skip
    if asked.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
