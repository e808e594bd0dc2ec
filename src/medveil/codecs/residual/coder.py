"""The residual coder of an exact image: every pixel, coded beside the whole picture of the diagnostic code.

Pixels go in waves: wave t holds the pixels (y, x) with x + 2 y = t, from top to bottom. What a pixel's model looks at
lies in waves before (true values) or in the base (anywhere), so a wave is coded at once.

Stream: varint unit | one byte, 1 where a map of the values in use follows | varint lowest value in use less the lowest
of the depth | varint their span | bitmap of it, first bit highest, the last byte filled with zeros | range-coded waves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.residual import tables as tables
from medveil.codecs.residual.model import (
    ACTIVITY,
    AROUND,
    BEFORE,
    FEATURES,
    LARGEST_UNIT,
    LIMIT,
    MARGIN,
    SMALLEST_UNIT,
    distributions,
    gain_of,
    logarithm,
    network,
)
from medveil.codecs.residual.stream import RowReader, RowWriter
from medveil.codecs.threads import one_blas_thread
from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError

_CROWDED_PERCENT = 97
"""A map of the values in use is written where, in the mean over the pixels, less than this share of the five
values around a pixel's is in use, and the image has at least eight pixels a bit of the map."""

_LARGEST_INDEX = tables.SCALES + 8 * 11 - 1
"""Of a scale: a symbol stands for at most 2**11 grey values."""

_Integers = NDArray[np.int64]
_Range = tuple[int, int]


@one_blas_thread()
def encode(pixels: NDArray[np.generic], base: NDArray[np.generic], limits: _Range) -> bytes:
    """The stream of pixels within `limits`, inclusive; base has their shape and range."""
    values = pixels.astype(np.int32)
    head, unit, used = _header(values, base.astype(np.int32), limits)
    writer = RowWriter()
    picture = _Picture(base, unit, limits)
    for cells, flat in picture.waves():
        model = picture.model(cells, used)
        found = values.reshape(-1)[flat]
        _write_wave(writer, found, model)
        picture.learn(cells, found)
    return head + writer.to_bytes()


@one_blas_thread()
def decode(data: bytes, base: NDArray[np.generic], limits: _Range) -> NDArray[np.int32]:
    """The pixels of a stream.

    Raises:
        IntegrityError: encode would not write these bytes.
    """
    unit, used, at = _read_header(data, limits)
    reader, writer = RowReader(data[at:]), RowWriter()
    picture = _Picture(base, unit, limits)
    values = np.empty(base.size, np.int32)
    for cells, flat in picture.waves():
        model = picture.model(cells, used)
        found = _read_wave(reader, model)
        if found.size and (int(found.min()) < limits[0] or int(found.max()) > limits[1]):
            raise IntegrityError("an exact section codes a value beyond the depth of the image")
        _write_wave(writer, found, model)
        picture.learn(cells, found)
        values[flat] = found
    restored: NDArray[np.int32] = values.reshape(base.shape)
    if data != _header(restored, base.astype(np.int32), limits)[0] + writer.to_bytes():
        raise IntegrityError("an exact section is not the one that its pixels have")
    return restored


@dataclass(frozen=True)
class _Model:
    """What is expected of the pixels of a wave.

    Attributes:
        centre: (n,) the grey value in the middle of the symbols.
        octave: (n,) a symbol stands for 2**octave grey values.
        probabilities: (n, symbols) of each symbol, multiples of 2**-24 that add up to 1.
    """

    centre: _Integers
    octave: _Integers
    probabilities: NDArray[np.float64]


def _write_wave(writer: RowWriter, found: NDArray[np.int32], model: _Model) -> None:
    reach = tables.REACH
    offset = found - model.centre + ((1 << model.octave) >> 1)
    steps = offset >> model.octave
    escaped = np.abs(steps) > reach
    writer.rows(np.where(escaped, 2 * reach + 1, steps + reach), model.probabilities)
    if escaped.any():
        beyond = steps[escaped]
        writer.escapes(np.abs(beyond) - reach, beyond < 0)
    if model.octave.any():
        writer.tails(offset & ((1 << model.octave) - 1), model.octave)


