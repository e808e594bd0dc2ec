"""Decoys from a guessable seed: find the seed by trying all, and from it the true entries.

The first words of the stream of a seed say which cells decoys go to first. So every cell that shows an entry, and in
which own codes hardly ever have one, must have a small word; a wrong seed gives it one by chance only. A few words a
seed decide nearly always.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medveil.mechanisms.observation import Case, Observation, Shown
from medveil.mechanisms.weak_codes import seeded_words
from medveil.protection.ambiguation import BANDS

_GAMMA = 0x9E3779B97F4A7C15
_CHUNK = 1 << 14  # seeds at a time: three arrays of words stay in the cache
_BLOCK = 1 << 20  # seeds a task of a thread
_ROOM = 1.1  # how far beyond the expected largest word of a decoy a word still counts as small
_SMALL_SHARE = 0.92  # of a decoy's words that are small
_MISSED = 1e-3  # chance that a stage throws the true seed away
_STAGES = (3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_LATER = 100.0  # words that may be expanded in the time that a seed which passes the first stage takes
_CERTAIN = 12.0  # natural logarithm of the odds beyond those of all seeds together

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class DecoyTable:
    """How often a shown entry is a decoy, from own publications.

    Attributes:
        vector_length: cells of a vector; 0 where a map has bands instead.
        share: for each map the share of decoys among shown entries, by vector (or band): none is true beyond the edge
            of an image.
        odds: for each map the same by channel (or band).
    """

    vector_length: int
    share: tuple[NDArray[np.float64], ...] = field(repr=False)
    odds: tuple[NDArray[np.float64], ...] = field(repr=False)

    @classmethod
    def fit(cls, cases: Sequence[Case], vector_length: int) -> DecoyTable:
        """From cases whose true codes are known, all with as many maps."""
        shares, odds = [], []
        for number in range(len(cases[0].observation.maps)):
            pairs = [(case.observation.maps[number], case.code.maps[number]) for case in cases if case.code is not None]
            false = [~np.isin(seen.positions, true.positions) for seen, true in pairs]
            vectors = [seen.positions // _length(seen, vector_length) for seen, _ in pairs]
            shares.append(_rates(vectors, false))
            odds.append(_rates([_groups(seen, vector_length) for seen, _ in pairs], false, vector_length or BANDS))
        return cls(vector_length, tuple(shares), tuple(odds))

    def of_entries(self, number: int, shown: Shown) -> NDArray[np.float64]:
        """For each shown entry of a map how likely it is a decoy, as far as its channel or band tells."""
        here = 1 - self.odds[number][_groups(shown, self.vector_length)]
        there = 1 - self.of_vectors(number, shown)[shown.positions // _length(shown, self.vector_length)]
        overall = 1 - float(self.odds[number].mean())
        return np.asarray(1 - np.clip(here * there / max(overall, 1e-6), 0.0, 0.98), np.float64)

    def of_vectors(self, number: int, shown: Shown) -> NDArray[np.float64]:
        """For each vector of a map the share of decoys; the mean of all where images have another number of them."""
        count = -(-shown.cells // _length(shown, self.vector_length))
        share = self.share[number]
        return share if len(share) == count else np.full(count, share.mean())

    def expected(self, number: int, shown: Shown) -> int:
        """How many entries of a map are decoys, to be expected."""
        vectors = shown.positions // _length(shown, self.vector_length)
        return round(float(self.of_vectors(number, shown)[vectors].sum()))


def _rates(
    groups: Sequence[NDArray[np.int64]], chosen: Sequence[NDArray[np.bool_]], count: int = 0
) -> NDArray[np.float64]:
    """Share of the chosen entries by group."""
    every, kept = np.concatenate(groups), np.concatenate(chosen)
    count = max(count, int(every.max(initial=0)) + 1)
    overall = float(kept.mean()) if len(kept) else 0.0
    totals = np.bincount(every, minlength=count) + 1.0
    return np.asarray((np.bincount(every[kept], minlength=count) + overall) / totals, np.float64)


def _length(shown: Shown, vector_length: int) -> int:
    return vector_length or max(1, -(-shown.cells // BANDS))


def _groups(shown: Shown, vector_length: int) -> NDArray[np.int64]:
    length = _length(shown, vector_length)
    groups = shown.positions % length if vector_length else np.minimum(shown.positions // length, BANDS - 1)
    return groups.astype(np.int64)


@dataclass(frozen=True)
class Probes:
    """Cells that are most likely decoys, and how small their words must then be.

    Attributes:
        cells: (n,) cells, the surest first.
        limits: (n,) a word below its limit is small.
        small: (n,) how likely the true seed gives a small word.
        chance: (n,) how likely any other seed does.
    """

    cells: NDArray[np.int64]
    limits: Words
    small: NDArray[np.float64]
    chance: NDArray[np.float64]

    def stages(self) -> list[tuple[int, int]]:
        """(number of probes, how many of them have to be small), as the true seed nearly always has."""
        from scipy.stats import binom

        found = []
        for count in _STAGES:
            if count > len(self.cells):
                break
            need = int(binom.ppf(_MISSED, count, float(self.small[:count].mean())))
            if need > 0:
                found.append((count, need))
        return found[self._first(found) :]

    def _first(self, stages: list[tuple[int, int]]) -> int:
        """Number of the stage to begin with, so that as few words as possible are expanded."""
        from scipy.stats import binom

        chance = float(self.chance.mean())
        costs = [count + _LATER * binom.sf(need - 1, count, chance) for count, need in stages]
        return int(np.argmin(costs)) if costs else 0

    def evidence(self, words: Words) -> NDArray[np.float64]:
        """Logarithm of the likelihood ratio of seeds, given (seeds, n) words of the cells."""
        small = words < self.limits
        gains = np.log(self.small / self.chance), np.log((1 - self.small) / (1 - self.chance))
        return np.asarray(np.where(small, gains[0], gains[1]).sum(1), np.float64)


def first_probes(table: DecoyTable, maps: Sequence[Shown]) -> Probes | None:
    """The surest cells of the first map that shows any; None where none does.

    A map without entries takes a word for each of its cells, and draws no decoys: the next map's words come after.
    """
    before = 0
    for number, shown in enumerate(maps):
        if len(shown.positions):
            probes = probes_of(table, number, shown)
            return replace(probes, cells=probes.cells + before)
        before += shown.cells
    return None


def probes_of(table: DecoyTable, number: int, shown: Shown) -> Probes:
    """The surest cells of a map."""
    length = _length(shown, table.vector_length)
    vectors = shown.positions // length
    entries = np.bincount(vectors, minlength=-(-shown.cells // length))
    room = np.minimum(length, shown.cells - length * np.arange(len(entries)))
    decoys = entries * table.of_vectors(number, shown)
    share = np.clip(_ROOM * decoys / np.maximum(room - entries + decoys, 1.0), 1e-6, 0.9)
    likely = table.of_entries(number, shown)
    order = np.lexsort((shown.positions, share[vectors], -likely))[: _STAGES[-1]]
    chance = share[vectors[order]]
    small = np.clip(likely[order] * _SMALL_SHARE + (1 - likely[order]) * chance, 1e-6, 1 - 1e-6)
    limits = np.minimum(chance * 2.0**64, 2.0**64 - 2048).astype(np.uint64)
    return Probes(shown.positions[order], limits, small, chance)


def find_seed(probes: Probes, bits: int) -> int | None:
    """The one seed of so many bits that explains where decoys are; None if there is none.

    Expands the words of the first probes for all seeds, on all cores, and goes on with those that pass.
    """
    stages = probes.stages()
    if not stages:
        return None
    starts = range(0, 1 << bits, _BLOCK)
    size = min(_BLOCK, 1 << bits)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        parts = list(pool.map(lambda start: _passing(start, size, probes, stages), starts))
    seeds = np.concatenate(parts)
    if not len(seeds):
        return None
    scores = probes.evidence(_words_at(seeds, probes.cells))
    best = int(np.argmax(scores))
    return int(seeds[best]) if scores[best] > bits * np.log(2.0) + _CERTAIN else None


def _passing(start: int, size: int, probes: Probes, stages: list[tuple[int, int]]) -> Words:
    """Seeds start … start + size - 1 that pass all stages."""
    offsets = np.arange(min(_CHUNK, size), dtype=np.uint64)
    words, shifted = np.empty_like(offsets), np.empty_like(offsets)
    low, counts = np.empty(len(offsets), bool), np.empty(len(offsets), np.uint8)
    count, need = stages[0]
    kept = []
    for first in range(start, start + size, len(offsets)):
        counts[:] = 0
        for cell, limit in zip(probes.cells[:count].tolist(), probes.limits[:count], strict=True):
            constant = np.uint64((first + (cell + 1) * _GAMMA) % (1 << 64))
            _expand(offsets, constant, words, shifted)
            np.less(words, limit, out=low)
            counts += low
        kept.append(np.flatnonzero(counts >= need).astype(np.uint64) + np.uint64(first))
    seeds = np.concatenate(kept)
    for count, need in stages[1:]:
        small = _words_at(seeds, probes.cells[:count]) < probes.limits[:count]
        seeds = seeds[small.sum(1) >= need]
    return seeds


def _expand(offsets: Words, constant: np.uint64, words: Words, shifted: Words) -> None:
    """One word of each seed, as `seeded_words` has it but for the last step. That leaves the upper 31 bits as they
    are, and they alone decide whether a word is small. In place, since that is several times as fast."""
    np.add(offsets, constant, out=words)
    np.right_shift(words, np.uint64(30), out=shifted)
    np.bitwise_xor(words, shifted, out=words)
    np.multiply(words, np.uint64(0xBF58476D1CE4E5B9), out=words)
    np.right_shift(words, np.uint64(27), out=shifted)
    np.bitwise_xor(words, shifted, out=words)
    np.multiply(words, np.uint64(0x94D049BB133111EB), out=words)


def _words_at(seeds: Words, cells: NDArray[np.int64]) -> Words:
    """Words of cells: (seeds, cells)."""
    with np.errstate(over="ignore"):
        moved = seeds[:, None] + cells.astype(np.uint64)[None, :] * np.uint64(_GAMMA)
    return seeded_words(moved.reshape(-1), 1).reshape(moved.shape)


@dataclass(frozen=True)
class Recovered:
    """A map without its decoys.

    Attributes:
        true: entries that are taken for true.
        scores: (cells,) how likely each cell is nonzero in the true code.
    """

    true: Shown
    scores: NDArray[np.float32]


def recover(observation: Observation, seed: int, table: DecoyTable) -> tuple[Recovered, ...]:
    """The true entries of all maps, given the seed.

    Decoys go to the empty cells of least priority. So whatever is shown beyond the first cell of a vector that shows
    nothing is true. Before it a true entry may lie among decoys, and channels decide; how many there are in a map is
    known from where the words of the next map begin; in the last one, from own images.
    """
    found, offset = [], 0
    for number, shown in enumerate(observation.maps):
        words = seeded_words(np.array([seed], np.uint64), shown.cells, offset)[0]
        sure, doubtful = _parted(shown, words, _length(shown, table.vector_length))
        doubt = 1 - table.of_entries(number, shown)
        rest = observation.maps[number + 1 :]
        end = offset + shown.cells
        if rest:
            decoys = _decoys_before(seed, end, int(doubtful.sum()), probes_of(table, number + 1, rest[0]))
        else:
            decoys = table.expected(number, shown)
        found.append(_recovered(shown, sure, doubtful, doubt, decoys))
        offset = end + decoys
    return tuple(found)


def _parted(shown: Shown, words: Words, length: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Entries that are surely true, and those among which the decoys are."""
    vectors = -(-shown.cells // length)
    largest = np.iinfo(np.uint64).max
    empty = np.full(vectors * length, largest, np.uint64)
    empty[: shown.cells] = words
    empty[shown.positions] = largest
    least = empty.reshape(vectors, length).min(1)
    sure = words[shown.positions] > least[shown.positions // length]
    return sure, ~sure


def _decoys_before(seed: int, end: int, most: int, probes: Probes) -> int:
    """How many level words were drawn before the words of the next map: the number of decoys, at most `most`."""
    if not len(probes.cells):
        return most
    span = int(probes.cells.max()) + most + 1
    words = seeded_words(np.array([seed], np.uint64), span, end)[0]
    scores = [float(probes.evidence(words[drawn + probes.cells][None])[0]) for drawn in range(most + 1)]
    return int(np.argmax(scores))


def _recovered(
    shown: Shown, sure: NDArray[np.bool_], doubtful: NDArray[np.bool_], doubt: NDArray[np.float64], decoys: int
) -> Recovered:
    scores = shown.plane(np.where(sure, 1.0, 0.5 * doubt))
    hidden = max(int(doubtful.sum()) - decoys, 0)
    places = np.flatnonzero(doubtful)
    true = sure.copy()
    true[places[np.argsort(-doubt[places], kind="stable")[:hidden]]] = True
    return Recovered(shown.kept(true), scores)
