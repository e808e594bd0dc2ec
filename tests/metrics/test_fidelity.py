import numpy as np
import pytest

from medveil.metrics.fidelity import psnr, rmse, ssim


def _pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (40, 61)).astype(np.uint8)
    return first, np.clip(first + rng.normal(0, 9, first.shape), 0, 255).astype(np.uint8)


def test_ssim_equals_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    first, second = _pair()
    reference = metrics.structural_similarity(
        first, second, data_range=255, gaussian_weights=True, use_sample_covariance=False
    )
    assert ssim(first, second, 255) == pytest.approx(reference, abs=1e-9)


def test_psnr_equals_scikit_image_and_its_closed_form() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    first, second = _pair()
    assert psnr(first, second, 255) == pytest.approx(metrics.peak_signal_noise_ratio(first, second, data_range=255))
    assert rmse(np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8)) == 3
    assert psnr(first, first, 255) == float("inf")
    assert ssim(first, first, 255) == pytest.approx(1)


def test_unsigned_pixels_do_not_wrap_around() -> None:
    assert rmse(np.array([[0]], np.uint8), np.array([[255]], np.uint8)) == 255


def test_shapes_must_agree_and_suffice() -> None:
    with pytest.raises(ValueError, match="shapes"):
        rmse(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="at least 11"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)), 255)
