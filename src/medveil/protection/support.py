"""Support coding: which S of N cells are set, in a length that is a function of (N, S) and nothing else.

The gaps between set cells are coded as if each cell were set with probability S/N on its own. A geometric gap is a
sum of independent binary digits: with t = 1 - S/N, digit j (weight 2**j) is 1 with probability t**(2**j) / (1 +
t**(2**j)), and the rest, gap >> B, goes on with probability t**(2**B). All decisions are therefore binary, with
probabilities near one half, and under this model every support of S cells costs nearly the same: log2 C(N, S) and a
few bits, less what the cells after the last set one would have cost.

Format, for an independent reader (version 1)
  - S = 0 or S = N: no bytes. 2 S > N: the N - S empty cells are coded instead of the set ones.
  - B = the least b with t**(2**b) <= 1/2; powers by repeated squaring in integers with 62 fraction bits, rounded down,
    from t = ((N - S) << 62) // N. A probability is k / 2**24, k rounded down, then held within 1 .. 2**24 - 1.
  - One range coder stream (constriction's RangeEncoder: 64-bit state, 32-bit little-endian words, 24-bit precision;
    symbol 0 has the lower part of the interval) holds: for j = 0 .. B-1 digit j of all S gaps in order; then for each
    gap in order as many 1s as gap >> B says and a 0.
  - Zero words follow up to the bound of `coded_bytes`. Any other padding, an order that is not increasing, and a
    stream whose re-encoding is not identical are refused.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class _Model:
    """The binary model of one (cells, ones) pair: numerators over 2**24, and the length in words that always fits."""

    digits: tuple[int, ...]
    more: int
    words: int


def coded_bytes(cells: int, ones: int) -> int:
    """Length of the coded support of `ones` set cells out of `cells`, in bytes."""
    _check_shape(cells, ones)
    coded = min(ones, cells - ones)
    return 4 * _model(cells, coded).words if coded else 0


def encode_support(positions: NDArray[np.int64], cells: int) -> bytes:
    """Code strictly increasing positions in [0, cells) into exactly `coded_bytes(cells, len(positions))` bytes."""
    _check_shape(cells, len(positions))
    if len(positions) and (positions[0] < 0 or positions[-1] >= cells or np.any(np.diff(positions) <= 0)):
        raise ValueError("positions of a support increase strictly within the cells")
    if 2 * len(positions) > cells:
        positions = _complement(positions, cells)
    ones = len(positions)
    if not ones:
        return b""
    model = _model(cells, ones)
    stream = _encode_gaps(np.diff(positions, prepend=-1) - 1, model)
    if len(stream) > model.words:
        raise AssertionError("the bound on the length of a coded support does not hold")
    return stream.astype("<u4").tobytes().ljust(4 * model.words, b"\0")


def decode_support(data: bytes, cells: int, ones: int) -> NDArray[np.int64]:
    """The positions that `encode_support` coded.

    Returns:
        (ones,) int64, strictly increasing in [0, cells).

    Raises:
        IntegrityError: the bytes are not what encode_support writes for any support of this shape.
    """
    if len(data) != coded_bytes(cells, ones):
        raise IntegrityError(f"a coded support of {ones} out of {cells} cells has {len(data)} bytes")
    coded = min(ones, cells - ones)
    if not coded:
        return np.arange(ones, dtype=np.int64)
    gaps = _decode_gaps(np.frombuffer(data, "<u4").astype(np.uint32), _model(cells, coded), cells, coded)
    positions = np.cumsum(gaps + 1) - 1
    if positions[-1] >= cells:
        raise IntegrityError("a coded support sets a cell beyond the last one")
    if coded < ones:
        positions = _complement(positions, cells)
    if encode_support(positions, cells) != data:
        raise IntegrityError("a coded support is not in its one canonical form")
    return positions


def _encode_gaps(gaps: NDArray[np.int64], model: _Model) -> NDArray[np.uint32]:
    from constriction import stream

    encoder = stream.queue.RangeEncoder()
    for digit, numerator in enumerate(model.digits):
        encoder.encode(((gaps >> digit) & 1).astype(np.int32), _binary(numerator))
    rest = gaps >> len(model.digits)
    stops = np.cumsum(rest + 1) - 1
    unary = np.ones(int(stops[-1]) + 1, np.int32)
    unary[stops] = 0
    encoder.encode(unary, _binary(model.more))
    compressed: NDArray[np.uint32] = encoder.get_compressed()
    return compressed


def _decode_gaps(words: NDArray[np.uint32], model: _Model, cells: int, ones: int) -> NDArray[np.int64]:
    from constriction import stream

    decoder = stream.queue.RangeDecoder(words)
    gaps = np.zeros(ones, np.int64)
    for digit, numerator in enumerate(model.digits):
        gaps |= _decode(decoder, numerator, ones).astype(np.int64) << digit
    parts: list[NDArray[np.int32]] = []
    stops, drawn = 0, 0
    limit = ones + (cells >> len(model.digits))
    while stops < ones:
        if drawn > limit:
            raise IntegrityError("a coded support does not end")
        part = _decode(decoder, model.more, ones - stops)
        stops += ones - stops - int(part.sum())
        drawn += len(part)
        parts.append(part)
    unary = np.concatenate(parts)
    rest = np.diff(np.flatnonzero(unary == 0), prepend=-1) - 1
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
    """Integer arithmetic only, so that every machine has the same model and the same length."""
    half = 1 << (_FRACTION - 1)
    power = ((cells - ones) << _FRACTION) // cells
    digits: list[int] = []
    while power > half:
        digits.append(_held((power << _PRECISION) // ((1 << _FRACTION) + power)))
        power = (power * power) >> _FRACTION
    more = _held(power >> (_FRACTION - _PRECISION))
    return _Model(tuple(digits), more, _words_bound(cells, ones, digits, more))


def _held(numerator: int) -> int:
    return min(max(numerator, 1), _ONE - 1)


def _words_bound(cells: int, ones: int, digits: list[int], more: int) -> int:
    """Words that no support exceeds.

    A gap costs a part of its own (all digits 0, one stop) and at most `slope` bits for each empty cell in it, where
    slope is the largest price per cell among the digits and the unary part; there are cells - ones empty cells. A
    range coder step loses at most 2**24 / range of the range. No probability is above 3/4, so the ranges between two
    emitted words are at least 2**32 (4/3)**i, and the losses of a word add up to less than 1/40 bit. Two words flush.
    """
    own = sum(_cost(_ONE - numerator) for numerator in digits) + _cost(_ONE - more)
    slopes = [-(-max(_cost(k) - _cost(_ONE - k) + 2, 0) // (1 << j)) for j, k in enumerate(digits)]
    slope = max([*slopes, -(-_cost(more) // (1 << len(digits)))])
    bits = -(-(ones * own + (cells - ones) * slope) >> 32) + 1
    bits += bits // (32 * 40) + 1
    return bits // 32 + 2


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


def _check_shape(cells: int, ones: int) -> None:
    if not 0 <= ones <= cells <= MAX_CELLS:
        raise ValueError(f"a map has 0 to {MAX_CELLS} cells, and no more set cells than that: not {ones} of {cells}")
