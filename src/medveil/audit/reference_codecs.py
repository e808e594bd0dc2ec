"""Recoding: originals as they would be opened from a release of another codec or quality, for comparison."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, Profile
from medveil.codecs.registry import get_codec
from medveil.errors import UsageError
from medveil.images.image import Image
from medveil.keys.tiers import Tier
from medveil.releases.settings import QUALITY_RANGE_DB

_ASKED = re.compile(r"([a-z0-9_-]{1,40}):([0-9]{1,4}(?:\.[0-9]{1,2})?)")


@dataclass(frozen=True)
class Recoding:
    """A codec at one setting.

    Attributes:
        name: as it was asked for, such as primis:16 or lapped:36; the name of its set.
        title: the same in words.
        codec, profile: that code.
        fixed: whether codes have the fixed composition that a sealed release has.
    """

    name: str
    title: str
    codec: Codec = field(repr=False)
    profile: Profile = field(repr=False)
    fixed: bool = True

    def pixels(self, image: Image) -> NDArray[np.generic]:
        """Stored values as they come back: coded and decoded in memory."""
        bucket = Bucket.of(*image.pixels.shape)
        composition = self.codec.composition(self.profile, bucket) if self.fixed else None
        return self.codec.decode(self.codec.encode(image, self.profile, composition), self.profile, bucket)


def recodings(asked: Sequence[str], *, fixed: bool = True, deep: int = 0) -> tuple[Recoding, ...]:
    """What was asked for, each once.

    Args:
        asked: codec:sparsity for codecs of code vectors, codec:quality in dB for others.
        fixed: whether the release is sealed.
        deep: 1 for images of more than 8 bits.

    Raises:
        UsageError: one of them means nothing.
        MissingDependencyError: a codec needs a package that is not installed.
    """
    return tuple(_recoding(name, fixed=fixed, deep=deep) for name in dict.fromkeys(asked))


def _recoding(asked: str, *, fixed: bool, deep: int) -> Recoding:
    found = _ASKED.fullmatch(asked)
    if found is None or found[1] in list(Tier):
        raise UsageError(
            "what to compare with is not codec:number", hint="such as primis:16 (nonzeros) or lapped:36 (dB)"
        )
    codec, number = get_codec(found[1]), float(found[2])
    if codec.name != found[1]:  # a folder of that name has weights of its own
        raise UsageError("only codecs by name can be compared with", hint="medveil info lists them")
    if codec.vector_length:
        if not number.is_integer():
            raise UsageError("a sparsity is a whole number of nonzeros", hint="such as primis:16")
        profile = codec.profile(quality_centidb=0, sparsity=int(number), deep=deep)
        return Recoding(asked, f"codec {codec.name}, {int(number)} nonzeros a code vector", codec, profile, fixed)
    low, high = QUALITY_RANGE_DB
    if not low <= number <= high:
        raise UsageError(f"a quality to compare with is {low:g} to {high:g} dB")
    profile = codec.profile(quality_centidb=math.floor(100 * number + 0.5), sparsity=None, deep=deep)
    return Recoding(asked, f"codec {codec.name}, quality {number:g} dB", codec, profile, fixed)
