"""Bytes of lossless images on the shared test fold: releases with the tier exact, beside JPEG XL and JPEG-LS.

Two things are counted: diagnostic code and exact section as a package holds them, padded and with the AEAD's tag; and
whole releases on disk, made and opened by the program, every opened image compared with its original.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rivals
from benchmarks.benchmark import Measured, in_processes
from benchmarks.program import Program, release_bytes
from benchmarks.shared_images import Radiograph, grey, radiographs

QUALITY_CENTIDB = 4000
PROTECTIONS = ("encrypted", "sealed")


def measure(images: Sequence[Radiograph], work: Path, jobs: int) -> dict[str, Any]:
    """All figures."""
    pixels = sum(grey(image.path).size for image in images)
    lossless = rivals.lossless([grey(image.path) for image in images], jobs)
    found: dict[str, Any] = {
        "pixels": pixels, "quality_db": QUALITY_CENTIDB / 100,
        "lossless": [{"name": name, "bytes": size, "bpp": 8 * size / pixels} for name, size in lossless.items()],
        "medveil": [],
    }  # fmt: skip
    program = Program.prepare(work)
    releases = {each: _release(program, images, each, work / each, jobs) for each in PROTECTIONS}
    for protection in PROTECTIONS:
        rows = list(in_processes(partial(_coded, protection), jobs, [image.path for image in images]))
        total = {key: sum(row[key] for row in rows) for key in rows[0]}
        whole = total["code_section"] + total["exact_section"]
        found["medveil"].append(
            {
                "protection": protection, "code_bytes": total["code_section"],
                "code_bpp": 8 * total["code_section"] / pixels, "exact_bytes": total["exact_section"],
                "exact_bpp": 8 * total["exact_section"] / pixels,
                "exact_bpp_before_padding": 8 * total["exact"] / pixels, "bpp": 8 * whole / pixels,
                "release_bytes": releases[protection], "release_bpp": 8 * releases[protection] / pixels,
                "release_times_jpeg_xl": releases[protection] / lossless["JPEG XL"],
                "times_jpeg_xl": whole / lossless["JPEG XL"], "times_jpeg_ls": whole / lossless["JPEG-LS"],
                "images_beside_base": total["beside_base"],
                "encode_seconds_a_megapixel": 1e6 * total["encode_seconds"] / pixels,
                "decode_seconds_a_megapixel": 1e6 * total["decode_seconds"] / pixels,
            }
        )  # fmt: skip
    return found


def _release(program: Program, images: Sequence[Radiograph], protection: str, out: Path, jobs: int) -> int:
    """Bytes of a whole release with the tier exact. Raises RuntimeError where an image does not come back exactly."""
    release, opened = out / "release", out / "opened"
    out.mkdir()
    paths = [image.path for image in images]
    program.share(paths, release, "--tiers", "exact", "--protection", protection, "-j", str(jobs))
    program.open(release, opened)
    pairs = program.pairs(release, opened)
    for path in paths:
        if not np.array_equal(grey(path), grey(pairs[path.name])):
            raise RuntimeError(f"{path.name} did not come back exactly")
    size = release_bytes(release)
    shutil.rmtree(out)
    return size


def _coded(protection: str, path: Path) -> dict[str, float]:
    """Bytes and processor seconds of one image; decoded and compared."""
    from medveil import images
    from medveil.codecs.code import Bucket
    from medveil.codecs.coding import Coding
    from medveil.codecs.registry import get_codec
    from medveil.codecs.residual.exact import decode_exact, encode_exact, needs_base
    from medveil.protection import padding
    from medveil.protection.encrypting import TAG_BYTES
    from medveil.protection.levels import CODE, level_of

    image, codec = images.read(path), get_codec("lapped")
    profile, bucket = (
        codec.profile(quality_centidb=QUALITY_CENTIDB, sparsity=None, deep=0),
        Bucket.of(*image.pixels.shape),
    )
    level, coding = level_of(protection), Coding(codec, profile)
    base = coding.decode(coding.encode(image, level.budget(coding, bucket)), bucket)
    size = level.length(CODE, coding, bucket)
    start = time.process_time()
    exact = encode_exact(image.pixels, base, image.bits_stored)
    middle = time.process_time()
    back = decode_exact(exact, base, image.bits_stored, image.pixels.dtype)
    stop = time.process_time()
    if not np.array_equal(back, image.pixels):
        raise RuntimeError(f"{path.name} did not come back exactly")
    return {
        "code_section": size, "exact": len(exact), "exact_section": len(padding.to_steps(exact)) + TAG_BYTES,
        "beside_base": needs_base(exact), "encode_seconds": middle - start, "decode_seconds": stop - middle,
    }  # fmt: skip


def run(work: Path, jobs: int = 2, every: int = 1, fold: str = "test") -> Measured:
    """Bytes of lossless images, of sections and of whole releases, beside JPEG XL and JPEG-LS; all compared."""
    images = radiographs(fold, every=every)
    return Measured(measure(images, work, jobs), len(images))
