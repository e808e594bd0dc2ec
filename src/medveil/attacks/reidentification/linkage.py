"""Linkage: which images are of one person? From the observation itself, and from the picture that a stranger makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess, Knowledge
from medveil.attacks.reconstruction.keyless_view import stranger_picture
from medveil.attacks.reidentification.linear_embedding import Numbers, PatientSpace, learn_space, pair_scores
from medveil.attacks.reidentification.observation_features import observation_blocks
from medveil.attacks.reidentification.picture_features import Blocks, disturbed, picture_features
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture
from medveil.metrics.ranking import auc

_FOLDS = 3
_COPIES = 2  # disturbed copies of every own original: what differs within a patient, where few have two images
_CLEARLY = 0.02  # by which a variant's AUC has to be better than that of one named before it


@dataclass(frozen=True)
class Labelled:
    """Features of images whose patients are known.

    Attributes:
        blocks: features, (n, d) each.
        patients, strata: (n,) numbers.
    """

    blocks: Blocks = field(repr=False)
    patients: Numbers
    strata: Numbers

    def of(self, patients: Numbers) -> Labelled:
        """Those of some patients."""
        mask = np.isin(self.patients, patients)
        return Labelled(tuple(block[mask] for block in self.blocks), self.patients[mask], self.strata[mask])

    def with_blocks(self, numbers: Sequence[int]) -> Labelled:
        """The same with some of the blocks only."""
        return Labelled(tuple(self.blocks[number] for number in numbers), self.patients, self.strata)


@dataclass(frozen=True)
class Variant:
    """One way to learn a space: what to learn from, and images of the kind under attack to judge it by."""

    training: Labelled
    judged: Labelled


def cross_fitted_auc(variant: Variant, generator: np.random.Generator) -> float:
    """AUC of pairs of patients that the space has not learned from; NaN where there are no such pairs of one person."""
    patients = generator.permutation(np.unique(variant.judged.patients))
    scores, same = [], []
    for number in range(_FOLDS):
        held = patients[number::_FOLDS]
        rest = np.setdiff1d(variant.training.patients, held)
        if not len(held) or not len(rest):
            continue
        training, judged = variant.training.of(rest), variant.judged.of(held)
        space = learn_space(training.blocks, training.patients, training.strata)
        found = pair_scores(space.embed(judged.blocks), judged.patients, judged.strata)
        scores.append(found[0])
        same.append(found[1])
    return auc(np.concatenate(scores), np.concatenate(same)) if scores else float("nan")


def best_variant(variants: Mapping[str, Variant], generator: np.random.Generator) -> str:
    """Name of the variant with the best AUC; an earlier one unless a later one is clearly better."""
    seed = int(generator.integers(1 << 31))
    best, reached = "", -1.0
    for name, variant in variants.items():
        found = cross_fitted_auc(variant, np.random.default_rng(seed))
        if not best or found > reached + _CLEARLY:  # NaN is never better
            best, reached = name, found if found == found else 0.5
    return best


def fitted(variant: Variant) -> PatientSpace:
    """The space of a variant, learned from all of it."""
    return learn_space(variant.training.blocks, variant.training.patients, variant.training.strata)


def labelled(blocks: Blocks, cases: Sequence[Case], copies: int = 1) -> Labelled:
    """Features of cases, in their order, `copies` times over."""
    patients = np.array([case.subject.patient for case in cases] * copies, np.int64)
    strata = np.array([case.subject.stratum for case in cases] * copies, np.int64)
    return Labelled(blocks, patients, strata)


def original_features(cases: Sequence[Case], generator: np.random.Generator) -> Labelled:
    """Features of the originals of cases, and of disturbed copies as further images of the same patients."""
    pictures: list[Picture] = [case.subject.picture for case in cases]
    for _ in range(_COPIES):
        pictures += [disturbed(case.subject.picture, generator) for case in cases]
    return labelled(picture_features(pictures), cases, 1 + _COPIES)


class CodeLinker:
    """A learned `LinkageCode`."""

    def __init__(self, mechanism: Mechanism, space: PatientSpace, numbers: Sequence[int]) -> None:
        self._mechanism = mechanism
        self._space = space
        self._numbers = tuple(numbers)

    def predict(self, observation: Observation) -> Guess:
        blocks = observation_blocks([observation], self._mechanism.space)
        fitting = tuple(
            _width(blocks[number], len(centre))
            for number, centre in zip(self._numbers, self._space.centres, strict=True)
        )
        return Guess(embedding=self._space.embed(fitting)[0])


def _width(block: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """A block with exactly as many features as were learned."""
    return np.pad(block, ((0, 0), (0, max(0, width - block.shape[1]))))[:, :width]


class LinkageCode:
    """Recognises a person by the public code itself, without making a picture of it.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(LinkageCode())[0], str(LinkageCode.goal)
    ('linear-encoding', 'reidentification')
    """

    name = "linkage-code"
    title = "same person, from the public code"
    goal = Goal.REIDENTIFICATION
    knows = "the public code; own images with patients, published in the same way"
    needs = "own patients with two images"
    requires = (Need.ENCODING, Need.OWN_PATIENTS)
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> CodeLinker:
        cases = knowledge.own + knowledge.validation
        every = labelled(observation_blocks([case.observation for case in cases], knowledge.mechanism.space), cases)
        live = [number for number, block in enumerate(every.blocks) if np.ptp(block, axis=0).any()] or [0]
        choices: dict[str, list[int]] = {"all": live} | {str(number): [number] for number in live if len(live) > 1}
        variants = {
            name: Variant(every.with_blocks(numbers), every.with_blocks(numbers)) for name, numbers in choices.items()
        }
        name = best_variant(variants, knowledge.generator("linkage-code"))
        return CodeLinker(knowledge.mechanism, fitted(variants[name]), choices[name])


class PictureLinker:
    """A learned `LinkagePicture`.

    Args:
        mechanism: how images are published.
        space: for strangers' pictures.
        side: of working pictures.
    """

    def __init__(self, mechanism: Mechanism, space: PatientSpace, side: int) -> None:
        self._mechanism = mechanism
        self._space = space
        self._side = side

    def predict(self, observation: Observation) -> Guess:
        picture = stranger_picture(observation, self._mechanism, self._side)
        return Guess(embedding=self._space.embed(picture_features([picture]))[0])


class LinkagePicture:
    """Recognises a person by the picture that anybody can make of what is public, without a network.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(LinkagePicture())[0], str(LinkagePicture.goal)
    ('unprotected', 'reidentification')
    """

    name = "linkage-picture"
    title = "same person, from a stranger's picture"
    goal = Goal.REIDENTIFICATION
    knows = "the public code and codec; own images with patients"
    needs = "own patients with two images, and something to make a picture of"
    requires = (Need.OWN_PATIENTS,)
    cost = "a minute"
    trains = False

    def fit(self, knowledge: Knowledge) -> PictureLinker:
        cases, side = knowledge.own + knowledge.validation, knowledge.effort.working
        generator = knowledge.generator("linkage-picture")
        pictures = [stranger_picture(case.observation, knowledge.mechanism, side) for case in cases]
        copies = [disturbed(picture, generator) for picture in pictures]
        judged = labelled(picture_features(pictures), cases)
        published = labelled(picture_features(pictures + copies), cases, 2)
        originals = original_features(cases, generator)
        variants = {
            "published": Variant(published, judged),
            "originals": Variant(originals, judged),
            "both": Variant(_together(originals, published), judged),
        }
        name = best_variant(variants, generator)
        return PictureLinker(knowledge.mechanism, fitted(variants[name]), side)


def _together(first: Labelled, second: Labelled) -> Labelled:
    blocks = tuple(np.concatenate(pair) for pair in zip(first.blocks, second.blocks, strict=True))
    patients = np.concatenate([first.patients, second.patients])
    return Labelled(blocks, patients, np.concatenate([first.strata, second.strata]))
