"""Chapter 3: the range coder. The encoder is here because some streams are accepted in one form only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tests.reader.refusal import require

PRECISION = 24
ONE = 1 << PRECISION
_WORD = (1 << 32) - 1
_STATE = (1 << 64) - 1


def bit(numerator: int) -> tuple[int, int, int]:
    """Cumulative weights of a bit that is 1 with probability numerator / 2**24."""
    return 0, ONE - numerator, ONE


def equal(bits: int) -> list[int]:
    """Cumulative weights of 2**bits symbols of one probability."""
    return [symbol << (PRECISION - bits) for symbol in range((1 << bits) + 1)]


class RangeDecoder:
    """Symbols out of 32-bit little-endian words; missing words are zero."""

    def __init__(self, data: bytes) -> None:
        data = data + bytes(-len(data) % 4 + 8)
        self._words = memoryview(data)
        self._at = 8
        self._offset = self._word(0) << 32 | self._word(4)
        self._range = _STATE

    def _word(self, at: int) -> int:
        return int.from_bytes(self._words[at : at + 4], "little")

    def symbol(self, cumulative: Sequence[int]) -> int:
        """The next symbol of a model, given as the weights below each symbol and 2**24 at the end."""
        scale = self._range >> PRECISION
        quantile = self._offset // scale
        require(quantile < ONE, "not a range coder stream")
        found = bisect_right(cumulative, quantile) - 1
        self._offset -= scale * cumulative[found]
        self._range = scale * (cumulative[found + 1] - cumulative[found])
        if self._range <= _WORD:
            self._range <<= 32
            self._offset = self._offset << 32 | self._word(self._at)
            self._at += 4
        return found

    def symbols(self, cumulative: Sequence[int], count: int) -> list[int]:
        """The next `count` symbols of one model."""
        return [self.symbol(cumulative) for _ in range(count)]


class RangeEncoder:
    """Words out of symbols, in the plain form with carries into words that were written before."""

    def __init__(self) -> None:
        self._lower, self._range = 0, _STATE
        self._out: list[int] = []

    def put(self, symbol: int, cumulative: Sequence[int]) -> None:
        scale = self._range >> PRECISION
        self._advance(scale * cumulative[symbol])
        self._range = scale * (cumulative[symbol + 1] - cumulative[symbol])
        if self._range <= _WORD:
            self._out.append(self._lower >> 32)
            self._lower = self._lower << 32 & _STATE
            self._range <<= 32

    def finish(self) -> bytes:
        """The stream; nothing where no symbol was put in."""
        if self._range == _STATE and not self._out:
            return b""
        above = (self._lower + self._range & _STATE) >> 32
        self._advance(_WORD)
        self._out.append(self._lower >> 32)
        if above == self._out[-1]:
            self._out.append(0)
        return b"".join(word.to_bytes(4, "little") for word in self._out)

    def _advance(self, by: int) -> None:
        self._lower += by
        if self._lower > _STATE:
            self._lower &= _STATE
            at = len(self._out) - 1
            while self._out[at] == _WORD:
                self._out[at] = 0
                at -= 1
            self._out[at] += 1
