"""PRIMIS, Table 1 and Fig. 6: ME, MAE, RMSE, PSNR, SSIM, MS-SSIM and pooled R² of what recipients open.

Codecs primis (S = 4, 8, 16) and lapped (quality 40) on whole images of the test fold, encoded and decoded in one
process; what a release adds changes no pixel of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacking import SEED, summary
from benchmarks.benchmark import Measured, in_processes
from benchmarks.shared_images import grey, radiographs
from medveil.audit.reference_codecs import recodings
from medveil.images.image import FileKind, Image, Source
from medveil.metrics.histograms import PooledCorrelation
from medveil.metrics.image_quality import (
    MOST_DB,
    MS_SSIM_SIDE,
    PEAK,
    mean_absolute_error,
    mean_error,
    ms_ssim,
    psnr,
    rmse,
    ssim,
)

CODECS = ("primis 4", "primis 8", "primis 16", "lapped 40")
EVERY = 2


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
    (codec,) = recodings([name.replace(" ", ":")], fixed=False)
    rows, patients = [], []
    pooled = PooledCorrelation()
    images = radiographs("test", every=every)
    numbers = {patient: place for place, patient in enumerate(sorted({image.patient for image in images}))}
    for number, image in enumerate(images):
        pixels = np.ascontiguousarray(grey(image.path))
        opened = codec.pixels(Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"")))
        rows.append(figures(pixels, opened))
        patients.append(numbers[image.patient])
        pooled = pooled.add(pixels, opened)
        if number % 50 == 0:
            print(f"  {name}: {number} of {len(images)}", flush=True)
    whose = np.array(patients, np.int64)
    metrics = {key: summary(np.array([row[key] for row in rows]), whose) for key in rows[0]}
    return {"codec": name, "images": len(rows), "patients": len(numbers), "pixels": pooled.count,
            "metrics": metrics, "r_squared": pooled.r_squared}  # fmt: skip


def run(every: int = EVERY, jobs: int = 2, codecs: tuple[str, ...] = CODECS) -> Measured:
    """Errors, PSNR, SSIM and R² of what recipients open, of both codecs: PRIMIS, Table 1 and Fig. 6."""
    rows = list(in_processes(measure, jobs, codecs, [every] * len(codecs)))
    return Measured({"fold": "test", "every": every, "rows": rows}, rows[0]["images"], SEED, {"fold": "test"})
