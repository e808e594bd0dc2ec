"""docs/format-exact.md: the original pixels, from the diagnostic picture and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from operator import mul

from tests.reader import jpegls
from tests.reader.exact_tables import network, ratios
from tests.reader.keystream import unpacked
from tests.reader.rangecoder import ONE, RangeDecoder, RangeEncoder, equal
from tests.reader.refusal import require
from tests.reader.varints import read_varint

Plane = list[list[int]]

_ERRORS = [(0, -1), (0, -2), (0, -3), (-1, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-2, -2), (-2, -1), (-2, 0)]
_ERRORS += [(-2, 1), (-2, 2), (-3, -1), (-3, 0), (-3, 1)]
_SHAPE = [(down, across) for down in range(-3, 4) for across in range(-3, 4) if 0 < down**2 + across**2 <= 10]
_ACTIVITY = [(0, -1), (-1, 0), (-1, 1)]
_ESCAPE = 63
_REACH = 31
_SHARES = 1 << 20


def decode(section: bytes, base: Plane, bits: int, *, signed: bool) -> Plane:
    """Rows of the original pixels.

    Args:
        section: the plaintext, padding off.
        base: the picture of the diagnostic code.
        bits: depth of the pixels, 8 to 16.
        signed: whether there are negative values.
    """
    require(bool(section) and section[0] <= 1, "an exact section of another method")
    low = -(1 << (bits - 1)) if signed else 0
    if section[0] == 1:
        samples = jpegls.decode(section[1:], len(base), len(base[0]), bits)
        return [[sample + low for sample in row] for row in samples]
    head, at = _read_head(section, low, bits)
    picture = _Picture(base, low, bits, head)
    stream = _Stream(section[at:])
    height, width = len(base), len(base[0])
    for wave in range(width + 2 * height - 2):
        picture.read_wave(stream, [(row, wave - 2 * row) for row in range(height) if 0 <= wave - 2 * row < width])
    require(stream.written() == section[at:], "an exact section in another form")
    require(_head_of(picture.pixels, base, low) == section[:at], "an exact section with another head")
    return picture.pixels


@dataclass(frozen=True)
class _Head:
    unit: int
    used: frozenset[int] | None


def _read_head(section: bytes, low: int, bits: int) -> tuple[_Head, int]:
    unit, at = read_varint(section, 1)
    require(4 <= unit <= 1 << 22 and at < len(section) and section[at] <= 1, "an impossible head")
    has_map, at = section[at], at + 1
    if not has_map:
        return _Head(unit, None), at
    first, at = read_varint(section, at)
    count, at = read_varint(section, at)
    require(count >= 1 and first + count <= 1 << bits, "a map of values that there are not")
    size = -(-count // 8)
    require(at + size <= len(section), "a map that is cut off")
    marks = unpacked(section[at : at + size], count)
    return _Head(unit, frozenset(low + first + place for place, mark in enumerate(marks) if mark)), at + size


def _head_of(pixels: Plane, base: Plane, low: int) -> bytes:
    """What a writer puts before the waves of these pixels."""
    both = [(one, two) for lines in zip(pixels, base, strict=True) for one, two in zip(*lines, strict=True)]
    unit = min(max(64 * sum(abs(one - two) for one, two in both) // len(both), 4), 1 << 22)
    used = {pixel for pixel, _ in both}
    first, count = min(used), max(used) - min(used) + 1
    among = sum(sum(pixel + near in used for near in range(-2, 3)) for pixel, _ in both)
    if 8 * count > len(both) or 100 * among >= 97 * 5 * len(both):
        return b"\0" + _varint(unit) + b"\0"
    bitmap = bytearray(-(-count // 8))
    for value in used:
        bitmap[(value - first) >> 3] |= 0x80 >> (value - first & 7)
    return b"\0" + _varint(unit) + b"\1" + _varint(first - low) + _varint(count) + bytes(bitmap)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class _Stream:
    """A range coder stream that is written again while it is read."""

    def __init__(self, data: bytes) -> None:
        self._decoder, self._encoder = RangeDecoder(data), RangeEncoder()

    def symbol(self, cumulative: list[int]) -> int:
        found = self._decoder.symbol(cumulative)
        self._encoder.put(found, cumulative)
        return found

    def number(self, bits: int) -> int:
        return self.symbol(_equal(bits))

    def written(self) -> bytes:
        """What a writer would have made of what was read."""
        return self._encoder.finish().rstrip(b"\0")


@dataclass(frozen=True)
class _Model:
    """Where the symbols of a pixel lie."""

    centre: int
    octave: int
    cumulative: list[int]


class _Picture:
    """Pixels, as far as they are known, and what is derived from them and from the base."""

    def __init__(self, base: Plane, low: int, bits: int, head: _Head) -> None:
        self.base, self.low, self.high, self.bits = base, low, low + (1 << bits) - 1, bits
        self.unit, self.used = head.unit, head.used
        self.gain = (1 << 27) // self.unit
        self.height, self.width = len(base), len(base[0])
        octave = self.unit.bit_length() - 1
        self.log = 8 * octave + (8 * self.unit >> octave) - 8
        self.pixels = [[0] * self.width for _ in base]
        self._scaled = [[value * self.gain >> 16 for value in line] for line in base]
        self._errors: dict[tuple[int, int], int] = {}
        self._activity: dict[tuple[int, int], int] = {}

    def read_wave(self, stream: _Stream, places: list[tuple[int, int]]) -> None:
        """The pixels of a wave, whose models know the waves before."""
        models = [self._model(row, column) for row, column in places]
        symbols = [stream.symbol(model.cumulative) for model in models]
        steps = _steps(stream, symbols)
        lowest = [0] * len(models)
        for octave in range(1, max((model.octave for model in models), default=0) + 1):
            for index, model in enumerate(models):
                if model.octave == octave:
                    lowest[index] = stream.number(octave)
        for (row, column), model, step, rest in zip(places, models, steps, lowest, strict=True):
            value = (step << model.octave) + rest - ((1 << model.octave) >> 1) + model.centre
            require(self.low <= value <= self.high, "a pixel beyond the range of the depth")
            self._learn(row, column, value)

    def _learn(self, row: int, column: int, value: int) -> None:
        self.pixels[row][column] = value
        error = value - self.base[row][column]
        self._errors[row, column] = _held(error * self.gain >> 16)
        left, above, beside = (self._active(row + down, column + across) for down, across in _ACTIVITY)
        mean = (2 * left + above + beside) >> 2
        self._activity[row, column] = mean + ((64 * abs(error) - mean) >> 3)

    def _active(self, row: int, column: int) -> int:
        return self._activity.get((row, column), self.unit)

    def _features(self, row: int, column: int) -> list[int]:
        here = self._scaled[row][column]
        found = [self._errors.get((row + down, column + across), 0) for down, across in _ERRORS]
        for down, across in _SHAPE:
            line = self._scaled[min(max(row + down, 0), self.height - 1)]
            found.append(_held(line[min(max(column + across, 0), self.width - 1)] - here))
        for down, across in _ACTIVITY:
            found.append(min(self._active(row + down, column + across) * self.gain >> 22, 511))
        found.append(4 * (self.log - 56))
        found.append((self.base[row][column] - self.low) // (1 << (self.bits - 8)) - 128)
        return found

    def _model(self, row: int, column: int) -> _Model:
        place, spread = _network(self._features(row, column))
        eighths = 8 * self.base[row][column] + ((place * self.unit + (1 << 17)) >> 18)
        eighths = min(max(eighths, 8 * self.low), 8 * self.high)
        centre = (eighths + 4) >> 3
        phase = eighths - 8 * centre + 4
        index = min(max((spread >> 12) + self.log - 16, 0), 135)
        octave = max(0, (index - 48) // 8 + 1)
        if octave:
            phase = 4 + (phase >> octave)
        shares = _shares(index - 8 * octave, phase)
        shares = [16 * share for share in shares] if self.used is None else _among(shares, self.used, centre, octave)
        return _Model(centre, octave, _cumulated(shares))


def _steps(stream: _Stream, symbols: list[int]) -> list[int]:
    """Steps of a wave, the escapes' with their signs, widths and tails."""
    steps = [symbol - _REACH for symbol in symbols]
    escapes = [index for index, symbol in enumerate(symbols) if symbol == _ESCAPE]
    signs = [stream.number(1) for _ in escapes]
    widths = [stream.number(4) for _ in escapes]
    tails = [0] * len(escapes)
    for width in range(1, 16):
        for place, own in enumerate(widths):
            if own == width:
                tails[place] = stream.number(width)
    for index, sign, width, tail in zip(escapes, signs, widths, tails, strict=True):
        size = _REACH + (1 << width) + tail
        steps[index] = -size if sign else size
    return steps


