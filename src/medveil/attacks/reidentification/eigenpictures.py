"""Eigenpictures: registered pictures as a few independent numbers, which an average of pictures still carries.

An average of k pictures is the average of their numbers, since all of it is linear. Of d independent numbers of equal
spread it carries 1/k of each person's, under the others' as noise: the right picture scores above a wrong one with a
chance of Φ(√(d / 2k)), and where noise was added until the average varies as much as a picture does, of Φ(√d / (k √2)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.linear_embedding import less_common, less_means, means_of, principal, unit
from medveil.attacks.reidentification.metadata import GROUP
from medveil.attacks.reidentification.recognizer import (
    Known,
    Learned,
    Plane,
    Recognition,
    RecognizerEffort,
    Scores,
    View,
    Wanted,
    content,
    views_of,
)
from medveil.errors import InputError
from medveil.experiments.cache import ByteCache
from medveil.mechanisms.working_pictures import resized
from medveil.metrics.image_quality import PEAK

_SIDE = 64
_NUMBERS = 200
_SHOWN = 200  # pictures whose mean the others are registered to
_MOST = 1500  # pictures that are learned from
_LEAST = 3
_ENOUGH = 30  # pictures of a stratum, for a space of its own
_SHRINK = 0.02  # of each variance towards the mean of all
_EVEN = 1e-9
_CACHE_BYTES = 1 << 27
_CLEAR = 0.02  # by how much a silhouette is better than those of no groups
_SHUFFLES, _STARTS = 2, 2
_MOST_GROUPS = 500
_JUDGED = 3000  # pictures by which a grouping is judged

Vectors = NDArray[np.float32]
_VECTORS: ByteCache[tuple[bytes, bytes], Vectors] = ByteCache(_CACHE_BYTES, lambda vector: vector.nbytes)
"""Of pictures over a template, by the content of both."""


@dataclass(frozen=True)
class Whitening:
    """From vectors to independent numbers.

    Attributes:
        directions: (D, d), from a vector to its numbers, each of variance 1 over what was learned from.
        means: (d,) of each stratum.
    """

    directions: Vectors = field(repr=False)
    means: Mapping[int, NDArray[np.float64]] = field(repr=False)

    def numbers(self, vectors: Vectors, strata: NDArray[np.int64]) -> Vectors:
        """(n, d) of length 1: numbers of (n, D) vectors, less what their stratum has in common among these."""
        return unit(less_common(vectors @ self.directions, strata, self.means))


def learned_whitening(vectors: Vectors, strata: NDArray[np.int64], numbers: int) -> Whitening:
    """Principal components of own vectors within their strata, weighted so that each varies as much.

    Args:
        vectors: (n, D).
        strata: (n,) data set and view of each.
        numbers: at most so many directions; 2 n / 3 at most, since the spread of the last ones is not known.
    """
    centred = less_means(vectors.astype(np.float64), strata)
    basis = principal(centred, max(min(numbers, 2 * len(vectors) // 3), 1))
    variances = ((centred @ basis) ** 2).mean(0)
    spread = np.sqrt((1 - _SHRINK) * variances + _SHRINK * variances.mean() + _EVEN)
    directions = (basis / spread).astype(np.float32)
    return Whitening(directions, means_of(vectors @ directions, strata))


class Eigenspace:
    """Where pictures are held against each other.

    Args:
        template: (64, 64) picture that the others are registered to.
        whitening: of (4096,) registered pictures.
    """

    def __init__(self, template: Plane, whitening: Whitening) -> None:
        self._template, self._whitening = template, whitening

    def numbers(self, views: Sequence[View]) -> Vectors:
        """(n, d) of length 1: the numbers of each picture."""
        vectors = np.stack([_vector(view.plane, self._template) for view in views])
        return self._whitening.numbers(vectors, _strata(views))


class Eigenspaces:
    """The space of each stratum: to lay children and adults over one template is to lay neither well.

    Args:
        spaces: by stratum.
        other: for strata of which there is none.
    """

    def __init__(self, spaces: Mapping[int, Eigenspace], other: Eigenspace) -> None:
        self._spaces, self._other = spaces, other

    def of(self, stratum: int) -> Eigenspace:
        """The space in which pictures of a stratum lie, and what is held against them."""
        return self._spaces.get(stratum, self._other)

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None) -> Scores:
        """(queries, gallery) correlations, each in the space of the picture of the gallery."""
        found = np.full((len(queries), len(gallery)), np.nan, np.float32)
        spaces = [self.of(view.stratum) for view in gallery]
        for space in dict.fromkeys(spaces):
            columns = np.array([place for place, each in enumerate(spaces) if each is space])
            asked = np.ones(len(queries), bool) if wanted is None else wanted[:, columns].any(axis=1)
            rows = np.nonzero(asked)[0]
            if len(rows):
                sides = [queries[int(row)] for row in rows], [gallery[int(column)] for column in columns]
                found[np.ix_(rows, columns)] = space.numbers(sides[0]) @ space.numbers(sides[1]).T
        return found


def learned_spaces(views: Sequence[View]) -> Eigenspaces:
    """Spaces of the attacker's own pictures: one for each stratum of thirty, and one of all for the others.

    Raises:
        InputError: there are fewer than three pictures.
    """
    if len(views) < _LEAST:
        raise InputError(
            f"eigenpictures are learned from at least {_LEAST} pictures, and here are {len(views)}",
            hint="leave this attacker out, or give the attacker more images of her own",
        )
    strata: dict[int, list[View]] = {}
    for view in views:
        strata.setdefault(view.stratum, []).append(view)
    spaces = {number: _learned(members) for number, members in strata.items() if len(members) >= _ENOUGH}
    if len(spaces) < len(strata):
        return Eigenspaces(spaces, _learned(views))
    return Eigenspaces(spaces, spaces[max(strata, key=lambda number: len(strata[number]))])


def _learned(views: Sequence[View]) -> Eigenspace:
    from medveil.anonymizers.registration import laid, registered

    drawn = np.random.default_rng(0).permutation(len(views))[:_MOST]  # every other one may be a released one
    views = [views[int(place)] for place in drawn]
    small = [_small(view.plane) for view in views]
    shown = small[:_SHOWN]
    first = _mean(shown)
    template = _mean([laid(picture, registered(picture, first)) for picture in shown])
    vectors = np.stack([_vector(view.plane, template) for view in views])
    return Eigenspace(template, learned_whitening(vectors, _strata(views), _NUMBERS))


class Eigenpictures:
    """Correlation of the numbers of both pictures: principal components of registered pictures, whitened.

    Pictures of 64 × 64 pixels are laid over the mean of the attacker's own of the same data set and view by an affine
    map and brought to mean 0 and deviation 1; up to two hundred principal components of the attacker's own pictures are
    weighted so that each varies as much. Eigenfaces with whitening; it learns nothing about what differs between two
    pictures of one person, so it is for finding a picture itself again, in an average above all.

    >>> noise = np.random.default_rng(0).uniform(0, 255, (6, 16, 16)).astype(np.float32)
    >>> own = [Known(number, View(each)) for number, each in enumerate(noise)]
    >>> effort = RecognizerEffort(side=64, steps=1, batch=2, network="resnet18", key_points=100, pairs=9)
    >>> seen = [own[0].real, own[1].real]
    >>> Eigenpictures().fit(own, Learned.REAL, effort, 0).scores(seen, seen).argmax(1).tolist()
    [0, 1]
    """

    name = "eigenpictures"
    title = "whitened principal components of registered pictures"
    source = "Turk and Pentland, J. Cognitive Neuroscience 1991, Eigenfaces for recognition"
    cost = "a minute"
    learns = True
    trains = False
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        return _Pictures(learned_spaces([view for _, view in views_of(own, learned)]))


class EigenpictureGroups:
    """As `eigenpictures`, the likeness of a picture being the mean over all pictures of its group.

    A group is of pictures made of the same people, each with noise of its own. Which ones they are is the fact "group"
    where a file tells it; else they are found: k-means of the numbers in each stratum, with the number of groups whose
    silhouette is best (Rousseeuw 1987). Where that is no better than by chance, every picture is by itself.

    >>> noise = np.random.default_rng(0).uniform(0, 255, (6, 16, 16)).astype(np.float32)
    >>> own = [Known(number, View(each)) for number, each in enumerate(noise)]
    >>> effort = RecognizerEffort(side=64, steps=1, batch=2, network="resnet18", key_points=100, pairs=9)
    >>> seen = [own[0].real, own[1].real]
    >>> EigenpictureGroups().fit(own, Learned.REAL, effort, 0).scores(seen, seen).argmax(1).tolist()
    [0, 1]
    """

    name = "eigenpictures-groups"
    title = "whitened principal components, pictures of one group taken together"
    source = "Turk and Pentland, J. Cognitive Neuroscience 1991, Eigenfaces for recognition"
    cost = "a minute"
    learns = True
    trains = False
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        return _Groups(learned_spaces([view for _, view in views_of(own, learned)]), seed)


class _Pictures:
    def __init__(self, spaces: Eigenspaces) -> None:
        self._spaces = spaces

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        return self._spaces.scores(queries, gallery, wanted)


class _Groups:
    def __init__(self, spaces: Eigenspaces, seed: int) -> None:
        self._spaces, self._seed = spaces, seed

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        each = self._spaces.scores(queries, gallery, wanted)
        counted = np.isfinite(each) if wanted is None else wanted
        members = groups_of(gallery, self._spaces, self._seed)
        belongs = (members[:, None] == np.arange(members.max() + 1)[None]).astype(np.float32)
        sums, counts = np.where(counted, each, 0.0) @ belongs, counted @ belongs
        means = sums / np.maximum(counts, 1.0)
        return np.where(counted, means[:, members], np.nan).astype(np.float32)


def groups_of(views: Sequence[View], spaces: Eigenspaces, seed: int) -> NDArray[np.int64]:
    """(n,) number of the group of each picture: as its file tells it, else as `found_groups` in its stratum does.

    Args:
        views: n pictures.
        spaces: where pictures without a named group are held against each other.
        seed: of k-means.
    """
    told: dict[object, int] = {}
    members = np.full(len(views), -1, np.int64)
    for place, view in enumerate(views):
        if GROUP in view.facts:
            members[place] = told.setdefault((view.stratum, view.facts[GROUP]), len(told))
    strata, following = _strata(views), len(told)
    for number in np.unique(strata):
        rest = np.nonzero((strata == number) & (members < 0))[0]
        if len(rest):
            vectors = spaces.of(int(number)).numbers([views[int(place)] for place in rest])
            members[rest] = following + found_groups(vectors, seed)
            following = int(members.max()) + 1
    return members


def found_groups(vectors: Vectors, seed: int) -> NDArray[np.int64]:
    """(n,) number of the group of each; of n groups where none is clear.

    What is clear is told from numbers that belong to no groups: the same ones, each shuffled among the pictures.
    """
    generator = np.random.default_rng(seed)
    members, reached = _grouped(vectors, seed)
    shuffled = [unit(generator.permuted(vectors, axis=0)) for _ in range(_SHUFFLES)]
    by_chance = max(_grouped(each, seed)[1] for each in shuffled)
    return members if reached > by_chance + _CLEAR else np.arange(len(vectors))


def _grouped(vectors: Vectors, seed: int) -> tuple[NDArray[np.int64], float]:
    """The grouping with the best silhouette, of three pictures a group or more in the mean, and that silhouette."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    best, reached = np.arange(len(vectors)), 0.0
    count, judged = 2, slice(None, None, -(-len(vectors) // _JUDGED))
    while count <= min(len(vectors) // 3, _MOST_GROUPS):
        members = KMeans(count, n_init=_STARTS, random_state=seed % (1 << 32)).fit_predict(vectors)
        seen = len(np.unique(members[judged]))
        score = float(silhouette_score(vectors[judged], members[judged])) if 1 < seen < len(members[judged]) else 0.0
        if score > reached:
            best, reached = members.astype(np.int64), score
        count = max(count + 1, round(count * 1.3))
    return best, reached


def _small(plane: Plane) -> Plane:
    clean = np.clip(np.nan_to_num(plane), 0.0, PEAK).astype(np.float32)
    return resized(clean, _SIDE, _SIDE)


def _vector(plane: Plane, template: Plane) -> Vectors:
    """(4096,) a picture, made small, over the template, of mean 0 and deviation 1; zeros of an even one."""
    from medveil.anonymizers.registration import laid, registered

    def make() -> Vectors:
        small = _small(plane)
        moved = laid(small, registered(small, template)).ravel()
        deviation = float(moved.std())
        return np.asarray((moved - moved.mean()) / deviation if deviation > 1e-3 else np.zeros_like(moved), np.float32)

    return _VECTORS.get((content(plane), content(template)), make)


def _mean(pictures: Sequence[Plane]) -> Plane:
    return np.asarray(np.mean(np.stack(pictures), axis=0), np.float32)


def _strata(views: Sequence[View]) -> NDArray[np.int64]:
    return np.array([view.stratum for view in views], np.int64)
