"""Chapter 6: the true code out of an obfuscated one."""

from __future__ import annotations

from tests.reader.codes import CodeMap, SparseCode
from tests.reader.refusal import require
from tests.reader.supports import MAX_CELLS, coded_bytes, decode_subsets, decode_supports
from tests.reader.varints import read_varint


def purify(public: SparseCode, secret: bytes) -> SparseCode:
    """The true entries of a public code and the side bytes, from the support secret."""
    require(not public.side, "side bytes in the clear")
    size, at = read_varint(secret, 0)
    require(size <= len(secret) - at, "a support secret is cut off")
    side, at = secret[at : at + size], at + size
    maps = []
    for shown in public.maps:
        true_entries, at = _read_map(shown, secret, at)
        kept = [index for index, is_true in enumerate(true_entries) if is_true]
        positions = [shown.positions[index] for index in kept]
        maps.append(CodeMap(shown.cells, positions, [shown.levels[index] for index in kept]))
    require(at == len(secret), "a support secret is too long")
    return SparseCode(maps, side)


def _read_map(shown: CodeMap, secret: bytes, at: int) -> tuple[list[bool], int]:
    """(whether each entry of a map is true, position after it)."""
    length, at = read_varint(secret, at)
    most, at = read_varint(secret, at)
    lacking, at = read_varint(secret, at)
    subset_bytes, at = read_varint(secret, at)
    longest = max(256, -(-shown.cells // 64))
    require(1 <= length <= longest and most <= length, "vectors of impossible length")
    require(lacking <= min(shown.cells, MAX_CELLS // 2), "a support secret of another code")
    entries = [0] * -(-shown.cells // length)
    for position in shown.positions:
        entries[position // length] += 1
    unary = (len(entries) + lacking, len(entries))
    count_bytes = coded_bytes([unary])
    require(count_bytes + subset_bytes <= len(secret) - at, "a support secret is cut off")
    (stops,) = decode_supports(secret[at : at + count_bytes], [unary])
    at += count_bytes
    true_ones = [most + 1 - (stop - before) for before, stop in zip([-1, *stops], stops, strict=False)]
    subsets = decode_subsets(secret[at : at + subset_bytes], entries, true_ones)
    return [is_true for subset in subsets for is_true in subset], at + subset_bytes
