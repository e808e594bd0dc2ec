"""Adaptive range coding of whole arrays: models with dyadic probabilities, learned from what was coded before.

A sequence goes through in batches that grow geometrically. All symbols of a batch share one model, made from the
counts of the batches before it, so that coding is array at a time and decoder and encoder learn the same. Every
probability is a multiple of 2**-16 and the probabilities of one model add up to exactly 1: each float that reaches the
range coder is exact, so that the stream is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import constriction
import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError

_SCALE_BITS = 16
_FIRST_BATCH = 32
_LAST_BATCH = 4096
_MEMORY = 4096
_ESCAPE_BITS = 5
"""An escaped magnitude has at most 2**5 - 1 = 31 bits after its leading one."""

_Words = NDArray[np.uint32]


def batches(count: int, first: int = _FIRST_BATCH, last: int = _LAST_BATCH) -> Iterator[tuple[int, int]]:
    """(start, stop) of the batches that a sequence of `count` symbols is coded in."""
    start, size = 0, first
    while start < count:
        yield start, min(count, start + size)
        start += size
        size = min(last, size + size // 2)


class Frequencies:
    """Counts of the symbols 0 … n-1 seen so far, and the dyadic model that they make."""

    def __init__(self, prior: NDArray[np.int64], memory: int = _MEMORY) -> None:
        self.counts = prior.astype(np.int64)
        self.memory = memory

    def probabilities(self) -> NDArray[np.float64]:
        """(n,) float64, multiples of 2**-16 of at least 2**-16, with sum exactly 1."""
        room = (1 << _SCALE_BITS) - len(self.counts)
        shares = 1 + self.counts * room // int(self.counts.sum())
        shares[int(np.argmax(shares))] += (1 << _SCALE_BITS) - int(shares.sum())
        return shares / float(1 << _SCALE_BITS)

    def model(self) -> constriction.stream.model.Categorical:
        return constriction.stream.model.Categorical(self.probabilities(), perfect=False)

    def learn(self, symbols: NDArray[np.int32]) -> None:
        """Count these symbols, at 16 a time; halve everything when the memory is full."""
        self.counts += 16 * np.bincount(symbols, minlength=len(self.counts)).astype(np.int64)
        if int(self.counts.sum()) > 16 * self.memory:
            self.counts = (self.counts + 1) // 2


class SymbolWriter:
    """Writes arrays of symbols into one range-coded stream."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def uniform(self, values: NDArray[np.int64], bits: int) -> None:
        """Write each value, in [0, 2**bits), bits <= 16, at equal probability."""
        if len(values) and bits:
            self._coder.encode(values.astype(np.int32), constriction.stream.model.Uniform(1 << bits))

    def adaptive(self, symbols: NDArray[np.int32], frequencies: Frequencies) -> None:
        """Write symbols of [0, n), learning on the way."""
        for start, stop in batches(len(symbols)):
            self.batch(symbols[start:stop], frequencies)

    def batch(self, symbols: NDArray[np.int32], frequencies: Frequencies) -> None:
        """Write symbols at the model as it stands, then learn from them."""
        part = np.ascontiguousarray(symbols, dtype=np.int32)
        self._coder.encode(part, frequencies.model())
        frequencies.learn(part)

    def magnitudes(self, values: NDArray[np.int64], frequencies: Frequencies) -> None:
        """Write values of [0, 2**31): the model's last symbol is an escape, followed by an Elias-gamma-like code."""
        if not len(values):
            return
        top = len(frequencies.counts) - 1
        self.adaptive(np.minimum(values, top).astype(np.int32), frequencies)
        excess = values[values >= top].astype(np.int64) - top + 1
        if not len(excess):
            return
        widths = np.frexp(excess.astype(np.float64))[1].astype(np.int64) - 1
        self.adaptive(widths.astype(np.int32), Frequencies(_width_prior()))
        tails = excess - (np.int64(1) << widths)
        for shift, bits, chosen in _tails(widths):
            self.uniform((tails[chosen] >> shift) & ((1 << bits) - 1), bits)

    def to_bytes(self) -> bytes:
        """The stream, without trailing zero bytes: a reader takes missing bytes for zeros."""
        words: _Words = self._coder.get_compressed()
        return words.astype("<u4").tobytes().rstrip(b"\0")


