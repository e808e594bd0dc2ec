"""A way of publishing in one file: coarse block means, turned by quarters under a key. Attackers can train on it."""

import numpy as np

from medveil.codecs.code import Bucket
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation

GRID = 16


class TurnedBlocks(Mechanism):
    name = "turned-blocks"  # what else a mechanism has stays as it is: there is no codec, and nothing that a key opens

    def publish(self, subject, key):
        """The same image and key give the same observation; a key decides everything that is random."""
        side = len(subject.picture) // GRID
        means = subject.picture.reshape(GRID, side, GRID, side).mean((1, 3))
        bucket = Bucket.of(*subject.image.pixels.shape)
        return Observation(bucket, encoding=np.rot90(means, key[0] % 4).astype(np.float32))
