"""Chapter 5: sparse codes, as they are encrypted and as they are sealed."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from tests.reader.keystream import Keystream, unpacked, xor
from tests.reader.refusal import require
from tests.reader.supports import coded_bytes, decode_supports
from tests.reader.symbols import Frequencies, SymbolReader, batches, geometric
from tests.reader.varints import read_varint

_MAX_MAPS = 4096
_MAX_CELLS = 1 << 30
_MAX_LEVEL = (1 << 31) - 1
_SYMBOLS = 20


@dataclass(frozen=True)
class CodeMap:
    """Cells of which few are nonzero: their positions, rising, and their levels."""

    cells: int
    positions: list[int]
    levels: list[int]


@dataclass(frozen=True)
class SparseCode:
    """The maps of a code and the codec's side bytes."""

    maps: list[CodeMap]
    side: bytes


@dataclass(frozen=True)
class Composition:
    """(cells, entries) of each map of a sealed code, and the bytes of its level stream."""

    maps: list[tuple[int, int]]
    level_bytes: int


def unpack(data: bytes, max_cells: int = _MAX_CELLS) -> SparseCode:
    """A whole code."""
    count, at = read_varint(data, 0)
    require(count <= _MAX_MAPS, "a code of too many maps")
    shapes = []
    for _ in range(count):
        cells, at = read_varint(data, at)
        nonzeros, at = read_varint(data, at)
        require(nonzeros <= cells, "more nonzeros than cells")
        shapes.append((cells, nonzeros))
    require(sum(cells for cells, _ in shapes) <= min(max_cells, _MAX_CELLS), "a code of too many cells")
    side, rest = _side_bytes(data, at)
    reader = SymbolReader(rest)
    supports = []
    for cells, nonzeros in shapes:
        positions = _read_support(reader, cells, nonzeros)
        supports.append((cells, positions, reader.uniform(nonzeros, 1)))
    magnitudes = _read_levels(reader, [nonzeros for _, nonzeros in shapes])
    maps = [
        CodeMap(cells, positions, _signed(sizes, signs))
        for (cells, positions, signs), sizes in zip(supports, magnitudes, strict=True)
    ]
    return SparseCode(maps, side)


def unseal(data: bytes, composition: Composition, key: bytes) -> SparseCode:
    """The code of a sealed section under its section key."""
    entries = sum(ones for _, ones in composition.maps)
    support_bytes, sign_bytes = coded_bytes(composition.maps), -(-entries // 8)
    length = support_bytes + sign_bytes + composition.level_bytes
    require(len(data) == length, "a sealed code of the wrong length")
    supports = decode_supports(data[:support_bytes], composition.maps)
    bits = unpacked(data[support_bytes : support_bytes + sign_bytes], 8 * sign_bytes)
    require(not any(bits[entries:]), "the bits after the signs are not zero")
    opened, start = [], 0
    for number, ((cells, ones), places) in enumerate(zip(composition.maps, supports, strict=True)):
        order = Keystream(key, f"permutation/{number}").permutation(cells)
        mask = Keystream(key, f"signs/{number}").bits(ones)
        occupied = set(places)
        positions = [cell for cell in range(cells) if order[cell] in occupied]
        ranks = [bisect_left(places, order[cell]) for cell in positions]
        opened.append((cells, positions, [bits[start + rank] ^ mask[rank] for rank in ranks]))
        start += ones
    stream = xor(data[support_bytes + sign_bytes :], Keystream(key, "levels").take(composition.level_bytes))
    return _unpack_levels(stream, opened)


def _unpack_levels(stream: bytes, supports: list[tuple[int, list[int], list[int]]]) -> SparseCode:
    """Level stream and supports together, nulls left out."""
    side, rest = _side_bytes(stream, 0)
    reader = SymbolReader(rest)
    real = _read_nulls(reader, [(cells, positions) for cells, positions, _ in supports])
    magnitudes = _read_levels(reader, [sum(kept) for kept in real])
    maps = []
    for (cells, positions, signs), kept, sizes in zip(supports, real, magnitudes, strict=True):
        positions = [position for position, is_real in zip(positions, kept, strict=True) if is_real]
        signs = [sign for sign, is_real in zip(signs, kept, strict=True) if is_real]
        maps.append(CodeMap(cells, positions, _signed(sizes, signs)))
    return SparseCode(maps, side)


def _side_bytes(data: bytes, at: int) -> tuple[bytes, bytes]:
    """(side bytes, what follows)."""
    size, at = read_varint(data, at)
    require(size <= len(data) - at, "side bytes are cut off")
    return data[at : at + size], data[at + size :]


def _signed(sizes: list[int], signs: list[int]) -> list[int]:
    return [-size if sign else size for size, sign in zip(sizes, signs, strict=True)]


def _read_nulls(reader: SymbolReader, entries: list[tuple[int, list[int]]]) -> list[list[int]]:
    """For each map, whether each entry is real."""
    marked = reader.magnitudes(len(entries), Frequencies(geometric(_SYMBOLS, 700, 128)))
    real = []
    for (cells, positions), last in zip(entries, marked, strict=True):
        require(last <= len(positions), "more entries are marked than there are")
        real.append([1] * (len(positions) - last) + reader.adaptive(last, Frequencies([60, 4])))
        if last:
            require(
                real[-1][-last] == 0 and positions[-last] == cells - last, "nulls that are not on the highest cells"
            )
    return real


def _read_levels(reader: SymbolReader, counts: list[int]) -> list[list[int]]:
    """Magnitudes of the real entries of each map."""
    prior = geometric(_SYMBOLS, 500, 512)
    found = []
    for count in counts:
        model = Frequencies(prior)
        sizes = [value + 1 for value in reader.magnitudes(count, model)]
        require(max(sizes, default=0) <= _MAX_LEVEL, "a level exceeds 2**31 - 1")
        found.append(sizes)
        total = sum(model.counts)
        prior = [max(1, seen * 512 // total) for seen in model.counts]
    return found


def _read_support(reader: SymbolReader, cells: int, nonzeros: int) -> list[int]:
    """Positions, marked cell by cell up to the batch of the last nonzero."""
    occupied = max(1, nonzeros * 1024 // max(1, cells))
    model = Frequencies([max(1, 1024 - occupied), occupied])
    positions: list[int] = []
    for start, stop in batches(cells):
        if len(positions) == nonzeros:
            break
        marks = reader.batch(stop - start, model)
        positions += [start + index for index, mark in enumerate(marks) if mark]
    require(len(positions) == nonzeros, "a map of another number of nonzeros")
    return positions