class SymbolReader:
    """Reads what SymbolWriter wrote, array by array, from bytes that zeros may follow.

    Every method reads exactly the number of symbols that it is asked for. Bytes that no writer wrote give some other
    symbols or IntegrityError.
    """

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4 + 8)
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, "<u4").astype(np.uint32))

    def _read(self, model: constriction.stream.model.Model, count: int) -> NDArray[np.int32]:
        try:
            return np.asarray(self._coder.decode(model, count), dtype=np.int32)
        except (AssertionError, ValueError, RuntimeError) as error:
            raise IntegrityError("the entropy-coded stream cannot be decoded") from error

    def uniform(self, count: int, bits: int) -> NDArray[np.int64]:
        if not count or not bits:
            return np.zeros(count, np.int64)
        return self._read(constriction.stream.model.Uniform(1 << bits), count).astype(np.int64)

    def adaptive(self, count: int, frequencies: Frequencies) -> NDArray[np.int32]:
        symbols = np.empty(count, np.int32)
        for start, stop in batches(count):
            symbols[start:stop] = self.batch(stop - start, frequencies)
        return symbols

    def batch(self, count: int, frequencies: Frequencies) -> NDArray[np.int32]:
        symbols = self._read(frequencies.model(), count)
        frequencies.learn(symbols)
        return symbols

    def magnitudes(self, count: int, frequencies: Frequencies) -> NDArray[np.int64]:
        if not count:
            return np.empty(0, np.int64)
        top = len(frequencies.counts) - 1
        values = self.adaptive(count, frequencies).astype(np.int64)
        escaped = np.flatnonzero(values == top)
        if not len(escaped):
            return values
        widths = self.adaptive(len(escaped), Frequencies(_width_prior())).astype(np.int64)
        tails = np.zeros(len(escaped), np.int64)
        for shift, bits, chosen in _tails(widths):
            tails[chosen] |= self.uniform(len(chosen), bits) << shift
        values[escaped] = (np.int64(1) << widths) + tails - 1 + top
        if int(values.max()) >= 1 << 31:
            raise IntegrityError("a magnitude of an entropy-coded stream exceeds 2**31")
        return values


def _tails(widths: NDArray[np.int64]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """(shift, bits, escaped values) of the parts of up to 16 bits that follow the widths, upper ones first."""
    for shift in (16, 0):
        here = np.minimum(widths - shift, 16)
        for bits in np.unique(here[here > 0]).tolist():
            yield shift, bits, np.flatnonzero(here == bits)


@cache
def geometric_prior(symbols: int, ratio_permille: int = 500, weight: int = 512) -> NDArray[np.int64]:
    """Counts of about `weight` in all that a geometric law gives to `symbols` symbols; integers only."""
    return _counts(_powers(symbols, ratio_permille), weight)


@cache
def folded_prior(symbols: int, ratio_permille: int, weight: int) -> NDArray[np.int64]:
    """Counts that a two-sided geometric law gives to 0, -1, 1, -2, 2, …, and to all that lies beyond as last symbol."""
    shares = _powers(1 + symbols // 2, ratio_permille)
    folded = np.concatenate([shares[:1], np.repeat(shares[1:], 2)])[: symbols - 1]
    tail = 2 * int(shares[-1]) * ratio_permille // (1000 - ratio_permille)
    return _counts(np.concatenate([folded, np.array([tail], np.int64)]), weight)


def _powers(count: int, ratio_permille: int) -> NDArray[np.int64]:
    shares = [1 << 30]
    for _ in range(count - 1):
        shares.append(shares[-1] * ratio_permille // 1000)
    return np.array(shares, np.int64)


def _counts(shares: NDArray[np.int64], weight: int) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.maximum(1, shares * weight // int(shares.sum()))
    counts.setflags(write=False)  # one array for everybody
    return counts


def _width_prior() -> NDArray[np.int64]:
    return geometric_prior(1 << _ESCAPE_BITS, 750, 256)
