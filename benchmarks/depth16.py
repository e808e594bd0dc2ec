"""16-bit CT through the program: `lapped`, sealed, default quality; error in HU, rate, padding pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.benchmark import Measured
from benchmarks.program import Program, release_bytes
from benchmarks.rivals import AEAD_BYTES
from benchmarks.shared_images import shared_folder

_PADDING_TAG, _PADDING_LIMIT_TAG = "PixelPaddingValue", "PixelPaddingRangeLimit"


def sets() -> dict[str, list[Path]]:
    """The CT files by set; each set becomes one release."""
    folder = shared_folder() / "volumes" / "dicom"
    return {"CT_small": [folder / "CT_small.dcm"], "ct_head": sorted((folder / "ct_head").glob("*.dcm"))}


def measure(work: Path) -> dict[str, Any]:
    """All figures, by set and by file."""
    program = Program.prepare(work)
    found = {name: _release(program, name, paths, work) for name, paths in sets().items()}
    rows = [row for one in found.values() for row in one["files"]]
    return {
        "sets": found, "mean_rmse_hu": float(np.mean([row["rmse_hu"] for row in rows])),
        "largest_rmse_hu": max(row["rmse_hu"] for row in rows),
        "padding_exact": all(row["padding_exact"] for row in rows),
    }  # fmt: skip


def _release(program: Program, name: str, paths: Sequence[Path], work: Path) -> dict[str, Any]:
    release, opened = work / name, work / f"{name}-opened"
    program.share(list(paths), release)
    program.open(release, opened)
    pairs = program.pairs(release, opened)
    files = [_compared(path, pairs[path.name]) for path in paths]
    pixels = sum(row["pixels"] for row in files)
    size = release_bytes(release)
    return {
        "images": len(files), "release_bytes": size, "bpp": 8 * size / pixels,
        "lossless_bpp": 8 * sum(row["lossless_bytes"] for row in files) / pixels,
        "mean_rmse_hu": float(np.mean([row["rmse_hu"] for row in files])),
        "largest_rmse_hu": max(row["rmse_hu"] for row in files),
        "padding_exact": all(row["padding_exact"] for row in files), "files": files,
    }  # fmt: skip


def _compared(original: Path, opened: Path) -> dict[str, Any]:
    """Both files as pydicom reads them, in HU."""
    import pydicom

    before, after = pydicom.dcmread(original), pydicom.dcmread(opened)
    stored = before.pixel_array
    padding = _padding(before, stored)
    hu = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in (before, after)]
    error = (hu[0] - hu[1])[~padding] if not padding.all() else np.zeros(1)
    return {
        "file": original.name, "lossless_bytes": _losslessly(stored), "pixels": int(stored.size),
        "bits_stored": int(before.BitsStored), "rmse_hu": float(np.sqrt(np.mean(error**2))),
        "largest_error_hu": float(np.abs(error).max()), "padding_pixels": int(padding.sum()),
        "padding_exact": bool(np.array_equal(stored[padding], after.pixel_array[padding])),
    }  # fmt: skip


def _padding(dataset: Any, stored: Any) -> Any:
    """Where a file says that a pixel is no data."""
    value = dataset.get(_PADDING_TAG)
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    low, high = sorted((int(value), int(dataset.get(_PADDING_LIMIT_TAG, value))))
    return (stored >= low) & (stored <= high)


def _losslessly(stored: Any) -> int:
    """Bytes of JPEG-LS, the usual lossless choice for CT, inside an AEAD. Signed values are moved to start at 0."""
    import imagecodecs as ic

    moved = (stored.astype(np.int32) - int(stored.min())).astype(np.uint16)
    data = ic.jpegls_encode(moved)
    if not np.array_equal(ic.jpegls_decode(data), moved):
        raise RuntimeError("JPEG-LS did not come back exactly")
    return len(data) + AEAD_BYTES


def run(work: Path) -> Measured:
    """16-bit CT through the program: error in HU, rate, padding pixels."""
    results = measure(work)
    images = sum(one["images"] for one in results["sets"].values())
    return Measured(results, images, settings={"protection": "sealed", "quality_db": 40})