def _read_wave(reader: RowReader, model: _Model) -> NDArray[np.int32]:
    reach = tables.REACH
    steps = reader.rows(model.probabilities) - reach
    escaped = np.flatnonzero(steps > reach)
    if len(escaped):
        beyond, negative = reader.escapes(len(escaped))
        steps[escaped] = np.where(negative, -beyond - reach, beyond + reach)
    offset = steps << model.octave
    if model.octave.any():
        offset |= reader.tails(model.octave)
    found: NDArray[np.int32] = (offset - ((1 << model.octave) >> 1) + model.centre).astype(np.int32)
    return found


class _Picture:
    """The planes that models are made from, in rows with a margin of three cells all around."""

    def __init__(self, base: NDArray[np.generic], unit: int, limits: _Range) -> None:
        height, width = base.shape
        self.shape = (height, width)
        self.unit, self.gain, self.log = unit, gain_of(unit), logarithm(unit)
        self.limits = limits
        self.stride = width + 2 * MARGIN
        self.base = np.pad(base.astype(np.int32), MARGIN, mode="edge").reshape(-1)
        self.scaled = (self.base * np.int64(self.gain) >> 16).astype(np.int32)
        self.errors = np.zeros(self.base.size, np.int16)
        self.activity = np.full(self.base.size, unit, np.int32)
        self.before, self.around, self.active = (self._offsets(where) for where in (BEFORE, AROUND, ACTIVITY))
        self.span = (limits[1] - limits[0] + 1) >> 8

    def _offsets(self, where: tuple[tuple[int, int], ...]) -> _Integers:
        return np.array([down * self.stride + across for down, across in where], np.int64)

    def waves(self) -> Iterator[tuple[_Integers, _Integers]]:
        """(cells in the planes, positions in the image) of each wave."""
        height, width = self.shape
        for wave in range(width + 2 * height - 2):
            rows = np.arange(max(0, (wave - width + 2) // 2), min(height - 1, wave // 2) + 1)
            columns = wave - 2 * rows
            yield (rows + MARGIN) * self.stride + columns + MARGIN, rows * width + columns

    def model(self, cells: _Integers, used: NDArray[np.bool_] | None) -> _Model:
        """The model of a wave from the waves before and the base."""
        here = self.base[cells]
        position, scale = network()(self.features(cells))
        offset = (position.astype(np.int64) * self.unit + (1 << 17)) >> 18
        eighths = np.minimum(np.maximum(8 * here + offset, 8 * self.limits[0]), 8 * self.limits[1])
        centre = (eighths + 4) >> 3
        index = np.minimum(np.maximum((scale.astype(np.int64) >> 12) + self.log - 16, 0), _LARGEST_INDEX)
        octave = np.maximum((index - tables.SCALES) // 8 + 1, 0)
        rest = (eighths - 8 * centre + 4) >> octave
        rows = 8 * (index - 8 * octave) + np.where(octave > 0, rest + 4, rest)
        if used is None:
            return _Model(centre, octave, distributions().take(rows, axis=0))
        return _Model(centre, octave, _masked(distributions()[rows], centre, octave, used, self.limits[0]))

    def features(self, cells: _Integers) -> NDArray[np.float64]:
        """(n, features) integers that the network sees."""
        features = np.empty((len(cells), FEATURES))
        column = cells[:, None]
        first, second = len(BEFORE), len(BEFORE) + len(AROUND)
        features[:, :first] = self.errors.take(column + self.before)
        around = self.scaled.take(column + self.around)
        around -= self.scaled.take(column)
        np.maximum(around, -LIMIT, out=around)
        features[:, first:second] = np.minimum(around, LIMIT, out=around)
        active = self.activity.take(column + self.active) * np.int64(self.gain) >> 22
        features[:, second:-2] = np.minimum(active, LIMIT)
        features[:, -2] = 4 * (self.log - 56)
        features[:, -1] = (self.base[cells] - self.limits[0]) // self.span - 128
        return features

    def learn(self, cells: _Integers, found: NDArray[np.int32]) -> None:
        """Take in the true values of a wave."""
        error = found - self.base[cells]
        self.errors[cells] = np.minimum(np.maximum(error * np.int64(self.gain) >> 16, -LIMIT), LIMIT)
        west, north, east = self.activity.take(cells + self.active[:, None])
        mean = (2 * west + north + east) >> 2
        self.activity[cells] = mean + ((64 * np.abs(error) - mean) >> 3)


def _masked(
    probabilities: NDArray[np.float64], centre: _Integers, octave: _Integers, used: NDArray[np.bool_], low: int
) -> NDArray[np.float64]:
    """Probabilities where symbols of values that are not in use have none; the last symbol takes what is missing to 1.

    A share of 2**20 becomes floor(share * floor(2**44 / sum of the shares kept) / 2**20) / 2**24.
    """
    reach = tables.REACH
    place = (centre - low)[:, None] + np.arange(reach + 1, 3 * reach + 2)
    weighed = (probabilities * 2.0**20).astype(np.int64)
    weighed[:, :-1] *= used[place] | (octave > 0)[:, None]
    weighed *= (1 << 44) // weighed.sum(axis=1, keepdims=True)
    weighed >>= 20
    weighed[:, -1] += (1 << 24) - weighed.sum(axis=1)
    kept: NDArray[np.float64] = weighed.astype(np.float64) * 2.0**-24
    return kept


def _header(
    values: NDArray[np.int32], base: NDArray[np.int32], limits: _Range
) -> tuple[bytes, int, NDArray[np.bool_] | None]:
    """(header, unit, whether each value is in use or None where the header has no map)."""
    total = int(np.abs(values - base).sum(dtype=np.int64))
    unit = min(max(64 * total // values.size, SMALLEST_UNIT), LARGEST_UNIT)
    lowest = int(values.min())
    counts = np.bincount(values.reshape(-1) - lowest)
    present = counts > 0
    crowd = np.convolve(present.astype(np.int64), np.ones(5, np.int64))[2:-2]
    head = varint(unit)
    if 100 * int(crowd @ counts) >= 5 * _CROWDED_PERCENT * values.size or 8 * present.size > values.size:
        return head + b"\0", unit, None
    head += b"\1" + varint(lowest - limits[0]) + varint(len(present)) + np.packbits(present).tobytes()
    return head, unit, _used(limits, lowest, present)


def _read_header(data: bytes, limits: _Range) -> tuple[int, NDArray[np.bool_] | None, int]:
    unit, at = read_varint(data, 0)
    if not SMALLEST_UNIT <= unit <= LARGEST_UNIT or len(data) <= at or data[at] > 1:
        raise IntegrityError("an exact section has a header out of range")
    span = limits[1] - limits[0] + 1
    if data[at] == 0:
        return unit, None, at + 1
    lowest, at = read_varint(data, at + 1)
    count, at = read_varint(data, at)
    size = -(-count // 8)
    if not 1 <= count <= span - lowest or len(data) - at < size:
        raise IntegrityError("an exact section has a map of values beyond the depth of the image")
    bits = np.unpackbits(np.frombuffer(data, np.uint8, size, at)).astype(bool)
    if bits[count:].any() or not bits[0] or not bits[count - 1]:
        raise IntegrityError("an exact section has a map of values that is not canonical")
    return unit, _used(limits, lowest + limits[0], bits[:count]), at + size


def _used(limits: _Range, lowest: int, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each value of limits is in use, with a margin of unused ones at both ends."""
    margin = 2 * tables.REACH + 1
    used = np.zeros(limits[1] - limits[0] + 1 + 2 * margin, bool)
    used[lowest - limits[0] + margin :][: len(present)] = present
    return used