def _network(features: list[int]) -> tuple[int, int]:
    """(p, s)."""
    net = network()
    one = _layer(features, net.first, net.first_bias, 7)
    two = _layer(one, net.second, net.second_bias, 9)
    place, spread = (_dot(two, row) + bias for row, bias in zip(net.third, net.third_bias, strict=True))
    return place + _dot(features, net.direct), spread


def _layer(values: list[int], matrix: Plane, bias: list[int], shift: int) -> list[int]:
    return [min(max(_dot(values, row) + add >> shift, 0), 2047) for row, add in zip(matrix, bias, strict=True)]


def _dot(one: list[int], two: list[int]) -> int:
    return sum(map(mul, one, two))


@cache
def _shares(k: int, phase: int) -> list[int]:
    """The 64 shares of 2^20, the escape's last."""
    below = [_below(k, 8 * step - phase) for step in range(-_REACH, _REACH + 2)]
    found = [1 + ((two - one) * (_SHARES - 64) >> 30) for one, two in pairwise(below)]
    return [*found, _SHARES - sum(found)]


@cache
def _below(k: int, eighths: int) -> int:
    """C."""
    if eighths < 0:
        return _above(k, -eighths)
    return (1 << 30) - _above(k, eighths)


def _above(k: int, eighths: int) -> int:
    power = _powers(k)[eighths]
    return (power << 30) // ((1 << 32) + power)


@cache
def _powers(k: int) -> list[int]:
    found = [1 << 32]
    for _ in range(8 * (_REACH + 2)):
        found.append(found[-1] * ratios()[k] >> 32)
    return found


def _among(shares: list[int], used: frozenset[int], centre: int, octave: int) -> list[int]:
    """Shares of 2^24, of values in use only."""
    if octave == 0:
        kept = [share if centre + step in used else 0 for step, share in enumerate(shares[:_ESCAPE], -_REACH)]
        shares = [*kept, shares[_ESCAPE]]
    scale = (1 << 44) // sum(shares)
    found = [share * scale >> 20 for share in shares[:_ESCAPE]]
    return [*found, ONE - sum(found)]


def _cumulated(shares: list[int]) -> list[int]:
    """F."""
    found, below, count = [], 0, len(shares)
    for place, share in enumerate(shares):
        found.append(place + (below * (ONE - count) >> 24))
        below += share
    require(below == ONE, "shares that do not add up")
    return [*found, ONE]


@cache
def _equal(bits: int) -> list[int]:
    return equal(bits)


def _held(value: int) -> int:
    return min(max(value, -511), 511)
