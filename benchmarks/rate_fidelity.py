"""Rate and fidelity on the shared test fold: medveil through its program, beside JPEG 2000, JPEG XL and JPEG-LS."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import rivals
from benchmarks.benchmark import Measured, Parts, in_processes
from benchmarks.rivals import Coded, Curve, Rival, decibels, interval, squared_error, ssim
from benchmarks.shared_images import Radiograph, grey, radiographs

QUALITIES = (40.0, 36.0, 44.0)
DEFAULT_QUALITY = GOAL_DB = 40.0
SEED = 0
_TOLERANCE_DB = 0.01
_LOW, _HIGH = 3000, 5000  # 1/100 dB: the qualities that medveil takes
SUBSET = 4
"""The codec alone at a constant dB is searched on every fourth image: each search codes an image several times."""


def measure(
    images: Sequence[Radiograph], work: Path, jobs: int, qualities: Sequence[float], kept: Parts
) -> dict[str, Any]:
    """All figures. Releases and opened images are made below `work`; finished parts are read back."""
    pixels = [grey(image.path) for image in images]
    patients = [image.patient for image in images]
    releases = []
    for quality in qualities:
        for protection in ("sealed", "encrypted"):
            make = partial(_release, images, work, protection, quality)
            releases.append(kept.part(f"{protection}-{quality:g}", make))
    known = {rival.name: _curves(rival, pixels, jobs, kept) for rival in rivals.RIVALS}
    encrypted = [one for one in releases if one["protection"] == "encrypted"]
    matched: list[dict[str, Any]] = []
    for rival in rivals.RIVALS:
        coded = partial(_coded, rival, pixels, known[rival.name], jobs)
        matched += kept.part(f"at 40 dB, {rival.name}", coded)
        for one in encrypted:
            mean = f"{one['mean_db']:.4f}"
            matched += kept.part(f"{_goal(one)} ({mean} dB), {rival.name}", partial(coded, one))
    own = kept.part("constant-dB", partial(own_code_at, images[::SUBSET], GOAL_DB, jobs))
    losslessly = kept.part("lossless", partial(rivals.lossless, pixels, jobs))
    total, part = (sum(image.size for image in some) for some in (pixels, pixels[::SUBSET]))
    shown = [{key: value for key, value in row.items() if key != "sizes"} for row in matched]
    return {
        "pixels": total, "patients": len(set(patients)),
        "medveil": [_summary(one, patients, total) for one in releases],
        "rivals": [row | {"bpp": 8 * row["bytes"] / total} for row in shown],
        "lossless": [{"name": n, "bytes": size, "bpp": 8 * size / total} for n, size in losslessly.items()],
        "comparison": [_comparison(one, matched, patients) for one in encrypted],
        "constant_db": _at_constant_db(own, encrypted[0], matched, patients[::SUBSET], part),
        "lines": {rival.name: rivals.lines(rival, known[rival.name]) for rival in rivals.RIVALS},
    }  # fmt: skip


def _curves(rival: Rival, pixels: Sequence[NDArray[np.generic]], jobs: int, kept: Parts) -> list[Curve]:
    rows = kept.part(f"curves {rival.name}", lambda: [asdict(curve) for curve in rivals.curves(rival, pixels, jobs)])
    return [Curve(row["pixels"], tuple(row["sizes"]), tuple(row["errors"])) for row in rows]


def _release(images: Sequence[Radiograph], work: Path, protection: str, quality: float) -> dict[str, Any]:
    """Share and open one setting in fresh processes, alice's key only, and measure the files that she got."""
    from benchmarks.anatomy import anatomy, code_bytes
    from benchmarks.program import Program, release_bytes

    with tempfile.TemporaryDirectory(dir=work) as place:
        program = Program.prepare(Path(place))
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
            "protection": protection, "quality": quality, "release_bytes": release_bytes(release),
            "share_seconds": shared["seconds"], "open_seconds": got["seconds"],
            "parts": anatomy(release, program.key("owner")),
            "db": [decibels(squared_error(before, after)) for before, after in both],
            "ssim": [ssim(before, after) for before, after in both],
        }  # fmt: skip
        found["mean_db"] = float(np.mean(found["db"]))
        if protection == "encrypted":
            lengths = code_bytes(release, program.key("owner"))
            found["code_bytes"] = [lengths[pairs[path.name].stem] for path in paths]
    print(f"  {protection} {quality:g}: {found['mean_db']:.2f} dB, {found['release_bytes']} bytes", flush=True)
    return found


