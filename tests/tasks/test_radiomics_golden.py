import importlib.util
import json

import numpy as np
import pytest
from tests.tasks.radiomics_golden import SETTINGS, VECTORS, by_pyradiomics, cases

from medveil.metrics.radiomics.discretise import Bins, Width
from medveil.metrics.radiomics.resampling import resampled
from medveil.metrics.radiomics.table import CLASS_OF, CLASSES, NAMES, features

# Relative. Co-occurrence features hold eigenvalues and sums of signed cubes, whose last digits differ between machines.
TOLERANCE = {"firstorder": 1e-12, "glcm": 1e-9, "glszm": 1e-12, "ngtdm": 1e-12, "glrlm": 1e-12, "gldm": 1e-12}

needs_pyradiomics = pytest.mark.skipif(
    importlib.util.find_spec("radiomics") is None or importlib.util.find_spec("SimpleITK") is None,
    reason="needs pyradiomics: pip install numpy setuptools wheel; pip install --no-build-isolation pyradiomics==3.0.1",
)


def assert_agree(found, expected):
    allowed = np.array([TOLERANCE[kind] for kind in CLASS_OF])
    wrong = ~(np.abs(found - expected) <= allowed * np.abs(expected) + 1e-13)
    assert {NAMES[i]: (found[i], expected[i]) for i in np.flatnonzero(wrong)} == {}


def test_there_are_93_names_in_six_classes() -> None:
    assert [len(names) for names in CLASSES.values()] == [18, 24, 16, 5, 16, 14]
    assert len(set(NAMES)) == len(CLASS_OF) == 93


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("case", cases())
def test_all_93_agree_with_the_golden_values(case: str, setting: str) -> None:
    golden = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert golden["names"] == list(NAMES)
    assert_agree(features(*cases()[case], SETTINGS[setting]), np.array(golden["values"][f"{case} {setting}"]))


def test_golden_values_tell_pictures_apart() -> None:
    values = json.loads(VECTORS.read_text(encoding="utf-8"))["values"]
    rough, smooth = np.array(values["rough bins-64"]), np.array(values["smooth bins-64"])
    alike = [name for name, a, b in zip(NAMES, rough, smooth, strict=True) if np.isclose(a, b, rtol=1e-6)]
    assert alike == []
    with pytest.raises(AssertionError):
        assert_agree(rough * (1 + 1e-6), rough)


@needs_pyradiomics
@pytest.mark.parametrize("seed", range(6))
def test_all_93_agree_with_pyradiomics(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: 30 + seed, : 37 - seed]
    picture = 120 + 80 * np.sin(rows / 5) * np.cos(columns / (3 + seed)) + generator.normal(0, 6, rows.shape)
    mask = generator.random(rows.shape) < (0.2, 0.5, 0.9, 1.0, 0.7, 0.05)[seed]
    for setting in (Bins(64), Bins(7), Width(25.0), Width(2.7)):
        assert_agree(features(picture, mask, setting), by_pyradiomics(picture, mask, setting))


@needs_pyradiomics
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1)])
def test_pyradiomics_refuses_lines_and_points_too(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="mask"):
        by_pyradiomics(np.arange(float(np.prod(shape))).reshape(shape), np.ones(shape, np.bool_), Bins(8))


@needs_pyradiomics
@pytest.mark.parametrize("spacing", [(0.73, 1.31), (2.0, 0.5), (0.143, 0.143)])
def test_resampling_agrees_with_simpleitk_on_the_same_grid(spacing: tuple[float, float]) -> None:
    import SimpleITK

    picture = np.random.default_rng(3).normal(100, 30, (40, 52))
    mask = np.add.outer((np.arange(40) - 18) ** 2, (np.arange(52) - 30) ** 2) < 200
    found, inside = resampled(picture, mask, spacing)
    old, new = np.array(picture.shape), np.array(found.shape)
    origin = (old - 1) / 2 * spacing - (new - 1) / 2

    def by_simpleitk(values, interpolator):
        image = SimpleITK.GetImageFromArray(values)
        image.SetSpacing(spacing[::-1])
        size, start = [int(side) for side in new[::-1]], origin[::-1].tolist()
        sampled = SimpleITK.Resample(image, size, SimpleITK.Transform(), interpolator, start, (1.0, 1.0))
        return SimpleITK.GetArrayFromImage(sampled)

    rim = slice(2, -2), slice(2, -2)  # outside the first and last centre it gives a constant
    np.testing.assert_allclose(found[rim], by_simpleitk(picture, SimpleITK.sitkBSpline)[rim], atol=1e-4)
    np.testing.assert_array_equal(inside, by_simpleitk(mask.astype(np.uint8), SimpleITK.sitkNearestNeighbor) > 0)
