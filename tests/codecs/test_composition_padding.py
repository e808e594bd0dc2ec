import numpy as np
import pytest

from medveil.codecs.code import CodeMap, Composition, MapShape, SparseCode
from medveil.codecs.lapped.composition_padding import pad_with_nulls


def test_nulls_fill_the_highest_empty_cells() -> None:
    code = SparseCode((CodeMap(8, np.array([1, 6]), np.array([5, -2], np.int32)), CodeMap(3, *_nothing())), b"")
    padded = pad_with_nulls(code, Composition((MapShape(8, 4), MapShape(3, 3)), 0))
    assert [each.positions.tolist() for each in padded.maps] == [[1, 5, 6, 7], [0, 1, 2]]
    assert [each.levels.tolist() for each in padded.maps] == [[5, 0, -2, 0], [0, 0, 0]]


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty(0, np.int32)


def test_nulls_follow_after_all_entries_where_there_is_room() -> None:
    code = SparseCode((CodeMap(100, np.array([2, 40]), np.array([5, -2], np.int32)),), b"side")
    padded = pad_with_nulls(code, Composition((MapShape(100, 30),), 0))
    assert padded.maps[0].levels.tolist() == [5, -2] + 28 * [0]
    assert padded.side == b"side"


def test_a_full_map_stays_as_it_is_and_a_fuller_one_is_refused() -> None:
    code = SparseCode((CodeMap(8, np.array([1, 6]), np.array([5, -2], np.int32)),), b"")
    assert pad_with_nulls(code, Composition((MapShape(8, 2),), 0)).maps[0] is code.maps[0]
    for maps in ((MapShape(8, 1),), (MapShape(9, 2),), (), (MapShape(8, 2),) * 2):
        with pytest.raises(ValueError, match="fit"):
            pad_with_nulls(code, Composition(maps, 0))
