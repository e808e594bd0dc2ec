"""Rate and fidelity on the shared test fold: medveil through its program, beside JPEG 2000, JPEG XL and JPEG-LS."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import rivals
from benchmarks.fidelity import decibels, interval, squared_error, ssim
from benchmarks.provenance import closure, record, save, source_digest
from benchmarks.rivals import Coded, Curve, Rival
from benchmarks.shared_images import Radiograph, grey, radiographs

QUALITIES = (40.0, 36.0, 44.0)
DEFAULT_QUALITY = 40.0
SEED = 0
SOURCES = (
    *closure(
        ("codecs/lapped.py", "codecs/entropy.py", "protection/sealing.py", "protection/encrypting.py"),
        ("codecs", "protection"),
        without=("codecs/registry.py",),
    ),
    "protection/padding.py",
    "releases/packing.py::_assemble",
    "releases/packing.py::_protect",
    "releases/package.py::PackageHeader",
    "releases/manifest.py::Manifest",
    "releases/settings.py::choose_grids",
)


def measure(images: Sequence[Radiograph], work: Path, jobs: int, *, keep: bool = False) -> dict[str, Any]:
    """All figures. Releases and opened images are made below `work`; with `keep`, finished settings are read back."""
    pixels = [grey(image.path) for image in images]
    patients = [image.patient for image in images]
    releases = []
    for quality in QUALITIES:
        for protection in ("sealed", "encrypted"):
            make = partial(_release, images, work, protection, quality)
            releases.append(_kept(work, f"{protection}-{quality:g}", make, keep=keep))
    known = {rival.name: rivals.curves(rival, pixels, jobs) for rival in (rivals.JPEG_2000, rivals.JPEG_XL)}
    goals = {f"encrypted, quality {one['quality']:g}": one["mean_db"] for one in releases if "code_bytes" in one}
    goals["40 dB"] = 40.0
    matched = [row for goal, mean in goals.items() for row in _matched(pixels, known, goal, mean, jobs)]
    total = sum(image.size for image in pixels)
    for row in matched:
        row["bpp"] = 8 * row["bytes"] / total
    losslessly = rivals.lossless(pixels, jobs)
    return {
        "pixels": total,
        "patients": len(set(patients)),
        "medveil": [_summary(one, patients, total) for one in releases],
        "rivals": [{key: value for key, value in row.items() if key != "sizes"} for row in matched],
        "lossless": [{"name": n, "bytes": size, "bpp": 8 * size / total} for n, size in losslessly.items()],
        "comparison": [_comparison(one, matched, patients) for one in releases if "code_bytes" in one],
    }


def _kept(work: Path, name: str, make: Callable[[], dict[str, Any]], *, keep: bool) -> dict[str, Any]:
    """A setting's figures, from an earlier run over the same code and images where `keep` asks for it."""
    path = work / f"{name}-{source_digest(SOURCES)[:12]}.json"
    if keep and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    made = make()
    path.write_text(json.dumps(made), encoding="utf-8")
    return made


def _release(images: Sequence[Radiograph], work: Path, protection: str, quality: float) -> dict[str, Any]:
    """Share and open one setting in fresh processes, alice's key only, and measure the files that she got."""
    from benchmarks.anatomy import anatomy, code_bytes
    from benchmarks.program import Program, release_bytes

    program = Program.prepare(work)
    with tempfile.TemporaryDirectory(dir=work) as place:
        release, opened = Path(place) / "release", Path(place) / "opened"
        paths = [image.path for image in images]
        options = ("--protection", protection, *(("--quality", f"{quality:g}") if quality != DEFAULT_QUALITY else ()))
        shared = program.share(paths, release, *options)
        got = program.open(release, opened)
        if shared["done"] != len(paths) or got["done"] != len(paths):
            raise RuntimeError(f"{shared['done']} of {len(paths)} images were shared, {got['done']} opened")
        pairs = program.pairs(release, opened)
        both = [(grey(path), grey(pairs[path.name])) for path in paths]
        found: dict[str, Any] = {
            "protection": protection,
            "quality": quality,
            "release_bytes": release_bytes(release),
            "share_seconds": shared["seconds"],
            "open_seconds": got["seconds"],
            "parts": anatomy(release, program.key("owner")),
            "db": [decibels(squared_error(before, after)) for before, after in both],
            "ssim": [ssim(before, after) for before, after in both],
        }
        found["mean_db"] = float(np.mean(found["db"]))
        if protection == "encrypted":
            lengths = code_bytes(release, program.key("owner"))
            found["code_bytes"] = [lengths[path.name] for path in paths]
    print(f"  {protection} {quality:g}: {found['mean_db']:.2f} dB, {found['release_bytes']} bytes", flush=True)
    return found


