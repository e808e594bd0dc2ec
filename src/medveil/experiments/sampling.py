"""Drawing by patient, and keys of one's own: everything random about an audit comes from its seed and a purpose."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

SEVERAL = 0.6  # of the images drawn go to patients with several, as long as there are any


def generator_of(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator for one purpose, the same in every run with this seed."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def simulated_key(seed: int, *purpose: str | int) -> bytes:
    """32 bytes that stand for a release's secret where the audit publishes an image itself; no secret at all."""
    return hashlib.sha256(b"medveil/audit/key\x00" + repr((seed, *purpose)).encode()).digest()


def seed_of(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose, 63 bits."""
    return int.from_bytes(simulated_key(seed, "seed", *purpose)[:8]) >> 1


def drawn_by_patient(
    patients: Sequence[int], limit: int, generator: np.random.Generator, *, several: float = SEVERAL, most: int = 0
) -> list[int]:
    """Indices of whole patients' images, in rising order, at most `limit` images (a first patient may have more).

    Args:
        patients: whose image each is.
        several: share of the images that goes to patients with several: one image a patient says nothing of linkage.
        most: images that a patient may have, the first ones; 0 for all. Many patients say more than many images.
    """
    if most:
        first = _first_ones(patients, most)
        drawn = drawn_by_patient([patients[index] for index in first], limit, generator, several=several)
        return [first[index] for index in drawn]
    if len(patients) <= limit:
        return list(range(len(patients)))
    counts = Counter(patients)
    order = [sorted(counts)[place] for place in generator.permutation(len(counts))]
    taken: set[int] = set()
    images = 0
    for patient in [each for each in order if counts[each] > 1]:
        if images + counts[patient] <= several * limit:
            taken.add(patient)
            images += counts[patient]
    for patient in order:
        if patient not in taken and (images + counts[patient] <= limit or not taken):
            taken.add(patient)
            images += counts[patient]
    return [index for index, patient in enumerate(patients) if patient in taken]


def _first_ones(patients: Sequence[int], most: int) -> list[int]:
    """Indices of the first so many images of each patient."""
    seen: Counter[int] = Counter()
    found = []
    for index, patient in enumerate(patients):
        seen[patient] += 1
        if seen[patient] <= most:
            found.append(index)
    return found
