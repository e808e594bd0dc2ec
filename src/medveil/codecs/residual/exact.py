"""The lossless part of an exact image: what the picture of the diagnostic code lacks, or the image all by itself.

The first byte of an exact section is the method:

- 0, residual: `medveil.codecs.residual.coder`, coded beside the picture of the diagnostic code.
- 1, JPEG-LS: a codestream of ISO 14495-1 (`medveil.codecs.residual.jpegls`) of the pixels less the lowest
  value of their depth.

The encoder takes the shorter one.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import DTypeLike, NDArray

from medveil.codecs.residual import coder, jpegls
from medveil.errors import IntegrityError


class Method(IntEnum):
    """First byte of an exact section."""

    RESIDUAL = 0
    JPEG_LS = 1


def encode_exact(pixels: NDArray[np.generic], base: NDArray[np.generic], bits_stored: int) -> bytes:
    """The exact section of an image.

    Args:
        pixels: (height, width) uint8, uint16 or int16, within the range of bits_stored.
        base: the decoder's picture of the diagnostic code, same shape, dtype and range.
        bits_stored: 8 to 16.
    """
    low, high = _value_range(pixels.dtype, bits_stored)
    beside_base = bytes([Method.RESIDUAL]) + coder.encode(pixels, base, (low, high))
    alone = jpegls.encode((pixels.astype(np.int32) - low).astype(np.uint16), bits_stored)
    if alone is None or len(alone) + 1 >= len(beside_base):
        return beside_base
    return bytes([Method.JPEG_LS]) + alone


def decode_exact(data: bytes, base: NDArray[np.generic], bits_stored: int, dtype: DTypeLike) -> NDArray[np.generic]:
    """The pixels that encode_exact coded.

    Args:
        data: what encode_exact returned.
        base: the decoder's picture of the diagnostic code; only its shape counts where needs_base is false.
        bits_stored: 8 to 16.
        dtype: uint8, uint16 or int16.

    Raises:
        IntegrityError: encode_exact would not write these bytes.
    """
    kind = np.dtype(dtype)
    low, high = _value_range(kind, bits_stored)
    if needs_base(data):
        values = coder.decode(data[1:], base, (low, high))
        return values.astype(kind)
    height, width = base.shape
    samples = jpegls.decode(data[1:], (height, width), bits_stored)
    return (samples.astype(np.int32) + low).astype(kind)


def needs_base(data: bytes) -> bool:
    """Whether decode_exact looks at the base of these data.

    Raises:
        IntegrityError: the data are empty or of an unknown method.
    """
    if not data or data[0] not in tuple(Method):
        raise IntegrityError("an exact section is of an unknown method")
    return data[0] == Method.RESIDUAL


def _value_range(kind: np.dtype[np.generic], bits_stored: int) -> tuple[int, int]:
    if kind.kind == "i":
        return -(1 << (bits_stored - 1)), (1 << (bits_stored - 1)) - 1
    return 0, (1 << bits_stored) - 1
