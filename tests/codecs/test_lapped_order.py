"""The order of the cells: integers only, the same for encoder and decoder, whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.codecs.lapped.cell_ranking import Ranking
from medveil.codecs.lapped.scan_order import ZoneCells, walk
from medveil.codecs.lapped.significance import (
    CAP,
    DIAGONALS,
    FEATURES,
    KEYS,
    PHASES,
    Surroundings,
    Zone,
    channels,
)
from medveil.codecs.lapped.significance_tables import base_of, weights_of

GREATEST = np.array([2, 1, 2, 8, 8, 12, 0, 0, 0, 4, 4]) * CAP + np.array([0, 0, 0, 0, 0, 0, 1023, 4095, 8190, 0, 0])


def test_predictions_are_exact_in_float32() -> None:
    for diagonal in DIAGONALS:
        for phase in range(len(PHASES)):
            weights, base = weights_of(Zone(diagonal, phase)), base_of(Zone(diagonal, phase))
            assert np.array_equal(weights, np.round(weights))
            assert np.array_equal(base, np.round(base))
            assert np.abs(weights).astype(np.float64) @ GREATEST + np.abs(base).max() < 1 << 24


def test_features_stay_below_the_greatest() -> None:
    surroundings = Surroundings(5, 4)
    for diagonal in DIAGONALS:
        for phase in range(len(PHASES)):
            zone = Zone(diagonal, phase)
            features = surroundings.features(zone)
            assert np.all(features.reshape(FEATURES, -1).max(axis=1) <= GREATEST)
            assert features.min() >= 0
            surroundings.observe(zone, np.full(surroundings.shape(zone), 1 << 20, np.int32))


def test_keys_are_those_of_the_linear_form() -> None:
    rng = np.random.default_rng(3)
    for rows, columns in ((1, 1), (4, 5), (7, 2)):
        surroundings, plain = Surroundings(rows, columns), Surroundings(rows, columns)
        for diagonal in DIAGONALS:
            for phase in range(len(PHASES)):
                zone = Zone(diagonal, phase)
                weights, base = (table(zone).astype(np.int64) for table in (weights_of, base_of))
                if 0 not in surroundings.shape(zone):
                    features = plain.features(zone).astype(np.int64)
                    sums = np.clip(np.tensordot(weights, features, 1) + base[:, None, None], 0, (1 << 19) - 1) + 16
                    octave = np.floor(np.log2(sums + 0.5)).astype(np.int64) - 4
                    expected = np.minimum(octave * 16 + (sums >> octave) - 16, KEYS - 1)
                    keys = surroundings.keys(zone, weights_of(zone), base_of(zone))
                    assert np.array_equal(keys, expected.reshape(-1))
                found = rng.geometric(0.4, surroundings.shape(zone)).astype(np.int32) - 1
                if diagonal % 7 != 3:  # a whole diagonal without any
                    surroundings.observe(zone, found)
                    plain.observe(zone, found)


def test_a_zone_sees_nothing_that_comes_after_it() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, (2, 16, 16, 4, 5)).astype(np.int32)
    zones = [Zone(diagonal, phase) for diagonal in DIAGONALS for phase in range(4)]
    for cut in (0, 1, 2, 3, 17, 60, 119):
        seen = [_keys_up_to(np.where(_before(zones[cut]), first, other), zones, cut) for other in (first, second)]
        assert np.array_equal(*seen)


def test_every_cell_is_visited_once() -> None:
    for rows, columns in ((1, 1), (1, 4), (3, 2), (5, 5)):
        visits = np.zeros((16, 16, rows, columns), np.int32)

        def coder(cells: ZoneCells, keys: np.ndarray, visits: np.ndarray = visits) -> None:
            assert len(keys) == len(cells.get(visits))
            cells.put(visits, cells.get(visits) + 1)

        walk(rows, columns, coder)
        assert visits[0, 0].max() == 0
        assert np.all(visits.reshape(256, -1)[1:] == 1)


@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=6),
    st.lists(st.lists(st.integers(0, KEYS - 1), max_size=60), max_size=8),
    st.lists(st.integers(0, 255), min_size=5, max_size=5),
)
@settings(deadline=None, max_examples=80)
def test_a_ranking_gives_every_cell_a_place_of_its_own(
    cells: list[int], zones: list[list[int]], keys: list[int]
) -> None:
    cells[0] += sum(map(len, zones))
    ranking = Ranking(sorted(keys, reverse=True)[: len(cells) - 1], cells)
    taken: list[set[int]] = [set() for _ in cells]
    for zone in zones:
        placement = ranking.place(np.array(zone, np.uint8))
        assert sorted(placement.order.tolist()) == list(range(len(zone)))
        assert placement.falling.tolist() == sorted(255 - key for key in zone)
        assert sum(count for _, _, count in placement.parts) == len(zone)
        for index, start, count in placement.parts:
            places = set(range(start, start + count))
            assert not places & taken[index]
            assert start + count <= cells[index]
            taken[index] |= places
    assert ranking.used == [len(each) for each in taken]


def _before(zone: Zone) -> np.ndarray:
    """Which cells of a grid of 4 x 5 blocks come before a zone."""
    mask = np.zeros((16, 16, 4, 5), bool)
    for diagonal in DIAGONALS:
        for phase, (down, across) in enumerate(PHASES):
            if (diagonal, phase) < (zone.diagonal, zone.phase):
                u, v = channels(diagonal)
                mask[:, :, down::2, across::2][u, v] = True
    return mask


def _keys_up_to(magnitudes: np.ndarray, zones: list[Zone], last: int) -> np.ndarray:
    surroundings = Surroundings(4, 5)
    for zone in zones[: last + 1]:
        keys = surroundings.keys(zone, weights_of(zone), base_of(zone))
        shape = surroundings.shape(zone)
        surroundings.observe(zone, ZoneCells(zone, shape).get(magnitudes).reshape(shape))
    return keys


def test_maps_without_room_are_a_mistake_of_the_caller() -> None:
    keys = np.full(10, 100, np.uint8)
    assert Ranking((50,), (4, 6)).place(keys).parts == [(0, 0, 4), (1, 0, 6)]
    with pytest.raises(ValueError, match="fewer cells"):
        Ranking((50,), (4, 5)).place(keys)
