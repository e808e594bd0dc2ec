"""The encoder of `lapped`: free coding at a constant step, and the fit of an image to a fixed composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap, Composition, SparseCode
from medveil.codecs.entropy import level_stream
from medveil.codecs.nulls import pad_with_nulls
from medveil.codecs.ranking import Placement, Ranking
from medveil.codecs.side import MAX_STEP, OFFSET_UNIT, Side
from medveil.codecs.significance import FRACTION_BITS
from medveil.codecs.transform import STRIDE, UNIT
from medveil.codecs.zones import ZoneCells, walk

_ROUNDING = 0.40
_DEAD_ZONE = 0.50
_LAMBDA = 0.1155
"""Squared error that a bit is worth, in steps: 2 ln 2 / 12, the slope of rate and distortion at a fine step."""
_PASSES = 2
_ATTEMPTS = 16
_TOLERANCE = 0.008

_Floats = NDArray[np.float32]


@dataclass
class _Found:
    """What a pass found: keys and |coefficients| of all cells, in order; each map's positions, levels and remainders.

    A remainder is by how much a coefficient's magnitude is below that of its level, in steps.
    """

    keys: list[NDArray[np.uint8]]
    sizes: list[_Floats]
    positions: list[list[NDArray[np.int64]]]
    levels: list[list[NDArray[np.int32]]]
    remainders: list[list[_Floats]]

    @classmethod
    def of(cls, maps: int) -> _Found:
        return cls([], [], [[] for _ in range(maps)], [[] for _ in range(maps)], [[] for _ in range(maps)])

    def offsets(self) -> tuple[int, ...]:
        """Mean remainder of each map's coefficients of magnitude 1, in 1/64 of a step."""
        found = []
        for levels, remainders in zip(self.levels, self.remainders, strict=True):
            ones = [part[np.abs(level) == 1] for level, part in zip(levels, remainders, strict=True)]
            count = sum(map(len, ones))
            mean = sum(float(part.sum()) for part in ones) / count if count else 0.0
            found.append(int(np.clip(round(mean * OFFSET_UNIT), -128, 127)))
        return tuple(found)

    def maps(self, cells: Sequence[int]) -> tuple[CodeMap, ...]:
        nothing = np.empty(0, np.int64)
        return tuple(
            CodeMap(size, np.concatenate([nothing, *positions]), np.concatenate([nothing, *levels]).astype(np.int32))
            for size, positions, levels in zip(cells, self.positions, self.levels, strict=True)
        )


@dataclass
class _Quantiser:
    """Quantises zone after zone: a cell is kept when its magnitude reaches the least of its map and there is room.

    Attributes:
        coefficients: (16, 16, rows, columns) float32 in grey values.
        step: in grey values.
        least: for each map the least magnitude that is kept, in grey values.
        floor: for each key the least magnitude that is kept, in grey values.
        room: for each map how many more entries it may have.
        found: where everything is collected.
    """

    coefficients: _Floats
    step: float
    least: NDArray[np.float32]
    floor: NDArray[np.float32]
    room: NDArray[np.int64]
    found: _Found

    def __call__(self, cells: ZoneCells, placement: Placement, keys: NDArray[np.uint8]) -> NDArray[np.int32]:
        values = cells.get(self.coefficients)[placement.order]
        sizes = np.abs(values)
        least = np.maximum(np.repeat(self.least, placement.counts), self.floor[keys[placement.order]])
        levels = quantised(sizes, self.step, least)
        begin = 0
        for index, start, count in placement.parts():
            part = slice(begin, begin + count)
            begin += count
            kept = np.flatnonzero(levels[part])
            excess = len(kept) - int(self.room[index])
            if excess > 0:
                order = np.argsort(sizes[part][kept], kind="stable")
                levels[part][kept[order[:excess]]] = 0
                kept = np.sort(kept[order[excess:]])
            self.room[index] -= len(kept)
            found = levels[part][kept]
            self.found.positions[index].append(kept + start)
            self.found.levels[index].append(np.where(values[part][kept] < 0, -found, found))
            self.found.remainders[index].append(found - sizes[part][kept] / np.float32(self.step))
        self.found.keys.append(keys[placement.order])
        self.found.sizes.append(sizes)
        out = np.empty(len(levels), np.int32)
        out[placement.order] = levels
        return out


