"""PRIMIS, Table 4: networks that make the original of what a stranger sees: decoys, a seal, the code itself.

U-Net, V-Net, conditional GAN and CycleGAN start from the stranger's picture, `code-decoder` from the public code.
Beside each the same attacker given another package, and for all the mean of the attacker's own pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.attacking import (
    SEED,
    Bench,
    Sizes,
    attack_round,
    mean_picture,
    sizes_asked,
    summary,
    told,
)
from benchmarks.noisy_images import NoisyImages
from benchmarks.parts import Parts
from benchmarks.provenance import record, save
from medveil.audit.running import fixed_threads
from medveil.mechanisms.controls import (
    SPARSITY,
    Setup,
    reference_decoys,
    working_image,
)
from medveil.mechanisms.mechanism import Mechanism

NETWORKS = ("unet", "vnet", "cgan", "cyclegan")
ATTACKS = (*NETWORKS, "code-decoder")
FIGURES = ("mae", "me", "rmse", "psnr", "ssim")


def noisy_images(setup: Setup) -> Mechanism:
    """The published law, seen through the reference's own guess without a key."""
    whole = reference_decoys().make(setup)
    assert whole.space is not None
    return NoisyImages(whole.space, setup.shelf, working_image)


MECHANISMS: dict[str, tuple[str, Callable[[Setup], Mechanism]]] = {
    "noisy-images": ("published decoys, the reference's noisy images", noisy_images),
    "reference-decoys": ("published decoys, whole public code", lambda setup: reference_decoys().make(setup)),
}
"""Name -> words, and how images are published."""


def measure(sizes: Sizes, keep: Path | None) -> dict[str, Any]:
    """All rows: every attack on every mechanism."""
    bench = Bench.of(sizes)
    kept = Parts(keep, benchmark="translation_attacks", sizes=asdict(sizes), seed=SEED)
    rows = []
    mean: dict[str, Any] = {}
    for name, (words, make) in MECHANISMS.items():
        found: dict[str, Any] = {"name": name, "words": words}
        trial = bench.round_of(make(bench.setup), name)
        found["attacks"] = [
            kept.part(f"{name}-{attack}", lambda a=attack, t=trial: told(attack_round(a, t), bench.patients))
            for attack in ATTACKS
        ]
        mean = {key: summary(values, bench.patients) for key, values in mean_picture(trial).items()}
        rows.append(found)
    return {"sparsity": SPARSITY, "side": sizes.side, "threads": sizes.threads, "steps": sizes.steps,
            "batch": sizes.batch, "counts": bench.counts(), "mean_picture": mean, "mechanisms": rows}  # fmt: skip


def run(sizes: Sizes | None = None, keep: Path | None = None) -> dict[str, Any]:
    """The evidence of this benchmark."""
    sizes = sizes or Sizes()
    start = time.monotonic()
    with fixed_threads(sizes.threads):
        results = measure(sizes, keep)
    seconds, images = time.monotonic() - start, results["counts"]["tested"]
    return record(
        "translation_attacks", seconds=seconds, images=images, seed=SEED, settings=asdict(sizes), results=results
    )


def main() -> None:
    """Print what was found; with --save also write the evidence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.translation_attacks", description=__doc__)
    sizes, asked = sizes_asked(parser, Sizes())
    evidence = run(sizes, asked.keep)
    if asked.save:
        save(evidence)
    from benchmarks.tables import text_of

    print(text_of(evidence))


if __name__ == "__main__":
    main()
