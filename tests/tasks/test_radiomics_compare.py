import numpy as np
import pytest

from medveil.errors import UsageError
from medveil.metrics.agreement import Reproducibility, icc
from medveil.tasks.radiomics_compare import compare

NAMES = ("kept", "noisy", "shifted", "constant")


def tables(n=200, seed=0):
    """Original and opened features: one kept, one noisy, one shifted by a standard deviation, one constant."""
    generator = np.random.default_rng(seed)
    original = 10 + generator.standard_normal((n, 4))
    original[:, 3] = 5.0
    opened = original + generator.standard_normal((n, 4)) * (0.05, 2.0, 0.05, 0.0) + (0.0, 0.0, 1.0, 0.0)
    return original, opened


def test_features_fall_into_the_groups_that_they_were_made_for() -> None:
    found = compare(*tables(), np.arange(200), NAMES)
    assert found.groups31 == (
        Reproducibility.EXCELLENT,
        Reproducibility.POOR,
        Reproducibility.EXCELLENT,
        Reproducibility.UNDEFINED,
    )
    assert found.groups21 == (
        Reproducibility.EXCELLENT,
        Reproducibility.POOR,
        Reproducibility.POOR,
        Reproducibility.UNDEFINED,
    )
    assert found.share_kept() == {"icc21": 1 / 4, "icc31": 2 / 4}
    assert found.counts()["icc31"] == {"excellent": 2, "good": 0, "fair": 0, "poor": 1, "undefined": 1}
    assert found.mean_re[2] == pytest.approx(10, abs=0.5)
    assert found.mean_re[3] == found.mean_are[3] == 0
    assert found.median_are[0] < found.mean_are[1]


def test_groups_go_by_the_lower_bound_and_not_by_the_estimate() -> None:
    generator = np.random.default_rng(0)
    original = generator.standard_normal((8, 1))
    found = compare(original, original + 0.45 * generator.standard_normal((8, 1)), np.arange(8), ("few",))
    assert found.icc.icc31[0] > 0.75 > found.icc.icc31_low[0]
    assert found.groups31[0] is not Reproducibility.EXCELLENT
    assert found.share_kept()["icc31"] == 0


def test_iccs_take_the_first_image_of_a_patient_and_errors_take_all() -> None:
    original, opened = tables(30)
    patients = np.repeat(np.arange(10), 3)
    found = compare(original, opened, patients, NAMES)
    assert (found.images, found.patients) == (30, 10)
    alone = icc(original[::3], opened[::3])
    np.testing.assert_array_equal(found.icc.icc31_low, alone.icc31_low)
    assert found.mean_re[1] == pytest.approx(np.mean(100 * (opened - original)[:, 1] / original[:, 1]))
    # Repeats of one patient must not make the interval any narrower.
    again = compare(np.repeat(original[::3], 5, axis=0), np.repeat(opened[::3], 5, axis=0), np.arange(50) // 5, NAMES)
    np.testing.assert_array_equal(again.icc.icc21_low, alone.icc21_low)


def test_interleaved_patients_keep_the_order_of_the_rows() -> None:
    original, opened = tables(6)
    found = compare(original, opened, np.array(["b", "a", "b", "c", "a", "d"]), NAMES)
    alone = icc(original[[0, 1, 3, 5]], opened[[0, 1, 3, 5]])
    np.testing.assert_array_equal(found.icc.icc21, alone.icc21)


def test_images_with_a_feature_of_about_0_are_left_out_and_counted() -> None:
    original, opened = tables(40)
    original[:5, 0], opened[:5, 0] = 1e-9, 1.0
    found = compare(original, opened, np.arange(40), NAMES)
    assert found.left_out.tolist() == [5, 0, 0, 0]
    assert found.mean_are[0] < 1


def test_tables_that_do_not_fit_are_refused() -> None:
    original, opened = tables(10)
    with pytest.raises(UsageError, match="a row an image"):
        compare(original, opened[:9], np.arange(10), NAMES)
    with pytest.raises(UsageError, match="a row an image"):
        compare(original, opened, np.arange(10))
    with pytest.raises(UsageError, match="at least 3"):
        compare(original, opened, np.arange(10) % 2, NAMES)
