"""Population: what pictures of other people have in common, as a mean, principal components and how these scatter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.anonymizers.planes import Plane, averaged
from medveil.anonymizers.registration import IDENTITY, laid, registered

SIDE = 96  # of the components, in pixels
REGISTERED = 64  # side at which pictures are registered
_SHOWN = 200  # pictures whose mean the others are registered to
_SHARE = 3  # pictures a component at least: the spread of the last ones is not known otherwise
_JUDGED = 25  # numbers by which it is said whether a picture is of the kind
_SHRINK = 0.05  # of the covariance towards its diagonal

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """A linear model of registered pictures.

    Attributes:
        template: (64, 64) mean that pictures are registered to.
        mean: (96, 96) mean of registered pictures, grey values 0 … 255.
        components: (D, 96 · 96) principal components, each of mean square 1, most variance first; float16.
        within: (D, D) covariance of the numbers of pictures of one class, in squared grey values.
        least_explained: share of a picture's variance that the components have to explain, 0 … 1.
        most_scatter: how far from the mean a picture may lie, see `scatter`. A picture beyond either is taken for one
            of another kind: the two statistics of a principal component model (Jackson and Mudholkar 1979, Control
            procedures for residuals associated with principal component analysis).
    """

    template: Plane = field(repr=False)
    mean: Plane = field(repr=False)
    components: NDArray[np.float16] = field(repr=False)
    within: Numbers = field(repr=False)
    least_explained: float
    most_scatter: float

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """It as the arrays of a model."""
        return {
            "template": self.template.astype(np.float32), "mean": self.mean.astype(np.float32),
            "components": self.components, "within": self.within.astype(np.float32),
            "fits": np.array([self.least_explained, self.most_scatter], np.float32),
        }  # fmt: skip

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Population:
        """Raises ValueError or KeyError for arrays of which it cannot be made."""
        template, mean, fits = (np.asarray(arrays[name], np.float32) for name in ("template", "mean", "fits"))
        components, within = np.asarray(arrays["components"], np.float16), np.asarray(arrays["within"], np.float64)
        count = len(components)
        shapes = [each.shape for each in (template, mean, components, within, fits)]
        if shapes != [(REGISTERED,) * 2, (SIDE,) * 2, (count, SIDE**2), (count,) * 2, (2,)] or not count:
            raise ValueError("arrays of other shapes")
        if not all(np.isfinite(each).all() for each in (template, mean, components, within, fits)):
            raise ValueError("numbers that are none")
        return cls(template, mean, components, within, float(fits[0]), float(fits[1]))

    def laid(self, picture: Plane, side: int = SIDE) -> Plane:
        """(side, side): a square picture over the template."""
        return laid(averaged(picture, side, side), found_map(picture, self.template))

    def reduced(self, picture: Plane) -> Plane:
        """(96, 96): a square picture that lies over the template already, such as a released one."""
        return averaged(picture, SIDE, SIDE)

    def numbers(self, over: Plane) -> Numbers:
        """(D,) numbers of a picture that was laid over the template."""
        return np.asarray(self.components @ (over - self.mean).astype(np.float32).ravel(), np.float64) / SIDE**2

    def explained(self, over: Plane, numbers: Numbers) -> float:
        """The share of a picture's variance that its numbers explain, 1 at most."""
        apart = over - self.picture(numbers)
        return 1.0 - float((apart**2).mean()) / max(float(over.var()), 1e-6)

    def scatter(self, numbers: Numbers) -> float:
        """How far a picture lies from the mean: mean of its first 25 squared numbers, each over its variance within
        classes. The later ones differ little between kinds of pictures.
        """
        return float(np.mean((numbers**2 / np.maximum(np.diag(self.within), 1e-6))[:_JUDGED]))

    def fits(self, over: Plane) -> bool:
        """Whether a picture that was laid over the template is of the kind that was learned from."""
        numbers = self.numbers(over)
        return self.explained(over, numbers) >= self.least_explained and self.scatter(numbers) <= self.most_scatter

    def picture(self, numbers: Numbers, side: int = SIDE) -> Plane:
        """(side, side) grey values of some or all numbers; what is left out is as in the mean."""
        small = self.mean + (numbers.astype(np.float32) @ self.components[: len(numbers)]).reshape(SIDE, SIDE)
        return small if side == SIDE else laid(small, IDENTITY, side)


