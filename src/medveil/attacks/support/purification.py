"""Purification: from scores of cells to a picture, by the rule that gives the attacker's own images back best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medveil.attacks.attack import Guess, Knowledge
from medveil.attacks.reconstruction.image_extent import Size
from medveil.attacks.support.cell_statistics import Plane
from medveil.attacks.support.decoding import Correction, Rule, decoded, error, expected, likeliest, told, with_revealed
from medveil.attacks.views import own_size, revealed_raised, size_of, vector_lengths
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture, Shown

Scorer = Callable[[Observation, Size | None], tuple[Plane, ...]]
"""Log-odds of every cell of every map of an observation, and the size at which to look at it."""

_CALIBRATION = 40


def calibration_cases(knowledge: Knowledge) -> tuple[Case, ...]:
    """Cases to choose with: those kept for it, or, where there are too few, one's own."""
    known = knowledge.validation if len(knowledge.validation) >= 4 else knowledge.own
    return known[:_CALIBRATION]


@dataclass(frozen=True)
class Purification:
    """An attacker that scores cells, and decodes the likely ones.

    Where entries are not in their own cells, what is shown says nothing on where it belongs, and only cells that the
    attacker is told of are decoded.
    """

    mechanism: Mechanism
    own: tuple[Case, ...]
    score: Scorer
    rules: tuple[Rule, ...]
    correction: Correction

    @classmethod
    def fit(cls, knowledge: Knowledge, score: Scorer) -> Purification:
        """Choose the rule and learn the correction on cases that are kept for choosing."""
        cases = calibration_cases(knowledge)
        scored = [score(case.observation, own_size(knowledge.mechanism, case)) for case in cases]
        truth = [case.subject.picture for case in cases]
        found = []
        for rules in _rules(knowledge):
            guesses = [
                _picture(knowledge.mechanism, case.observation, own_size(knowledge.mechanism, case), each, rules)
                for case, each in zip(cases, scored, strict=True)
            ]
            correction = _correction(guesses, truth)
            found.append((error([correction(guess) for guess in guesses], truth), rules, correction))
        _, rules, correction = min(found, key=lambda each: each[0])
        return cls(knowledge.mechanism, knowledge.own, score, rules, correction)

    def predict(self, observation: Observation) -> Guess:
        size = size_of(self.mechanism, observation, self.own)
        scores = self.score(observation, size)
        guess = _picture(self.mechanism, observation, size, scores, self.rules)
        return Guess(picture=self.correction(guess), support=revealed_raised(scores, observation))


def _rules(knowledge: Knowledge) -> list[tuple[Rule, ...]]:
    """Ways to decode: the likeliest entries of each vector, and every entry as far as it is likely."""
    space, cases = knowledge.mechanism.space, [case for case in knowledge.own if case.code is not None]
    assert space is not None  # noqa: S101 - `applicability` refuses it
    lengths = vector_lengths(space, cases[0].observation)
    hard = []
    for index, length in enumerate(lengths):
        nonzeros = sum(len(case.code.maps[index].positions) for case in cases if case.code)
        vectors = sum(_vectors(case.observation.maps[index], length) for case in cases)
        hard.append(likeliest(length, nonzeros / max(vectors, 1)))
    return [tuple(hard), (expected,) * len(lengths)]


def _vectors(shown: Shown, length: int) -> int:
    """How many vectors show anything."""
    return len(np.unique(shown.positions // length)) if length else 1


def _picture(
    mechanism: Mechanism, observation: Observation, size: Size | None, scores: Sequence[Plane], rules: Sequence[Rule]
) -> Picture | None:
    if mechanism.space is None:
        return None
    maps = told(observation)
    if mechanism.in_place:
        chosen = tuple(
            rule(shown, plane[shown.positions])
            for rule, shown, plane in zip(rules, observation.maps, scores, strict=True)
        )
        maps = with_revealed(chosen, observation.revealed)
    elif not observation.revealed:
        return None
    return decoded(mechanism.space, maps, observation, size)


def _correction(guesses: Sequence[Picture | None], truth: Sequence[Picture]) -> Correction:
    pairs = [(guess, true) for guess, true in zip(guesses, truth, strict=True) if guess is not None]
    if pairs:
        return Correction.fit([guess for guess, _ in pairs], [true for _, true in pairs])
    mean = np.mean(truth, axis=0).astype(np.float32)
    return Correction(mean, mean, np.zeros_like(mean))
