"""Bytes of lossless images on the shared test fold: releases with the tier exact, beside JPEG XL and JPEG-LS.

Two things are counted: diagnostic code and exact section as a package holds them, padded and with the AEAD's tag; and
whole releases on disk, made and opened by the program, every opened image compared with its original.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rivals
from benchmarks.program import Program, release_bytes
from benchmarks.provenance import SaveOption, record, save
from benchmarks.shared_images import Radiograph, grey, radiographs

QUALITY_CENTIDB = 4000
PROTECTIONS = ("encrypted", "sealed")


def measure(images: Sequence[Radiograph], jobs: int) -> dict[str, Any]:
    """All figures."""
    pixels = sum(grey(image.path).size for image in images)
    lossless = rivals.lossless([grey(image.path) for image in images], jobs)
    found: dict[str, Any] = {
        "pixels": pixels,
        "quality_db": QUALITY_CENTIDB / 100,
        "lossless": [{"name": name, "bytes": size, "bpp": 8 * size / pixels} for name, size in lossless.items()],
        "medveil": [],
    }
    with tempfile.TemporaryDirectory() as place:
        program = Program.prepare(Path(place))
        releases = {each: _release(program, images, each, Path(place) / each, jobs) for each in PROTECTIONS}
    for protection in PROTECTIONS:
        rows = _spread([image.path for image in images], protection, jobs)
        total = {key: sum(row[key] for row in rows) for key in rows[0]}
        whole = total["code_section"] + total["exact_section"]
        found["medveil"].append(
            {
                "protection": protection,
                "code_bytes": total["code_section"],
                "code_bpp": 8 * total["code_section"] / pixels,
                "exact_bytes": total["exact_section"],
                "exact_bpp": 8 * total["exact_section"] / pixels,
                "exact_bpp_before_padding": 8 * total["exact"] / pixels,
                "bpp": 8 * whole / pixels,
                "release_bytes": releases[protection],
                "release_bpp": 8 * releases[protection] / pixels,
                "release_times_jpeg_xl": releases[protection] / lossless["JPEG XL"],
                "times_jpeg_xl": whole / lossless["JPEG XL"],
                "times_jpeg_ls": whole / lossless["JPEG-LS"],
                "images_beside_base": total["beside_base"],
                "encode_seconds_a_megapixel": 1e6 * total["encode_seconds"] / pixels,
                "decode_seconds_a_megapixel": 1e6 * total["decode_seconds"] / pixels,
            }
        )
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


def _spread(paths: Sequence[Path], protection: str, jobs: int) -> list[dict[str, float]]:
    work = partial(_coded, protection)
    if jobs <= 1:
        return [work(path) for path in paths]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(work, paths, chunksize=8))


def _coded(protection: str, path: Path) -> dict[str, float]:
    """Bytes and processor seconds of one image; decoded and compared."""
    from medveil import images
    from medveil.codecs import entropy
    from medveil.codecs.code import Bucket
    from medveil.codecs.registry import get_codec
    from medveil.codecs.residual.exact import decode_exact, encode_exact, needs_base
    from medveil.protection import padding
    from medveil.protection.encrypting import TAG_BYTES
    from medveil.protection.sealing import public_bytes

    image, codec = images.read(path), get_codec("lapped")
    profile, bucket = (
        codec.profile(quality_centidb=QUALITY_CENTIDB, sparsity=None, deep=0),
        Bucket.of(*image.pixels.shape),
    )
    composition = codec.composition(profile, bucket) if protection == "sealed" else None
    code = codec.encode(image, profile, composition)
    base = codec.decode(code, profile, bucket)
    size = len(padding.to_steps(entropy.pack(code))) + TAG_BYTES if composition is None else public_bytes(composition)
    start = time.process_time()
    exact = encode_exact(image.pixels, base, image.bits_stored)
    middle = time.process_time()
    back = decode_exact(exact, base, image.bits_stored, image.pixels.dtype)
    stop = time.process_time()
    if not np.array_equal(back, image.pixels):
        raise RuntimeError(f"{path.name} did not come back exactly")
    return {
        "code_section": size,
        "exact": len(exact),
        "exact_section": len(padding.to_steps(exact)) + TAG_BYTES,
        "beside_base": needs_base(exact),
        "encode_seconds": middle - start,
        "decode_seconds": stop - middle,
    }


def run(jobs: int = 2, every: int = 1, fold: str = "test") -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    images = radiographs(fold, every=every)
    results = measure(images, jobs)
    seconds = time.monotonic() - start
    return record(
        "exact_bytes",
        seconds=seconds,
        images=len(images),
        seed=None,
        settings={"every": every, "fold": fold},
        results=results,
    )


def main() -> None:
    """Print the figures; with --save also write the evidence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exact_bytes", description=__doc__)
    parser.add_argument("--save", action=SaveOption, help="write evidence/exact_bytes.json")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="every n-th image only, for a quick look")
    parser.add_argument("--fold", choices=("val", "test"), default="test")
    asked = parser.parse_args()
    evidence = run(asked.jobs, asked.every, asked.fold)
    if asked.save:
        save(evidence)
    for row in evidence["results"]["lossless"]:
        print(f"{row['name']}: {row['bpp']:.3f} bpp")
    for row in evidence["results"]["medveil"]:
        print(
            f"{row['protection']}: code {row['code_bpp']:.3f} + exact {row['exact_bpp']:.3f} = {row['bpp']:.3f} bpp, "
            f"{row['times_jpeg_xl']:.4f} x JPEG XL; release {row['release_bpp']:.3f} bpp, "
            f"{row['release_times_jpeg_xl']:.4f} x JPEG XL; encode {row['encode_seconds_a_megapixel']:.2f} and "
            f"decode {row['decode_seconds_a_megapixel']:.2f} s a megapixel"
        )


if __name__ == "__main__":
    main()
