"""Attack 2: the likelihood ratio of every cell, from what the attacker's own published images show.

Codecs use cells unevenly and values differ from group to group, so counting tells true entries from decoys to the
degree that decoys don't follow the same laws (PRIMIS, J. Biomed. Inform. 150 (2024) 104583, has both weaknesses). No
context of the image is used; that is the support network's part.
"""

from __future__ import annotations

import numpy as np

from medveil.attacks.applicability import ON_CODE_MAPS
from medveil.attacks.attack import Attacker, Goal, Knowledge
from medveil.attacks.reconstruction.image_extent import Size
from medveil.attacks.support.cell_statistics import CellStatistics, Plane, Weighing, labelled
from medveil.attacks.support.purification import Purification, calibration_cases
from medveil.attacks.views import vector_lengths
from medveil.mechanisms.observation import Observation

_MOST_ENTRIES = 400_000


class CellOdds:
    """Log-odds of every cell, counted on the attacker's own images, weighed on those kept for choosing."""

    def __init__(self, knowledge: Knowledge) -> None:
        space = knowledge.mechanism.space
        own = [case for case in knowledge.own if case.code is not None and case.observation.maps]
        lengths = vector_lengths(space, own[0].observation) if space else ()
        self.statistics = CellStatistics(own, lengths)
        known = labelled(calibration_cases(knowledge)) or labelled(own)
        self.weighings = []
        for index in range(len(lengths)):
            features = [self.statistics.features(seen.maps)[index] for seen, _, _ in known]
            truth = np.concatenate([each[index] for _, each, _ in known])
            step = 1 + len(truth) // _MOST_ENTRIES
            self.weighings.append(Weighing(np.concatenate(features)[::step], truth[::step]))

    def __call__(self, observation: Observation, size: Size | None = None) -> tuple[Plane, ...]:
        """For each map (cells,)."""
        return tuple(
            self.statistics.spread(index, shown, self.weighings[index](features))
            for index, (shown, features) in enumerate(
                zip(observation.maps, self.statistics.features(observation.maps), strict=True)
            )
        )


class LikelihoodRatio:
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(LikelihoodRatio())[0], str(LikelihoodRatio.goal)
    ('reference-decoys', 'support')
    """

    name = "likelihood-ratio"
    title = "likelihood ratio of every cell, likeliest cells decoded"
    goal = Goal.SUPPORT
    knows = "codec, protection and parameters; own images with codes and keys"
    needs = "public code maps"
    requires = ON_CODE_MAPS
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> Attacker:
        return Purification.fit(knowledge, CellOdds(knowledge))
