"""The codec `lapped` alone with every image searched to one PSNR: for a comparison at constant dB, not for releases."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.fidelity import decibels, squared_error
from benchmarks.shared_images import Radiograph

_TOLERANCE_DB = 0.01
_LOW, _HIGH = 3000, 5000  # 1/100 dB: the qualities that medveil takes


def own_code_at(images: Sequence[Radiograph], goal: float, jobs: int) -> list[dict[str, float]]:
    """Bytes before and after padding (with the AEAD's tag) and PSNR of each image at the quality nearest to `goal`."""
    paths = [image.path for image in images]
    if jobs <= 1:
        return [_searched(goal, path) for path in paths]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(partial(_searched, goal), paths, chunksize=8))


def _searched(goal: float, path: Path) -> dict[str, float]:
    """Secant steps on the quality, kept inside what is known to be too low and too high."""
    low, high, quality = _LOW, _HIGH, round(100 * goal)
    tried: dict[int, dict[str, float]] = {}
    for _ in range(8):
        tried[quality] = _coded(path, quality)
        miss = goal - tried[quality]["psnr"]
        if abs(miss) < _TOLERANCE_DB:
            break
        low, high = (quality, high) if miss > 0 else (low, quality)
        following = quality + round(100 * miss)
        quality = following if low < following < high else (low + high) // 2
        if quality in tried:
            break
    return min(tried.values(), key=lambda one: abs(goal - one["psnr"]))


def _coded(path: Path, quality: int) -> dict[str, float]:
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
        "psnr": decibels(squared_error(image.pixels, opened)),
        "bytes": len(data) + TAG_BYTES,
        "padded_bytes": len(padding.to_steps(data)) + TAG_BYTES,
    }
