"""Key points of two pictures that look alike and lie alike, counted: what SIFT and XFeat have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.recognizer import Plane, Scores, View, Wanted, pair_by_pair
from medveil.experiments.cache import ByteCache
from medveil.mechanisms.working_pictures import resized

LONGEST = 448
"""Pixels of the longer side at which key points are looked for, whatever the size at which a picture was found."""

_SHORTEST = 32  # pixels of the other side; networks take no less
_CACHE_BYTES = 1 << 28
_REACH = 0.25 * LONGEST  # two pictures of one chest do not lie further apart
_TRIES = 500
_SURE = 0.99
_LEAST = 4  # matches: with fewer, a map of four numbers says nothing
_SCALES = (0.7, 1.4)
_TURN = 0.35  # radians: no two pictures of a chest are turned more against each other


@dataclass(frozen=True)
class KeyPoints:
    """Key points of one picture.

    Attributes:
        places: (n, 2) column and row in pixels, the longer side of the picture brought to `LONGEST`.
        descriptors: (n, d) what is around each, of length 1.
    """

    places: NDArray[np.float32] = field(repr=False)
    descriptors: NDArray[np.float32] = field(repr=False)


class LocalMatching:
    """What looks for key points, and counts those of a pair that lie alike.

    Args:
        describe: finds the key points of a picture whose longer side is `LONGEST`.
        ratio: the most that the distance to the nearest descriptor may be of that to the second (Lowe 2004); 1 for any.
        off: pixels between where a key point lies and where the map of the others puts it, at most.
    """

    def __init__(self, describe: Callable[[Plane], KeyPoints], ratio: float, off: float) -> None:
        self._describe, self._ratio, self._off = describe, ratio, off
        self._points: ByteCache[int, tuple[View, KeyPoints]] = ByteCache(_CACHE_BYTES, _bytes)

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        return pair_by_pair(
            queries, gallery, wanted, lambda one, two: lying_alike(self._of(one), self._of(two), self._ratio, self._off)
        )

    def _of(self, view: View) -> KeyPoints:
        """Key points of a picture; it is kept with them, so that no other one gets its number."""
        return self._points.get(id(view), lambda: (view, self._describe(enlarged(view.plane))))[1]


def enlarged(plane: Plane) -> Plane:
    """A picture with a longer side of `LONGEST` pixels, linear between pixels; 0 … 255."""
    height, width = plane.shape
    scale = LONGEST / max(height, width)
    clean = np.clip(np.nan_to_num(plane), 0.0, 255.0).astype(np.float32)
    return resized(clean, max(round(height * scale), _SHORTEST), max(round(width * scale), _SHORTEST), smooth=True)


def lying_alike(first: KeyPoints, second: KeyPoints, ratio: float, off: float) -> float:
    """How many key points of two pictures match and lie alike, and how alike they look.

    Matches are mutual nearest neighbours. A similarity (shift, turn and one scale) is fitted to them by RANSAC
    (Fischler and Bolles 1981, by OpenCV); what it explains to within so many pixels counts. A map that no two pictures
    of one chest differ by counts for nothing.

    Args:
        first, second: key points.
        ratio, off: see `LocalMatching`.

    Returns:
        The number of such matches, and as a fraction below 1 their mean cosine, so that few are equal.
    """
    import cv2

    here, there, cosines = matches(first, second, ratio)
    if len(here) < _LEAST:
        return 0.0
    found, inside = cv2.estimateAffinePartial2D(
        first.places[here], second.places[there], method=cv2.RANSAC,
        ransacReprojThreshold=off, maxIters=_TRIES, confidence=_SURE, refineIters=0,
    )  # fmt: skip
    if found is None or not _possible(found):
        return 0.0
    kept = inside.ravel().astype(bool)
    return float(kept.sum() + 0.99 * np.clip(cosines[kept].mean(), 0.0, 1.0))


def matches(
    first: KeyPoints, second: KeyPoints, ratio: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Mutual nearest neighbours that are within reach: their places in both lists, and their cosines."""
    none = np.zeros(0, np.int64)
    if not len(first.places) or not len(second.places):
        return none, none, np.zeros(0, np.float32)
    likeness = first.descriptors @ second.descriptors.T
    nearest = likeness.argmax(1)
    here = np.arange(len(nearest))
    best = likeness[here, nearest]
    kept = likeness.argmax(0)[nearest] == here
    if ratio < 1.0 and likeness.shape[1] > 1:
        likeness[here, nearest] = -1.0
        kept &= 1.0 - best <= ratio**2 * (1.0 - likeness.max(1))  # squared distances are twice these
    kept &= np.linalg.norm(first.places - second.places[nearest], axis=1) <= _REACH
    return here[kept], nearest[kept], best[kept]


def _possible(similarity: NDArray[np.float64]) -> bool:
    scale, turn = np.hypot(*similarity[:, 0]), np.arctan2(similarity[1, 0], similarity[0, 0])
    return bool(_SCALES[0] <= scale <= _SCALES[1] and abs(turn) <= _TURN)


def _bytes(held: tuple[View, KeyPoints]) -> int:
    return held[1].places.nbytes + held[1].descriptors.nbytes
