import numpy as np
import pytest

from medveil.metrics.image_quality import mean_absolute_error, mean_error, ms_ssim, psnr, rmse, ssim


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


def test_errors_are_signed_from_original_to_opened() -> None:
    original, opened = np.array([[10, 200]], np.uint8), np.array([[13, 199]], np.uint8)
    assert mean_error(original, opened) == 1
    assert mean_error(opened, original) == -1
    assert mean_absolute_error(original, opened) == 2
    with pytest.raises(ValueError, match="shapes"):
        mean_error(np.zeros((2, 2)), np.zeros((2, 3)))


@pytest.mark.parametrize("shape", [(176, 180), (191, 207)])
def test_ms_ssim_equals_monai(shape: tuple[int, int]) -> None:
    regression = pytest.importorskip("monai.metrics.regression")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    first = 128 + 90 * np.sin(rows / 9) * np.cos(columns / 13) + rng.normal(0, 10, shape)
    second = 0.8 * first + 30 + rng.normal(0, 20, shape)
    planes = [torch.from_numpy(picture[None, None].astype(np.float32)) for picture in (first, second)]
    reference = float(regression.compute_ms_ssim(*planes, spatial_dims=2, data_range=255.0))
    assert ms_ssim(first, second, 255) == pytest.approx(reference, abs=1e-4)
    assert reference < 0.97


def test_ms_ssim_at_its_ends() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (176, 176)).astype(np.uint8)
    assert ms_ssim(picture, picture, 255) == pytest.approx(1)
    assert ms_ssim(picture, 255 - picture, 255) == 0  # negative likeness at every scale
    with pytest.raises(ValueError, match="at least 176"):
        ms_ssim(picture[:175], picture[:175], 255)
    with pytest.raises(ValueError, match="shapes"):
        ms_ssim(picture, picture[:, 1:], 255)


def test_ms_ssim_of_fewer_scales() -> None:
    """One scale is SSIM; the weights of fewer still sum to 1; each number of scales has its shortest side."""
    first, second = _pair()
    assert ms_ssim(first, second, 255, 1) == pytest.approx(ssim(first, second, 255))
    shades = np.full((44, 44), 100.0)
    for scales in (1, 2, 3):
        assert ms_ssim(shades, shades, 255, scales) == pytest.approx(1)
        luminance = (2 * 100 * 120 + (0.01 * 255) ** 2) / (100**2 + 120**2 + (0.01 * 255) ** 2)
        weight = (0.0448, 0.2856, 0.3001)[scales - 1] / sum((0.0448, 0.2856, 0.3001)[:scales])
        assert ms_ssim(shades, shades + 20, 255, scales) == pytest.approx(luminance**weight)
    with pytest.raises(ValueError, match="of 4 scales needs sides of at least 88 pixels, not 44"):
        ms_ssim(shades, shades, 255, 4)
    for scales in (0, 6):
        with pytest.raises(ValueError, match="one to 5 scales"):
            ms_ssim(shades, shades, 255, scales)
