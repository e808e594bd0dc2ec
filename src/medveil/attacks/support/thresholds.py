"""Attack 1: what public values give away by themselves, and what the public code shows as it stands.

The published law (PRIMIS, J. Biomed. Inform. 150 (2024) 104583, reference implementation) draws decoys that stand for
positive entries at or above the largest true value and up to about twice as far, and those that stand for negative ones
at or above the least negative true value. So half of the largest public value parts true entries from decoys, and
everything negative is true. No statistics are needed for that; own images only choose what of the rest to decode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import ON_CODE_MAPS, Need
from medveil.attacks.attack import Attacker, Goal, Guess, Knowledge
from medveil.attacks.support.decoding import decoded, error, with_revealed
from medveil.attacks.support.purification import calibration_cases
from medveil.attacks.views import magnified, own_size, revealed_raised, size_of
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture, Shown
from medveil.mechanisms.working_pictures import resized

_CROWDED = 0.1
"""Share of the positive entries above half of the largest. In natural codes it is far below one in a hundred."""
_SEARCH = (0.4, 0.6)
_FEWEST = 32


def gap(shown: Shown) -> int | None:
    """The value at and above which a map holds decoys only, or None where values give nothing away.

    Args:
        shown: a map. Looked for is the law of decoys that lie above the true range: many entries above half of the
            largest, where codes have few. The border is the widest gap between values near that half.
    """
    positive = np.unique(shown.values[shown.values > 0])
    if len(positive) < _FEWEST:
        return None
    top = int(positive[-1])
    share = np.mean(shown.values[shown.values > 0] > top / 2)
    if share < _CROWDED:
        return None
    near = positive[(positive > _SEARCH[0] * top) & (positive <= _SEARCH[1] * top)]
    if len(near) < 2:
        return top // 2 + 1
    widest = int(np.argmax(np.diff(near)))
    return int(near[widest + 1]) if np.diff(near)[widest] > 2 * np.median(np.diff(near)) else top // 2 + 1


def scores(shown: Shown) -> NDArray[np.float32]:
    """(cells,): cells that show nothing lowest; then, where there is a gap, what is above it; then smaller positive
    values, the smaller the likelier; negative ones highest."""
    border = gap(shown)
    if border is None:
        return shown.plane(1.0, -1.0)
    middle = 2.0 - shown.values / border
    return shown.plane(np.select([shown.values < 0, shown.values < border], [3.0, middle], 0.0), -1.0)


def below_gap(shown: Shown) -> Shown:
    """The entries below the gap; all where there is none."""
    border = gap(shown)
    return shown if border is None else shown.kept(shown.values < border)


def negative_only(shown: Shown) -> Shown:
    """The negative entries; all where there is no gap."""
    return shown if gap(shown) is None else shown.kept(shown.values < 0)


@dataclass(frozen=True)
class ThresholdAttacker:
    """Decodes what one rule leaves of the public code."""

    mechanism: Mechanism
    own: tuple[Case, ...]
    rule: Callable[[Shown], Shown]

    def predict(self, observation: Observation) -> Guess:
        picture = self.picture(observation, size_of(self.mechanism, observation, self.own))
        return Guess(picture, revealed_raised([scores(shown) for shown in observation.maps], observation))

    def picture(self, observation: Observation, size: tuple[int, int] | None) -> Picture | None:
        """The picture of what is left."""
        if self.mechanism.space is None:
            return None
        maps = [self.rule(shown) for shown in magnified(observation)]
        return decoded(self.mechanism.space, with_revealed(maps, observation.revealed), observation, size)


class ValueThreshold:
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(ValueThreshold())[0], str(ValueThreshold.goal)
    ('reference-decoys', 'support')
    """

    name = "value-threshold"
    title = "values that give themselves away dropped, the rest decoded"
    goal = Goal.SUPPORT
    knows = "codec and decoder"
    needs = "public code maps"
    requires = ON_CODE_MAPS
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> Attacker:
        cases = calibration_cases(knowledge)[:12]
        truth = [case.subject.picture for case in cases]
        found = []
        for rule in (below_gap, negative_only):
            attacker = ThresholdAttacker(knowledge.mechanism, knowledge.own, rule)
            sizes = [own_size(knowledge.mechanism, case) for case in cases]
            guesses = [attacker.picture(case.observation, size) for case, size in zip(cases, sizes, strict=True)]
            pairs = [(guess, true) for guess, true in zip(guesses, truth, strict=True) if guess is not None]
            found.append((error(*map(list, zip(*pairs, strict=True))) if pairs else np.inf, attacker))
        return min(found, key=lambda each: each[0])[1]


@dataclass(frozen=True)
class NaiveAttacker:
    """Takes what is public for a code, or for a picture."""

    mechanism: Mechanism
    own: tuple[Case, ...]
    mean: Picture

    def predict(self, observation: Observation) -> Guess:
        if observation.picture is not None:
            return Guess(picture=observation.picture)
        if observation.encoding is not None:
            return Guess(picture=_as_picture(observation.encoding, self.mean))
        maps, space = magnified(observation), self.mechanism.space
        support = revealed_raised([shown.plane(np.abs(shown.values)) for shown in maps], observation)
        if space is None:
            return Guess(support=support)
        size = size_of(self.mechanism, observation, self.own)
        return Guess(decoded(space, with_revealed(maps, observation.revealed), observation, size), support)


class NaiveDecode:
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(NaiveDecode())[0], str(NaiveDecode.goal)
    ('matched-decoys', 'reconstruction')
    """

    name = "naive-decode"
    title = "the public code decoded as it stands"
    goal = Goal.RECONSTRUCTION
    knows = "codec and decoder"
    needs = "public code maps, or encoded pixels"
    requires = (Need.DECODABLE,)
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> Attacker:
        mean = np.mean([case.subject.picture for case in knowledge.own], axis=0).astype(np.float32)
        return NaiveAttacker(knowledge.mechanism, knowledge.own, mean)


def _as_picture(encoding: NDArray[np.float32], own: Picture) -> Picture:
    """Encoded pixels without their signs, with the mean and the spread of one's own pictures."""
    plain = resized(np.abs(encoding), *own.shape)
    scaled = (plain - plain.mean()) / max(float(plain.std()), 1e-6)
    return np.asarray(np.clip(scaled * own.std() + own.mean(), 0, 255), np.float32)
