"""Support coding: which S of N cells of each map are set, in a length that is a function of the (N, S) alone.

The gaps between set cells are coded as if each cell were set with probability S/N on its own. A geometric gap is a
sum of independent binary digits: with t = 1 - S/N, digit j (weight 2**j) is 1 with probability t**(2**j) / (1 +
t**(2**j)), and the rest, gap >> B, goes on with probability t**(2**B). All decisions are therefore binary, with
probabilities near one half, and under this model every support of S cells costs nearly the same: log2 C(N, S) and a
few bits, less what the cells after the last set one would have cost.

Format, for an independent reader (version 1)
  - A map with S = 0 or S = N takes nothing. Where 2 S > N, its N - S empty cells are coded instead of the set ones.
  - B = the least b with t**(2**b) <= 1/2; powers by repeated squaring in integers with 62 fraction bits, rounded down,
    from t = ((N - S) << 62) // N. A probability is k / 2**24, k rounded down, then held within 1 .. 2**24 - 1.
  - One range coder stream (constriction's RangeEncoder: 64-bit state, 32-bit little-endian words, 24-bit precision;
    symbol 0 has the lower part of the interval) holds for each map in order: for j = 0 .. B-1 digit j of all S gaps;
    then for each gap as many 1s as gap >> B says and a 0.
  - Zero words follow up to the bound of `coded_bytes`; no map to code: no bytes. Any other padding, positions beyond
    the last cell, and a stream whose re-encoding is not identical are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError
from medveil.protection.keystream import MAX_CELLS

_PRECISION = 24
_ONE = 1 << _PRECISION
_FRACTION = 62


Shape = tuple[int, int]
"""(cells N, set cells S) of one map."""


@dataclass(frozen=True)
class _Model:
    """The binary model of one map: numerators over 2**24 of each digit and of going on."""

    digits: tuple[int, ...]
    more: int


def coded_bytes(shapes: Sequence[Shape]) -> int:
    """Length in bytes of the coded supports of maps of these shapes."""
    return 4 * _words(tuple(shapes))


def encode_supports(maps: Sequence[tuple[NDArray[np.int64], int]]) -> bytes:
    """Code the supports of maps, each given as (positions, cells).

    Args:
        maps: positions are strictly increasing in [0, cells).

    Returns:
        Exactly `coded_bytes` of the shapes (cells, len(positions)) bytes.
    """
    from constriction import stream

    words = _words(tuple((cells, len(positions)) for positions, cells in maps))
    encoder = stream.queue.RangeEncoder()
    for positions, cells in maps:
        if len(positions) and (positions[0] < 0 or positions[-1] >= cells or np.any(np.diff(positions) <= 0)):
            raise ValueError("positions of a support increase strictly within the cells")
        if 2 * len(positions) > cells:
            positions = _complement(positions, cells)
        if len(positions):
            _encode_gaps(encoder, np.diff(positions, prepend=-1) - 1, _model(cells, len(positions)))
    compressed = encoder.get_compressed() if words else np.empty(0, np.uint32)
    if len(compressed) > words:
        raise AssertionError("the bound on the length of coded supports does not hold")
    return compressed.astype("<u4").tobytes().ljust(4 * words, b"\0")


def decode_supports(data: bytes, shapes: Sequence[Shape]) -> list[NDArray[np.int64]]:
    """The positions that `encode_supports` coded, for maps of these shapes.

    Raises:
        IntegrityError: the bytes are not what encode_supports writes for any supports of these shapes.
    """
    from constriction import stream

    if len(data) != coded_bytes(shapes):
        raise IntegrityError(f"coded supports of this shape have {coded_bytes(shapes)} bytes, not {len(data)}")
    decoder = stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
    supports: list[NDArray[np.int64]] = []
    for cells, ones in shapes:
        coded = min(ones, cells - ones)
        positions = np.arange(coded)
        if coded:
            positions = np.cumsum(_decode_gaps(decoder, _model(cells, coded), cells, coded) + 1) - 1
            if positions[-1] >= cells:
                raise IntegrityError("a coded support sets a cell beyond the last one")
        supports.append(_complement(positions, cells) if coded < ones else positions)
    if encode_supports([(each, cells) for each, (cells, _) in zip(supports, shapes, strict=True)]) != data:
        raise IntegrityError("coded supports are not in their one canonical form")
    return supports


def _encode_gaps(encoder: Any, gaps: NDArray[np.int64], model: _Model) -> None:
    for digit, numerator in enumerate(model.digits):
        encoder.encode(((gaps >> digit) & 1).astype(np.int32), _binary(numerator))
    rest = gaps >> len(model.digits)
    stops = np.cumsum(rest + 1) - 1
    unary = np.ones(int(stops[-1]) + 1, np.int32)
    unary[stops] = 0
    encoder.encode(unary, _binary(model.more))


def _decode_gaps(decoder: Any, model: _Model, cells: int, ones: int) -> NDArray[np.int64]:
    gaps = np.zeros(ones, np.int64)
    for digit, numerator in enumerate(model.digits):
        gaps |= _decode(decoder, numerator, ones).astype(np.int64) << digit
    parts: list[NDArray[np.int32]] = []
    stops, drawn = 0, 0
    while stops < ones:
        if drawn > ones + (cells >> len(model.digits)):
            raise IntegrityError("a coded support does not end")
        part = _decode(decoder, model.more, ones - stops)
        stops += len(part) - int(part.sum())
        drawn += len(part)
        parts.append(part)
    rest = np.diff(np.flatnonzero(np.concatenate(parts) == 0), prepend=-1) - 1
    gaps += rest << len(model.digits)
    return gaps


def _decode(decoder: Any, numerator: int, count: int) -> NDArray[np.int32]:
    try:
        return np.asarray(decoder.decode(_binary(numerator), count), np.int32)
    except (AssertionError, ValueError) as error:
        raise IntegrityError("a coded support is not a range coder stream") from error


def _binary(numerator: int) -> Any:
    """The coder's model of a bit that is 1 with probability numerator / 2**24, exactly (a dyadic float is exact)."""
    from constriction import stream

    return stream.model.Bernoulli(numerator / _ONE, perfect=True)


