"""wrong-key: keys of other packages, and random ones, tried on a package. One key for two packages falls at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess, Knowledge
from medveil.codecs.code import CodeMap, SparseCode
from medveil.errors import MedveilError
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Picture, Shown
from medveil.mechanisms.public_codec import smoothness

_OWN_KEYS = 12
_RANDOM_KEYS = 4
_LEARNING = 24  # own images that smoothness is learned from
_MARGIN = 0.05


def opened(mechanism: Mechanism, observation: Observation, key: bytes) -> tuple[SparseCode, Picture] | None:
    """What a key makes of a package: the code and its picture. None where it is refused, or makes no image."""
    space = mechanism.space
    if space is None:
        return None
    try:
        code = mechanism.open(observation, key)
        if code is None:
            return None
        return code, space.true_picture(code, observation.bucket)
    except (MedveilError, ValueError, ArithmeticError, LookupError, MemoryError):
        return None  # garbage where no code is authenticated: it may break a decoder in any way


def support_scores(maps: Sequence[CodeMap]) -> tuple[NDArray[np.float32], ...]:
    """For each map 1 for the cells that a code uses, and 0 for all others."""
    return tuple(Shown.of(each).plane(1.0) for each in maps)


class Fallback:
    """What an attacker hands in who got nothing: the mean of the own pictures of that bucket, and no opinion on cells.

    Args:
        knowledge: whose own images are meant.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        cases = knowledge.own + knowledge.validation
        buckets = {case.observation.bucket for case in cases}
        self._all = np.mean([case.subject.picture for case in cases], axis=0).astype(np.float32)
        self._means = {
            bucket: np.mean(
                [case.subject.picture for case in cases if case.observation.bucket == bucket], axis=0
            ).astype(np.float32)
            for bucket in buckets
        }

    def __call__(self, observation: Observation) -> Guess:
        maps = tuple(np.zeros(shown.cells, np.float32) for shown in observation.maps)
        return Guess(self._means.get(observation.bucket, self._all), maps or None)


class WrongKeyAttacker:
    """A learned `WrongKey`.

    Args:
        knowledge: whose keys are tried.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._mechanism = knowledge.mechanism
        self._fallback = Fallback(knowledge)
        generator = knowledge.generator("wrong-key")
        own = list(dict.fromkeys(case.key for case in knowledge.own if case.key))
        chosen = [own[number] for number in generator.permutation(len(own))[:_OWN_KEYS]]
        self._keys = (*chosen, *(generator.bytes(32) for _ in range(_RANDOM_KEYS)))
        self._least = _least_smoothness(knowledge)

    def predict(self, observation: Observation) -> Guess:
        """The smoothest picture that any key gives, if it is as smooth as pictures are."""
        found = [each for key in self._keys if (each := opened(self._mechanism, observation, key)) is not None]
        plausible = [(smoothness(picture), number) for number, (_, picture) in enumerate(found)]
        plausible = [each for each in plausible if each[0] >= self._least]
        if not plausible:
            return self._fallback(observation)
        code, picture = found[max(plausible)[1]]
        return Guess(picture, support_scores(code.maps))


def _least_smoothness(knowledge: Knowledge) -> float:
    """Where smoothness of own images ends: half way to what wrong keys give, where those give pictures at all."""
    cases = knowledge.own[:_LEARNING]
    true = [smoothness(case.subject.picture) for case in cases]
    least = float(np.quantile(true, 0.05)) - _MARGIN
    garbage = []
    for case, other in pairwise(cases):
        if case.key != other.key:
            found = opened(knowledge.mechanism, case.observation, other.key)
            garbage += [smoothness(found[1])] if found is not None else []
    return max(least, (least + float(np.quantile(garbage, 0.95))) / 2) if garbage else least


class WrongKey:
    """Tries the attacker's own keys, and random ones, on every package.

    A code that nothing authenticates opens to something under any key; it counts if its picture is as smooth as own
    pictures are. What a holder of a lower tier, another epoch or another package's grant of a release gets is told by
    `medveil.attacks.keys.refused_keys`, which needs the release itself.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(WrongKey())[0], str(WrongKey.goal)
    ('two-time-pad', 'keys')
    """

    name = "wrong-key"
    title = "keys of other packages"
    goal = Goal.KEYS
    knows = "own packages with their keys"
    needs = "keys and a codec"
    requires = (Need.CODE, Need.OWN_KEYS)
    cost = "a minute"
    trains = False

    def fit(self, knowledge: Knowledge) -> WrongKeyAttacker:
        return WrongKeyAttacker(knowledge)
