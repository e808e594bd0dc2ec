"""Codes of chosen shape for the tests of protection."""

from collections.abc import Callable

import numpy as np
import pytest

from medveil.codecs.code import CodeMap, Composition, MapShape, SparseCode

MakeCode = Callable[..., SparseCode]


@pytest.fixture(scope="session")
def make_code() -> MakeCode:
    """make_code(composition, filled, seed): a code whose maps have a share `filled` of the entries that they may."""

    def make(composition: Composition, filled: float = 1.0, seed: int = 0) -> SparseCode:
        rng = np.random.default_rng(seed)
        maps = []
        for shape in composition.maps:
            entries = round(shape.nonzeros * filled)
            positions = np.sort(rng.permutation(shape.cells)[:entries]).astype(np.int64)
            levels = rng.geometric(0.4, entries) * rng.choice([-1, 1], entries)
            maps.append(CodeMap(shape.cells, positions, levels.astype(np.int32)))
        return SparseCode(tuple(maps), rng.bytes(seed % 20))

    return make


@pytest.fixture(scope="session")
def shape_for() -> Callable[..., Composition]:
    """shape_for((cells, nonzeros), …): a composition with ample room for levels."""

    def shape(*maps: tuple[int, int]) -> Composition:
        return Composition(tuple(MapShape(*each) for each in maps), 40 + 4 * sum(nonzeros for _, nonzeros in maps))

    return shape


@pytest.fixture(scope="session")
def same_code() -> Callable[[SparseCode, SparseCode], bool]:
    def same(one: SparseCode, other: SparseCode) -> bool:
        maps = zip(one.maps, other.maps, strict=True)
        return one.side == other.side and all(
            a.cells == b.cells and np.array_equal(a.positions, b.positions) and np.array_equal(a.levels, b.levels)
            for a, b in maps
        )

    return same
