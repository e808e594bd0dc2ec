"""Is an audit repeatable, and how long does preset `quick` take?

Twice on a small release, with the same seed and threads: report.json must agree in all but the seconds. Once on 200
images of 256 pixels, timed. The attacker has no images beside those of the release, so that she cross-fits.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image as Picture

import medveil
from benchmarks.audit_release import SEED, Said
from benchmarks.provenance import SaveOption, machine, record, save
from benchmarks.shared_images import radiographs
from medveil.audit.report import JSON
from medveil.audit.running import audit_release
from medveil.keys.identity import Identity, generate

PRESET = "quick"
SMALL, LARGE = (60, 128), (200, 256)
THREADS = 2


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


def audited(
    place: Path, release: Path, owner: Identity, images: Path, name: str, threads: int
) -> tuple[dict[str, Any], float]:
    """One audit: its report.json, and the seconds it took."""
    start = time.perf_counter()
    audit_release(
        release, identity=owner, originals=images, out=place / name, manifest=images / "manifest.csv", preset=PRESET,
        seed=SEED, threads=threads, pictures=True, progress=Said(),
    )  # fmt: skip
    report: dict[str, Any] = json.loads((place / name / JSON).read_text(encoding="utf-8"))
    return report, time.perf_counter() - start


def measure(small: tuple[int, int], large: tuple[int, int], threads: int) -> dict[str, Any]:
    """Both releases."""
    found: dict[str, Any] = {"preset": PRESET, "threads": threads, "cores": machine()["cores"]}
    for name, (count, side), times in (("twice", small, 2), ("timed", large, 1)):
        if not count:
            continue
        print(f"  {count} images of {side} pixels", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            owner, images = generate(place / "owner.key"), place / "images"
            images.mkdir()
            reduced(images, count, side)
            settings = medveil.ShareSettings(to=(owner.recipient,), jobs=threads)
            medveil.share(sorted(images.glob("*.png")), place / "release", settings, owner=owner)
            release, names = place / "release", [f"report{number}" for number in range(times)]
            runs = [audited(place, release, owner, images, each, threads) for each in names]
        reports = [without_seconds(report) for report, _ in runs]
        found[name] = {
            "images": count, "side": side, "minutes": [round(seconds / 60, 2) for _, seconds in runs],
            "conclusion": runs[0][0]["conclusion"],
            "differences": differences(reports[0], reports[-1]),
            "figures": _leaves(reports[0]),
        }  # fmt: skip
    return found


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_leaves, value.values()))
    return sum(map(_leaves, value)) if isinstance(value, list) else 1


def run(small: tuple[int, int] = SMALL, large: tuple[int, int] = LARGE, threads: int = THREADS) -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    results = measure(small, large, threads)
    seconds = time.monotonic() - start
    return record("audit_repeat", seconds=seconds, images=small[0] + large[0], seed=SEED,
        settings={"small": list(small), "large": list(large), "threads": threads},
        results=results)  # fmt: skip


def main() -> None:
    """Print what was found; with --save also write the evidence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_repeat", description=__doc__)
    parser.add_argument("--small", type=int, nargs=2, default=SMALL, metavar=("N", "SIDE"), help="of the two runs")
    parser.add_argument("--large", type=int, nargs=2, default=LARGE, metavar=("N", "SIDE"), help="of the timed run")
    parser.add_argument("--threads", type=int, default=THREADS, metavar="N")
    parser.add_argument("--save", action=SaveOption, help="write evidence/audit_repeat.json")
    asked = parser.parse_args()
    evidence = run(tuple(asked.small), tuple(asked.large), asked.threads)
    if asked.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
