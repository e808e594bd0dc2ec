"""Grey pictures that a file holds in the form of coloured ones: colour channels, opaque alpha, or a palette.

A picture with red = green = blue everywhere that is opaque is a grey one. Its pixels travel as such; the form in which
they lay in the file belongs to the identity record, and is restored where the pixels are the original's.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import record

COLOUR = "a colour picture (red, green and blue are not equal everywhere); medveil takes grey images"
TRANSPARENT = "a picture that is transparent somewhere; medveil takes opaque grey images"
_MISFIT = "the record of the picture's form does not fit the image"

Pixels = NDArray[Any]


def grey_of(samples: Pixels) -> Pixels:
    """The grey values (height, width) of opaque samples (height, width, channels): grey or RGB, alpha last.

    Raises:
        UnsupportedInputError: the picture is coloured, or transparent somewhere.
    """
    channels = samples.shape[2]
    if channels > 2 and not all(np.array_equal(samples[..., 0], samples[..., other]) for other in (1, 2)):
        raise UnsupportedInputError(COLOUR)
    if channels % 2 == 0 and (samples[..., -1] != np.iinfo(samples.dtype).max).any():
        raise UnsupportedInputError(TRANSPARENT)
    return np.ascontiguousarray(samples[..., 0])


def samples_of(pixels: Pixels, channels: int) -> Pixels:
    """The inverse of `grey_of`."""
    samples = np.repeat(pixels[..., None], channels, axis=2)
    if channels % 2 == 0:
        samples[..., -1] = np.iinfo(pixels.dtype).max
    return samples


def greys_of(colours: NDArray[np.integer]) -> NDArray[np.int64]:
    """The grey values of a palette's entries (n, 3); -1 for those that are coloured."""
    grey = (colours[:, 0] == colours[:, 1]) & (colours[:, 0] == colours[:, 2])
    return np.where(grey, colours[:, 0].astype(np.int64), -1)


def check_indices(indices: Pixels, greys: NDArray[np.int64], opaque: NDArray[np.bool_]) -> None:
    """Whether all entries of a palette that a picture uses are there, grey and opaque.

    Raises:
        UnreadableInputError: an index has no entry.
        UnsupportedInputError: an entry in use is coloured or not opaque.
    """
    used = np.unique(indices)
    if used[-1] >= len(greys):
        raise UnreadableInputError("a pixel has an index that the palette does not have")
    if (greys[used] < 0).any():
        raise UnsupportedInputError(COLOUR)
    if not opaque[used].all():
        raise UnsupportedInputError(TRANSPARENT)


def pack_indices(indices: Pixels, greys: NDArray[np.int64]) -> bytes:
    """What the grey values alone do not say of the indices: nothing, or where a palette has a grey twice, all."""
    if np.array_equal(_first_indices(greys[indices], greys), indices):
        return b""
    return zlib.compress(np.ascontiguousarray(indices, np.uint8).tobytes())


def indices_of(pixels: Pixels, greys: NDArray[np.int64], packed: bytes) -> Pixels:
    """The indices of these grey values in a palette.

    Raises:
        IntegrityError: the palette has not all of them, or `packed` is not what `pack_indices` gave.
    """
    if not packed:
        indices = _first_indices(pixels, greys)
    else:
        indices = np.frombuffer(record.inflated(packed, pixels.size, _MISFIT), np.uint8).reshape(pixels.shape)
    if indices.max() >= len(greys) or not np.array_equal(greys[indices], pixels):
        raise IntegrityError(_MISFIT)
    return indices


def _first_indices(pixels: NDArray[np.integer], greys: NDArray[np.int64]) -> Pixels:
    """For each grey value the first entry that has it; the entry 0 for one that none has."""
    table = np.zeros(1 << 16, np.uint8)
    for index in range(len(greys) - 1, -1, -1):
        if greys[index] >= 0:
            table[greys[index]] = index
    first: Pixels = table[pixels]
    return first


def packed_rows(values: Pixels, bits: int) -> NDArray[np.uint8]:
    """Rows of values of 1, 2, 4 or 8 bits, packed from the highest bit down, each row from a byte's beginning."""
    planes = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(planes.reshape(values.shape[0], -1).astype(np.uint8), axis=1)
