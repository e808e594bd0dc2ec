"""Attack 6: several publications of one image laid over each other.

True entries are the same in all of them, decoys are drawn anew: what coincides in position and value is true but for
chance. How much a coincidence says is counted on the attacker's own images, published under several keys of her own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import ON_CODE_MAPS, Need
from medveil.attacks.attack import Attacker, Goal, Knowledge
from medveil.attacks.reconstruction.image_extent import Size
from medveil.attacks.support.cell_statistics import Plane, Weighing, labelled
from medveil.attacks.support.likelihood import CellOdds
from medveil.attacks.support.purification import Purification, calibration_cases
from medveil.attacks.views import published_again
from medveil.mechanisms.observation import Case, Observation, Shown

_CASES = 24


def coincidences(shown: Shown, others: Sequence[Shown]) -> Plane:
    """(K,) in how many of the others each entry is found again, position and value, less in how many it is not."""
    found = np.zeros(len(shown.positions), np.float32)
    for other in others:
        if not len(other.positions):
            continue
        at = np.minimum(np.searchsorted(other.positions, shown.positions), len(other.positions) - 1)
        again = (other.positions[at] == shown.positions) & (other.values[at] == shown.values)
        found += np.where(again, 1.0, -1.0).astype(np.float32)
    return found


class CoincidenceOdds:
    """Log-odds of every cell: what it shows, and whether the other publications show the same."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.odds = CellOdds(knowledge)
        others = max((len(observation.others) for observation in knowledge.seen), default=0)
        cases = several(knowledge, calibration_cases(knowledge)[:_CASES], others)
        known = labelled(cases)
        self.weighings = []
        for index in range(len(known[0][0].maps)):
            features = [self._features(seen, index, self.odds(seen)[index]) for seen, _, _ in known]
            truth: NDArray[np.bool_] = np.concatenate([each[index] for _, each, _ in known])
            self.weighings.append(Weighing(np.concatenate(features), truth))

    def __call__(self, observation: Observation, size: Size | None = None) -> tuple[Plane, ...]:
        """For each map (cells,)."""
        found = self.odds(observation)
        for index, (plane, weighing) in enumerate(zip(found, self.weighings, strict=True)):
            plane[observation.maps[index].positions] = weighing(self._features(observation, index, plane))
        return found

    def _features(self, observation: Observation, index: int, plane: Plane) -> NDArray[np.float32]:
        shown = observation.maps[index]
        again = coincidences(shown, [other.maps[index] for other in observation.others])
        return np.stack([plane[shown.positions], again], 1)


def several(knowledge: Knowledge, cases: Sequence[Case], others: int) -> list[Case]:
    """The cases with so many further publications of each, where they don't come with any."""
    further = [published_again(knowledge, cases, f"intersection {number}") for number in range(others)]
    found = []
    for index, case in enumerate(cases):
        seen = case.observation
        if not seen.others:
            seen = replace(seen, others=tuple(again[index].observation for again in further))
        found.append(replace(case, observation=seen))
    return found


class Intersection:
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(Intersection())[0], str(Intersection.goal)
    ('matched-decoys', 'support')
    """

    name = "intersection"
    title = "several publications of one image compared"
    goal = Goal.SUPPORT
    knows = "codec, protection and parameters; own images with codes and keys; further publications of each image"
    needs = "several publications of one image, and public code maps"
    requires = (Need.SEVERAL_PUBLICATIONS, *ON_CODE_MAPS)
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> Attacker:
        others = max(len(observation.others) for observation in knowledge.seen)
        cases = several(knowledge, calibration_cases(knowledge)[:_CASES], others)
        return Purification.fit(replace(knowledge, validation=tuple(cases)), CoincidenceOdds(knowledge))
