import itertools
import time

import numpy as np
import pytest
from scipy import ndimage

from medveil.errors import UsageError
from medveil.metrics.radiomics.directions import DIRECTIONS
from medveil.metrics.radiomics.discretise import MOST_LEVELS, Bins, Width, grey_levels
from medveil.metrics.radiomics.gldm import dependences
from medveil.metrics.radiomics.glrlm import lines, runs
from medveil.metrics.radiomics.glszm import zones
from medveil.metrics.radiomics.ngtdm import differences
from medveil.metrics.radiomics.resampling import resampled
from medveil.metrics.radiomics.table import CLASS_OF, NAMES, features

AT = {name: index for index, name in enumerate(NAMES)}


def scene(seed=0, height=24, width=31):
    """A picture of few grey values and a mask with holes."""
    generator = np.random.default_rng(seed)
    picture = np.rint(generator.normal(100, 20, (height, width)) + 30 * np.sin(np.arange(width) / 4))
    return picture, generator.random((height, width)) < 0.8


def neighbours(levels, row, column):
    """Levels of the neighbours in the mask, of 8."""
    height, width = levels.shape
    around = itertools.product((-1, 0, 1), repeat=2)
    places = [(row + down, column + right) for down, right in around if (down, right) != (0, 0)]
    return [levels[y, x] for y, x in places if 0 <= y < height and 0 <= x < width and levels[y, x]]


def test_four_pixels_by_hand() -> None:
    found = features(np.array([[1.0, 1.0], [3.0, 4.0]]), np.ones((2, 2), np.bool_), Width(1.0))
    got = {name: found[AT[name]] for name in NAMES}
    assert got["firstorder_Energy"] == got["firstorder_TotalEnergy"] == 1 + 1 + 9 + 16
    assert got["firstorder_Uniformity"] == pytest.approx(0.25 + 2 / 16)
    assert got["firstorder_Entropy"] == pytest.approx(1.5)
    # Levels 1 1 / 3 4: pairs 1-1, 3-4 (0°); 1-3, 1-4 (90°); 1-4 (135°); 1-3 (45°).
    assert got["glcm_Contrast"] == pytest.approx(np.mean([(0 + 1) / 2, (4 + 9) / 2, 9, 4]))
    assert got["glcm_MaximumProbability"] == pytest.approx(np.mean([0.5, 0.25, 0.5, 0.5]))
    # Zones: two pixels of level 1, one of 3, one of 4.
    assert got["glszm_ZonePercentage"] == 3 / 4
    assert got["glszm_LargeAreaEmphasis"] == pytest.approx((4 + 1 + 1) / 3)
    # Runs: three along 0°, four along each other direction.
    assert got["glrlm_RunPercentage"] == pytest.approx((3 / 4 + 3) / 4)
    assert got["gldm_LargeDependenceEmphasis"] == pytest.approx((4 + 4 + 1 + 1) / 4)
    # Means of the neighbours: 8/3, 8/3, 2, 5/3; coarseness is 1 over Σ share·difference.
    assert got["ngtdm_Coarseness"] == pytest.approx(1 / (0.5 * (5 / 3 + 5 / 3) + 0.25 * 1 + 0.25 * 7 / 3))


def test_levels_by_hand() -> None:
    picture = np.array([[54.0, 75.0, 99.0], [100.0, 166.0, 7.0]])
    mask = picture > 50
    assert grey_levels(picture, mask, Width(25.0)).tolist() == [[1, 2, 2], [3, 5, 0]]
    assert grey_levels(picture, mask, Bins(4)).tolist() == [[1, 1, 2], [2, 4, 0]]
    assert set(grey_levels(np.full((3, 3), 9.0), np.ones((3, 3), np.bool_), Bins(64)).ravel()) == {33}


@pytest.mark.parametrize("seed", range(3))
def test_zones_are_those_of_labelling_each_level(seed: int) -> None:
    levels = grey_levels(*scene(seed), Bins(5))
    expected = []
    for level in range(1, 6):
        parts, count = ndimage.label(levels == level, structure=np.ones((3, 3)))
        expected += [(level, int(size)) for size in np.bincount(parts.ravel(), minlength=count + 1)[1:]]
    assert sorted(zip(*(each.tolist() for each in zones(levels)), strict=True)) == sorted(expected)


