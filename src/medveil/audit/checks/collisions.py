"""Sealed codes side by side: whether any two have more in common than two that were sealed under keys of their own.

Under independent uniform keystreams the cells that two packages show overlap as two random subsets do, and their level
streams agree in one byte of 256. Overlaps of different pairs are then uncorrelated, so that the sum over all pairs has
the variance of one pair times their number. A permutation or a keystream that is used again shows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.protection.sealing import PublicCode

SIGMA = 6.0
_CHANCE = 1e-9  # of a Poisson law: small counts are not normal, and six sigma of them are nothing rare
_CHANCE_OF_ONE = 1e-13  # of the closest pair, since there are so many
_PAIRED = 64  # packages of a group whose pairs are looked at one by one
_CELLS = 1 << 16  # at once
_BYTE = 1 / 256


@dataclass
class Group:
    """The sealed codes of one section and one size class."""

    maps: list[list[NDArray[np.int32]]] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    levels: list[NDArray[np.uint8]] = field(default_factory=list)

    def take(self, code: PublicCode) -> None:
        if not self.maps:
            self.maps, self.cells = [[] for _ in code.maps], [each.cells for each in code.maps]
        for kept, each in zip(self.maps, code.maps, strict=True):
            kept.append(each.positions.astype(np.int32))
        self.levels.append(np.frombuffer(code.levels, np.uint8))


@dataclass(frozen=True)
class Coincidence:
    """Counts of something that pairs have in common.

    Attributes:
        found, expected, variance: over all pairs.
        pairs: how many.
        odd: in how many maps of a group the sum, or the closest pair, is beyond chance.
    """

    found: float = 0.0
    expected: float = 0.0
    variance: float = 0.0
    pairs: int = 0
    odd: int = 0

    def __add__(self, other: Coincidence) -> Coincidence:
        return Coincidence(
            self.found + other.found, self.expected + other.expected, self.variance + other.variance,
            self.pairs + other.pairs, self.odd + other.odd,
        )  # fmt: skip

    @property
    def ok(self) -> bool:
        return not self.odd and not rare(self.found, self.expected, self.variance)

    @property
    def words(self) -> str:
        if not self.pairs:
            return "no two packages of one size class"
        sigmas = sigmas_of(self.found, self.expected, self.variance)
        return (
            f"{self.pairs} pairs within a size class: {self.found:.0f} in common, {self.expected:.0f} expected "
            f"({sigmas:+.1f} sigma); beyond chance in {self.odd} maps or streams"
        )


def sigmas_of(found: float, expected: float, variance: float) -> float:
    """Deviation in standard deviations; 0 where there is nothing that could vary."""
    return (found - expected) / variance**0.5 if variance > 0 else 0.0


def rare(found: float, expected: float, variance: float, chance: float = _CHANCE) -> bool:
    """Whether a count is off by more than six sigma, and would be rare of a Poisson law too."""
    from scipy import stats

    if abs(sigmas_of(found, expected, variance)) <= SIGMA:
        return False
    tail = stats.poisson.sf(found - 1, expected) if found > expected else stats.poisson.cdf(found, expected)
    return float(tail) < chance


def shown_cells(group: Group) -> Coincidence:
    """Cells that pairs show both, all maps together."""
    total = Coincidence()
    for positions, cells in zip(group.maps, group.cells, strict=True):
        entries, count = len(positions[0]), len(positions)
        if count < 2 or not 0 < entries < cells:
            continue
        expected = entries * entries / cells
        variance = expected * (1 - entries / cells) * (cells - entries) / (cells - 1)
        uses = np.bincount(np.concatenate(positions), minlength=cells).astype(np.int64)
        pairs = count * (count - 1) // 2
        found = float(np.sum(uses * (uses - 1) // 2))
        each = _overlaps(positions[:_PAIRED], cells)
        total += _judged(found, pairs, expected, variance, each)
    return total


def equal_levels(group: Group) -> Coincidence:
    """Equal bytes at equal places of two level streams."""
    length, count = len(group.levels[0]) if group.levels else 0, len(group.levels)
    if count < 2 or not length:
        return Coincidence()
    streams = np.stack(group.levels)
    found = 0
    for start in range(0, length, 1024):
        part = streams[:, start : start + 1024].astype(np.int64)
        places = np.arange(part.shape[1]) * 256
        uses = np.bincount((part + places).ravel())
        found += int(np.sum(uses * (uses - 1) // 2))
    expected = length * _BYTE
    few = streams[:_PAIRED]
    each = [np.count_nonzero(few[one + 1 :] == few[one], axis=1) for one in range(len(few) - 1)]
    pairs = count * (count - 1) // 2
    return _judged(float(found), pairs, expected, expected * (1 - _BYTE), np.concatenate(each))


def _overlaps(positions: Sequence[NDArray[np.int32]], cells: int) -> NDArray[np.int64]:
    """Number of common cells of every pair."""
    common = np.zeros((len(positions), len(positions)))
    for start in range(0, cells, _CELLS):
        shown = np.zeros((len(positions), min(_CELLS, cells - start)), np.float32)
        for row, each in zip(shown, positions, strict=True):
            low, high = np.searchsorted(each, (start, start + len(row)))
            row[each[low:high] - start] = 1
        common += shown @ shown.T
    return common[np.triu_indices(len(positions), 1)].astype(np.int64)


def _judged(found: float, pairs: int, expected: float, variance: float, each: NDArray[np.int64]) -> Coincidence:
    """The sum over all pairs, and the pair that has most in common."""
    most = float(each.max(initial=0))
    all_expected, all_variance = pairs * expected, pairs * variance
    odd = rare(most, expected, variance, _CHANCE_OF_ONE) or rare(found, all_expected, all_variance)
    return Coincidence(found, all_expected, all_variance, pairs, int(odd))