def _summary(one: dict[str, Any], patients: Sequence[str], total: int) -> dict[str, Any]:
    db = np.array(one["db"])
    low, high = interval([(value,) for value in db], patients, seed=SEED)
    padded, padding = one["release_bytes"], one["parts"].get("padding", 0)
    return {
        "protection": one["protection"],
        "quality": one["quality"],
        "mean_db": one["mean_db"],
        "mean_db_interval": [low, high],
        "fifth_percentile_db": float(np.percentile(db, 5)),
        "lowest_db": float(db.min()),
        "share_more_than_3_db_below": float(np.mean(db < one["quality"] - 3)),
        "mean_ssim": float(np.mean(one["ssim"])),
        "release_bytes": padded,
        "bpp": 8 * padded / total,
        "unpadded_bytes": padded - padding,
        "unpadded_bpp": 8 * (padded - padding) / total,
        "parts": one["parts"],
        "share_seconds": one["share_seconds"],
        "open_seconds": one["open_seconds"],
    }


def _matched(
    pixels: Sequence[NDArray[np.generic]], known: dict[str, list[Curve]], goal: str, mean: float, jobs: int
) -> list[dict[str, Any]]:
    """Both rivals at one mean PSNR, in both ways of choosing quality."""
    rows = []

    def add(rival: Rival, way: str, coded: list[Coded], setting: float | None) -> None:
        rows.append(
            {
                "name": rival.name,
                "way": way,
                "goal": goal,
                "setting": setting,
                "mean_db": float(np.mean([one.psnr for one in coded])),
                "lowest_db": min(one.psnr for one in coded),
                "mean_ssim": float(np.mean([one.ssim for one in coded])),
                "bytes": sum(one.size for one in coded),
                "sizes": [one.size for one in coded],
            }
        )
        print(f"  {goal}: {rival.name}, {way}: {rows[-1]['mean_db']:.2f} dB, {rows[-1]['bytes']} bytes", flush=True)

    first, second = rivals.JPEG_2000, rivals.JPEG_XL
    add(first, "constant slope", *rivals.at_constant_slope(first, pixels, known[first.name], mean, jobs))
    add(first, "constant dB", rivals.at_constant_db(first, pixels, known[first.name], mean, jobs), None)
    add(second, "constant distance", *rivals.at_constant_knob(second, pixels, known[second.name], mean, jobs))
    add(second, "constant dB", rivals.at_constant_db(second, pixels, known[second.name], mean, jobs), None)
    return rows


def _comparison(one: dict[str, Any], matched: list[dict[str, Any]], patients: Sequence[str]) -> dict[str, Any]:
    """medveil's encrypted bytes over each rival's at the same mean PSNR."""
    goal = f"encrypted, quality {one['quality']:g}"
    code, padding = one["code_bytes"], one["parts"].get("padding", 0)
    rows = []
    for row in (row for row in matched if row["goal"] == goal):
        pairs = list(zip(code, row["sizes"], strict=True))
        rows.append(
            {
                "name": row["name"],
                "way": row["way"],
                "code_ratio": sum(code) / row["bytes"],
                "code_ratio_interval": list(interval(pairs, patients, seed=SEED)),
                "unpadded_ratio": (one["release_bytes"] - padding) / row["bytes"],
                "release_ratio": one["release_bytes"] / row["bytes"],
            }
        )
    return {"quality": one["quality"], "mean_db": one["mean_db"], "rows": rows}


def run(*, every: int = 1, work: Path | None = None, jobs: int = 0) -> dict[str, Any]:
    """The evidence of this benchmark. `every` > 1 takes only every n-th image, for a quick look."""
    images = radiographs("test", every=every)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = work or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        results = measure(images, folder, jobs or os.cpu_count() or 1, keep=work is not None)
    seconds = time.monotonic() - start
    return record("rate_fidelity", sources=SOURCES, seconds=seconds, images=len(images), seed=SEED, results=results)


def main() -> None:
    """Print the tables; with --save also write the evidence."""
    from benchmarks.tables import text_of

    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_fidelity", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th image only, for a quick look")
    parser.add_argument("--jobs", type=int, default=0, help="processes for the rivals; 0: one a core")
    parser.add_argument("--work", type=Path, help="keep finished settings in this folder, and go on from them")
    parser.add_argument("--save", action="store_true", help="write evidence/rate_fidelity.json")
    asked = parser.parse_args()
    evidence = run(every=asked.every, work=asked.work, jobs=asked.jobs)
    if asked.save:
        save(evidence)
    print(text_of(evidence))


if __name__ == "__main__":
    main()
