"""The preview of a release: recognisable anatomy, coded by `lapped` whatever codec the release uses."""

from __future__ import annotations

import numpy as np

from medveil.codecs.code import Budget, Profile, SparseCode
from medveil.codecs.lapped.codec import LappedCodec
from medveil.codecs.padding_mask import filled, find_padding
from medveil.errors import UnsupportedInputError
from medveil.images.image import Image

PREVIEW_QUALITY_CENTIDB = 3000
"""Mean PSNR of previews over the reference set of 8-bit chest radiographs, in 1/100 dB."""
DEEP_PREVIEW_QUALITY_CENTIDB = 2200
"""The same above 8 bits, where 4000 stands for about 2 HU of error on CT slices: 7 to 25 HU."""


class PreviewCodec(LappedCodec):
    """`lapped`, but a padding record that has no room in a preview is left out, and no error."""

    def encode(
        self, image: Image, profile: Profile, budget: Budget | None, base: SparseCode | None = None
    ) -> SparseCode:
        """Code of a preview. Where its padding has no room, the padding pixels show what is around them."""
        try:
            return super().encode(image, profile, budget, base)
        except UnsupportedInputError:
            padding = find_padding(image.pixels, image.padding)
            if padding is None:
                raise
            smooth = np.round(filled(image.pixels.astype(np.float32), padding.mask)).astype(image.pixels.dtype)
            return super().encode(image.with_pixels(smooth, padding=None), profile, budget, base)


def preview_codec() -> LappedCodec:
    """The codec of all previews."""
    return PreviewCodec()


def preview_profile(profile: Profile) -> Profile:
    """The profile of the previews of a release of this profile."""
    quality = DEEP_PREVIEW_QUALITY_CENTIDB if profile.deep else PREVIEW_QUALITY_CENTIDB
    return Profile(LappedCodec.name, quality, deep=profile.deep)
