"""Whether bytes look as encrypted bytes do: every value equally often, and nothing that a compressor could use.

The thresholds are for all tests of an audit together: by chance alone fewer than one sound release in a million fails.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

VALUES = 256
_ALL_TESTS = 64  # more than there are: four for each of ten kinds of bytes
THRESHOLD = 1e-6 / _ALL_TESTS
_ENOUGH = 8 * VALUES  # from so many bytes on, chi² has its law as far out as the threshold
_PART = 1 << 17  # bytes at either end of a section that are looked at
_PACKED = 1 << 14  # bytes at its beginning that are given to the compressor
_GAIN, _SLACK = 0.001, 64


@dataclass
class Evenness:
    """Bytes of one kind, package after package; only counts are kept."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    first: NDArray[np.int64] = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    read: int = 0
    packed: int = 0

    def __post_init__(self) -> None:
        self._compressor = zlib.compressobj(9)

    def take(self, data: bytes) -> None:
        """The bytes of one package."""
        if not data:
            return
        seen = data if len(data) <= 2 * _PART else data[:_PART] + data[-_PART:]
        self.counts += np.bincount(np.frombuffer(seen, np.uint8), minlength=VALUES)
        self.first[data[0]] += 1
        self.read += len(data[:_PACKED])
        self.packed += len(self._compressor.compress(data[:_PACKED]))

    def verdict(self) -> tuple[str, bool]:
        """In words, and whether they look uniform. To be asked once."""
        self.packed += len(self._compressor.flush())
        every, first = chance_of(self.counts), chance_of(self.first)
        saved = max(0.0, 1 - self.packed / max(self.read, 1))
        gained = self.packed < (1 - _GAIN) * self.read - _SLACK
        words = (
            f"{int(self.counts.sum())} bytes of {int(self.first.sum())} packages: chance of values as uneven "
            f"{_p(every)}, of first bytes {_p(first)}; compression saves {100 * saved:.1f} %"
        )
        return words, min(every, first) >= THRESHOLD and not gained


def chance_of(counts: NDArray[np.int64]) -> float:
    """How often uniform bytes would give counts as uneven, or as even: by the commonest value, and by chi².

    The commonest value has an exact bound for any number of bytes; chi² is asked only where there are enough.
    """
    from scipy import stats

    total = int(counts.sum())
    if not total:
        return 1.0
    commonest = VALUES * float(stats.binom.sf(int(counts.max()) - 1, total, 1 / VALUES))
    if total < _ENOUGH:
        return min(1.0, commonest)
    expected = total / VALUES
    square = float(np.sum((counts - expected) ** 2) / expected)
    tails = float(stats.chi2.sf(square, VALUES - 1)), float(stats.chi2.cdf(square, VALUES - 1))
    return min(1.0, commonest, 2 * min(tails))


def _p(chance: float) -> str:
    return "below 1e-12" if chance < 1e-12 else f"{chance:.2g}"
