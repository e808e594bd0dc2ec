"""PRIMIS, Table 4: networks that make the original of what a stranger sees: decoys, a seal, the code itself.

U-Net, V-Net, conditional GAN and CycleGAN start from the stranger's picture, `code-decoder` from the public code.
Beside each the same attacker given another package, and for all the mean of the attacker's own pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacking import (
    SEED,
    Bench,
    Sizes,
    attack_round,
    mean_picture,
    summary,
)  # fmt: skip
from benchmarks.benchmark import Measured, Parts
from medveil.audit.audit_run import fixed_threads
from medveil.mechanisms.controls import (
    SPARSITY,
    Setup,
    reference_decoys,
    working_image,
)
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Shown, Subject
from medveil.mechanisms.weak_codes import ReferenceDecoys

NETWORKS = ("unet", "vnet", "cgan", "cyclegan")
ATTACKS = (*NETWORKS, "code-decoder")
SIZES = Sizes()


class NoisyImages(ReferenceDecoys):
    """`ReferenceDecoys`, of which a stranger keeps the k largest and the k smallest values a vector, these negated.

    Stands for: what the reference implementation decodes without a key. Its k is half of the nonzeros of a vector. The
    k largest values are decoys, and the k smallest true negative entries with the wrong sign. Deviations: those of
    `ReferenceDecoys`; and our codec keeps the S entries of largest magnitude, whatever their sign, so that k = S / 2.

    Args:
        kept: k.
    """

    name = "noisy-images"
    kept = 8

    def publish(self, subject: Subject, key: bytes) -> Observation:
        seen = super().publish(subject, key)
        length = self.space.vector_length
        return replace(seen, maps=tuple(_extremes(shown, length, self.kept) for shown in seen.maps))


def _extremes(shown: Shown, length: int, kept: int) -> Shown:
    """The largest values of each vector, and the smallest ones negated."""
    vectors = shown.positions // length
    order = np.lexsort((shown.values, vectors))
    ordered = vectors[order]
    from_least = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    from_most = np.searchsorted(ordered, ordered, side="right") - 1 - np.arange(len(order))
    small, large = (np.zeros(len(order), bool) for _ in range(2))
    small[order] = from_least < kept
    large[order] = from_most < kept
    mask = small | large
    values: NDArray[np.int32] = np.where(small & ~large, -shown.values, shown.values).astype(np.int32)
    mask &= values != 0
    return Shown(shown.cells, shown.positions[mask], values[mask])


def noisy_images(setup: Setup) -> Mechanism:
    """The published law, seen through the reference's own guess without a key."""
    whole = reference_decoys().make(setup)
    assert whole.space is not None
    return NoisyImages(whole.space, setup.cache, image_of=working_image)


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
            kept.part(f"{name}-{attack}", lambda a=attack, t=trial: attack_round(a, t)) for attack in ATTACKS
        ]
        mean = {key: summary(values, bench.patients) for key, values in mean_picture(trial).items()}
        rows.append(found)
    return {"sparsity": SPARSITY, "side": sizes.side, "threads": sizes.threads, "steps": sizes.steps,
            "batch": sizes.batch, "counts": bench.counts(), "mean_picture": mean, "mechanisms": rows}  # fmt: skip


def run(sizes: Sizes = SIZES, keep: Path | None = None) -> Measured:
    """Networks that make the original of what a stranger sees: PRIMIS, Table 4."""
    with fixed_threads(sizes.threads):
        results = measure(sizes, keep)
    return Measured(results, results["counts"]["tested"], SEED)
