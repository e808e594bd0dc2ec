"""The encoder of `lapped`: free coding at a constant step, and the fit of an image to a fixed composition."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap, Composition, SparseCode
from medveil.codecs.entropy import level_stream_bytes
from medveil.codecs.lapped_tables import THRESHOLDS
from medveil.codecs.ranking import Placement, Ranking
from medveil.codecs.side import MAX_STEP, Side
from medveil.codecs.significance import Zone
from medveil.codecs.transform import STRIDE, UNIT
from medveil.codecs.zones import ZoneCells, walk

_ROUNDING = 0.40
_DEAD_ZONE = 0.62
_PASSES = 3
_GROWTH = (1.0, 1.01, 1.02, 1.04, 1.08, 1.2, 1.5, 2, 4, 16, 256, 4096, 1 << 16, 1 << 20, 1 << 26)

_Floats = NDArray[np.float32]


@dataclass
class _Collected:
    """What a pass found for each map: |coefficients| and keys of all its cells, and the entries that it kept."""

    sizes: list[list[_Floats]]
    keys: list[list[NDArray[np.uint8]]]
    positions: list[list[NDArray[np.int64]]]
    levels: list[list[NDArray[np.int32]]]


@dataclass
class _Chooser:
    """Quantises zone after zone: a cell is kept when its magnitude reaches the dead zone of its map and there is room.

    Attributes:
        coefficients: (16, 16, rows, columns) float32 in grey values.
        step: in grey values.
        least: for each map the least magnitude that is kept, in grey values.
        room: for each map how many more entries it may have.
    """

    coefficients: _Floats
    step: float
    least: NDArray[np.float64]
    room: NDArray[np.int64]
    found: _Collected

    def __call__(self, zone: Zone, cells: ZoneCells, placement: Placement, keys: NDArray[np.uint8]) -> NDArray[np.int32]:
        values = cells.get(self.coefficients)[placement.order]
        sizes = np.abs(values)
        limits = np.repeat(self.least.astype(np.float32), placement.counts)
        levels = np.floor(sizes * np.float32(1 / self.step) + np.float32(_ROUNDING)).astype(np.int32)
        levels = np.where(sizes >= limits, np.maximum(levels, 1), 0)
        stops = np.cumsum(placement.counts)
        ordered = keys[placement.order]
        for index in np.flatnonzero(placement.counts):
            part = slice(int(stops[index] - placement.counts[index]), int(stops[index]))
            kept = np.flatnonzero(levels[part])
            excess = len(kept) - int(self.room[index])
            if excess > 0:
                order = np.argsort(sizes[part][kept], kind="stable")
                levels[part][kept[order[:excess]]] = 0
                kept = np.sort(kept[order[excess:]])
            self.room[index] -= len(kept)
            self.found.sizes[index].append(sizes[part])
            self.found.keys[index].append(ordered[part])
            self.found.positions[index].append(kept + placement.starts[index])
            self.found.levels[index].append(np.where(values[part][kept] < 0, -levels[part][kept], levels[part][kept]))
        out = np.empty(len(values), np.int32)
        out[placement.order] = np.where(values < 0, -levels, levels)
        return out


def _pass(
    coefficients: _Floats,
    step: float,
    least: NDArray[np.float64],
    room: NDArray[np.int64],
    thresholds: tuple[int, ...],
    cells: list[int],
) -> _Collected:
    count = len(cells)
    found = _Collected(*([[] for _ in range(count)] for _ in range(4)))
    chooser = _Chooser(coefficients, step, least, room.copy(), found)
    walk(*coefficients.shape[2:], Ranking(thresholds, cells), chooser)
    return found


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(parts) if parts else np.empty(0, np.int32)


def _maps(found: _Collected, cells: list[int]) -> tuple[CodeMap, ...]:
    return tuple(
        CodeMap(size, np.concatenate([np.empty(0, np.int64), *positions]), _joined(levels).astype(np.int32))
        for size, positions, levels in zip(cells, found.positions, found.levels, strict=True)
    )


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
    count, total = len(THRESHOLDS) + 1, int(coefficients.size - coefficients[0].size)
    step = side.step / UNIT
    least = np.full(count, _DEAD_ZONE * step)
    cells = [total] * count
    found = _pass(blocks, step, least, np.full(count, total), side.thresholds, cells)
    sizes = [sum(map(len, parts)) for parts in found.sizes]
    side = replace(side, dc=quantised_dc(coefficients, side.step))
    return SparseCode(_maps(found, sizes), side.to_bytes())


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
    thresholds = side.thresholds
    step = _first_step(coefficients, int(room.sum()))
    least = np.full(len(cells), _DEAD_ZONE * step)
    for _ in range(_PASSES):
        found = _pass(blocks, step, least, np.full(len(cells), coefficients.size), thresholds, cells)
        thresholds = _fitted_thresholds(found, cells, coefficients.size - coefficients[0].size)
        least, step = _fitted_step(found, room, coefficients, side, composition)
    for growth in _GROWTH:
        units = int(min(max(1, round(step * growth * UNIT)), MAX_STEP))
        lowest = np.maximum(least, _DEAD_ZONE * units / UNIT)
        found = _pass(blocks, units / UNIT, lowest, room, thresholds, cells)
        maps = _maps(found, cells)
        final = replace(side, step=units, thresholds=thresholds, dc=quantised_dc(coefficients, units))
        data = final.to_bytes()
        padded = [
            np.concatenate([entry.levels, np.zeros(shape.nonzeros - len(entry.levels), np.int32)])
            for entry, shape in zip(maps, composition.maps, strict=True)
        ]
        if level_stream_bytes(padded, data) <= composition.level_bytes:
            return SparseCode(maps, data)
    raise ValueError("the composition has no room for the side bytes of this image")


def _first_step(coefficients: _Floats, nonzeros: int) -> float:
    """The step at which about as many AC magnitudes as asked for pass the dead zone."""
    sizes = np.abs(coefficients[1:].reshape(-1))
    keep = min(len(sizes) - 1, max(1, nonzeros))
    least = float(np.partition(sizes, len(sizes) - keep)[len(sizes) - keep])
    return max(least / _DEAD_ZONE, 1 / UNIT)


def _fitted_thresholds(found: _Collected, cells: list[int], live: int) -> tuple[int, ...]:
    """Keys that give each map its number of cells: quantiles of all keys."""
    histogram = np.zeros(256, np.int64)
    for parts in found.keys:
        for keys in parts:
            histogram += np.bincount(keys, minlength=256)
    at_least = np.cumsum(histogram[::-1])[::-1]
    wanted = np.minimum(np.cumsum(cells), live)[:-1]
    return tuple(int(np.abs(at_least - want).argmin()) for want in wanted)


def _fitted_step(
    found: _Collected, room: NDArray[np.int64], coefficients: _Floats, side: Side, composition: Composition
) -> tuple[NDArray[np.float64], float]:
    """(least magnitude kept in each map, step at which their levels fill the level stream)."""
    kept: list[_Floats] = []
    least = np.zeros(len(room))
    for index, parts in enumerate(found.sizes):
        sizes = np.concatenate([np.empty(0, np.float32), *parts])
        keep = int(min(room[index], len(sizes)))
        if keep:
            sizes = np.partition(sizes, len(sizes) - keep)[len(sizes) - keep :]
            least[index] = float(sizes[0])
        kept.append(sizes[:keep] if not keep else sizes)
    low, high = 0.0, float(np.log2(MAX_STEP))
    coarse = max(1, int(UNIT * 4))
    side_bytes = len(replace(side, step=coarse, dc=quantised_dc(coefficients, coarse)).to_bytes())
    blocks = coefficients[0].size
    for _ in range(14):
        middle = (low + high) / 2
        step = 2.0**middle / UNIT
        bits = 8 * side_bytes - blocks * np.log2(step / 4) + sum(_level_bits(sizes, step) for sizes in kept)
        low, high = (middle, high) if bits > 8 * (composition.level_bytes - 6) else (low, middle)
    return least, 2.0**high / UNIT


def _level_bits(sizes: _Floats, step: float) -> float:
    """About how many bits the levels of one map take: their entropy, nulls included, and the bits of escapes."""
    if not len(sizes):
        return 0.0
    levels = np.floor(sizes / np.float32(step) + np.float32(_ROUNDING))
    levels = np.where(sizes >= _DEAD_ZONE * step, np.maximum(levels, 1), 0)
    counts = np.bincount(np.minimum(levels, 20).astype(np.int64))
    counts = counts[counts > 0]
    entropy = -float(np.sum(counts * np.log2(counts / len(sizes))))
    escaped = levels[levels >= 20]
    return entropy + 12 + float(np.sum(2 + np.log2(escaped - 18))) if len(escaped) else entropy + 12