def test_dependences_and_differences_are_those_of_a_walk_over_the_pixels() -> None:
    levels = grey_levels(*scene(), Bins(4))
    dependence, difference = dependences(levels), differences(levels)
    for row, column in zip(*np.nonzero(levels), strict=True):
        around, own = neighbours(levels, row, column), levels[row, column]
        assert dependence[row, column] == 1 + sum(level == own for level in around)
        assert difference[row, column] == pytest.approx(abs(own - np.mean(around)) if around else 0.0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_runs_are_those_of_a_walk_along_the_direction(direction: tuple[int, int]) -> None:
    levels = grey_levels(*scene(1), Bins(3))
    height, width = levels.shape
    expected = []
    for row, column in np.argwhere(levels):
        back = row - direction[0], column - direction[1]
        if min(back) >= 0 and back[1] < width and levels[back] == levels[row, column]:
            continue
        y, x, length = row, column, 0
        while y < height and 0 <= x < width and levels[y, x] == levels[row, column]:
            y, x, length = y + direction[0], x + direction[1], length + 1
        expected.append((int(levels[row, column]), length))
    assert sorted(zip(*(each.tolist() for each in runs(lines(levels, direction))), strict=True)) == sorted(expected)


@pytest.mark.parametrize("setting", [Bins(16), Width(10.0)])
def test_turned_and_mirrored_pictures_have_the_same_features(setting: Bins | Width) -> None:
    picture, mask = scene(2)
    expected = features(picture, mask, setting)
    for turn in (lambda plane: np.rot90(plane), lambda plane: plane[:, ::-1], lambda plane: plane.T):
        np.testing.assert_allclose(features(turn(picture), turn(mask), setting), expected, rtol=1e-10)


def test_what_lies_outside_the_mask_does_not_count() -> None:
    picture, mask = scene(3)
    expected = features(picture, mask, Bins(16))
    other = np.pad(np.where(mask, picture, 1e6), ((5, 0), (2, 7)), constant_values=np.nan)
    assert np.array_equal(features(other, np.pad(mask, ((5, 0), (2, 7))), Bins(16)), expected)


def test_a_bin_count_hides_a_change_of_scale_and_a_bin_width_shows_it() -> None:
    picture, mask = scene(4)
    texture = np.array([kind != "firstorder" for kind in CLASS_OF])
    scaled = picture * 2 + 64  # exact in binary: levels stay, to the pixel
    for setting, same in ((Bins(16), True), (Width(10.0), False)):
        first, second = (features(each, mask, setting)[texture] for each in (picture, scaled))
        assert np.allclose(first, second, rtol=1e-9) is same


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((6, 6), np.bool_), "0 rows and 0 columns"),
        (np.pad(np.ones((1, 1), np.bool_), 3), "1 rows and 1 columns"),
        (np.pad(np.ones((1, 5), np.bool_), 3), "1 rows and 5 columns"),
        (np.add.outer(np.arange(6) % 2, np.arange(6) % 2) == 2, "neighbours"),
    ],
)
def test_masks_without_texture_are_refused(mask: np.ndarray, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        features(np.arange(float(mask.size)).reshape(mask.shape), mask, Bins(8))


def test_one_grey_level_has_the_stand_in_values() -> None:
    found = features(np.full((8, 8), 40.0), np.ones((8, 8), np.bool_), Bins(64))
    assert np.isfinite(found).all()
    expected = {"glcm_Correlation": 1, "glcm_MCC": 1, "glcm_Imc1": 0, "ngtdm_Coarseness": 1e6, "firstorder_Kurtosis": 0}
    assert {name: found[AT[name]] for name in expected} == expected


def test_what_does_not_fit_is_refused() -> None:
    picture, mask = scene()
    with pytest.raises(UsageError, match="same size"):
        features(picture, mask[1:], Bins(8))
    with pytest.raises(UsageError, match="finite"):
        features(np.where(mask, np.nan, picture), mask, Bins(8))
    with pytest.raises(UsageError, match="grey levels"):
        features(picture, mask, Width(1e-6))
    for wrong in (lambda: Bins(1), lambda: Bins(MOST_LEVELS + 1), lambda: Width(0.0), lambda: Width(float("nan"))):
        with pytest.raises(UsageError):
            wrong()


@pytest.mark.slow  # seconds depend on what else the machine does
def test_300_by_300_pixels_take_less_than_a_third_of_a_second() -> None:
    rows, columns = np.mgrid[:300, :300]
    picture = 100 + 60 * np.sin(rows / 20) + np.random.default_rng(0).normal(0, 8, rows.shape)
    mask = (rows - 150) ** 2 + (columns - 150) ** 2 < 148**2
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        features(picture, mask, Bins(64))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


def test_resampling_has_the_size_in_mm_and_keeps_the_centre() -> None:
    rows, columns = np.mgrid[:40, :60]
    picture = 2.0 * rows - columns
    mask = (rows - 19.5) ** 2 + (columns - 29.5) ** 2 < 200
    found, inside = resampled(picture, mask, (0.5, 2.0))
    assert found.shape == inside.shape == (20, 120)
    # A plane stays a plane away from the mirrored rim, about the same centre.
    y, x = np.mgrid[:20, :120]
    expected = 2 * ((y - 9.5) * 2 + 19.5) - ((x - 59.5) / 2 + 29.5)
    np.testing.assert_allclose(found[6:-6, 12:-12], expected[6:-6, 12:-12], atol=0.05)
    assert inside.sum() == pytest.approx(mask.sum(), rel=0.05)
    same, still = resampled(picture, mask, (1.0, 1.0))
    np.testing.assert_allclose(same, picture, atol=1e-9)
    assert np.array_equal(still, mask)


def test_an_unknown_spacing_leaves_the_pixels_as_they_are() -> None:
    picture, mask = scene()
    found, inside = resampled(picture, mask, None)
    assert np.array_equal(found, picture)
    assert np.array_equal(inside, mask)


@pytest.mark.parametrize(
    ("spacing", "says"), [((0.0, 1.0), "above 0"), ((1.0, float("inf")), "above 0"), ((1e5, 1e5), "pixels")]
)
def test_spacings_that_cannot_be_are_refused(spacing: tuple[float, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resampled(*scene(), spacing)
