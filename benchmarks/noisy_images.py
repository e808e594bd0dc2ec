"""The published reference's guess without a key (`hat_pub`), which its attacks on "noisy images" start from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medveil.mechanisms.observation import Published, Shown, Subject
from medveil.mechanisms.weak_codes import ReferenceDecoys


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

    def publish(self, subject: Subject, key: bytes) -> Published:
        published = super().publish(subject, key)
        length = self.space.vector_length
        maps = tuple(_extremes(shown, length, self.kept) for shown in published.observation.maps)
        return replace(published, observation=replace(published.observation, maps=maps))


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
