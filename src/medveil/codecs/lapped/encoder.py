"""The encoder of `lapped`: free coding at a constant step, and the fit of an image to a fixed composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap, Composition, SparseCode
from medveil.codecs.entropy import level_stream
from medveil.codecs.lapped.cell_ranking import Placement, Ranking
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.codecs.lapped.scan_order import ZoneCells, walk
from medveil.codecs.lapped.side_information import MAX_STEP, OFFSET_UNIT, Side
from medveil.codecs.lapped.significance import FRACTION_BITS, KEYS
from medveil.codecs.lapped.transform import STRIDE, UNIT
from medveil.codecs.residual.refinement import Refinement
from medveil.errors import UnsupportedInputError

_ROUNDING = 0.40
"""Magnitudes are rounded down from n + 0.6 on: the smaller level costs less."""
_DEAD_ZONE = 0.35
"""Least magnitude, in steps, of an entry of a sealed code: its place is paid for whether or not it is a null."""
_LAMBDA = 0.1155
"""Squared error that a bit is worth, in steps: 2 ln 2 / 12, the slope of rate and distortion at a fine step."""
_ALIGNED = 0.98
"""Share of the entries wanted that an attempt has to find a place for, or else it is repeated with thresholds that fit
it."""
_SURVEYS = 2
_ENOUGH = 4
_ATTEMPTS = 24
_FINEST = 0.5
"""Finest step, as a share of the mean magnitude that there is no more room for."""
_OVERHEAD = 0.035
"""Share of the bits of the levels that learning their models and marking nulls takes, about."""
_TOLERANCE = 0.012
"""Share of the level stream that may stay empty."""

_Floats = NDArray[np.float32]


@dataclass
class _Entries:
    """Nonzeros as they are found: map, position in it and signed level, zone after zone.

    Attributes:
        ones: for each map the number of entries of magnitude 1.
        below: for each map by how much the coefficients of these are below their level, in steps, all together.
    """

    ones: NDArray[np.int64]
    below: NDArray[np.float64]
    map: list[NDArray[np.uint8]] = field(default_factory=list)
    position: list[NDArray[np.int32]] = field(default_factory=list)
    level: list[NDArray[np.int32]] = field(default_factory=list)

    @classmethod
    def of(cls, maps: int) -> _Entries:
        return cls(np.zeros(maps, np.int64), np.zeros(maps, np.float64))

    def add(
        self, which: NDArray[np.int64], position: NDArray[np.int64], level: NDArray[np.int32], steps: _Floats
    ) -> None:
        """Take in a zone's entries, `steps` being the magnitudes of their coefficients in steps."""
        small = np.abs(level) == 1
        self.ones += np.bincount(which[small], minlength=len(self.ones))
        self.below += np.bincount(which[small], 1.0 - steps[small], minlength=len(self.ones))
        self.map.append(which.astype(np.uint8))
        self.position.append(position.astype(np.int32))
        self.level.append(level)

    def maps(self, cells: Sequence[int]) -> tuple[CodeMap, ...]:
        """The code maps; to be called once, since it empties the lists."""
        which, position, level = np.concatenate(self.map), np.concatenate(self.position), np.concatenate(self.level)
        for parts in (self.map, self.position, self.level):
            parts.clear()
        found = []
        for index, size in enumerate(cells):
            mine = which == index
            found.append(CodeMap(size, position[mine].astype(np.int64), level[mine]))
        return tuple(found)

    def offsets(self) -> tuple[int, ...]:
        """How far below their level each map's coefficients of magnitude 1 are in the mean, in 1/64 of a step."""
        mean = np.round(self.below / np.maximum(self.ones, 1) * OFFSET_UNIT)
        return tuple(int(each) for each in np.clip(mean, -128, 127))


