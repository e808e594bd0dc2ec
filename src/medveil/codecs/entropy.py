"""Entropy coding of sparse codes: the level stream of a sealed code, and the whole of an encrypted one.

Both keep the order of the cells: a codec that lists the cells of a map in order of expected significance gets a
context model for nothing, because the models adapt along the map.

Level stream:  varint length of the side bytes | side bytes | range-coded null marks and magnitudes, map by map.
Whole code:    varint number of maps | varint cells and nonzeros of each | varint length of the side bytes | side bytes
               | range-coded supports, signs and magnitudes, map by map.
The range-coded part has no length: missing bytes are zeros, so that a level stream may be padded with zero bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import CodeMap, Composition, SparseCode
from medveil.codecs.symbols import Frequencies, SymbolReader, SymbolWriter, batches, geometric_prior
from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError, MedveilError

MAX_MAPS = 4096
MAX_CELLS = 1 << 30
"""Largest number of cells of all maps of a code together: four maps of an image of 2**28 pixels."""
MAX_LEVEL = (1 << 31) - 1
_MAGNITUDE_SYMBOLS = 20


class LevelsDoNotFit(MedveilError):
    """The level stream is longer than the composition allows: the codec has to quantise more coarsely."""


def pack_levels(code: SparseCode, composition: Composition) -> bytes:
    """Side bytes, magnitudes and null marks of a code.

    Args:
        code: maps with the composition's cells and number of entries; an entry of level 0 is a null. The signs are
            left out: they travel with the support.
        composition: public shape of the code.

    Returns:
        At most composition.level_bytes bytes. Zero bytes may be appended.

    Raises:
        LevelsDoNotFit: the stream would be longer than that.
        ValueError: the code doesn't have this shape.
    """
    stream = level_stream(code, composition)
    if len(stream) > composition.level_bytes:
        raise LevelsDoNotFit(f"a level stream of {len(stream)} bytes exceeds {composition.level_bytes}")
    return stream


def level_stream(code: SparseCode, composition: Composition) -> bytes:
    """The level stream of `pack_levels`, of whatever length."""
    for code_map, shape in zip(code.maps, composition.maps, strict=True):
        if code_map.cells != shape.cells or len(code_map.levels) != shape.nonzeros:
            raise ValueError(f"a map has {len(code_map.levels)} of {code_map.cells} entries, not {shape}")
    writer = SymbolWriter()
    levels = [code_map.levels for code_map in code.maps]
    _write_levels(writer, [values[kept] for values, kept in zip(levels, _write_nulls(writer, levels), strict=True)])
    return varint(len(code.side)) + code.side + writer.to_bytes()


def unpack_levels(
    stream: bytes, supports: Sequence[tuple[NDArray[np.int64], NDArray[np.bool_]]], composition: Composition
) -> SparseCode:
    """The code that `pack_levels` packed, without its nulls.

    Args:
        stream: what pack_levels returned, with any number of zero bytes appended.
        supports: for each map the positions (nulls included, strictly increasing) and whether each is negative.
        composition: public shape of the code.

    Raises:
        IntegrityError: the stream makes no sense.
    """
    size, start = read_varint(stream, 0)
    if size > len(stream) - start:
        raise IntegrityError("the side bytes of a level stream are longer than the stream")
    side = stream[start : start + size]
    reader = SymbolReader(stream[start + size :])
    real = _read_nulls(reader, [positions for positions, _ in supports], composition)
    magnitudes = _read_levels(reader, [int(np.count_nonzero(kept)) for kept in real])
    maps = []
    for shape, (positions, negative), kept, values in zip(composition.maps, supports, real, magnitudes, strict=True):
        levels = np.where(negative[kept], -values, values).astype(np.int32)
        maps.append(CodeMap(shape.cells, positions[kept], levels))
    return SparseCode(tuple(maps), side)


def pack(code: SparseCode) -> bytes:
    """The whole code: support, signs, levels and side bytes."""
    header = [varint(len(code.maps))]
    for code_map in code.maps:
        header += varint(code_map.cells), varint(len(code_map.positions))
    header += varint(len(code.side)), code.side
    writer = SymbolWriter()
    for code_map in code.maps:
        _write_support(writer, code_map)
        writer.uniform((code_map.levels < 0).astype(np.int64), 1)
    _write_levels(writer, [code_map.levels for code_map in code.maps])
    return b"".join(header) + writer.to_bytes()


def unpack(data: bytes, max_cells: int = MAX_CELLS) -> SparseCode:
    """The code that `pack` packed. Zero bytes may have been appended.

    Args:
        data: the bytes.
        max_cells: a code that states more cells than this, over all maps, is refused before anything is allocated.

    Raises:
        IntegrityError: the bytes are not a packed code.
    """
    count, at = read_varint(data, 0)
    if count > MAX_MAPS:
        raise IntegrityError(f"a packed code states {count} maps; {MAX_MAPS} are allowed")
    shapes: list[tuple[int, int]] = []
    for _ in range(count):
        cells, at = read_varint(data, at)
        nonzeros, at = read_varint(data, at)
        if nonzeros > cells:
            raise IntegrityError("a packed code states more nonzeros than cells")
        shapes.append((cells, nonzeros))
    if sum(cells for cells, _ in shapes) > min(max_cells, MAX_CELLS):
        raise IntegrityError("a packed code states more cells than an image of this size has")
    size, at = read_varint(data, at)
    if size > len(data) - at:
        raise IntegrityError("the side bytes of a packed code are longer than the data")
    side = data[at : at + size]
    reader = SymbolReader(data[at + size :])
    supports = []
    for cells, nonzeros in shapes:
        positions = _read_support(reader, cells, nonzeros)
        supports.append((positions, reader.uniform(nonzeros, 1).astype(bool)))
    magnitudes = _read_levels(reader, [nonzeros for _, nonzeros in shapes])
    maps = tuple(
        CodeMap(cells, positions, np.where(negative, -values, values).astype(np.int32))
        for (cells, _), (positions, negative), values in zip(shapes, supports, magnitudes, strict=True)
    )
    return SparseCode(maps, side)


def _write_nulls(writer: SymbolWriter, levels: Sequence[NDArray[np.int32]]) -> list[NDArray[np.bool_]]:
    """Which entries are real. Nulls lie on the highest empty cells: only entries from the first null on are marked."""
    real = [values != 0 for values in levels]
    marked = np.array([int(np.argmin(kept)) - len(kept) if not kept.all() else 0 for kept in real], np.int64)
    writer.magnitudes(-marked, _null_counts())
    for kept, first in zip(real, marked, strict=True):
        writer.adaptive(kept[len(kept) + first :].astype(np.int32), _null_marks())
    return real


def _read_nulls(
    reader: SymbolReader, entries: Sequence[NDArray[np.int64]], composition: Composition
) -> list[NDArray[np.bool_]]:
    """Which entries are real. The marked ones begin with a null, and no cell is empty from there on."""
    marked = reader.magnitudes(len(entries), _null_counts())
    real = []
    for positions, shape, last in zip(entries, composition.maps, marked.tolist(), strict=True):
        count = len(positions)
        if last > count:
            raise IntegrityError("a level stream marks more nulls than there are entries")
        kept = np.ones(count, bool)
        kept[count - last :] = reader.adaptive(last, _null_marks())
        if last and (kept[count - last] or positions[count - last] != shape.cells - last):
            raise IntegrityError("the nulls of a level stream are not on the highest empty cells")
        real.append(kept)
    return real


def _null_counts() -> Frequencies:
    return Frequencies(geometric_prior(_MAGNITUDE_SYMBOLS, 700, 128))


def _null_marks() -> Frequencies:
    """Null or real: a real entry among the nulls is an exception."""
    return Frequencies(np.array([60, 4], np.int64))


def _write_levels(writer: SymbolWriter, levels: Sequence[NDArray[np.int32]]) -> None:
    """One model for each map, which starts from what the maps before it have taught, at a small weight."""
    prior = geometric_prior(_MAGNITUDE_SYMBOLS)
    for values in levels:
        frequencies = Frequencies(prior)
        writer.magnitudes(np.abs(values.astype(np.int64)) - 1, frequencies)
        prior = _inherit(frequencies.counts)


def _read_levels(reader: SymbolReader, counts: Sequence[int]) -> list[NDArray[np.int64]]:
    prior = geometric_prior(_MAGNITUDE_SYMBOLS)
    levels = []
    for count in counts:
        frequencies = Frequencies(prior)
        values = reader.magnitudes(count, frequencies) + 1
        if count and int(values.max()) > MAX_LEVEL:
            raise IntegrityError("a level of an entropy-coded stream exceeds 2**31")
        levels.append(values)
        prior = _inherit(frequencies.counts)
    return levels


def _inherit(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    inherited: NDArray[np.int64] = np.maximum(1, counts * 512 // int(counts.sum()))
    return inherited


def _write_support(writer: SymbolWriter, code_map: CodeMap) -> None:
    """Occupied or empty, cell by cell up to the last nonzero."""
    frequencies = _density(code_map.cells, len(code_map.positions))
    left, first = len(code_map.positions), 0
    for start, stop in batches(code_map.cells):
        if first == left:
            break
        last = int(np.searchsorted(code_map.positions, stop))
        occupied = np.zeros(stop - start, np.int32)
        occupied[code_map.positions[first:last] - start] = 1
        writer.batch(occupied, frequencies)
        first = last


def _read_support(reader: SymbolReader, cells: int, nonzeros: int) -> NDArray[np.int64]:
    frequencies = _density(cells, nonzeros)
    parts: list[NDArray[np.int64]] = []
    left = nonzeros
    for start, stop in batches(cells):
        if left == 0:
            break
        found = np.flatnonzero(reader.batch(stop - start, frequencies)).astype(np.int64) + start
        parts.append(found)
        left -= len(found)
    if left != 0:
        raise IntegrityError("a packed map doesn't have the number of nonzeros that it states")
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _density(cells: int, nonzeros: int) -> Frequencies:
    """Two counts in the ratio of empty to occupied cells, which both sides know, at the weight of 64 cells."""
    occupied = max(1, nonzeros * 1024 // max(1, cells))
    return Frequencies(np.array([max(1, 1024 - occupied), occupied], np.int64))
