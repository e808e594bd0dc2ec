"""Codec `lapped`: a lapped orthogonal transform, rank groups of significance, an integer-only decoder; no weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.budget import budget_of, composition_of
from medveil.codecs.code import Bucket, Composition, Profile, SparseCode
from medveil.codecs.fitting import encode_fixed, encode_freely
from medveil.codecs.lapped_tables import THRESHOLDS
from medveil.codecs.padding_mask import filled, find_padding
from medveil.codecs.ranking import Placement, Ranking
from medveil.codecs.registry import register_codec
from medveil.codecs.side import Side
from medveil.codecs.significance import Zone
from medveil.codecs.transform import CHANNELS, LIMIT, STRIDE, UNIT, forward, inverse
from medveil.codecs.zones import ZoneCells, walk
from medveil.errors import IntegrityError, UsageError
from medveil.images.image import Image

_OFFSET = 10
"""By how many 1/256 of a step magnitudes are reconstructed nearer to zero."""


@register_codec("lapped")
class LappedCodec:
    """See `medveil.codecs.code.Codec`. Any size, 8 to 16 bits, signed or unsigned."""

    name = "lapped"
    vector_length = CHANNELS

    def profile(self, *, quality_centidb: int, sparsity: int | None, deep: int) -> Profile:
        """The profile of a quality; raises UsageError for a sparsity, which this codec shares out by itself."""
        if sparsity is not None:
            raise UsageError("codec lapped has no --sparsity", hint="give --quality, or --codec primis")
        return Profile(self.name, quality_centidb, 0, deep)

    def weights_bytes(self) -> bytes:
        """Nothing: this codec has no weights."""
        return b""

    def composition(self, profile: Profile, bucket: Bucket) -> Composition:
        """Shape of the sealed code of every image of this bucket."""
        return composition_of(profile, bucket)

    def encode(self, image: Image, profile: Profile, composition: Composition | None) -> SparseCode:
        """Code of an image: filling the composition, or at the profile's step where there is none."""
        height, width = image.pixels.shape
        padding = find_padding(image.pixels, image.padding)
        samples = image.pixels.astype(np.float32)
        if padding is not None and padding.mask.any():
            samples = filled(samples, padding.mask)
        samples = np.pad(samples, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
        coefficients = forward(samples)
        step = budget_of(profile).step
        offsets = (_OFFSET,) * (len(THRESHOLDS) + 1)
        side = Side(
            height, width, image.bits_stored, image.signed, step, THRESHOLDS, offsets, padding, np.zeros((0, 0), np.int64)
        )
        if composition is None:
            return encode_freely(coefficients, side)
        return encode_fixed(coefficients, side, composition)

    def decode(self, code: SparseCode, profile: Profile, bucket: Bucket) -> NDArray[np.generic]:
        """Pixels of a code: (height, width), uint8, uint16 or int16.

        Raises:
            IntegrityError: the code is not one of this bucket.
        """
        if len(code.maps) != len(THRESHOLDS) + 1:
            raise IntegrityError(f"a code of {len(code.maps)} maps; lapped has {len(THRESHOLDS) + 1}")
        side = Side.from_bytes(code.side, len(code.maps), bucket)
        coefficients = _dequantised(code, side)
        samples = inverse(coefficients)[: side.height, : side.width]
        return _pixels((samples + UNIT // 2) // UNIT, side)


def _dequantised(code: SparseCode, side: Side) -> NDArray[np.int32]:
    """Coefficients (256, rows, columns) in units of 1/64 grey value."""
    rows, columns = side.dc.shape
    cells = [entry.cells for entry in code.maps]
    if not rows * columns * (CHANNELS - 1) <= sum(cells) <= (rows + 4) * (columns + 4) * CHANNELS:
        raise IntegrityError("the maps of the code don't have the cells of an image of its size")
    dense = []
    for entry in code.maps:
        values = np.zeros(entry.cells, np.int32)
        values[entry.positions] = entry.levels
        dense.append(values)
    out = np.zeros((STRIDE, STRIDE, rows, columns), np.int32)

    def look_up(zone: Zone, cells: ZoneCells, placement: Placement, keys: NDArray[np.uint8]) -> NDArray[np.int32]:
        parts = [
            dense[index][placement.starts[index] : placement.starts[index] + placement.counts[index]]
            for index in np.flatnonzero(placement.counts)
        ]
        levels = np.empty(len(keys), np.int32)
        ordered = np.concatenate(parts)
        levels[placement.order] = ordered
        return levels

    levels = walk(rows, columns, Ranking(side.thresholds, cells), look_up).astype(np.int64)
    sizes = np.abs(levels) * side.step
    sizes -= np.where(sizes > 0, side.step * side.offsets[0] // 256, 0)
    sizes = np.where(levels < 0, -sizes, sizes)
    sizes[0] = side.dc * side.step
    del out
    return np.clip(sizes, -LIMIT, LIMIT).astype(np.int32)


def _pixels(values: NDArray[np.int32], side: Side) -> NDArray[np.generic]:
    """Clipped to the range of the depth, padding pixels restored, others kept out of the padding range."""
    low, high = side.value_range
    values = np.clip(values, low, high)
    padding = side.padding
    if padding is not None:
        inside = (values >= padding.low) & (values <= padding.high)
        up = padding.high + 1 <= high and (padding.low - 1 < low or padding.low + padding.high < low + high)
        values = np.where(inside, padding.high + 1 if up else padding.low - 1, values)
        values[padding.mask] = padding.values
        values = np.clip(values, low, high)
    kind = np.int16 if side.signed else np.uint8 if side.bits_stored == 8 else np.uint16
    return values.astype(kind)