def _complement(positions: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    empty = np.ones(cells, bool)
    empty[positions] = False
    return np.flatnonzero(empty)


@lru_cache(maxsize=256)
def _model(cells: int, ones: int) -> _Model:
    """In integers only, so that every machine has the same model."""
    half = 1 << (_FRACTION - 1)
    power = ((cells - ones) << _FRACTION) // cells
    digits: list[int] = []
    while power > half:
        digits.append(_held((power << _PRECISION) // ((1 << _FRACTION) + power)))
        power = (power * power) >> _FRACTION
    return _Model(tuple(digits), _held(power >> (_FRACTION - _PRECISION)))


def _held(numerator: int) -> int:
    return min(max(numerator, 1), _ONE - 1)


@lru_cache(maxsize=256)
def _words(shapes: tuple[Shape, ...]) -> int:
    """Words that no supports of these shapes exceed; in integers only, so that every machine has the same length.

    A range coder step loses at most 2**24 / range of the range. No probability is above 3/4, so the ranges between two
    emitted words are at least 2**32 (4/3)**i, and the losses of a word add up to less than 1/40 bit. Two words flush.
    """
    for cells, ones in shapes:
        if not 0 <= ones <= cells <= MAX_CELLS:
            raise ValueError(f"a map has 0 to {MAX_CELLS} cells, and at most all of them set: not {ones} of {cells}")
    coded = [(cells, min(ones, cells - ones)) for cells, ones in shapes]
    price = sum(_price(cells, ones) for cells, ones in coded if ones)
    if not price:
        return 0
    bits = (price >> 32) + 1
    bits += bits // (32 * 40) + 1
    return bits // 32 + 2


def _price(cells: int, ones: int) -> int:
    """What no support of this shape exceeds under its model, in units of 2**-32 bit.

    A gap costs a part of its own (all digits 0, one stop) and at most `slope` for each empty cell in it, where slope is
    the largest price per cell among the digits and the unary part; there are cells - ones empty cells.
    """
    model = _model(cells, ones)
    own = sum(_cost(_ONE - numerator) for numerator in model.digits) + _cost(_ONE - model.more)
    slopes = [-(-max(_cost(k) - _cost(_ONE - k) + 2, 0) // (1 << j)) for j, k in enumerate(model.digits)]
    slope = max([*slopes, -(-_cost(model.more) // (1 << len(model.digits)))])
    return ones * own + (cells - ones) * slope


def _cost(numerator: int) -> int:
    """An upper bound on -log2(numerator / 2**24), in units of 2**-32 bit, at most 2 units too high."""
    bits = numerator.bit_length() - 1
    mantissa = numerator << (_FRACTION - bits)
    log = bits
    for _ in range(32):
        mantissa = (mantissa * mantissa) >> _FRACTION
        log <<= 1
        if mantissa >> (_FRACTION + 1):
            mantissa >>= 1
            log |= 1
    return (_PRECISION << 32) - log
