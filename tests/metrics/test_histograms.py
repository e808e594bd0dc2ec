import numpy as np
import pytest

from medveil.metrics.histograms import PooledCorrelation, joint_histogram, r_squared


def _pictures(seed: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    first = generator.normal(level, 20, (30, 41)).astype(np.float32)
    return first, (first * 0.9 + generator.normal(0, 8, first.shape)).astype(np.float32)


def test_every_pixel_falls_in_the_bin_of_its_grey_values() -> None:
    first = np.array([[0, 255, 7.4]], np.float32)
    second = np.array([[1, 300, 7.5]], np.float32)
    counts = joint_histogram(first, second)
    assert counts.shape == (256, 256)
    assert counts.dtype == np.int64
    assert {tuple(cell) for cell in np.argwhere(counts)} == {(0, 1), (255, 255), (7, 8)}


def test_rows_and_columns_sum_to_the_histograms_of_either_picture() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.integers(0, 256, (2, 50, 60)).astype(np.uint8)
    counts = joint_histogram(first, second)
    assert np.array_equal(counts.sum(axis=1), np.bincount(first.ravel(), minlength=256))
    assert np.array_equal(counts.sum(axis=0), np.bincount(second.ravel(), minlength=256))


def test_other_scales_have_as_many_bins_as_asked_for() -> None:
    counts = joint_histogram(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.0]), bins=3, high=1.0)
    assert np.array_equal(counts, np.fliplr(np.eye(3)))


def test_r_squared_is_the_squared_correlation_of_the_pooled_pixels() -> None:
    pairs = [_pictures(seed, level) for seed, level in ((1, 60), (2, 150), (3, 200))]
    first = np.concatenate([pair[0].ravel() for pair in pairs]).astype(np.float64)
    second = np.concatenate([pair[1].ravel() for pair in pairs]).astype(np.float64)
    assert r_squared(*pairs) == pytest.approx(np.corrcoef(first, second)[0, 1] ** 2, rel=1e-12)
    # Pooling is not averaging: images of different brightness correlate by that alone.
    assert r_squared(*pairs) > np.mean([r_squared(pair) for pair in pairs]) + 0.02


def test_running_sums_do_not_cancel_far_from_zero() -> None:
    first, second = _pictures(1, 0)
    far = PooledCorrelation()
    for row_x, row_y in zip(first.astype(np.float64), second.astype(np.float64), strict=True):
        far = far.add(row_x + 1e8, row_y - 1e8)
    assert far.r_squared == pytest.approx(r_squared((first, second)), rel=1e-6)


def test_adding_leaves_the_old_one_as_it_was() -> None:
    start = PooledCorrelation().add(*_pictures(1, 50))
    before = start.r_squared
    assert start.add(*_pictures(2, 90)).count == 2 * start.count
    assert start.r_squared == before
    assert start.add(np.zeros(0), np.zeros(0)) == start


def test_a_constant_side_has_no_correlation() -> None:
    assert np.isnan(r_squared((np.full((4, 4), 9), np.arange(16).reshape(4, 4))))
    assert np.isnan(PooledCorrelation().r_squared)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes"):
        joint_histogram(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="shapes"):
        r_squared((np.zeros((2, 2)), np.zeros(4)))