def quantised(sizes: _Floats, step: float, least: _Floats | np.float32) -> NDArray[np.int32]:
    """Levels of magnitudes: 0 below `least`, at least 1 above it."""
    levels = np.floor(sizes * np.float32(1 / step) + np.float32(_ROUNDING)).astype(np.int32)
    return np.where(sizes >= least, np.maximum(levels, 1), 0)


def _pass(
    coefficients: _Floats,
    step: float,
    least: NDArray[np.float64],
    room: NDArray[np.int64],
    thresholds: tuple[int, ...],
    cells: Sequence[int],
) -> _Found:
    """Walk over the cells at a step; no map keeps what is below the dead zone of that step."""
    found = _Found.of(len(cells))
    floor = np.full(256, _DEAD_ZONE * step, np.float32)
    quantiser = _Quantiser(coefficients, step, least.astype(np.float32), floor, room.copy(), found)
    walk(*coefficients.shape[2:], Ranking(thresholds, cells), quantiser)
    return found


def dead_zones() -> NDArray[np.float64]:
    """(256,) for each key, the magnitude in steps from which a coefficient is worth its bits (see _LAMBDA)."""
    keys = np.arange(256)
    expected = ((16 + keys % 16) * 2.0 ** (keys // 16) - 16) / (1 << FRACTION_BITS)
    likely = np.clip(expected, 1e-4, 0.9)
    bits = np.maximum(0.5, 2 + np.log2((1 - likely) / likely))
    return 0.5 + _LAMBDA / 2 * bits


def quantised_dc(coefficients: _Floats, step: int) -> NDArray[np.int64]:
    """DC plane in steps (units of 1/64 grey value)."""
    return np.floor(coefficients[0].astype(np.float64) * UNIT / step + 0.5).astype(np.int64)


def encode_freely(coefficients: _Floats, side: Side) -> SparseCode:
    """Code at the step of `side`, with as many nonzeros as it takes.

    Args:
        coefficients: (256, rows, columns) in grey values.
        side: complete but for the DC plane.
    """
    blocks = coefficients.reshape(STRIDE, STRIDE, *coefficients.shape[1:])
    count, total = len(side.thresholds) + 1, coefficients[1:].size
    quantiser_room = np.full(count, total)
    ranking = Ranking(side.thresholds, [total] * count)
    found = _Found.of(count)
    step = side.step / UNIT
    floor = (dead_zones() * step).astype(np.float32)
    walk(*blocks.shape[2:], ranking, _Quantiser(blocks, step, np.zeros(count, np.float32), floor, quantiser_room, found))
    side = replace(side, offsets=found.offsets(), dc=quantised_dc(coefficients, side.step))
    return SparseCode(found.maps(ranking.used), side.to_bytes())


def encode_fixed(coefficients: _Floats, side: Side, composition: Composition) -> SparseCode:
    """Code that fills a composition: as many of the largest magnitudes of each map as it has room for, at the finest
    step at which the level stream fits.

    Args:
        coefficients: (256, rows, columns) in grey values.
        side: complete but for step, thresholds and DC plane.
        composition: shape of the code.
    """
    blocks = coefficients.reshape(STRIDE, STRIDE, *coefficients.shape[1:])
    cells = [shape.cells for shape in composition.maps]
    room = np.array([shape.nonzeros for shape in composition.maps])
    total = coefficients[1:].size
    thresholds, step = side.thresholds, _first_step(coefficients, int(room.sum()))
    least = np.zeros(len(cells))
    for _ in range(_PASSES):
        found = _pass(blocks, step, least, np.full(len(cells), total), thresholds, [total] * len(cells))
        thresholds, groups = _regrouped(found, cells)
        before = step
        least, step = _fitted_step(groups, room, coefficients, side, composition)
        thresholds = _shifted(thresholds, before / step)
    best: SparseCode | None = None
    for attempt in range(_ATTEMPTS):
        units = int(min(max(1, round(step * UNIT)), MAX_STEP))
        found = _pass(blocks, units / UNIT, least, room, thresholds, cells)
        code, size = _filled(found, replace(side, step=units, thresholds=thresholds), coefficients, composition)
        spare = 8 * (composition.level_bytes - size)
        if spare >= 0:
            best = code
        if spare >= 0 and (attempt > 1 or units == 1 or spare < _TOLERANCE * composition.level_bytes):
            break
        if best is not None and spare < 0 and attempt > 1:
            break
        entries = sum(len(entry.levels) for entry in code.maps) + blocks[0, 0].size
        ratio = 2.0 ** (np.clip(-spare / max(1, entries), -4, 4) + 0.002 * (1 + attempt) ** 2)
        step, thresholds = step * ratio, _shifted(thresholds, 1 / ratio)
    if best is None:
        raise ValueError("the composition has no room for the side bytes of this image")
    return best


def _filled(
    found: _Found, side: Side, coefficients: _Floats, composition: Composition
) -> tuple[SparseCode, int]:
    """(code, length of its level stream) of what a pass has found."""
    maps = found.maps([shape.cells for shape in composition.maps])
    side = replace(side, offsets=found.offsets(), dc=quantised_dc(coefficients, side.step))
    code = SparseCode(maps, side.to_bytes())
    return code, len(level_stream(pad_with_nulls(code, composition), composition))


def _first_step(coefficients: _Floats, nonzeros: int) -> float:
    """The step at which about as many AC magnitudes as asked for pass the dead zone."""
    sizes = np.abs(coefficients[1:].reshape(-1))
    keep = min(len(sizes) - 1, max(1, nonzeros))
    least = float(np.partition(sizes, len(sizes) - keep)[len(sizes) - keep])
    return max(least / _DEAD_ZONE, 1 / UNIT)


def _regrouped(found: _Found, cells: Sequence[int]) -> tuple[tuple[int, ...], list[_Floats]]:
    """(thresholds that give each map its number of cells, |coefficients| that then fall to each map)."""
    keys, sizes = np.concatenate(found.keys), np.concatenate(found.sizes)
    order = np.argsort(np.uint8(255) - keys, kind="stable")
    stops = np.minimum(np.cumsum(cells), len(keys))
    at_least = np.cumsum(np.bincount(keys, minlength=256)[::-1])[::-1]
    thresholds = tuple(int(np.abs(at_least - stop).argmin()) for stop in stops[:-1])
    return thresholds, np.split(sizes[order], stops[:-1])


def _shifted(thresholds: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """The thresholds for magnitudes that have grown by a factor: sixteen keys an octave."""
    shift = round(16 * float(np.log2(factor)))
    return tuple(min(255, max(2, key + shift)) if key > 1 else key for key in thresholds)


def _fitted_step(
    groups: Sequence[_Floats],
    room: NDArray[np.int64],
    coefficients: _Floats,
    side: Side,
    composition: Composition,
) -> tuple[NDArray[np.float64], float]:
    """(least magnitude kept in each map, step at which their levels fill the level stream)."""
    kept: list[_Floats] = []
    least = np.zeros(len(room))
    for index, sizes in enumerate(groups):
        keep = int(min(room[index], len(sizes)))
        largest = np.partition(sizes, len(sizes) - keep)[len(sizes) - keep :] if keep else sizes[:0]
        least[index] = float(largest[0]) if keep else np.inf
        kept.append(largest)
    low, high = 0.0, float(np.log2(MAX_STEP))
    coarse = 4 * UNIT
    side_bytes = 2 * len(room) + len(replace(side, step=coarse, dc=quantised_dc(coefficients, coarse)).to_bytes())
    for _ in range(14):
        middle = (low + high) / 2
        step = 2.0**middle / UNIT
        bits = 8 * side_bytes - coefficients[0].size * np.log2(step / 4)
        bits += sum(_level_bits(sizes, step) for sizes in kept)
        low, high = (middle, high) if bits > 8 * (composition.level_bytes - 6) else (low, middle)
    return least, 2.0**high / UNIT


def _level_bits(sizes: _Floats, step: float) -> float:
    """About how many bits the levels of one map take: the entropy of those that are not nulls, and escapes' bits."""
    levels = quantised(sizes, step, np.float32(_DEAD_ZONE * step))
    levels = levels[levels > 0]
    counts = np.bincount(np.minimum(levels, 20))
    counts = counts[counts > 0]
    entropy = -float(np.sum(counts * np.log2(counts / max(1, len(levels)))))
    escaped = levels[levels >= 20]
    return entropy + 12 + float(np.sum(2 + np.log2(escaped - 18.0)))
