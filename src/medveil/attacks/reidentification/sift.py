"""SIFT: key points of two pictures, matched and checked for lying alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medveil.attacks.reidentification.linear_embedding import unit
from medveil.attacks.reidentification.local_features import KeyPoints, LocalMatching
from medveil.attacks.reidentification.recognizer import Known, Learned, Plane, Recognition, RecognizerEffort

_RATIO = 0.9
_OFF = 6.0  # pixels
_LEAST_CONTRAST = 0.01  # radiographs are softer than photographs, for which Lowe takes 0.04


class Sift:
    """Counts key points of both pictures that look alike and lie alike; see `local_features`. It learns nothing.

    Descriptors are compared by Hellinger's kernel (RootSIFT; Arandjelović and Zisserman, CVPR 2012). Contrast is evened
    out first (CLAHE, clip limit 3, 8 × 8 tiles).

    >>> import numpy as np
    >>> from medveil.attacks.reidentification.recognizer import View
    >>> noise = np.random.default_rng(0).uniform(0, 255, (2, 64, 64)).astype(np.float32)
    >>> one, other = View(noise[0]), View(noise[1])
    >>> effort = RecognizerEffort(side=64, steps=1, batch=2, network="resnet18", key_points=100, pairs=9)
    >>> found = Sift().fit([], Learned.REAL, effort, 0).scores([one], [one, other])
    >>> bool(found[0, 0] > 50 > found[0, 1])
    True
    """

    name = "sift"
    title = "SIFT key points that match and lie alike"
    source = "Lowe, IJCV 2004, Distinctive image features from scale-invariant keypoints"
    cost = "fifty milliseconds a picture, two a pair"
    learns = False
    trains = False
    pairwise = True

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        import cv2

        finder = cv2.SIFT_create(nfeatures=effort.key_points, contrastThreshold=_LEAST_CONTRAST)
        evened = cv2.createCLAHE(3.0, (8, 8))

        def describe(plane: Plane) -> KeyPoints:
            points, found = finder.detectAndCompute(evened.apply(np.rint(plane).astype(np.uint8)), None)
            if found is None:
                return KeyPoints(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
            shares = found / np.maximum(found.sum(1, keepdims=True), 1e-9)
            places = np.array([point.pt for point in points], np.float32)
            return KeyPoints(places[: effort.key_points], unit(np.sqrt(shares)[: effort.key_points]))

        return LocalMatching(describe, _RATIO, _OFF)
