"""Sparse coding with ambiguation (SCA), level `obfuscated`: true entries among decoys. Measured only, never proven.

Source: Razeghi, Voloshynovskiy, Ferdowsi et al.; PRIMIS (Shiri et al., J. Biomed. Inform. 150 (2024) 104583). The
public code is the sparse code with decoys on cells that it leaves empty; the secret says which entries are true.

The law of the decoys. A decoy's level is one of the true levels of its group, each equally likely (a group is the
channel of its map, or its band; a group with fewer than 16 true entries takes those of the whole map), drawn with the
randomness of the operating system by exact rejection. Given its group, the level of a decoy is therefore distributed
exactly like that of a true entry picked at random, and says nothing on which of the two it is. Its place is uniform
among the empty cells of its vector. Deviations from the source: decoys are integers of the same alphabet instead of
floats of a disjoint range, their number is a parameter, and vectors with fewer true entries get more decoys, so that
every vector shows equally many.

What this does not give. Places leak: codecs use cells very unevenly and neighbours go together, so the true support is
in good part predictable from the public code (56 to 95 % of it by a count for each cell, on a small model), and
decoding the public code as it stands may show the picture. Levels at true places and the number of entries are public,
and the latter depends on the image. Two ambiguations of one image reveal its support by comparison. The side bytes
(true size, depth, step, DC: a thumbnail) go into the secret, unlike in the source. Use `sealed` where secrecy is meant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medveil.codecs import entropy
from medveil.codecs.code import CodeMap, SparseCode
from medveil.codecs.varints import read_varint, varint
from medveil.errors import IntegrityError
from medveil.protection.enumerative import decode_subsets, encode_subsets
from medveil.protection.keystream import MAX_CELLS, Stream, SystemStream, bounded
from medveil.protection.support import coded_bytes, decode_supports, encode_supports

BANDS = 64
RANKED_VECTOR = 256

_LEAST_GROUP = 16


@dataclass(frozen=True)
class AmbiguatedCode:
    """What everybody may hold: a sparse code of true entries and decoys side by side, without side bytes."""

    code: SparseCode

    def to_bytes(self) -> bytes:
        return entropy.pack(self.code)

    @classmethod
    def from_bytes(cls, data: bytes, max_cells: int = entropy.MAX_CELLS) -> AmbiguatedCode:
        """Read what `to_bytes` wrote.

        Raises:
            IntegrityError: the bytes are no packed code, one of more than `max_cells` cells, or one with side bytes.
        """
        code = entropy.unpack(data, max_cells)
        if code.side:
            raise IntegrityError("an obfuscated code has side bytes in the clear")
        return cls(code)


def ambiguate(
    code: SparseCode, vector_length: int, decoys: int = 0, stream: Stream | None = None
) -> tuple[AmbiguatedCode, bytes]:
    """Hide the support of a code among decoys.

    Args:
        code: the true code.
        vector_length: number of channels M of a code vector, where cell v * M + c of a map is channel c of vector v;
            0 where cells are in order of priority instead (codec `lapped`).
        decoys: number S_n of decoys a vector, 0 for as many as true entries. Vectors: each shows S_x + S_n entries (M
            at most), S_x being the largest number of true entries in a vector of its map. Cells in order of priority:
            S_n for every RANKED_VECTOR cells of the map, shared out over BANDS bands of the map in proportion to
            their true entries, because a decoy on a cell that is hardly ever used would give itself away.
        stream: where the decoys are drawn from; None for the operating system, as in every release. An audit gives
            one, so that it can be repeated; who knows the stream knows the decoys.

    Returns:
        The public code, and the secret that `purify` needs: the side bytes, and which entries are true. Its length
        depends on the code: pad it, and encrypt it with an AEAD.

    Raises:
        ValueError: a map is not made of whole vectors, or a number is negative.
    """
    if decoys < 0 or vector_length < 0:
        raise ValueError(f"{decoys} decoys a vector of {vector_length} cells are not possible")
    if vector_length and any(code_map.cells % vector_length for code_map in code.maps):
        raise ValueError(f"a map is not made of whole vectors of {vector_length} cells")
    source = SystemStream() if stream is None else stream
    parts = [_ambiguate_map(code_map, vector_length, decoys, source) for code_map in code.maps]
    public = SparseCode(tuple(public for public, _ in parts), b"")
    return AmbiguatedCode(public), varint(len(code.side)) + code.side + b"".join(secret for _, secret in parts)


def purify(ambiguated: AmbiguatedCode, secret: bytes) -> SparseCode:
    """The true code.

    Raises:
        IntegrityError: the secret doesn't fit the public code.
    """
    size, start = read_varint(secret, 0)
    side = secret[start : start + size]
    start += size
    maps: list[CodeMap] = []
    for public in ambiguated.code.maps:
        true_entries, start = _read_map(public, secret, start)
        maps.append(CodeMap(public.cells, public.positions[true_entries], public.levels[true_entries]))
    if start != len(secret):
        raise IntegrityError("a support secret is longer than its public code needs")
    return SparseCode(tuple(maps), side)


def _ambiguate_map(code_map: CodeMap, vector_length: int, decoys: int, stream: Stream) -> tuple[CodeMap, bytes]:
    length = vector_length or max(1, -(-code_map.cells // BANDS))
    true_ones = _per_vector(code_map, length)
    room = np.minimum(length, code_map.cells - length * np.arange(len(true_ones)))
    wanted = _wanted(true_ones, code_map, vector_length, decoys)
    places = _decoy_places(code_map, length, np.minimum(wanted, room - true_ones), stream)
    if vector_length:
        own_groups, groups = code_map.positions % length, places % length
    else:
        own_groups, groups = code_map.positions // length, places // length
    levels = _decoy_levels(code_map.levels, own_groups, groups, stream)
    positions = np.concatenate([code_map.positions, places])
    ranks = np.argsort(positions, kind="stable")
    public = CodeMap(code_map.cells, positions[ranks], np.concatenate([code_map.levels, levels])[ranks])
    return public, _write_map(public, ranks < len(code_map.positions), length)


def _wanted(true_ones: NDArray[np.int64], code_map: CodeMap, vector_length: int, decoys: int) -> NDArray[np.int64]:
    """How many decoys each vector or band is to have, room or not."""
    if vector_length:
        most = int(true_ones.max(initial=0))
        return most + (decoys or most) - true_ones
    total = int(true_ones.sum())
    return true_ones * (decoys * code_map.cells // RANKED_VECTOR if decoys else total) // max(total, 1)


def _per_vector(code_map: CodeMap, length: int) -> NDArray[np.int64]:
    counts = np.bincount(code_map.positions // length, minlength=-(-code_map.cells // length))
    return counts.astype(np.int64)


def _decoy_places(code_map: CodeMap, length: int, counts: NDArray[np.int64], stream: Stream) -> NDArray[np.int64]:
    """counts[v] of the empty cells of each vector v, every choice equally likely: the first ones in a random order."""
    priority = np.full(len(counts) * length, code_map.cells, np.int64)
    priority[: code_map.cells] = stream.permutation(code_map.cells)
    priority[code_map.positions] = code_map.cells
    first = np.argsort(priority.reshape(len(counts), length), axis=1, kind="stable")
    rows, columns = np.nonzero(np.arange(length)[None, :] < counts[:, None])
    return rows * length + first[rows, columns]


def _decoy_levels(
    true_levels: NDArray[np.int32], true_groups: NDArray[np.int64], groups: NDArray[np.int64], stream: Stream
) -> NDArray[np.int32]:
    """For each decoy a true level of its group, each equally likely; of an empty map, -1 or 1."""
    everywhere = true_levels if len(true_levels) else np.array([-1, 1], np.int32)
    by_group = np.argsort(true_groups, kind="stable")
    starts = np.searchsorted(true_groups[by_group], np.arange(int(groups.max(initial=-1)) + 2))
    levels = np.empty(len(groups), np.int32)
    for group in np.unique(groups):
        own = true_levels[by_group[starts[group] : starts[group + 1]]]
        pool = own if len(own) >= _LEAST_GROUP else everywhere
        here = np.flatnonzero(groups == group)
        levels[here] = pool[bounded(stream, len(pool), len(here))]
    return levels


def _write_map(public: CodeMap, true_entries: NDArray[np.bool_], length: int) -> bytes:
    """Header, how many true entries each vector has (as what it lacks to the most, in unary), and which they are."""
    entries = _per_vector(public, length)
    true_ones = np.bincount(public.positions[true_entries] // length, minlength=len(entries)).astype(np.int64)
    most = int(true_ones.max(initial=0))
    stops = np.cumsum(most - true_ones + 1) - 1
    lacking = int(stops[-1]) + 1 - len(entries) if len(entries) else 0
    counts = encode_supports([(stops, len(entries) + lacking)])
    subsets = encode_subsets(true_entries, entries)
    return b"".join(map(varint, (length, most, lacking, len(subsets)))) + counts + subsets


def _read_map(public: CodeMap, secret: bytes, start: int) -> tuple[NDArray[np.bool_], int]:
    length, start = read_varint(secret, start)
    most, start = read_varint(secret, start)
    lacking, start = read_varint(secret, start)
    subset_bytes, start = read_varint(secret, start)
    longest = max(RANKED_VECTOR, -(-public.cells // BANDS))  # reading takes a step for each cell of a vector
    if not 1 <= length <= longest or most > length or lacking > min(public.cells, MAX_CELLS // 2):
        raise IntegrityError("a support secret doesn't fit its public code")
    if -(-public.cells // length) + lacking > MAX_CELLS:
        raise IntegrityError("a support secret states more vectors than a code has")
    entries = _per_vector(public, length)
    unary = (len(entries) + lacking, len(entries))
    count_bytes = coded_bytes([unary])
    if len(secret) - start < count_bytes + subset_bytes:
        raise IntegrityError("a support secret is shorter than its public code needs")
    (stops,) = decode_supports(secret[start : start + count_bytes], [unary])
    true_ones = most + 1 - np.diff(stops, prepend=-1)
    start += count_bytes
    true_entries = decode_subsets(secret[start : start + subset_bytes], entries, true_ones)
    return true_entries, start + subset_bytes
