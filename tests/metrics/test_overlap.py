"""Overlap and distances of outlines: by hand, and as MONAI computes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medveil.metrics.overlap import MEASURES, overlap


def square(top: int, left: int, side: int, shape: tuple[int, int] = (12, 10)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def blobs(seed: int, shape: tuple[int, int] = (48, 40)) -> np.ndarray:
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 3) > 0.02


def test_shares_by_hand() -> None:
    truth, found = square(2, 2, 4), square(2, 3, 4)
    found[:2, 3] = True  # 16 true, 18 found, 12 both
    measured = overlap(truth, found)
    assert measured.dice == pytest.approx(24 / 34)
    assert measured.jaccard == pytest.approx(12 / 22)
    assert measured.false_negative_rate == pytest.approx(4 / 16)
    assert measured.false_positive_rate == pytest.approx(6 / 16)
    assert measured.false_discovery_rate == pytest.approx(6 / 18)


def test_distances_by_hand() -> None:
    truth, found = np.zeros((1, 20), bool), np.zeros((1, 20), bool)
    truth[0, 4], found[0, [4, 7]] = True, True  # distances 0 | 0, 3
    measured = overlap(truth, found, (2.0, 0.5))
    assert measured.surface_mean == pytest.approx(0.5)
    assert measured.surface_sd == pytest.approx(math.sqrt(0.5))
    assert measured.hausdorff == pytest.approx(1.5)
    assert measured.hausdorff_95 == pytest.approx(0.95 * 1.5)  # of the found outline; the pooled one has 0.9 of it
    assert measured.padded_mean == pytest.approx(1.5 / 40)
    assert measured.padded_sd == pytest.approx(math.sqrt(1.5**2 / 40 - (1.5 / 40) ** 2))


def test_rows_and_columns_have_their_own_spacing() -> None:
    truth = square(2, 2, 4)
    assert overlap(truth, np.roll(truth, 1, 0), (3.0, 1.0)).hausdorff == pytest.approx(3.0)
    assert overlap(truth, np.roll(truth, 1, 1), (3.0, 1.0)).hausdorff == pytest.approx(1.0)


@pytest.mark.parametrize("spacing", [None, (1.7, 0.4)])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_monai(seed: int, spacing: tuple[float, float] | None) -> None:
    pytest.importorskip("monai")
    import torch
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

    truth, found = blobs(seed), blobs(seed + 100) | blobs(seed)
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (found, truth)]
    measured = overlap(truth, found, spacing)
    assert measured.dice == pytest.approx(float(compute_dice(*pair)))
    expected = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=spacing)
    assert measured.surface_mean == pytest.approx(float(expected), rel=1e-5)
    for percentile, value in ((None, measured.hausdorff), (95, measured.hausdorff_95)):
        expected = compute_hausdorff_distance(*pair, include_background=True, percentile=percentile, spacing=spacing)
        assert value == pytest.approx(float(expected), rel=1e-5)


def test_the_same_region_is_perfect() -> None:
    measured = overlap(blobs(7), blobs(7))
    assert (measured.dice, measured.jaccard) == (1, 1)
    assert all(getattr(measured, name) == 0 for name in MEASURES if name not in ("dice", "jaccard"))


def test_empty_regions_have_the_stated_values() -> None:
    nothing, some = np.zeros((3, 4), bool), square(0, 0, 2, (3, 4))
    both = overlap(nothing, nothing)
    assert (both.dice, both.jaccard) == (1, 1)
    assert all(getattr(both, name) == 0 for name in MEASURES if name not in ("dice", "jaccard"))
    missed, invented = overlap(some, nothing, (2.0, 2.0)), overlap(nothing, some, (2.0, 2.0))
    assert (missed.dice, missed.false_negative_rate, missed.false_positive_rate) == (0, 1, 0)
    assert missed.false_discovery_rate == 0
    assert (invented.false_negative_rate, invented.false_positive_rate, invented.false_discovery_rate) == (0, 1, 1)
    for measured in (missed, invented):
        assert measured.hausdorff == measured.hausdorff_95 == measured.surface_mean == pytest.approx(10.0)
        assert measured.surface_sd == 0


def test_swapping_both_swaps_the_errors_and_keeps_the_rest() -> None:
    one, other = overlap(blobs(1), blobs(2)), overlap(blobs(2), blobs(1))
    assert one.false_discovery_rate == pytest.approx(other.false_negative_rate)
    for name in ("dice", "jaccard", "surface_mean", "surface_sd", "hausdorff", "hausdorff_95"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))


def test_regions_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        overlap(np.zeros((3, 4), bool), np.zeros((4, 3), bool))
