import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.codecs.code import CodeMap, Composition, MapShape, SparseCode
from medveil.codecs.entropy import (
    LevelsDoNotFit,
    _null_counts,
    _null_marks,
    pack,
    pack_levels,
    unpack,
    unpack_levels,
)
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.codecs.symbols import Frequencies, SymbolWriter, geometric_prior
from medveil.errors import IntegrityError


@st.composite
def codes(draw: st.DrawFn) -> SparseCode:
    maps = []
    for _ in range(draw(st.integers(0, 4))):
        cells = draw(st.integers(0, 300))
        positions = sorted(draw(st.sets(st.integers(0, cells - 1)))) if cells else []
        largest = draw(st.sampled_from([1, 3, 40, 70_000, (1 << 31) - 1]))
        levels = [draw(st.integers(1, largest)) * draw(st.sampled_from([-1, 1])) for _ in positions]
        maps.append(CodeMap(cells, np.array(positions, np.int64), np.array(levels, np.int32)))
    return SparseCode(tuple(maps), draw(st.binary(max_size=40)))


def same(first: SparseCode, second: SparseCode) -> bool:
    return first.side == second.side and all(
        one.cells == two.cells
        and np.array_equal(one.positions, two.positions)
        and np.array_equal(one.levels, two.levels)
        and two.positions.dtype == np.int64
        and two.levels.dtype == np.int32
        for one, two in zip(first.maps, second.maps, strict=True)
    )


def shape_of(code: SparseCode, spare: int, level_bytes: int = 1 << 20) -> Composition:
    shapes = (MapShape(entry.cells, min(entry.cells, len(entry.levels) + spare)) for entry in code.maps)
    return Composition(tuple(shapes), level_bytes)


@given(codes(), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_a_whole_code_comes_back(code: SparseCode, zeros: int) -> None:
    assert same(code, unpack(pack(code) + bytes(zeros)))


@given(codes(), st.integers(0, 9), st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_levels_come_back_without_nulls(code: SparseCode, zeros: int, spare: int) -> None:
    composition = shape_of(code, spare)
    padded = pad_with_nulls(code, composition)
    supports = [(entry.positions, entry.levels < 0) for entry in padded.maps]
    stream = pack_levels(padded, composition) + bytes(zeros)
    assert same(code, unpack_levels(stream, supports, composition))


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=150)
def test_foreign_bytes_give_some_code_or_a_clear_error(data: bytes) -> None:
    try:
        code = unpack(data, max_cells=1 << 20)
    except IntegrityError:
        return
    assert all(len(entry.positions) <= entry.cells for entry in code.maps)


@given(codes(), st.integers(0, 1 << 16), st.integers(0, 7))
@settings(deadline=None, max_examples=80)
def test_a_flipped_bit_never_crashes(code: SparseCode, where: int, bit: int) -> None:
    composition = shape_of(code, 5)
    padded = pad_with_nulls(code, composition)
    supports = [(entry.positions, entry.levels < 0) for entry in padded.maps]
    for data in (bytearray(pack(code)), bytearray(pack_levels(padded, composition))):
        data[where % len(data)] ^= 1 << bit
        try:
            unpack(bytes(data), max_cells=1 << 20)
            unpack_levels(bytes(data), supports, composition)
        except IntegrityError:
            pass


def test_too_many_cells_are_refused_before_anything_is_allocated() -> None:
    code = SparseCode((CodeMap(1 << 29, np.array([3], np.int64), np.array([1], np.int32)),), b"")
    assert len(pack(code)) < 40
    with pytest.raises(IntegrityError, match="more cells"):
        unpack(pack(code), max_cells=1 << 20)


def test_a_level_stream_that_is_too_long_is_refused() -> None:
    code = _geometric(5000, 400)
    length = len(pack_levels(code, shape_of(code, 0)))
    assert pack_levels(code, shape_of(code, 0, length))
    with pytest.raises(LevelsDoNotFit, match="exceeds"):
        pack_levels(code, shape_of(code, 0, length - 1))


def test_another_shape_is_a_mistake_of_the_caller() -> None:
    code = _geometric(500, 40)
    with pytest.raises(ValueError, match="entries"):
        pack_levels(code, Composition((MapShape(500, 41),), 1000))


def test_the_rate_is_near_the_entropy() -> None:
    cells, nonzeros = 200_000, 20_000
    code = _geometric(cells, nonzeros)
    share = nonzeros / cells
    support = -cells * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    levels = nonzeros * 2.0  # a geometric law of ratio 1/2
    assert 8 * len(pack(code)) < 1.01 * (support + levels + nonzeros)


def test_nulls_cost_next_to_nothing() -> None:
    code = _geometric(100_000, 2000)
    without = len(pack_levels(code, shape_of(code, 0)))
    composition = shape_of(code, 3000)
    assert len(pack_levels(pad_with_nulls(code, composition), composition)) < without + 80


def _geometric(cells: int, nonzeros: int) -> SparseCode:
    rng = np.random.default_rng(5)
    positions = np.sort(rng.permutation(cells)[:nonzeros]).astype(np.int64)
    levels = (rng.geometric(0.5, nonzeros) * rng.choice([-1, 1], nonzeros)).astype(np.int32)
    return SparseCode((CodeMap(cells, positions, levels),), b"side")


def test_nulls_are_where_packing_puts_them() -> None:
    composition = Composition((MapShape(10, 3),), 64)

    def stream(levels: list[int]) -> bytes:
        return pack_levels(SparseCode((CodeMap(10, np.arange(3), np.array(levels, np.int32)),), b""), composition)

    def read(data: bytes, positions: list[int]) -> SparseCode:
        return unpack_levels(data, [(np.array(positions), np.zeros(3, bool))], composition)

    assert read(stream([4, 0, 0]), [1, 8, 9]).maps[0].levels.tolist() == [4]
    assert read(stream([4, 0, 7]), [1, 8, 9]).maps[0].levels.tolist() == [4, 7]
    for positions in ([1, 7, 9], [1, 7, 8], [1, 2, 3]):
        with pytest.raises(IntegrityError, match="nulls"):
            read(stream([4, 0, 0]), positions)
    writer = SymbolWriter()
    writer.magnitudes(np.array([2]), _null_counts())
    writer.adaptive(np.array([1, 0], np.int32), _null_marks())  # the first of the marked entries is real
    writer.magnitudes(np.array([3, 3]), Frequencies(geometric_prior(20)))
    with pytest.raises(IntegrityError, match="nulls"):
        read(b"\0" + writer.to_bytes(), [1, 8, 9])
