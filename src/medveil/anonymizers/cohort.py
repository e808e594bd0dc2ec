"""cohort: pictures drawn around the mean of k random people of one class, with the scatter of other people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.anonymizer import Anonymizer, Candidate, Labels, setting
from medveil.anonymizers.mixup import too_few
from medveil.anonymizers.model import AnonymizerModel, Plain, read_model_file
from medveil.anonymizers.planes import Plane, square
from medveil.anonymizers.population import SIDE, Population, learned_population
from medveil.errors import MissingDependencyError, UnsupportedInputError, UsageError
from medveil.images.image import Image
from medveil.images.intensity import grey_image
from medveil.protection.keystream import Keystream, Stream

if TYPE_CHECKING:
    from medveil.anonymizers.learning import Learning

WEIGHTS = Path(__file__).parent / "weights" / "cohort.safetensors"
_COMPONENTS = 100  # that a model has at most
_READ = 2 * SIDE  # side of pictures before they are registered
_LEAST = 30  # patients that a model is learned from


@dataclass(frozen=True)
class Cohort(Anonymizer):
    """Random groups of k people of one class, each released as a draw around its mean.

    A picture is registered affinely to the mean of other people, and becomes d numbers: its first d principal
    components, which are those of other people too. One image of each patient is drawn, and the patients of one class
    (source, view, label) are dealt at random into groups of k or some more. A released picture has the mean numbers of
    its group, and a Gaussian residual of covariance (1 - 1/n) W, n being the size of the group and W the covariance
    within classes among other people, so that pictures scatter as people do. `detail` further numbers come from other
    people alone. Our own; k-Same (Newton, Sweeney and Malin 2005) with random groups in place of nearest neighbours,
    which can be found again.

    With d numbers at most, of pictures of 96 pixels, what is drawn is smooth: no small finding and no texture.

    >>> people = [Candidate(str(number), ("x",), label="ab"[number % 2]) for number in range(10)]
    >>> from medveil.protection.keystream import Keystream
    >>> sorted(len(group) for group in Cohort(k=2).groups(people, Keystream(bytes(32), "doc")))
    [2, 2, 3, 3]
    """

    name: ClassVar[str] = "cohort"
    title: ClassVar[str] = "smooth pictures drawn around the mean of k random people of one class"
    promise: ClassVar[str] = (
        "A picture hangs on each person in d numbers at most, averaged over k people and blurred by as much as people "
        "differ. Nothing is proved of it; single pictures mean nothing, and are never for diagnosis."
    )
    source: ClassVar[str] = "our own; random groups in place of the nearest ones of k-Same (Newton and others 2005)"
    measured: ClassVar[str] = (
        "k 25 and d 20, chest radiographs of 128 pixels in two data sets: matched AUC 0.52 and 0.51 of another image, "
        "0.54 and 0.52 of the very image among pictures of its kind; see docs/evidence/open-releases.md"
    )
    cost: ClassVar[str] = "tens of milliseconds an image; half a minute to learn from a thousand"
    needs_patients: ClassVar[bool] = True
    secret: ClassVar[bool] = True
    redraws: ClassVar[bool] = True
    labels: ClassVar[Labels] = Labels.COMMON
    learns: ClassVar[bool] = True

    k: int = setting(25, "people a group, at least", low=2, high=10000)
    d: int = setting(20, "numbers that a picture has from its people", low=1, high=_COMPONENTS)
    pictures: int = setting(1, "pictures a group; each further one tells more of its people", low=1, high=100)
    detail: int = setting(0, "further numbers, drawn from other people alone", low=0, high=_COMPONENTS)
    size: int = setting(256, "side of the pictures in pixels", low=64, high=2048)
    population: Population | None = field(default=None, repr=False, compare=False)

    def learn(self, how: Learning) -> AnonymizerModel:
        from medveil import images
        from medveil.training.model_card import digest_of_images

        patients = [record.patient for record in how.training]
        if len(set(patients)) < _LEAST:
            raise UsageError(
                f"cohort learns from at least {_LEAST} patients, and here are {len(set(patients))}",
                hint="give more images of other people, or a manifest that says whose they are",
            )
        how.begin(len(how.training) + len(how.validation))
        planes: list[Plane] = []
        for record in (*how.training, *how.validation):
            planes.append(square(images.read(record.path), _READ))
            how.tick(len(planes))
        classes = [(*record.stratum, record.label) for record in how.training]
        found = learned_population(
            planes[: len(patients)], patients, classes, _COMPONENTS, planes[len(patients) :]
        )  # fmt: skip
        variances = np.diag(found.within)
        facts: dict[str, Plain] = {
            "images": len(patients), "patients": len(set(patients)), "classes (source, view, label)": len(set(classes)),
            "images to say what fits": len(how.validation) or len(patients), "components": len(found.components),
            "least share of a picture's variance that they explain": round(found.least_explained, 4),
            "most scatter of a picture": round(found.most_scatter, 3),
            "share of the first 25 in the scatter of all": round(float(variances[:25].sum() / variances.sum()), 3),
            "SHA-256 of the sorted digests of the images": digest_of_images([record.path for record in how.training]),
        }  # fmt: skip
        return AnonymizerModel(self.name, {}, found.arrays, facts)

    @classmethod
    def shipped_models(cls) -> tuple[AnonymizerModel, ...]:
        try:
            return (_shipped(),)
        except MissingDependencyError:
            return ()

    def with_model(self, model: AnonymizerModel) -> Self:
        own = super().with_model(model)
        try:
            population = Population.of_arrays(model.arrays)
        except (ValueError, KeyError):
            raise UsageError("the model holds no population for cohort", hint=self.how_to_learn()) from None
        there = len(population.components)
        if own.d + own.detail > there:
            raise UsageError(
                f"d and detail are {own.d + own.detail} together, and the model has {there} components",
                hint="set fewer, or train a model on images of more people",
            )
        return replace(own, population=population)

    def check(self, image: Image) -> None:
        population = self._known()
        over = population.laid(square(image, _READ))
        if not population.fits(over):
            numbers = population.numbers(over)
            explained, scatter = max(population.explained(over, numbers), 0.0), population.scatter(numbers)
            raise UnsupportedInputError(
                f"the picture is unlike those that the model was learned from: {explained:.2f} of its variance is "
                f"explained, where {population.least_explained:.2f} is needed, and its scatter is {scatter:.3g}, where "
                f"{population.most_scatter:.3g} is allowed",
                hint="learn a model from such images of other people with medveil train --anonymizer cohort",
            )

    def feature(self, image: Image) -> NDArray[np.float32]:
        population = self._known()
        return population.numbers(population.laid(square(image, _READ))).astype(np.float32)

    def groups(self, candidates: Sequence[Candidate], stream: Stream) -> list[tuple[int, ...]]:
        order = [int(place) for place in stream.permutation(len(candidates))]
        first: dict[str, int] = {}
        for number in order:
            first.setdefault(candidates[number].patient, number)
        classes: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for number in first.values():
            classes[(*candidates[number].classes, candidates[number].label)].append(number)
        found: list[tuple[int, ...]] = []
        for members in classes.values():
            if len(members) < self.k:
                raise too_few(len(members), self.k)
            count = len(members) // self.k  # the order is random, so every count-th is
            found += [tuple(members[place::count]) for place in range(count) for _ in range(self.pictures)]
        return found

    def apply(self, images: Sequence[Image], key: bytes) -> Image:
        return self.merged(images, [self.feature(image) for image in images], key)

    def merged(self, images: Sequence[Image], features: Sequence[NDArray[np.float32]], key: bytes) -> Image:
        from medveil.anonymizers.warp import normal

        population, last = self._known(), self.d + self.detail
        drawn = normal(Keystream(key, "anonymize/cohort"), last)
        residual = np.linalg.cholesky(population.within[: self.d, : self.d]) @ drawn[: self.d]
        numbers = np.zeros(last)
        numbers[: self.d] = np.mean(features, axis=0)[: self.d] + np.sqrt(1 - 1 / len(features)) * residual
        numbers[self.d :] = np.sqrt(np.diag(population.within)[self.d : last]) * drawn[self.d :]
        return grey_image(population.picture(numbers, self.size))

    def _known(self) -> Population:
        if self.population is None:
            raise self.lacks_model()
        return self.population


@cache
def _shipped() -> AnonymizerModel:
    return read_model_file(WEIGHTS)
