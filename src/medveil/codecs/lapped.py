"""Codec `lapped`: a lapped orthogonal transform, rank groups of significance, an integer-only decoder; no weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.budget import composition_of, step_of
from medveil.codecs.code import Bucket, CodeMap, Composition, Profile, SparseCode
from medveil.codecs.fitting import encode_fixed, encode_freely
from medveil.codecs.lapped_tables import FREE_THRESHOLDS, THRESHOLDS
from medveil.codecs.padding_mask import filled, find_padding
from medveil.codecs.ranking import Placement, Ranking
from medveil.codecs.registry import register_codec
from medveil.codecs.side import OFFSET_ABOVE_ONE, OFFSET_UNIT, Side
from medveil.codecs.significance import CAP
from medveil.codecs.threads import one_blas_thread
from medveil.codecs.transform import CHANNELS, LIMIT, STRIDE, UNIT, forward, inverse
from medveil.codecs.zones import ZoneCells, walk
from medveil.errors import IntegrityError, UsageError
from medveil.images.image import Image


@register_codec("lapped")
class LappedCodec:
    """See `medveil.codecs.code.Codec`. Any size, 8 to 16 bits, signed or unsigned."""

    name = "lapped"
    vector_length = 0  # the cells of a map are in order of priority

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

    @one_blas_thread()
    def encode(self, image: Image, profile: Profile, composition: Composition | None) -> SparseCode:
        """Code of an image: filling the composition, or at the profile's step where there is none."""
        height, width = image.pixels.shape
        padding = find_padding(image.pixels, image.padding)
        samples = image.pixels.astype(np.float32)
        if padding is not None and padding.mask.any():
            samples = filled(samples, padding.mask)
        samples = np.pad(samples, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
        coefficients = forward(samples)
        step = step_of(profile)
        thresholds = FREE_THRESHOLDS if composition is None else THRESHOLDS
        side = Side(
            height, width, image.bits_stored, image.signed, step, thresholds, (), padding, np.zeros((0, 0), np.int64)
        )
        if composition is None:
            return encode_freely(coefficients, side)
        return encode_fixed(coefficients, side, composition)

    @one_blas_thread()
    def decode(self, code: SparseCode, profile: Profile, bucket: Bucket) -> NDArray[np.generic]:
        """Pixels of a code: (height, width), uint8, uint16 or int16.

        Raises:
            IntegrityError: the code is not one of this bucket.
        """
        if len(code.maps) not in (len(THRESHOLDS) + 1, len(FREE_THRESHOLDS) + 1):
            raise IntegrityError(f"a code of {len(code.maps)} maps is not one of lapped")
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
    out = np.zeros((STRIDE, STRIDE, rows, columns), np.int32)
    magnitudes, values = zip(*(_spread(entry, side, index) for index, entry in enumerate(code.maps)), strict=True)

    def look_up(cells: ZoneCells, placement: Placement, keys: NDArray[np.uint8]) -> NDArray[np.int32]:
        found, placed = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
        used = [(index, slice(start, start + count)) for index, start, count in placement.parts()]
        found[placement.order] = np.concatenate([magnitudes[index][part] for index, part in used])
        placed[placement.order] = np.concatenate([values[index][part] for index, part in used])
        cells.put(out, placed)
        return found

    walk(rows, columns, Ranking(side.thresholds, cells), look_up)
    out[0, 0] = np.clip(side.dc * side.step, -LIMIT, LIMIT)
    coefficients: NDArray[np.int32] = out.reshape(CHANNELS, rows, columns)
    return coefficients


def _spread(entry: CodeMap, side: Side, index: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(magnitude, coefficient in units of 1/64 grey value) of every cell of a map."""
    levels = np.abs(entry.levels.astype(np.int64))
    nearer = np.where(levels == 1, side.offsets[index], OFFSET_ABOVE_ONE)
    sizes = np.minimum((levels * OFFSET_UNIT - nearer) * side.step // OFFSET_UNIT, LIMIT)
    magnitudes, values = np.zeros(entry.cells, np.int32), np.zeros(entry.cells, np.int32)
    magnitudes[entry.positions] = np.minimum(levels, CAP)
    values[entry.positions] = np.where(entry.levels < 0, -sizes, sizes)
    return magnitudes, values


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
