"""Coding: how the images of a release are coded, at its own profile and, for previews, at theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Budget, Codec, Composition, Profile, SparseCode
from medveil.errors import UsageError
from medveil.images.image import Image

_MAX_MAPS = 8  # of one cell a pixel


@dataclass(frozen=True)
class Coding:
    """A codec at a profile: all that everybody knows of the codes of a release.

    Attributes:
        codec: that of the profile.
        profile: of the release, or of its previews.
    """

    codec: Codec
    profile: Profile

    @cached_property
    def preview(self) -> Coding:
        """The coding of the previews, which are always of codec `lapped`."""
        from medveil.codecs.preview import preview_codec, preview_profile

        return Coding(preview_codec(), preview_profile(self.profile))

    def composition(self, bucket: Bucket) -> Composition:
        """Public shape of every code of this bucket that fills one."""
        return self.codec.composition(self.profile, bucket)

    def packed_bytes(self, bucket: Bucket) -> int:
        """Bytes that every packed code of this bucket has room in.

        Raises:
            UsageError: the codec, one of somebody else's, does not say.
        """
        stated = getattr(self.codec, "packed_bytes", None)
        if stated is None:
            raise UsageError(
                f"codec {self.codec.name} does not say how long its encrypted codes are",
                hint="share with --protection sealed, or give the codec a `packed_bytes`",
            )
        return int(stated(self.profile, bucket))

    def max_cells(self, bucket: Bucket) -> int:
        """More cells than the maps of a code of this bucket have together; what states more is refused unread.

        All maps of `lapped` have one cell a pixel together, and some beyond the edges; each of `primis` has that many.
        """
        maps = _MAX_MAPS if self.codec.vector_length else 1
        return maps * (bucket.height + Bucket.STEP) * (bucket.width + Bucket.STEP)

    def encode(self, image: Image, budget: Budget | None, base: SparseCode | None = None) -> SparseCode:
        """See `Codec`."""
        return self.codec.encode(image, self.profile, budget, base)

    def decode(self, code: SparseCode, bucket: Bucket, base: SparseCode | None = None) -> NDArray[np.generic]:
        """See `Codec`."""
        return self.codec.decode(code, self.profile, bucket, base)

    def exact_base(
        self, pixels: NDArray[np.generic], preview: SparseCode | None, bucket: Bucket
    ) -> NDArray[np.generic]:
        """The picture that an exact section is coded beside: the same on every machine.

        That is the diagnostic one, of a codec whose decoder is reproducible; else the preview, or nothing.
        """
        if self.codec.reproducible:
            return pixels
        return np.zeros_like(pixels) if preview is None else self.preview.decode(preview, bucket)
