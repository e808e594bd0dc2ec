"""The encoder of `lapped`: free coding at a constant step, and the fit of an image to a number of bytes or a fixed
composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap, Composition, SparseCode
from medveil.codecs.entropy import level_stream, pack
from medveil.codecs.lapped import dc_plane
from medveil.codecs.lapped.cell_ranking import Placement, Ranking
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.codecs.lapped.scan_order import ZoneCells, in_order, walk
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
_ESCAPE = 20
"""Level from which on a level is reckoned as escaped."""
_TOLERANCE = 0.012
"""Share of the level stream, or of a packed code, that may stay empty."""
_PACKED_SLOPE = 0.85
"""By about how many octaves a packed code gets shorter with each octave of its step."""
_PACKED_TRIES = 5
_FINEST_UNITS = UNIT // 2
"""Finest step of a packed code: half a grey value, below which nothing but the rounding is left to be seen."""

_Floats = NDArray[np.float32]


class _Picture:
    """The coefficients of an image in the order in which they are coded, gathered once for all attempts.

    Args:
        coefficients: (256, rows, columns) in grey values.

    Attributes:
        rows, columns: number of blocks.
        dc: (rows, columns) of the blocks' means.
        zones: AC coefficients zone by zone, and `sizes` their magnitudes; `all_sizes` those in one.
    """

    def __init__(self, coefficients: _Floats) -> None:
        _, self.rows, self.columns = coefficients.shape
        self.dc = coefficients[0]
        self.zones = in_order(coefficients.reshape(STRIDE, STRIDE, self.rows, self.columns))
        self.all_sizes = np.abs(np.concatenate(self.zones))
        self.sizes = np.split(self.all_sizes, np.cumsum([len(zone) for zone in self.zones[:-1]]))
        self._planes: dict[int, tuple[NDArray[np.int64], bytes]] = {}

    def plane(self, step: int) -> tuple[NDArray[np.int64], bytes]:
        """(DC plane in steps of so many 1/64 grey value, the same coded)."""
        if step not in self._planes:
            plane = quantised_dc(self.dc, step)
            self._planes[step] = plane, dc_plane.coded(plane)
        return self._planes[step]


@dataclass
class _Entries:
    """Nonzeros as they are found, zone after zone.

    Attributes:
        parts: (map, position in it less the number in `rank`, number of entries) of each map in each zone.
        rank: numbers of the entries' cells in their zone's placement.
        level: signed levels.
        steps: magnitudes of their coefficients in steps.
    """

    parts: list[tuple[int, int, int]] = field(default_factory=list)
    rank: list[NDArray[np.int64]] = field(default_factory=list)
    level: list[NDArray[np.int32]] = field(default_factory=list)
    steps: list[_Floats] = field(default_factory=list)

    def maps(self, cells: Sequence[int]) -> tuple[tuple[CodeMap, ...], tuple[int, ...]]:
        """(the code maps, how far below their level each map's coefficients of magnitude 1 are in the mean, in 1/64 of
        a step).
        """
        index, first, number = np.array(self.parts, np.int64).reshape(-1, 3).T
        which = np.repeat(index, number)
        position = np.concatenate([*self.rank, np.zeros(0, np.int64)]) + np.repeat(first, number)
        level = np.concatenate([*self.level, np.zeros(0, np.int32)])
        steps = np.concatenate([*self.steps, np.zeros(0, np.float32)])
        small = np.abs(level) == 1
        ones = np.bincount(which[small], minlength=len(cells))
        below = np.bincount(which[small], 1.0 - steps[small], minlength=len(cells))  # multiples of 2**-25: exact
        mean = np.round(below / np.maximum(ones, 1) * OFFSET_UNIT)
        order = which.argsort(kind="stable")
        stops = np.cumsum(np.bincount(which, minlength=len(cells)))[:-1]
        mine = zip(cells, np.split(position[order], stops), np.split(level[order], stops), strict=True)
        return tuple(CodeMap(*each) for each in mine), tuple(int(each) for each in np.clip(mean, -128, 127))


@dataclass
class _Survey:
    """Quantises zone after zone without regard to places: what the magnitudes would be, and the keys that follow.

    Attributes:
        picture: what is coded.
        step: in grey values.
        least: (256,) for each key, the least magnitude that is kept, in grey values.
        refinement: of the base where the picture is what it left over.
        falling: 255 - keys of all cells, zone by zone.
    """

    picture: _Picture
    step: float
    least: _Floats
    refinement: Refinement | None
    falling: list[NDArray[np.uint8]] = field(default_factory=list)

    def __call__(self, cells: ZoneCells, keys: NDArray[np.uint8]) -> NDArray[np.int32] | None:
        self.falling.append(np.invert(keys))
        sizes = self.picture.sizes[cells.index]
        kept = (sizes >= self.least[keys]).nonzero()[0]
        out = None
        if len(kept):
            out = np.zeros(len(sizes), np.int32)
            out[kept] = levels_of(sizes[kept], self.step)
        if self.refinement is None:
            return out
        if out is not None:
            np.negative(out, out=out, where=self.picture.zones[cells.index] < 0)
        return self.refinement.magnitudes(cells, out)

    def regrouped(self, cells: Sequence[int]) -> tuple[tuple[int, ...], list[_Floats]]:
        """See `_regrouped`."""
        return _regrouped(np.concatenate(self.falling), self.picture.all_sizes, cells)


@dataclass
class _Quantiser:
    """Quantises zone after zone: a cell is kept when its magnitude reaches the least of its map or key, and there is
    room for it in its map.

    Attributes:
        picture: what is coded.
        step: in grey values.
        ranking: hands out the places.
        least: for each map or, where `by_key`, for each key the least magnitude that is kept, in grey values.
        by_key: see there.
        room: for each map how many more entries it may have.
        refinement: of the base where the picture is what it left over.
        entries: the nonzeros found.
        falling, sizes: 255 - keys, and |coefficients|, of all cells.
        error: sum of the squared differences to what is kept.
    """

    picture: _Picture
    step: float
    ranking: Ranking
    least: _Floats
    by_key: bool
    room: list[int]
    refinement: Refinement | None
    entries: _Entries = field(default_factory=_Entries)
    falling: list[NDArray[np.uint8]] = field(default_factory=list)
    sizes: list[_Floats] = field(default_factory=list)
    error: float = 0.0

    def __call__(self, cells: ZoneCells, keys: NDArray[np.uint8]) -> NDArray[np.int32] | None:
        placement = self.ranking.place(keys)
        sizes = self.picture.sizes[cells.index][placement.order]
        self.falling.append(placement.falling)
        self.sizes.append(sizes)
        if self.by_key:
            least = self.least[255 - placement.falling]
        else:
            index, _, counts = zip(*placement.parts, strict=True)
            least = self.least[index[0]] if len(index) == 1 else self.least.take(index).repeat(counts)
        kept = self._with_places((sizes >= least).nonzero()[0], sizes, placement)
        missed = sizes.astype(np.float64)
        out = None
        if len(kept):
            found, large, cell = levels_of(sizes[kept], self.step), sizes[kept], placement.order[kept]
            missed[kept] -= found * np.float32(self.step)
            signed = np.where(self.picture.zones[cells.index][cell] < 0, -found, found)
            self.entries.rank.append(kept)
            self.entries.level.append(signed)
            self.entries.steps.append((large / np.float32(self.step)).astype(np.float32))
            out = np.zeros(len(sizes), np.int32)
            out[cell] = found if self.refinement is None else signed
        self.error += float(np.add.reduce(missed * missed))
        return out if self.refinement is None else self.refinement.magnitudes(cells, out)

    def _with_places(self, kept: NDArray[np.int64], sizes: _Floats, placement: Placement) -> NDArray[np.int64]:
        """Those of the cells kept that their maps have room for, the largest of each map; their places are noted."""
        if not len(kept):
            return kept
        parts, found, before = placement.parts, [], 0
        stops = kept.searchsorted(list(accumulate(count for _, _, count in parts))).tolist()
        for (index, start, count), begin, stop in zip(parts, [0, *stops], stops, strict=False):
            if stop > begin:
                mine, excess = kept[begin:stop], stop - begin - self.room[index]
                if excess > 0:
                    mine = np.delete(mine, sizes[mine].argsort(kind="stable")[:excess])
                self.room[index] -= len(mine)
                self.entries.parts.append((index, start - before, len(mine)))
                found.append(mine)
            before += count
        return found[0] if len(found) == 1 else np.concatenate(found)

    def regrouped(self, cells: Sequence[int]) -> tuple[tuple[int, ...], list[_Floats]]:
        """See `_regrouped`; to be called once, since it empties the lists."""
        falling, sizes = np.concatenate(self.falling), np.concatenate(self.sizes)
        self.falling.clear()
        self.sizes.clear()
        return _regrouped(falling, sizes, cells)


def _regrouped(
    falling: NDArray[np.uint8], sizes: _Floats, cells: Sequence[int]
) -> tuple[tuple[int, ...], list[_Floats]]:
    """(thresholds that give each map its number of cells, |coefficients| that then fall to each map).

    Args:
        falling: 255 - key of every cell, zone by zone.
        sizes: their |coefficients|.
        cells: number of cells of each map.
    """
    stops = np.minimum(np.cumsum(cells), len(falling))[:-1]
    at_least = np.cumsum(np.bincount(falling, minlength=256))[::-1]
    greatest = 255 - int(falling.min())
    nearest = np.abs(at_least - stops[:, None]).argmin(axis=1)
    thresholds = tuple(min(greatest, key) for key in nearest.tolist())
    return thresholds, np.split(sizes[falling.argsort(kind="stable")], stops)


def levels_of(sizes: _Floats, step: float) -> NDArray[np.int32]:
    """Levels of magnitudes that are kept: at least 1."""
    levels = (sizes * np.float32(1 / step) + np.float32(_ROUNDING)).astype(np.int32)
    return np.maximum(levels, 1)


def dead_zones() -> NDArray[np.float64]:
    """(256,) for each key, the magnitude in steps from which a coefficient is worth its bits (see _LAMBDA)."""
    keys = np.arange(256)
    expected = ((16 + keys % 16) * 2.0 ** (keys // 16) - 16) / (1 << FRACTION_BITS)
    likely = np.clip(expected, 1e-4, 0.9)
    bits = np.maximum(0.5, 2 + np.log2((1 - likely) / likely))
    zones: NDArray[np.float64] = 0.5 + _LAMBDA / 2 * bits
    return zones


def quantised_dc(plane: _Floats, step: int) -> NDArray[np.int64]:
    """A DC plane in steps (units of 1/64 grey value)."""
    quantised: NDArray[np.int64] = np.floor(plane.astype(np.float64) * UNIT / step + 0.5).astype(np.int64)
    return quantised


def encode_freely(coefficients: _Floats, side: Side, refinement: Refinement | None = None) -> SparseCode:
    """Code at the step of `side`, with as many nonzeros as it takes.

    Args:
        coefficients: (256, rows, columns) in grey values.
        side: complete but for offsets and DC plane.
        refinement: of the base where the coefficients are what it left over.
    """
    return _freely(_Picture(coefficients), side, refinement)


def _freely(picture: _Picture, side: Side, refinement: Refinement | None) -> SparseCode:
    step = side.step / UNIT
    count, total = len(side.thresholds) + 1, len(picture.all_sizes)
    least = (dead_zones() * step).astype(np.float32)
    ranking = Ranking(side.thresholds, [total] * count)
    quantiser = _Quantiser(picture, step, ranking, least, True, [total] * count, refinement)
    walk(picture.rows, picture.columns, quantiser)
    maps, offsets = quantiser.entries.maps(ranking.used)
    return SparseCode(maps, _side_bytes(picture, replace(side, offsets=offsets)))


def encode_within(coefficients: _Floats, side: Side, limit: int, refinement: Refinement | None = None) -> SparseCode:
    """Code of at most so many bytes when packed, at the finest step at which it fits.

    Args:
        coefficients: (256, rows, columns) in grey values.
        side: complete but for offsets and DC plane; its step is tried first.
        limit: in bytes.
        refinement: of the base where the coefficients are what it left over.

    Raises:
        UnsupportedInputError: not even the coarsest code is so short.
    """
    found = _PackedSearch(float(np.log2(limit * (1 - _TOLERANCE / 2))), float(np.log2(side.step)))
    picture, best = _Picture(coefficients), None
    while (units := found.units) is not None:
        code = _freely(picture, replace(side, step=units), refinement and replace(refinement, step=units))
        size = len(pack(code))
        if size <= limit:
            best = code
        if 0 <= limit - size <= 8 + _TOLERANCE * limit:
            break
        found.take(units, size, fits=size <= limit)
    if best is None:
        raise _no_room()
    return best


@dataclass
class _PackedSearch:
    """Looks for the step at which a packed code has a length. Steps and lengths are logarithms to the base 2.

    Attributes:
        wanted: the length.
        step: the next to try.
        fits: (step, length) of the finest that fits.
        fails: (step, length) of the coarsest that doesn't.
        tries: how many steps have been tried.
    """

    wanted: float
    step: float
    fits: tuple[float, float] | None = None
    fails: tuple[float, float] | None = None
    tries: int = 0

    @property
    def units(self) -> int | None:
        """The next step in units of 1/64 grey value; None when the best is known well enough."""
        if self.fits is not None and (self.tries >= _PACKED_TRIES or self.fits[0] <= np.log2(_FINEST_UNITS)):
            return None
        units = min(max(round(2.0**self.step), _FINEST_UNITS), MAX_STEP)
        known = [round(2.0 ** each[0]) for each in (self.fits, self.fails) if each is not None]
        return None if units in known else units

    def take(self, units: int, size: int, *, fits: bool) -> None:
        """What came of a step."""
        self.tries += 1
        here = float(np.log2(units)), float(np.log2(size))
        self.fits, self.fails = (here, self.fails) if fits else (self.fits, here)
        if self.fits is not None and self.fails is not None:
            share = (self.fails[1] - self.wanted) / max(self.fails[1] - self.fits[1], 1e-9)
            self.step = self.fails[0] + min(max(share, 0.05), 0.95) * (self.fits[0] - self.fails[0])
        else:
            farther = (here[1] - self.wanted) / _PACKED_SLOPE
            self.step = here[0] + (farther if fits else max(farther, 2.0**self.tries / 8))


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
    picture = _Picture(coefficients)
    cells = [shape.cells for shape in composition.maps]
    room = np.array([shape.nonzeros for shape in composition.maps])
    least, step = np.zeros(len(room), np.float32), _first_step(picture.all_sizes, int(room.sum()))
    for _ in range(_SURVEYS):
        before = _units(step)
        thresholds, groups = _surveyed(picture, before, least, side.thresholds, refinement).regrouped(cells)
        whole = replace(side, step=before, offsets=(0,) * len(room))
        bits = 8 * (composition.level_bytes - len(_side_bytes(picture, whole))) * (1 - _OVERHEAD)
        least, step = _fitted_step(groups, room, bits, picture.dc.size, before / UNIT)
        used = np.isfinite(least)
        step = max(step, _FINEST * float(np.sum(least[used] * room[used]) / max(1, room[used].sum())))
        side = replace(side, thresholds=_shifted(thresholds, before / UNIT / step))
        del groups
    search, repeats = _StepSearch(), 0
    careful = refinement is not None or 3 * int(room.sum()) > sum(cells)
    best: SparseCode | None = None
    lowest = np.inf
    for _ in range(_ATTEMPTS):
        units = _units(step)
        attempt = _attempted(picture, replace(side, step=units), least, room, cells, refinement)
        maps, offsets = attempt.entries.maps(cells)
        code = SparseCode(maps, _side_bytes(picture, replace(side, step=units, offsets=offsets)))
        spare = composition.level_bytes - len(level_stream(pad_with_nulls(code, composition), composition))
        worse = attempt.error >= lowest
        if spare >= 0 and not worse:
            best, lowest = code, attempt.error
        thresholds, groups = attempt.regrouped(cells)
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
            following = search.next(units, -8 * spare / max(1, entries + picture.dc.size))
            repeats = 0
        if following is None:
            break
        repeats += following == units
        step, side = following / UNIT, replace(side, thresholds=_shifted(thresholds, units / following))
    if best is None:
        raise _no_room()
    return best


def _no_room() -> UnsupportedInputError:
    return UnsupportedInputError(
        "its padding and mean values alone do not fit into what every image of its size is given",
        hint="raise --quality, which gives every image more room",
    )


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


def _surveyed(
    picture: _Picture, units: int, least: _Floats, thresholds: tuple[int, ...], refinement: Refinement | None
) -> _Survey:
    """One walk at a step of so many 1/64 grey value, as if every map had room for all that belongs to it."""
    map_of_key = np.count_nonzero(np.arange(256) < np.array(thresholds)[:, None], axis=0)
    by_key = np.maximum(least[map_of_key], np.float32(_DEAD_ZONE * units / UNIT))
    survey = _Survey(picture, units / UNIT, by_key, refinement and replace(refinement, step=units))
    walk(picture.rows, picture.columns, survey)
    return survey


def _attempted(
    picture: _Picture, side: Side, least: _Floats, room: NDArray[np.int64], cells: Sequence[int],
    refinement: Refinement | None,
) -> _Quantiser:  # fmt: skip
    """One walk at the step and the thresholds of `side`."""
    step = side.step / UNIT
    least = np.maximum(least, np.float32(_DEAD_ZONE * step))
    ranking, refinement = Ranking(side.thresholds, cells), refinement and replace(refinement, step=side.step)
    quantiser = _Quantiser(picture, step, ranking, least, False, room.tolist(), refinement)
    walk(picture.rows, picture.columns, quantiser)
    return quantiser


def _units(step: float) -> int:
    """A step in units of 1/64 grey value."""
    return int(min(max(1, round(step * UNIT)), MAX_STEP))


def _side_bytes(picture: _Picture, side: Side) -> bytes:
    """Side bytes of a side that is complete but for its DC plane."""
    plane, coded = picture.plane(side.step)
    return replace(side, dc=plane).to_bytes(coded)


def _first_step(sizes: _Floats, nonzeros: int) -> float:
    """A step at which about as many AC magnitudes as asked for are kept."""
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
    which = np.repeat(np.arange(len(kept)), [len(sizes) for sizes in kept])
    sizes = np.concatenate(kept)
    low, high = 0.0, float(np.log2(MAX_STEP))
    for _ in range(14):
        middle = (low + high) / 2
        step = 2.0**middle / UNIT
        spent = _level_bits(sizes, which, len(kept), step) - blocks * np.log2(step / before)
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


def _level_bits(sizes: _Floats, which: NDArray[np.int64], maps: int, step: float) -> float:
    """About how many bits levels take: the entropy in each map of those that are not nulls, and escapes' bits.

    Args:
        sizes: magnitudes; `which`: the map of each.
        maps: how many there are.
        step: in the unit of the magnitudes.
    """
    real = sizes >= np.float32(_DEAD_ZONE * step)
    levels = levels_of(sizes[real], step)
    counts = np.bincount(which[real] * _ESCAPE + np.minimum(levels, _ESCAPE) - 1, minlength=maps * _ESCAPE)
    counts = counts.reshape(maps, _ESCAPE)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    entropy = -float(np.sum(counts * np.log2(shares, out=np.zeros_like(shares), where=counts > 0)))
    escaped = levels[levels >= _ESCAPE]
    return entropy + 12 * maps + float(np.sum(2 + np.log2(escaped - (_ESCAPE - 2.0))))
