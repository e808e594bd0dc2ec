"""Codec `lapped`: a lapped orthogonal transform, rank groups of significance, an integer-only decoder; no weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Budget, CodeMap, Composition, Profile, SparseCode
from medveil.codecs.lapped.cell_ranking import Ranking
from medveil.codecs.lapped.encoder import encode_fixed, encode_freely, encode_within
from medveil.codecs.lapped.rate_allocation import composition_of, packed_bytes_of, step_of
from medveil.codecs.lapped.scan_order import ZoneCells, walk
from medveil.codecs.lapped.side_information import OFFSET_ABOVE_ONE, OFFSET_UNIT, Side
from medveil.codecs.lapped.tables import FREE_THRESHOLDS, THRESHOLDS
from medveil.codecs.lapped.transform import CHANNELS, LIMIT, STRIDE, UNIT, forward, inverse
from medveil.codecs.padding_mask import filled, find_padding
from medveil.codecs.residual.refinement import Refinement
from medveil.codecs.threads import one_blas_thread
from medveil.errors import IntegrityError, UsageError
from medveil.images.image import Image


class LappedCodec:
    """See `medveil.codecs.code.Codec`. Any size, 8 to 16 bits, signed or unsigned.

    >>> from medveil.testing import people
    >>> codec, image = LappedCodec(), people(1)[0].image
    >>> profile = codec.profile(quality_centidb=4000, sparsity=None, deep=0)
    >>> codec.decode(codec.encode(image, profile, None), profile, Bucket(64, 64)).shape
    (64, 64)
    """

    name = "lapped"
    successive = True
    reproducible = True
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

    def packed_bytes(self, profile: Profile, bucket: Bucket) -> int:
        """Length of the encrypted code of every image of this bucket."""
        return packed_bytes_of(profile, bucket)

    @one_blas_thread()
    def encode(
        self, image: Image, profile: Profile, budget: Budget | None, base: SparseCode | None = None
    ) -> SparseCode:
        """Code of an image, or of what a base leaves over: filling the budget, or, where there is none, at the
        profile's step.
        """
        height, width = image.pixels.shape
        padding = find_padding(image.pixels, image.padding)
        samples = image.pixels.astype(np.float32)
        if padding is not None and padding.mask.any():
            samples = filled(samples, padding.mask)
        samples = np.pad(samples, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
        coefficients = forward(samples)
        step, refinement = step_of(profile), None
        if base is not None:
            known, origin = _decoded(base, Bucket.of(height, width))
            coefficients -= known.astype(np.float32) / UNIT
            padding, refinement = padding if origin.padding is None else None, Refinement.of(known, step)
        thresholds = THRESHOLDS if isinstance(budget, Composition) else FREE_THRESHOLDS
        pixels = (height, width, image.bits_stored, image.signed)
        side = Side(*pixels, step, thresholds, (), padding, np.zeros((0, 0), np.int64), base is not None)
        if isinstance(budget, Composition):
            return encode_fixed(coefficients, side, budget, refinement)
        if budget is not None:
            return encode_within(coefficients, side, budget, refinement)
        return encode_freely(coefficients, side, refinement)

    @one_blas_thread()
    def decode(
        self, code: SparseCode, profile: Profile, bucket: Bucket, base: SparseCode | None = None
    ) -> NDArray[np.generic]:
        """Pixels of a code: (height, width), uint8, uint16 or int16.

        Raises:
            IntegrityError: the code is not one of this bucket, or doesn't refine this base.
        """
        coefficients, side = _decoded(code, bucket, base)
        samples = inverse(coefficients)[: side.height, : side.width]
        return _pixels((samples + UNIT // 2) // UNIT, side)


def _decoded(code: SparseCode, bucket: Bucket, base: SparseCode | None = None) -> tuple[NDArray[np.int32], Side]:
    """(coefficients (256, rows, columns) in units of 1/64 grey value, side) of a code with the base that it refines.

    Raises:
        IntegrityError: the code is not one of this bucket, or doesn't refine this base.
    """
    if len(code.maps) not in (len(THRESHOLDS) + 1, len(FREE_THRESHOLDS) + 1):
        raise IntegrityError(f"a code of {len(code.maps)} maps is not one of lapped")
    side = Side.from_bytes(code.side, len(code.maps), bucket)
    if base is None:
        if side.refines:
            raise IntegrityError("the code holds only what a preview left over, and there is no preview with it")
        return _dequantised(code, side, None), side
    known, origin = _decoded(base, bucket)
    if not side.refines or side.pixel_kind != origin.pixel_kind or None not in (side.padding, origin.padding):
        raise IntegrityError("the code doesn't refine this preview")
    found = _dequantised(code, side, Refinement.of(known, side.step))
    return known + found, replace(side, padding=side.padding or origin.padding)


def _dequantised(code: SparseCode, side: Side, refinement: Refinement | None) -> NDArray[np.int32]:
    """Coefficients (256, rows, columns) in units of 1/64 grey value."""
    rows, columns = side.dc.shape
    cells = [entry.cells for entry in code.maps]
    if not rows * columns * (CHANNELS - 1) <= sum(cells) <= (rows + 4) * (columns + 4) * CHANNELS:
        raise IntegrityError("the maps of the code don't have the cells of an image of its size")
    out = np.zeros((STRIDE, STRIDE, rows, columns), np.int32)
    levels, values = zip(*(_spread(entry, side, index) for index, entry in enumerate(code.maps)), strict=True)

    ranking = Ranking(side.thresholds, cells)

    def look_up(cells: ZoneCells, keys: NDArray[np.uint8]) -> NDArray[np.int32] | None:
        placement = ranking.place(keys)
        used = [(index, slice(start, start + count)) for index, start, count in placement.parts]
        ranked = np.concatenate([levels[index][part] for index, part in used])
        found = None
        if ranked.any():
            found, placed = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
            found[placement.order] = ranked
            placed[placement.order] = np.concatenate([values[index][part] for index, part in used])
            cells.put(out, placed)
        if refinement is not None:
            return refinement.magnitudes(cells, found)
        return None if found is None else np.abs(found)

    walk(rows, columns, look_up)
    out[0, 0] = np.clip(side.dc * side.step, -LIMIT, LIMIT)
    coefficients: NDArray[np.int32] = out.reshape(CHANNELS, rows, columns)
    return coefficients


def _spread(entry: CodeMap, side: Side, index: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(level, coefficient in units of 1/64 grey value) of every cell of a map."""
    levels = np.abs(entry.levels.astype(np.int64))
    nearer = np.where(levels == 1, side.offsets[index], OFFSET_ABOVE_ONE)
    sizes = np.minimum((levels * OFFSET_UNIT - nearer) * side.step // OFFSET_UNIT, LIMIT)
    signed, values = np.zeros(entry.cells, np.int32), np.zeros(entry.cells, np.int32)
    signed[entry.positions] = entry.levels
    values[entry.positions] = np.where(entry.levels < 0, -sizes, sizes)
    return signed, values


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
