"""PRIMIS, Table 1 and Fig. 6: ME, MAE, RMSE, PSNR, SSIM, MS-SSIM and pooled R² of what recipients open.

Codecs primis (S = 4, 8, 16) and lapped (quality 40) on whole images of the test fold, encoded and decoded in one
process; what a release adds changes no pixel of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacking import SEED, summary
from benchmarks.provenance import SaveOption, record, save
from benchmarks.shared_images import grey, radiographs
from medveil.codecs.code import Bucket, Codec, Profile
from medveil.codecs.primis.codec import PrimisCodec, shipped_weights
from medveil.codecs.registry import get_codec
from medveil.images.image import FileKind, Image, Source
from medveil.metrics.histograms import PooledCorrelation
from medveil.metrics.image_quality import MS_SSIM_SIDE, mean_absolute_error, mean_error, ms_ssim, psnr, rmse, ssim

CODECS = ("primis 4", "primis 8", "primis 16", "lapped 40")
EVERY = 2
PEAK = 255.0
MOST_DB = 100.0


def codec_of(name: str) -> tuple[Codec, Profile]:
    """A codec and its profile by a name of `CODECS`."""
    codec, _, setting = name.partition(" ")
    if codec == "primis":
        made: Codec = PrimisCodec(shipped_weights(int(setting)))
        return made, made.profile(quality_centidb=0, sparsity=int(setting), deep=0)
    made = get_codec(codec)
    return made, made.profile(quality_centidb=100 * int(setting), sparsity=None, deep=0)


def figures(original: NDArray[np.generic], opened: NDArray[np.generic]) -> dict[str, float]:
    """All figures of one image, in grey values 0 … 255; MS-SSIM where its sides are long enough for it."""
    one, other = original.astype(np.float64), opened.astype(np.float64)
    large = min(one.shape) >= MS_SSIM_SIDE
    return {
        "me": mean_error(one, other), "mae": mean_absolute_error(one, other), "rmse": rmse(one, other),
        "psnr": min(psnr(one, other, PEAK), MOST_DB), "ssim": ssim(one, other, PEAK),
        "ms_ssim": ms_ssim(one, other, PEAK) if large else np.nan,
    }  # fmt: skip


def measure(name: str, every: int) -> dict[str, Any]:
    """One codec on every n-th image of the fold."""
    import torch

    torch.set_num_threads(1)
    codec, profile = codec_of(name)
    rows, patients = [], []
    pooled = PooledCorrelation()
    images = radiographs("test", every=every)
    numbers = {patient: place for place, patient in enumerate(sorted({image.patient for image in images}))}
    for number, image in enumerate(images):
        pixels = np.ascontiguousarray(grey(image.path))
        code = codec.encode(Image(pixels, 8, Source(FileKind.PNG, b"")), profile, None)
        opened = codec.decode(code, profile, Bucket.of(*pixels.shape))
        rows.append(figures(pixels, opened))
        patients.append(numbers[image.patient])
        pooled = pooled.add(pixels, opened)
        if number % 50 == 0:
            print(f"  {name}: {number} of {len(images)}", flush=True)
    whose = np.array(patients, np.int64)
    metrics = {key: summary(np.array([row[key] for row in rows]), whose) for key in rows[0]}
    return {"codec": name, "images": len(rows), "patients": len(numbers), "pixels": pooled.count,
            "metrics": metrics, "r_squared": pooled.r_squared}  # fmt: skip


def run(every: int = EVERY, jobs: int = 2) -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = list(pool.map(measure, CODECS, [every] * len(CODECS)))
    results = {"fold": "test", "every": every, "rows": rows}
    seconds, images = time.monotonic() - start, rows[0]["images"]
    return record(
        "fidelity_table",
        seconds=seconds,
        images=images,
        seed=SEED,
        settings={"fold": "test", "every": every},
        results=results,
    )


def main() -> None:
    """Print the table; with --save also write the evidence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity_table", description=__doc__)
    parser.add_argument("--every", type=int, default=EVERY, metavar="N", help="every N-th image of the fold")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes, one a codec")
    parser.add_argument("--save", action=SaveOption, help="write evidence/fidelity_table.json")
    asked = parser.parse_args()
    evidence = run(asked.every, asked.jobs)
    if asked.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