def _summary(one: dict[str, Any], patients: Sequence[str], total: int) -> dict[str, Any]:
    db = np.array(one["db"])
    low, high = interval([(value,) for value in db], patients, seed=SEED)
    padded, padding = one["release_bytes"], one["parts"].get("padding", 0)
    return {
        "protection": one["protection"], "quality": one["quality"], "mean_db": one["mean_db"],
        "mean_db_interval": [low, high], "fifth_percentile_db": float(np.percentile(db, 5)),
        "lowest_db": float(db.min()), "share_more_than_3_db_below": float(np.mean(db < one["quality"] - 3)),
        "mean_ssim": float(np.mean(one["ssim"])), "release_bytes": padded, "bpp": 8 * padded / total,
        "unpadded_bytes": padded - padding, "unpadded_bpp": 8 * (padded - padding) / total, "parts": one["parts"],
        "share_seconds": one["share_seconds"], "open_seconds": one["open_seconds"],
    }  # fmt: skip


def _coded(
    rival: Rival,
    pixels: Sequence[NDArray[np.generic]],
    known: list[Curve],
    jobs: int,
    one: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A rival at one setting for all images, at the mean PSNR of an encrypted release or, without one, at 40 dB.

    At 40 dB it is coded at a constant dB as well.
    """
    mean, goal = (one["mean_db"], _goal(one)) if one else (GOAL_DB, f"{GOAL_DB:g} dB")
    if rival is rivals.JPEG_XL:
        steady = rivals.at_constant_knob(rival, pixels, known, mean, jobs)
        rows = [_row(rival, "constant distance", goal, *steady)]
    else:
        rows = [_row(rival, "constant slope", goal, *rivals.at_constant_slope(rival, pixels, known, mean, jobs))]
    if one is None:
        coded = rivals.at_constant_db(rival, pixels, known, GOAL_DB, jobs)
        rows.append(_row(rival, "constant dB", goal, coded, None))
    return rows


def own_code_at(images: Sequence[Radiograph], goal: float, jobs: int) -> list[dict[str, float]]:
    """The codec alone: bytes before and after padding (with the AEAD's tag) and PSNR at the quality nearest to `goal`.

    Every image is searched to one PSNR: for a comparison at constant dB, not for releases.
    """
    return list(in_processes(partial(_searched, goal), jobs, [image.path for image in images]))


def _searched(goal: float, path: Path) -> dict[str, float]:
    """Secant steps on the quality, kept inside what is known to be too low and too high."""
    low, high, quality = _LOW, _HIGH, round(100 * goal)
    tried: dict[int, dict[str, float]] = {}
    for _ in range(8):
        tried[quality] = _code(path, quality)
        miss = goal - tried[quality]["psnr"]
        if abs(miss) < _TOLERANCE_DB:
            break
        low, high = (quality, high) if miss > 0 else (low, quality)
        following = quality + round(100 * miss)
        quality = following if low < following < high else (low + high) // 2
        if quality in tried:
            break
    return min(tried.values(), key=lambda one: abs(goal - one["psnr"]))


def _code(path: Path, quality: int) -> dict[str, float]:
    from medveil import images
    from medveil.codecs import entropy
    from medveil.codecs.code import Bucket
    from medveil.codecs.registry import get_codec
    from medveil.protection import padding
    from medveil.protection.encrypting import TAG_BYTES

    image, codec = images.read(path), get_codec("lapped")
    profile = codec.profile(quality_centidb=quality, sparsity=None, deep=0)
    code = codec.encode(image, profile, None)
    opened = codec.decode(code, profile, Bucket.of(*image.pixels.shape))
    data = entropy.pack(code)
    return {
        "psnr": decibels(squared_error(image.pixels, opened)), "bytes": len(data) + TAG_BYTES,
        "padded_bytes": len(padding.to_steps(data)) + TAG_BYTES,
    }  # fmt: skip


def _goal(one: dict[str, Any]) -> str:
    return f"encrypted, quality {one['quality']:g}"


def _row(rival: Rival, way: str, goal: str, coded: list[Coded], setting: float | None) -> dict[str, Any]:
    return {
        "name": rival.name, "way": way, "goal": goal, "setting": setting,
        "mean_db": float(np.mean([one.psnr for one in coded])), "lowest_db": min(one.psnr for one in coded),
        "mean_ssim": float(np.mean([one.ssim for one in coded])), "bytes": sum(one.size for one in coded),
        "sizes": [one.size for one in coded],
    }  # fmt: skip


def _comparison(one: dict[str, Any], matched: list[dict[str, Any]], patients: Sequence[str]) -> dict[str, Any]:
    """medveil's encrypted bytes over each rival's at the same mean PSNR."""
    code, padding = one["code_bytes"], one["parts"].get("padding", 0)
    rows = []
    for row in (row for row in matched if row["goal"] == _goal(one)):
        pairs = list(zip(code, row["sizes"], strict=True))
        rows.append(
            {
                "name": row["name"], "way": row["way"], "code_ratio": sum(code) / row["bytes"],
                "code_ratio_interval": list(interval(pairs, patients, seed=SEED)),
                "unpadded_ratio": (one["release_bytes"] - padding) / row["bytes"],
                "release_ratio": one["release_bytes"] / row["bytes"],
            }
        )  # fmt: skip
    return {"quality": one["quality"], "mean_db": one["mean_db"], "rows": rows}


def _at_constant_db(
    own: list[dict[str, Any]], one: dict[str, Any], matched: list[dict[str, Any]], patients: Sequence[str], total: int
) -> dict[str, Any]:
    """The codec alone, every image searched to 40 dB, over the rivals searched likewise.

    No release is made so: a step for each image would tell of its content. What a release has beside the code is
    taken from the encrypted release of the default quality.
    """
    share = len(own) / len(one["code_bytes"])
    beside = (one["release_bytes"] - one["parts"].get("padding", 0) - sum(one["code_bytes"])) * share
    code, padded = [row["bytes"] for row in own], sum(row["padded_bytes"] for row in own)
    rows = []
    for row in (row for row in matched if row["way"] == "constant dB"):
        sizes = row["sizes"][::SUBSET]
        pairs = list(zip(code, sizes, strict=True))
        rows.append(
            {
                "name": row["name"], "bpp": 8 * sum(sizes) / total, "code_ratio": sum(code) / sum(sizes),
                "code_ratio_interval": list(interval(pairs, patients, seed=SEED)),
                "unpadded_ratio": (sum(code) + beside) / sum(sizes), "release_ratio": (padded + beside) / sum(sizes),
            }
        )  # fmt: skip
    db = [row["psnr"] for row in own]
    found = {"images": len(own), "mean_db": float(np.mean(db)), "lowest_db": min(db), "highest_db": max(db)}
    return found | {"code_bpp": 8 * sum(code) / total, "rows": rows}


def run(
    work: Path, *, every: int = 1, jobs: int = 0, qualities: tuple[float, ...] = QUALITIES, keep: Path | None = None
) -> Measured:
    """Rate and fidelity of releases and of their rivals. `every` > 1 takes only every n-th image, for a quick look."""
    images = radiographs("test", every=every)
    kept = Parts(keep, benchmark="rate_fidelity", images=len(images))
    results = measure(images, work, jobs or os.cpu_count() or 1, qualities, kept)
    return Measured(results, len(images), SEED, seconds=kept.seconds)
