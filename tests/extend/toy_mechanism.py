"""A way of publishing in one file: coarse block means, turned by quarters under a key. Attackers can train on it."""

import numpy as np

from medveil.codecs.code import Bucket
from medveil.mechanisms.observation import Observation, Published

GRID = 16


class TurnedBlocks:
    name = "turned-blocks"
    space = None  # it has no codec: it encodes pixels
    in_place = False

    def publish(self, subject, key):
        """The same image and key give the same publication; a key decides everything that is random."""
        side = len(subject.picture) // GRID
        means = subject.picture.reshape(GRID, side, GRID, side).mean((1, 3))
        bucket = Bucket.of(*subject.image.pixels.shape)
        seen = Observation(bucket, encoding=np.rot90(means, key[0] % 4).astype(np.float32))
        return Published(seen, code=None, key=key)

    def open(self, observation, key):
        return None  # nobody gets more than what is shown
