"""PatientSpace: a linear map of features in which two images of one person are near each other. Closed form.

Principal components of the attacker's own images, then whitening by what differs within patients (WCCN; Hatch et al.,
Interspeech 2006), then weights by how much each direction tells patients apart (two-covariance model; Brümmer &
de Villiers, Odyssey 2010). All of it is learned within data sets and views, since knowing those is not
knowing who it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.picture_features import Blocks

_COMPONENTS = 400
_SHRINK = 0.05  # of the within-patient covariance towards its diagonal, and a fifth of that towards even
_GRAM_ROWS = 1500  # images from which principal components are found; more cost much and change little
_SMALL = 1e-9
_EXPECTED = 20  # things that the mean of a stratum is taken to be known from beforehand

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class PatientSpace:
    """A learned map; see the module.

    Attributes:
        centres: mean of each block of features over the own images.
        scales: root mean square length of what is left of each block.
        directions: (d, k), from the concatenated blocks to the embedding.
    """

    centres: tuple[NDArray[np.float64], ...] = field(repr=False)
    scales: tuple[float, ...]
    directions: NDArray[np.float64] = field(repr=False)

    def embed(self, blocks: Blocks) -> NDArray[np.float32]:
        """(n, k) embeddings of length 1 of n things; of length 0 where a thing has nothing to tell."""
        return unit(self.mapped(blocks))

    def mapped(self, blocks: Blocks) -> NDArray[np.float32]:
        """(n, k) embeddings of the length that they come with."""
        return (_joined(blocks, self.centres, self.scales) @ self.directions).astype(np.float32)


def learn_space(blocks: Blocks, patients: Numbers, strata: Numbers, components: int = _COMPONENTS) -> PatientSpace:
    """Learn the map from n own images.

    Args:
        blocks: features; a block weighs as much as any other, however many numbers it has.
        patients: (n,) whose images they are. Where nobody has two, all directions count as equally stable.
        strata: (n,) data set and view of each.
        components: at most so many principal components.
    """
    centres = tuple(block.mean(0, dtype=np.float64) for block in blocks)
    lengths = (
        float(np.sqrt(((block - centre) ** 2).sum(1).mean())) for block, centre in zip(blocks, centres, strict=True)
    )
    scales = tuple(length if length > _SMALL else 1.0 for length in lengths)
    joined = _joined(blocks, centres, scales)
    centred = less_means(joined, strata)
    basis = principal(centred, components)
    within, total = _covariances(centred @ basis, patients)
    whitening = np.linalg.inv(np.linalg.cholesky(_shrunk(within)))
    variances, axes = np.linalg.eigh(whitening @ total @ whitening.T)
    between = np.maximum(variances - 1.0, 0.0)
    weights = np.sqrt(between / (between + 1.0)) if between.any() else np.ones_like(between)
    return PatientSpace(centres, scales, basis @ (whitening.T @ axes) * weights)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors scaled to length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > _SMALL, lengths, 1.0), np.float32)


def pair_scores(
    embeddings: NDArray[np.float32], patients: Numbers, strata: Numbers
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Cosines of all pairs within a stratum, and whether both images are of one patient."""
    likeness = embeddings @ embeddings.T
    first, second = np.triu_indices(len(embeddings), 1)
    inside = strata[first] == strata[second]
    first, second = first[inside], second[inside]
    return likeness[first, second], patients[first] == patients[second]


def _joined(blocks: Blocks, centres: tuple[NDArray[np.float64], ...], scales: tuple[float, ...]) -> NDArray[np.float64]:
    parts = [(block - centre) / scale for block, centre, scale in zip(blocks, centres, scales, strict=True)]
    return np.nan_to_num(np.concatenate(parts, 1))


def less_means(vectors: NDArray[np.float64], strata: Numbers) -> NDArray[np.float64]:
    """Each less the mean of its stratum, so that telling strata apart does not count as telling patients apart."""
    centred = vectors.copy()
    for number in np.unique(strata):
        centred[strata == number] -= centred[strata == number].mean(0)
    return centred


def means_of(vectors: NDArray[np.floating], strata: Numbers) -> dict[int, NDArray[np.float64]]:
    """The mean of each stratum; -1 is that of all."""
    found = {int(number): vectors[strata == number].mean(0, dtype=np.float64) for number in np.unique(strata)}
    return {-1: vectors.mean(0, dtype=np.float64), **found}


def less_common(
    vectors: NDArray[np.float32], strata: Numbers, known: Mapping[int, NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Each less what its stratum has in common among these very things, which an attacker holds all together.

    What a method does to every picture goes with it. Of few things the mean says little, so it counts as if there were
    twenty more that lie where those did that were learned from.

    Args:
        vectors: (n, d).
        strata: (n,) data set and view of each.
        known: from `means_of`; a stratum that is not there counts as all.
    """
    found = vectors.copy()
    for number in np.unique(strata):
        here = strata == number
        expected = known.get(int(number), known[-1])
        found[here] -= (vectors[here].sum(0) + _EXPECTED * expected) / (here.sum() + _EXPECTED)
    return found


def principal(centred: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """(d, k) principal directions, from whichever of the two Gram matrices is smaller."""
    centred = centred[:: -(-len(centred) // _GRAM_ROWS)]
    count, features = centred.shape
    if count <= features:
        powers, vectors = np.linalg.eigh(centred @ centred.T)
        order = _strongest(powers, components)
        basis = centred.T @ vectors[:, order] / np.sqrt(powers[order])
    else:
        powers, vectors = np.linalg.eigh(centred.T @ centred)
        basis = vectors[:, _strongest(powers, components)]
    return basis if basis.shape[1] else np.eye(features, 1)


def _strongest(powers: NDArray[np.float64], components: int) -> NDArray[np.int64]:
    order = np.argsort(powers)[::-1][:components]
    floor = max(float(powers[order[0]]) * 1e-8, _SMALL) if len(order) else 0.0
    return order[powers[order] > floor]


def _covariances(vectors: NDArray[np.float64], patients: Numbers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Covariance within patients (of those with several images), and in all."""
    apart, freedom = within_patients(vectors, patients)
    total = vectors.T @ vectors / max(len(vectors), 1)
    return (apart.T @ apart / freedom if freedom else total), total


def within_patients(vectors: NDArray[np.float64], patients: Numbers) -> tuple[NDArray[np.float64], int]:
    """How far images of patients with several are from the mean of their patient's; and the degrees of freedom."""
    names, inverse, counts = np.unique(patients, return_inverse=True, return_counts=True)
    means = np.zeros((len(names), vectors.shape[1]))
    np.add.at(means, inverse, vectors)
    apart = (vectors - means[inverse] / counts[inverse, None])[counts[inverse] > 1]
    return apart, int((counts - 1).sum())


def _shrunk(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    size = len(covariance)
    even = 0.2 * _SHRINK * float(np.trace(covariance)) / size + _SMALL
    return (1 - _SHRINK) * covariance + _SHRINK * np.diag(np.diag(covariance)) + even * np.eye(size)