def found_map(picture: Plane, template: Plane) -> NDArray[np.float64]:
    """The affine map that lays a square picture over a template of 64 pixels."""
    return registered(averaged(picture, REGISTERED, REGISTERED), template)


def learned_population(
    pictures: Sequence[Plane], patients: Sequence[str], classes: Sequence[tuple[str, ...]], most: int,
    held: Iterable[Plane] = (),
) -> Population:  # fmt: skip
    """A population of pictures; every patient weighs the same.

    Args:
        pictures: (n, S, S) square grey values, S at least 96.
        patients: whose each is.
        classes: of which kind each is, such as source, view and label; scatter is taken within kinds.
        most: components, at most; a third of the patients at most.
        held: square pictures of people who are not among them, to say how well a new picture fits; in their place the
            pictures themselves.

    Raises:
        ValueError: there are fewer than six patients.
    """
    if len(set(patients)) < 2 * _SHARE:
        raise ValueError("too few patients")
    small = [averaged(picture, REGISTERED, REGISTERED) for picture in pictures]
    first = _mean(small[:_SHOWN])
    template = _mean([laid(picture, registered(picture, first)) for picture in small[:_SHOWN]])
    over = np.stack([
        laid(averaged(picture, SIDE, SIDE), registered(reduced, template))
        for picture, reduced in zip(pictures, small, strict=True)
    ])  # fmt: skip
    images = {patient: patients.count(patient) for patient in set(patients)}
    weights = np.array([1 / images[patient] for patient in patients])
    weights /= weights.sum()
    mean = np.tensordot(weights, over, 1).astype(np.float32)
    centred = (over - mean).reshape(len(over), -1).astype(np.float64)
    count = min(most, len(set(patients)) // _SHARE)
    components = _principal(centred * np.sqrt(weights)[:, None], count)
    start = Population(template, mean, components, np.eye(count), 0.0, 0.0)
    numbers = np.stack([start.numbers(each) for each in over])
    start = replace(start, within=_within(numbers, weights, classes))
    tested = [start.laid(picture) for picture in held] or list(over)
    theirs = [start.numbers(each) for each in tested]
    # Twice as much may be left unexplained as of the worst of a hundred; and one of a hundred may scatter more.
    unexplained = [1 - start.explained(each, own) for each, own in zip(tested, theirs, strict=True)]
    least = max(0.0, 1 - 2 * float(np.quantile(unexplained, 0.99)))
    return replace(start, least_explained=least, most_scatter=float(np.quantile([*map(start.scatter, theirs)], 0.99)))


def _principal(rows: NDArray[np.float64], count: int) -> NDArray[np.float16]:
    """(count, N) directions in which rows vary most, of mean square 1; by the small side of their products."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    found = vectors[:, ::-1][:, :count].T @ rows
    length = np.sqrt(np.maximum(values[::-1][:count], 1e-12))[:, None]
    return np.asarray(found / length * np.sqrt(rows.shape[1]), np.float16)


def _within(
    numbers: Numbers, weights: NDArray[np.float64], classes: Sequence[tuple[str, ...]]
) -> NDArray[np.float64]:  # fmt: skip
    """(D, D) covariance within classes, shrunk a little towards its diagonal."""
    apart = numbers.copy()
    for each in set(classes):
        rows = np.array([one == each for one in classes])
        apart[rows] -= np.average(numbers[rows], axis=0, weights=weights[rows])
    degrees = 1 - len(set(classes)) / len(numbers)
    covariance = (apart * weights[:, None]).T @ apart / max(degrees, 0.5)
    return np.asarray((1 - _SHRINK) * covariance + _SHRINK * np.diag(np.diag(covariance)))


def _mean(pictures: Sequence[Plane]) -> Plane:
    return np.asarray(np.mean(pictures, axis=0), np.float32)