@dataclass
class _Quantiser:
    """Quantises zone after zone: a cell is kept when its magnitude reaches the least of its map and key, and there is
    room for it in its map.

    Attributes:
        coefficients: (16, 16, rows, columns) float32 in grey values.
        step: in grey values.
        least: for each map the least magnitude that is kept, in grey values.
        floor: for each key the least magnitude that is kept, in grey values.
        room: for each map how many more entries it may have.
        entries: the nonzeros found.
        refinement: of the base where the coefficients are what it left over.
        keys, sizes: keys and |coefficients| of all cells.
        error: sum of the squared differences to what is kept.
    """

    coefficients: _Floats
    step: float
    least: _Floats
    floor: _Floats
    room: NDArray[np.int64]
    entries: _Entries
    refinement: Refinement | None
    keys: list[NDArray[np.uint8]] = field(default_factory=list)
    sizes: list[_Floats] = field(default_factory=list)
    error: float = 0.0

    def __call__(self, cells: ZoneCells, placement: Placement, keys: NDArray[np.uint8]) -> NDArray[np.int32]:
        values = cells.get(self.coefficients)[placement.order]
        sizes = np.abs(values)
        which = np.repeat(np.arange(len(self.room)), placement.counts)
        levels = quantised(sizes, self.step, np.maximum(self.least[which], self.floor[keys[placement.order]]))
        kept = np.flatnonzero(levels)
        excess = np.bincount(which[kept], minlength=len(self.room)) - self.room
        for index in np.flatnonzero(excess > 0):
            mine = kept[which[kept] == index]
            levels[mine[np.argsort(sizes[mine], kind="stable")[: excess[index]]]] = 0
        if np.any(excess > 0):
            kept = kept[levels[kept] > 0]
        which = which[kept]
        self.room -= np.bincount(which, minlength=len(self.room))
        found = levels[kept]
        first = placement.starts - (np.cumsum(placement.counts) - placement.counts)
        signed = np.where(values[kept] < 0, -found, found)
        self.entries.add(which, kept + first[which], signed, (sizes[kept] / np.float32(self.step)).astype(np.float32))
        self.error += float(np.sum((sizes - levels * np.float32(self.step)) ** 2, dtype=np.float64))
        self.keys.append(keys[placement.order])
        self.sizes.append(sizes)
        out = np.zeros(len(levels), np.int32)
        out[placement.order[kept]] = signed
        return np.abs(out) if self.refinement is None else self.refinement.magnitudes(cells, out)


def _regrouped(quantiser: _Quantiser, cells: Sequence[int]) -> tuple[tuple[int, ...], list[_Floats]]:
    """(thresholds that give each map its number of cells, |coefficients| that then fall to each map)."""
    keys, sizes = np.concatenate(quantiser.keys), np.concatenate(quantiser.sizes)
    quantiser.keys.clear()
    quantiser.sizes.clear()
    order = np.argsort(np.uint8(255) - keys, kind="stable")
    stops = np.minimum(np.cumsum(cells), len(keys))
    at_least = np.cumsum(np.bincount(keys, minlength=256)[::-1])[::-1]
    greatest = int(keys.max())
    thresholds = tuple(min(greatest, int(np.abs(at_least - stop).argmin())) for stop in stops[:-1])
    return thresholds, np.split(sizes[order], stops[:-1])


def quantised(sizes: _Floats, step: float, least: _Floats | np.float32) -> NDArray[np.int32]:
    """Levels of magnitudes: 0 below `least`, at least 1 above it."""
    levels = (sizes * np.float32(1 / step) + np.float32(_ROUNDING)).astype(np.int32)
    return np.where(sizes >= least, np.maximum(levels, 1), 0)


