"""Chapter 3: adaptive models."""

from __future__ import annotations

from collections.abc import Iterator

from tests.reader.rangecoder import RangeDecoder, equal
from tests.reader.refusal import require

_FIRST_BATCH, _LAST_BATCH = 32, 4096
_SCALE_BITS = 16
_MEMORY = 16 * 4096
_GREATEST = (1 << 31) - 1


def batches(count: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the batches of `count` symbols."""
    start, size = 0, _FIRST_BATCH
    while start < count:
        yield start, min(count, start + size)
        start += size
        size = min(_LAST_BATCH, size + size // 2)


class Frequencies:
    """Counts of a model's symbols."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = list(counts)

    def cumulative(self) -> list[int]:
        """The model as weights over 2**24."""
        total, size = sum(self.counts), len(self.counts)
        shares = [1 + count * ((1 << _SCALE_BITS) - size) // total for count in self.counts]
        shares[shares.index(max(shares))] += (1 << _SCALE_BITS) - sum(shares)
        found, below = [], 0
        for symbol, share in enumerate(shares):
            found.append((below * ((1 << 24) - size) >> _SCALE_BITS) + symbol)
            below += share
        return [*found, 1 << 24]

    def learn(self, symbols: list[int]) -> None:
        for symbol in symbols:
            self.counts[symbol] += 16
        if sum(self.counts) > _MEMORY:
            self.counts = [(count + 1) // 2 for count in self.counts]


class SymbolReader:
    """Arrays of symbols from one stream."""

    def __init__(self, data: bytes) -> None:
        self._coder = RangeDecoder(data)

    def uniform(self, count: int, bits: int) -> list[int]:
        return self._coder.symbols(equal(bits), count) if count and bits else [0] * count

    def batch(self, count: int, model: Frequencies) -> list[int]:
        found = self._coder.symbols(model.cumulative(), count)
        model.learn(found)
        return found

    def adaptive(self, count: int, model: Frequencies) -> list[int]:
        found: list[int] = []
        for start, stop in batches(count):
            found += self.batch(stop - start, model)
        return found

    def magnitudes(self, count: int, model: Frequencies) -> list[int]:
        """Numbers from 0 on: small ones by the model, whose last symbol is an escape."""
        top = len(model.counts) - 1
        values = self.adaptive(count, model)
        escaped = [index for index, value in enumerate(values) if value == top]
        widths = self.adaptive(len(escaped), Frequencies(geometric(32, 750, 256)))
        tails = [0] * len(escaped)
        for shift in (16, 0):
            for bits in range(1, 17):
                chosen = [at for at, width in enumerate(widths) if min(max(width - shift, 0), 16) == bits]
                for at, value in zip(chosen, self.uniform(len(chosen), bits), strict=True):
                    tails[at] |= value << shift
        for index, width, tail in zip(escaped, widths, tails, strict=True):
            values[index] = (1 << width) + tail - 1 + top
            require(values[index] <= _GREATEST, "a magnitude exceeds 2**31")
        return values


def powers(count: int, permille: int) -> list[int]:
    """2**30 and its products with permille / 1000, rounded down each time."""
    found = [1 << 30]
    while len(found) < count:
        found.append(found[-1] * permille // 1000)
    return found


def geometric(count: int, permille: int, weight: int) -> list[int]:
    """Counts of a geometric law."""
    return scaled(powers(count, permille), weight)


def folded(count: int, permille: int, weight: int) -> list[int]:
    """Counts of a two-sided geometric law over 0, -1, 1, -2, 2, … and an escape."""
    one_sided = powers(1 + count // 2, permille)
    sides = [one_sided[0], *(share for share in one_sided[1:] for _ in range(2))][: count - 1]
    return scaled([*sides, 2 * one_sided[-1] * permille // (1000 - permille)], weight)


def scaled(shares: list[int], weight: int) -> list[int]:
    total = sum(shares)
    return [max(1, share * weight // total) for share in shares]
