"""CodeCache: codes that were computed once, since coding an image takes longer than publishing it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

import numpy as np

from medveil.codecs.code import Bucket, SparseCode
from medveil.experiments.cache import ByteCache
from medveil.images.image import Image
from medveil.mechanisms.public_codec import PublicCodec, parted

_CACHE_BYTES = 1 << 30
_BYTES_AN_ENTRY = 12  # a position of 8 bytes and a level of 4


class CodeCache:
    """Codes that were computed once, for all mechanisms that share it; the one unused longest goes first.

    Args:
        limit: bytes that the codes may take up together.
    """

    def __init__(self, limit: int = _CACHE_BYTES) -> None:
        self._codes: ByteCache[Hashable, SparseCode] = ByteCache(limit, _size)
        self._exact: dict[Hashable, int] = {}

    def code(self, space: PublicCodec, image: Image) -> SparseCode:
        """`space.code(image)`, by the space's settings and the image's pixels."""
        return self._codes.get((space.settings, _digest(image)), lambda: space.code(image))

    def exact_bytes(self, space: PublicCodec, image: Image) -> int:
        """Length of what the exact tier of an image adds, before padding."""
        name = (space.settings, _digest(image))
        if name not in self._exact:
            self._exact[name] = _exact_bytes(space, image, self.code(space, image))
        return self._exact[name]


def _size(code: SparseCode) -> int:
    return len(code.side) + _BYTES_AN_ENTRY * sum(len(each.positions) for each in code.maps)


def _digest(image: Image) -> bytes:
    shape = f"{image.pixels.dtype.str} {image.pixels.shape} {image.bits_stored} {image.padding}"
    return hashlib.sha256(shape.encode() + np.ascontiguousarray(image.pixels).tobytes()).digest()


def _exact_bytes(space: PublicCodec, image: Image, code: SparseCode) -> int:
    from medveil.codecs.residual.exact import encode_exact

    bucket = Bucket.of(*image.pixels.shape)
    preview = parted(code)[0] if space.preview else None
    base = space.coding.exact_base(space.pixels(code, bucket), preview, bucket)
    return len(encode_exact(image.pixels, base, image.bits_stored))