def dead_zones() -> NDArray[np.float64]:
    """(256,) for each key, the magnitude in steps from which a coefficient is worth its bits (see _LAMBDA)."""
    keys = np.arange(256)
    expected = ((16 + keys % 16) * 2.0 ** (keys // 16) - 16) / (1 << FRACTION_BITS)
    likely = np.clip(expected, 1e-4, 0.9)
    bits = np.maximum(0.5, 2 + np.log2((1 - likely) / likely))
    zones: NDArray[np.float64] = 0.5 + _LAMBDA / 2 * bits
    return zones


def quantised_dc(coefficients: _Floats, step: int) -> NDArray[np.int64]:
    """DC plane in steps (units of 1/64 grey value)."""
    plane: NDArray[np.int64] = np.floor(coefficients[0].astype(np.float64) * UNIT / step + 0.5).astype(np.int64)
    return plane


def encode_freely(coefficients: _Floats, side: Side, refinement: Refinement | None = None) -> SparseCode:
    """Code at the step of `side`, with as many nonzeros as it takes.

    Args:
        coefficients: (256, rows, columns) in grey values.
        side: complete but for offsets and DC plane.
        refinement: of the base where the coefficients are what it left over.
    """
    blocks = coefficients.reshape(STRIDE, STRIDE, *coefficients.shape[1:])
    count, total = len(side.thresholds) + 1, coefficients[1:].size
    ranking, step = Ranking(side.thresholds, [total] * count), side.step / UNIT
    floor = (dead_zones() * step).astype(np.float32)
    least, room = np.zeros(count, np.float32), np.full(count, total)
    quantiser = _Quantiser(blocks, step, least, floor, room, _Entries.of(count), refinement)
    walk(blocks.shape[2], blocks.shape[3], ranking, quantiser)
    entries = quantiser.entries
    side = replace(side, offsets=entries.offsets(), dc=quantised_dc(coefficients, side.step))
    return SparseCode(entries.maps(ranking.used), side.to_bytes())


def encode_fixed(
    coefficients: _Floats, side: Side, composition: Composition, refinement: Refinement | None = None
) -> SparseCode:
    """Code that fills a composition: as many of the largest magnitudes of each map as it has room for, at the finest
    step at which the level stream fits.

    Args:
        coefficients: (256, rows, columns) in grey values.
        side: complete but for step, thresholds, offsets and DC plane.
        composition: shape of the code.
        refinement: of the base where the coefficients are what it left over.
    """
    cells = [shape.cells for shape in composition.maps]
    room = np.array([shape.nonzeros for shape in composition.maps])
    least, step = np.zeros(len(room), np.float32), _first_step(coefficients, int(room.sum()))
    for _ in range(_SURVEYS):
        before = _units(step)
        survey = _fixed_pass(coefficients, before, least, room, side.thresholds, None, refinement)
        thresholds, groups = _regrouped(survey, cells)
        bits = 8 * (composition.level_bytes - _side_bytes(coefficients, side, before)) * (1 - _OVERHEAD)
        least, step = _fitted_step(groups, room, bits, coefficients[0].size, before / UNIT)
        used = np.isfinite(least)
        step = max(step, _FINEST * float(np.sum(least[used] * room[used]) / max(1, room[used].sum())))
        side = replace(side, thresholds=_shifted(thresholds, before / UNIT / step))
        del survey, groups
    search, repeats = _StepSearch(), 0
    careful = refinement is not None or 3 * int(room.sum()) > sum(cells)
    best: SparseCode | None = None
    lowest = np.inf
    for _ in range(_ATTEMPTS):
        units = _units(step)
        attempt = _fixed_pass(coefficients, units, least, room, side.thresholds, cells, refinement)
        code, size = _filled(attempt.entries, replace(side, step=units), coefficients, composition)
        spare = composition.level_bytes - size
        worse = attempt.error >= lowest
        if spare >= 0 and not worse:
            best, lowest = code, attempt.error
        thresholds, groups = _regrouped(attempt, cells)
        least, kept = _least_kept(groups, room)
        entries = sum(len(entry.levels) for entry in code.maps)
        wanted = sum(int(np.count_nonzero(sizes >= _DEAD_ZONE * units / UNIT)) for sizes in kept)
        del attempt, groups, kept
        following: int | None = units
        if entries >= _ALIGNED * wanted or repeats >= 2:
            close = 0 <= spare <= 8 + _TOLERANCE * composition.level_bytes
            if spare >= 0 and (worse or close) and (repeats >= 2 or not careful):
                break
            if close and careful:
                repeats += 1
                side = replace(side, thresholds=thresholds)
                continue
            following = search.next(units, -8 * spare / max(1, entries + coefficients[0].size))
            repeats = 0
        if following is None:
            break
        repeats += following == units
        step, side = following / UNIT, replace(side, thresholds=_shifted(thresholds, units / following))
    if best is None:
        raise UnsupportedInputError(
            "its padding and mean values alone do not fit into what every image of its size is given",
            hint="share it with --protection encrypted",
        )
    return best


@dataclass
class _StepSearch:
    """Looks for the finest step, in units of 1/64 grey value, at which a level stream fits.

    Attributes:
        fits: finest step known to fit.
        fails: coarsest step below it that doesn't.
        tries: how many steps have been tried.
    """

    fits: int = MAX_STEP
    fails: int = 0
    tries: int = 0

    def next(self, units: int, octaves: float) -> int | None:
        """The step to try after `units`, which is too fine by about so many octaves (or too coarse, if negative).

        None when the finest that fits is known well enough.
        """
        self.tries += 1
        if octaves > 0:
            self.fails = max(self.fails, units)
        else:
            self.fits = min(self.fits, units)
        if self.fits <= max(1, self.fails * 1.02) or (self.fits < MAX_STEP and self.tries >= _ENOUGH):
            return None
        following = round(units * 2.0 ** float(np.clip(1.4 * octaves + 0.004, -4, 4)))
        if self.fits == MAX_STEP:
            return int(min(max(following, units + 1 + units * self.tries // 64), MAX_STEP))
        if not self.fails < following < self.fits:
            following = round(float(np.sqrt(max(1, self.fails) * float(self.fits))))
        return int(min(max(following, self.fails + 1), self.fits))


def _fixed_pass(
    coefficients: _Floats,
    units: int,
    least: _Floats,
    room: NDArray[np.int64],
    thresholds: tuple[int, ...],
    cells: Sequence[int] | None,
    refinement: Refinement | None = None,
) -> _Quantiser:
    """One walk at a step of so many 1/64 grey value; without limits where no numbers of cells are given."""
    step, refinement = units / UNIT, refinement and replace(refinement, step=units)
    blocks = coefficients.reshape(STRIDE, STRIDE, *coefficients.shape[1:])
    total = coefficients[1:].size
    floor = np.full(256, _DEAD_ZONE * step, np.float32)
    limit = np.full(len(room), total) if cells is None else room.copy()
    quantiser = _Quantiser(blocks, step, least, floor, limit, _Entries.of(len(room)), refinement)
    ranking = Ranking(thresholds, [total] * len(room) if cells is None else cells)
    walk(blocks.shape[2], blocks.shape[3], ranking, quantiser)
    return quantiser


def _units(step: float) -> int:
    """A step in units of 1/64 grey value."""
    return int(min(max(1, round(step * UNIT)), MAX_STEP))


def _filled(entries: _Entries, side: Side, coefficients: _Floats, composition: Composition) -> tuple[SparseCode, int]:
    """(code, length of its level stream) of the nonzeros found at the step of `side`."""
    maps = entries.maps([shape.cells for shape in composition.maps])
    side = replace(side, offsets=entries.offsets(), dc=quantised_dc(coefficients, side.step))
    code = SparseCode(maps, side.to_bytes())
    return code, len(level_stream(pad_with_nulls(code, composition), composition))


def _side_bytes(coefficients: _Floats, side: Side, units: int) -> int:
    offsets = (0,) * (len(side.thresholds) + 1)
    whole = replace(side, step=units, offsets=offsets, dc=quantised_dc(coefficients, units))
    return len(whole.to_bytes())


def _first_step(coefficients: _Floats, nonzeros: int) -> float:
    """A step at which about as many AC magnitudes as asked for are kept."""
    sizes = np.abs(coefficients[1:].reshape(-1))
    keep = min(len(sizes) - 1, max(1, nonzeros))
    least = float(np.partition(sizes, len(sizes) - keep)[len(sizes) - keep])
    return max(least / 0.68, 1 / UNIT)


def _shifted(thresholds: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """The thresholds for magnitudes that have grown by a factor: sixteen keys an octave."""
    shift = round(16 * float(np.log2(factor)))
    return tuple(min(KEYS - 1, max(2, key + shift)) if key > 1 else key for key in thresholds)


def _fitted_step(
    groups: Sequence[_Floats], room: NDArray[np.int64], bits: float, blocks: int, before: float
) -> tuple[_Floats, float]:
    """(least magnitude kept in each map, step at which the levels fill what is left for them).

    Args:
        groups: |coefficients| that fall to each map.
        room: how many entries each map has.
        bits: what is left for them with the side bytes of step `before`.
        blocks: number of DC values, each of which takes a bit more when the step is halved.
    """
    least, kept = _least_kept(groups, room)
    low, high = 0.0, float(np.log2(MAX_STEP))
    for _ in range(14):
        middle = (low + high) / 2
        step = 2.0**middle / UNIT
        spent = sum(_level_bits(sizes, step) for sizes in kept) - blocks * np.log2(step / before)
        low, high = (middle, high) if spent > bits else (low, middle)
    return least, 2.0**high / UNIT


def _least_kept(groups: Sequence[_Floats], room: NDArray[np.int64]) -> tuple[_Floats, list[_Floats]]:
    """(least magnitude kept in each map, the magnitudes kept) when each map keeps as many as it has room for."""
    kept: list[_Floats] = []
    least = np.zeros(len(room), np.float32)
    for index, sizes in enumerate(groups):
        keep = int(min(room[index], len(sizes)))
        largest = np.partition(sizes, len(sizes) - keep)[len(sizes) - keep :] if keep else sizes[:0]
        least[index] = largest[0] if keep else np.inf
        kept.append(largest)
    return least, kept


def _level_bits(sizes: _Floats, step: float) -> float:
    """About how many bits the levels of one map take: the entropy of those that are not nulls, and escapes' bits."""
    levels = quantised(sizes, step, np.float32(_DEAD_ZONE * step))
    levels = levels[levels > 0]
    counts = np.bincount(np.minimum(levels, 20))
    counts = counts[counts > 0]
    entropy = -float(np.sum(counts * np.log2(counts / max(1, len(levels)))))
    escaped = levels[levels >= 20]
    return entropy + 12 + float(np.sum(2 + np.log2(escaped - 18.0)))
