"""An attack in one file: turn the shown blocks until they look like a usual picture. Entry point: medveil.attacks."""

import numpy as np

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess


class Turner:
    name = "turner"
    title = "turns blocks until they look usual"
    goal = Goal.RECONSTRUCTION
    knows = "how blocks are shown, and pictures of other people"
    needs = "a mechanism that encodes pixels"
    requires = (Need.ENCODING, Need.OWN_IMAGES)
    cost = "milliseconds"
    trains = False
    beats = ("turned-blocks",)  # controls that it must break, where there are some

    def fit(self, knowledge):
        """Learn from the attacker's own images: here their mean."""
        self.usual = np.mean([case.subject.picture for case in knowledge.own], axis=0)
        return self

    def predict(self, observation):
        side = len(self.usual) // len(observation.encoding)
        turns = [np.kron(np.rot90(observation.encoding, -turn), np.ones((side, side))) for turn in range(4)]
        best = min(turns, key=lambda picture: np.mean((picture - self.usual) ** 2))
        return Guess(picture=best.astype(np.float32))
