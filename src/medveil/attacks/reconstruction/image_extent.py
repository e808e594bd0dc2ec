"""The size of a picture from its public code: which vectors hold anything true, and which size is not sheared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket
from medveil.errors import IntegrityError
from medveil.mechanisms.observation import Case, Shown
from medveil.mechanisms.public_codec import STRIDE, PublicCodec, smoothness

Size = tuple[int, int]
_BANDS = 8
_SAME = 1e-9
_ENOUGH = 6


def usual_sizes(cases: Sequence[Case]) -> dict[Bucket, Size]:
    """Buckets in which all of the attacker's own images, and enough of them, are of one size."""
    found: defaultdict[Bucket, Counter[Size]] = defaultdict(Counter)
    for case in cases:
        found[case.observation.bucket][rounded(*case.subject.image.pixels.shape)] += 1
    return {
        bucket: next(iter(counts))
        for bucket, counts in found.items()
        if len(counts) == 1 and counts.total() >= _ENOUGH and Bucket.of(*next(iter(counts))) == bucket
    }


def rounded(height: int, width: int) -> Size:
    """Sides rounded up to whole locations of the code grid."""
    return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE


def likely_size(space: PublicCodec, maps: Sequence[Shown], bucket: Bucket) -> Size:
    """The likeliest of the sizes that an image of this bucket may have.

    Where decoys fill up every vector of the bucket, smoothness alone is not enough. Beyond the picture there are only
    decoys, uniform over the channels; within it the channels of low frequency show more. That tells the number of
    locations; among the sizes with so many, the smoothest picture is taken, as a wrong one is sheared.
    """
    sizes = space.sizes(maps, bucket)
    if not space.vector_length:
        return space.likely_size(maps, bucket)
    locations = [height * width // STRIDE**2 for height, width in sizes]
    odds = _extent_odds(maps, space.vector_length, min(locations))
    likely = [odds[count - 1] for count in locations]
    best = [size for size, each in zip(sizes, likely, strict=True) if each >= max(likely) - _SAME]
    return best[0] if len(best) == 1 else max(best, key=lambda size: _smoothness(space, maps, bucket, size))


def _extent_odds(maps: Sequence[Shown], length: int, least: int) -> NDArray[np.float64]:
    """For each number of vectors the log-odds that so many, and not just none, are of the picture.

    Args:
        maps, length: of vectors.
        least: so many vectors surely are.
    """
    total = np.zeros(maps[0].cells // length)
    for shown in maps:
        vectors, bands = shown.positions // length, shown.positions % length * _BANDS // length
        law = np.bincount(bands[vectors < least], minlength=_BANDS) + 1.0
        odds = np.log(_BANDS * law / law.sum())
        total += np.bincount(vectors, weights=odds[bands], minlength=len(total))
    return np.cumsum(total)


def _smoothness(space: PublicCodec, maps: Sequence[Shown], bucket: Bucket, size: Size) -> float:
    """Of the picture without what it is continued by."""
    height, width = (
        side * space.working // whole for side, whole in zip(size, (bucket.height, bucket.width), strict=True)
    )
    try:
        return smoothness(space.picture(maps, bucket, size)[:height, :width])
    except IntegrityError:  # these are the maps of no image of this size
        return -1.0
