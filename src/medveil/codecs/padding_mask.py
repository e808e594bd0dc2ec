"""Lossless coding of padding pixels ("no data here") and smooth filling of the picture beneath them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError


@dataclass(frozen=True)
class Padding:
    """Pixels that hold a value of the image's padding range.

    Attributes:
        low, high: the padding range, inclusive.
        mask: (height, width) bool, where they are.
        values: (n,) int64, their values in raster order.
    """

    low: int
    high: int
    mask: NDArray[np.bool_]
    values: NDArray[np.int64]


_BIAS = 1 << 17
"""Added to signed numbers, which lie within 17 bits, before they are written."""


def find_padding(pixels: NDArray[np.generic], limits: tuple[int, int] | None) -> Padding | None:
    """The padding of an image, None where the image states no range or the range is beyond 17 bits."""
    if limits is None or limits[0] > limits[1] or max(abs(limits[0]), abs(limits[1])) >= _BIAS:
        return None
    values = pixels.astype(np.int64)
    mask = (values >= limits[0]) & (values <= limits[1])
    return Padding(limits[0], limits[1], mask, values[mask])


def write_padding(padding: Padding) -> bytes:
    """The range, then mask and values, each packed by zlib with its length before it."""
    changes = padding.mask.copy()
    changes[1:] ^= padding.mask[:-1]
    steps = (padding.values - padding.low).astype("<u4")
    if len(steps) and not np.any(steps[1:] != steps[0]):
        steps = steps[:1]
    parts = [varint(padding.low + _BIAS), varint(padding.high + _BIAS), varint(len(steps))]
    for packed in (zlib.compress(np.packbits(changes, axis=None).tobytes(), 9), zlib.compress(steps.tobytes(), 9)):
        parts += varint(len(packed)), packed
    return b"".join(parts)


def read_padding(data: bytes, at: int, shape: tuple[int, int]) -> tuple[Padding, int]:
    """(padding, position after it) for an image of this shape.

    Raises:
        IntegrityError: the bytes make no sense.
    """
    low, at = read_varint(data, at)
    high, at = read_varint(data, at)
    count, at = read_varint(data, at)
    pixels = shape[0] * shape[1]
    if not low <= high < 2 * _BIAS or count > pixels:
        raise IntegrityError("the padding record states an impossible range or number of pixels")
    bits, at = _inflate(data, at, -(-pixels // 8))
    steps, at = _inflate(data, at, 4 * count)
    changes = np.unpackbits(np.frombuffer(bits, np.uint8), count=pixels).reshape(shape)
    mask = np.bitwise_xor.accumulate(changes, axis=0).astype(bool)
    values = np.frombuffer(steps, "<u4").astype(np.int64) + low - _BIAS
    found = int(mask.sum())
    if count == 1:
        values = np.repeat(values, found)
    if len(values) != found or (found and int(values.max()) > high - _BIAS):
        raise IntegrityError("mask and values of the padding record don't agree")
    return Padding(low - _BIAS, high - _BIAS, mask, values), at


def _inflate(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    """(exactly `length` bytes, position after their packed form)."""
    size, at = read_varint(data, at)
    if size > len(data) - at:
        raise IntegrityError("the padding record ends too early")
    inflater = zlib.decompressobj()
    try:
        out = inflater.decompress(data[at : at + size], length + 1)
    except zlib.error as error:
        raise IntegrityError("the padding record cannot be unpacked") from error
    if len(out) != length or not inflater.eof or inflater.unused_data:
        raise IntegrityError("the padding record is of the wrong length")
    return out, at + size


def filled(samples: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The samples, smooth where the mask is set: means of what is around, from coarser and coarser scales.

    Push-pull interpolation (Gortler et al., The lumigraph, SIGGRAPH 1996) with 2x2 means. All masked: all zero.
    """
    weights = (~mask).astype(np.float32)
    levels = [(samples * weights, weights)]
    while max(levels[-1][0].shape) > 1:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    estimate = _mean(*levels[-1], np.zeros_like(levels[-1][0]))
    for sums, counts in reversed(levels[:-1]):
        height, width = sums.shape
        wide = np.repeat(np.repeat(estimate, 2, axis=0), 2, axis=1)
        padded = np.pad(wide, 1, mode="edge")
        smooth = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] + 4 * wide) / 8
        estimate = _mean(sums, counts, smooth[:height, :width].astype(np.float32))
    return np.where(mask, estimate, samples).astype(np.float32)


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = plane.shape
    padded = np.pad(plane, ((0, height % 2), (0, width % 2)))
    total: NDArray[np.float32] = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    return total


def _mean(sums: NDArray[np.float32], counts: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """sums / counts, and `other` where nothing was counted."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), other).astype(np.float32)
