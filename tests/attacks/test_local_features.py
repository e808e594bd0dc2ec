"""Key points that match and lie alike."""

from __future__ import annotations

import numpy as np
import pytest

from medveil.attacks.reidentification.linear_embedding import unit
from medveil.attacks.reidentification.local_features import LONGEST, KeyPoints, enlarged, lying_alike, matches

pytest.importorskip("cv2")


def points(count, seed, map_of_them=None):
    """So many key points anywhere; those of a second picture are where a map puts them, and look the same."""
    generator = np.random.default_rng(seed)
    places = generator.uniform(50, 400, (count, 2)).astype(np.float32)
    descriptors = unit(generator.normal(size=(count, 32)).astype(np.float32))
    if map_of_them is not None:
        places = (places @ np.asarray(map_of_them, np.float32)[:, :2].T + np.float32(map_of_them)[:, 2]).astype(
            np.float32
        )
    return KeyPoints(places, descriptors)


def turned(degrees, scale=1.0, shift=(0.0, 0.0)):
    angle = np.deg2rad(degrees)
    rows = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, 225.0)
    return np.c_[rows, middle - rows @ middle + shift]


def test_points_that_a_small_turn_shift_and_scale_explain_count():
    moved = points(40, 0, turned(5, 1.1, (12, -7)))
    assert lying_alike(points(40, 0), moved, 1.0, 4.0) == pytest.approx(40.99, abs=1e-4)
    assert lying_alike(points(40, 0), moved, 0.9, 4.0) == pytest.approx(40.99, abs=1e-4)


def test_maps_that_no_two_pictures_of_a_chest_differ_by_count_for_nothing():
    for impossible in (turned(40), turned(0, 1.6), turned(0, 0.6)):
        assert lying_alike(points(40, 0), points(40, 0, impossible), 1.0, 4.0) < 15
    assert lying_alike(points(40, 0), points(40, 0, turned(0, 1.0, (130, 0))), 1.0, 4.0) == 0.0  # out of reach


def test_points_that_look_alike_and_lie_elsewhere_do_not_count():
    first, second = points(60, 1), points(60, 1)
    elsewhere = KeyPoints(np.random.default_rng(9).permutation(second.places), second.descriptors)
    assert lying_alike(first, elsewhere, 1.0, 4.0) < 10


def test_matches_are_mutual_and_clear():
    first = KeyPoints(np.zeros((2, 2), np.float32), unit(np.float32([[1, 0], [0.9, 0.1]])))
    second = KeyPoints(np.zeros((2, 2), np.float32), unit(np.float32([[1, 0], [-1, 0.01]])))
    here, there, cosines = matches(first, second, 1.0)
    assert (here.tolist(), there.tolist(), cosines.tolist()) == ([0], [0], [1.0])
    twins = KeyPoints(np.zeros((2, 2), np.float32), unit(np.float32([[1, 0.1], [1, -0.11]])))
    one = KeyPoints(first.places[:1], first.descriptors[:1])
    assert len(matches(one, twins, 1.0)[0]) == 1
    assert len(matches(one, twins, 0.9)[0]) == 0  # the second is as near
    nothing = KeyPoints(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))
    for pair in ((first, nothing), (nothing, first), (nothing, nothing)):
        assert lying_alike(*pair, 0.9, 4.0) == 0.0


@pytest.mark.parametrize("shape", [(16, 16), (300, 200), (5, 900)])
def test_every_picture_is_looked_at_in_one_size(shape):
    found = enlarged(np.full(shape, 300.0, np.float32))
    assert max(found.shape) == LONGEST
    assert min(found.shape) >= 32
    assert found.max() == 255.0
