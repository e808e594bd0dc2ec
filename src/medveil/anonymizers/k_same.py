"""k-same: the mean of the pictures of k people who look alike, so that each is one of k."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.anonymizer import Anonymizer, Candidate, Labels, setting
from medveil.anonymizers.mixup import by_class, too_few
from medveil.anonymizers.planes import Plane, square
from medveil.anonymizers.registration import laid, over, registered
from medveil.images.image import Image
from medveil.images.intensity import grey_image
from medveil.protection.keystream import Stream

_SIDE = 64  # at which pictures are registered and compared
_NUMBERS = 32  # principal components of space `pca`


@dataclass(frozen=True)
class KSame(Anonymizer):
    """k-Same-Pixel (Newton, Sweeney and Malin 2005): groups of k nearest neighbours, each released as its mean.

    While images remain, one of them is taken with the k - 1 that are nearest to it; when fewer than 2k remain, all of
    them are one group. Space `pca` compares their first 32 principal components (k-Same-Eigen compares and averages in
    that space; here the mean is that of the pictures).

    The promise of 1/k holds for one image a patient and one release; so one image of each patient is drawn, and the
    rest is left out. A class of fewer than k patients is refused. Differences: pictures are registered affinely to
    their mean, since radiographs don't come aligned as faces do; the mean of a group is released once, and not k times;
    which image comes first is random.

    >>> people = [Candidate(str(number), (), np.float32([number, 0])) for number in range(6)]
    >>> from medveil.protection.keystream import Keystream
    >>> sorted(len(group) for group in KSame(k=2).groups(people, Keystream(bytes(32), "doc")))
    [2, 2, 2]
    """

    name: ClassVar[str] = "k-same"
    title: ClassVar[str] = "the mean of pictures of k people who look alike"
    promise: ClassVar[str] = (
        "Of who looks for one person by pictures of this release alone, at most one in k guesses is right. "
        "Nothing is promised about who is in it."
    )
    source: ClassVar[str] = "Newton, Sweeney and Malin 2005, Preserving privacy by de-identifying face images"
    measured: ClassVar[str] = (
        "k 10, chest radiographs of 128 pixels: matched AUC 0.68 (untouched 0.80), "
        "the very image found first in 42 %; see docs/evidence/open-releases.md"
    )
    cost: ClassVar[str] = "tens of milliseconds a picture"
    needs_patients: ClassVar[bool] = True
    secret: ClassVar[bool] = True
    redraws: ClassVar[bool] = True
    labels: ClassVar[Labels] = Labels.MERGED
    nearest: ClassVar[bool] = True
    fitted_on: ClassVar[int] = 200

    k: int = setting(10, "people a group", low=2, high=10000)
    space: str = setting("pixels", "in which neighbours are found", words=("pixels", "pca"))
    size: int = setting(256, "side of the pictures in pixels", low=64, high=2048)
    template: Plane | None = field(default=None, repr=False, compare=False)

    def fit(self, images: Iterable[Image]) -> Self:
        pictures = [square(image, _SIDE) for image in images]
        if not pictures:
            return self
        first = _mean(pictures)
        return replace(self, template=_mean([laid(picture, registered(picture, first)) for picture in pictures]))

    def feature(self, image: Image) -> NDArray[np.float32]:
        return self._registered(image, _SIDE).ravel()

    def groups(self, candidates: Sequence[Candidate], stream: Stream) -> list[tuple[int, ...]]:
        order = [int(place) for place in stream.permutation(len(candidates))]
        first = {candidates[number].patient: number for number in order}
        chosen = [number for number in order if first[candidates[number].patient] == number]
        found: list[tuple[int, ...]] = []
        for places in by_class([candidates[number] for number in chosen]).values():
            members = [chosen[place] for place in places]
            if len(members) < self.k:
                raise too_few(len(members), self.k)
            features = self._compared(np.stack([_known(candidates[number]) for number in members]))
            found += [tuple(members[place] for place in group) for group in _nearest(features, self.k)]
        return found

    def apply(self, images: Sequence[Image], key: bytes) -> Image:
        return grey_image(_mean([self._registered(image, self.size) for image in images]))

    def _registered(self, image: Image, side: int) -> Plane:
        return square(image, side) if self.template is None else over(self.template, image, side)

    def _compared(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.space == "pixels":
            return features
        around = features - features.mean(axis=0)
        return np.asarray(around @ np.linalg.svd(around, full_matrices=False)[2][:_NUMBERS].T, np.float32)


def _mean(pictures: Sequence[Plane]) -> Plane:
    return np.asarray(np.mean(pictures, axis=0), np.float32)


def _known(candidate: Candidate) -> NDArray[np.float32]:
    if candidate.feature is None:
        raise ValueError("k-same finds neighbours by the features of the images")
    return candidate.feature


def _nearest(features: NDArray[np.float32], k: int) -> list[tuple[int, ...]]:
    """Groups of k: the first that remains with its nearest neighbours; the last has fewer than 2k."""
    left = np.arange(len(features))
    found = []
    while len(left) >= 2 * k:
        distances = ((features[left] - features[left[0]]) ** 2).sum(axis=1)
        near = np.argsort(distances, kind="stable")[:k]
        found.append(tuple(int(number) for number in left[near]))
        left = np.delete(left, near)
    return [*found, tuple(int(number) for number in left)]
