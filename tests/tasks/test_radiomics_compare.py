import numpy as np
import pytest

from medveil.errors import UsageError
from medveil.metrics.agreement import icc, reproducibility_group
from medveil.tasks.radiomics_compare import compare

NAMES = ("kept", "noisy", "shifted", "constant")


def tables(n=200, seed=0):
    """Original and opened features: one kept, one noisy, one shifted by a standard deviation, one constant."""
    generator = np.random.default_rng(seed)
    original = 10 + generator.standard_normal((n, 4))
    original[:, 3] = 5.0
    opened = original + generator.standard_normal((n, 4)) * (0.05, 2.0, 0.05, 0.0) + (0.0, 0.0, 1.0, 0.0)
    return original, opened


def compared(original, opened, patients, names=NAMES):
    return compare("opened", "64 bins", original, opened, patients, names)


def test_features_fall_into_the_groups_that_they_were_made_for() -> None:
    found = compared(*tables(), np.arange(200))
    groups = {form: [reproducibility_group(low) for low in found.figures[f"{form}_low"]] for form in ("icc31", "icc21")}
    assert groups == {
        "icc31": ["excellent", "poor", "excellent", "undefined"], "icc21": ["excellent", "poor", "poor", "undefined"],
    }  # fmt: skip
    assert found.groups == {"excellent": 2, "good": 0, "fair": 0, "poor": 1, "undefined": 1}
    assert found.figures["mean_re"][2] == pytest.approx(10, abs=0.5)
    assert found.figures["mean_re"][3] == found.are[3] == 0
    assert found.figures["median_are"][0] < found.are[1]


def test_groups_go_by_the_lower_bound_and_not_by_the_estimate() -> None:
    generator = np.random.default_rng(0)
    original = generator.standard_normal((8, 1))
    found = compared(original, original + 0.45 * generator.standard_normal((8, 1)), np.arange(8), ("few",))
    assert found.icc[0] > 0.75 > found.lower[0]
    assert found.groups["excellent"] == 0


def test_iccs_take_the_first_image_of_a_patient_and_errors_take_all() -> None:
    original, opened = tables(30)
    patients = np.repeat(np.arange(10), 3)
    found = compared(original, opened, patients)
    assert (found.images, found.patients) == (30, 10)
    alone = icc(original[::3], opened[::3])
    np.testing.assert_array_equal(found.lower, alone.icc31_low)
    assert found.figures["mean_re"][1] == pytest.approx(np.mean(100 * (opened - original)[:, 1] / original[:, 1]))
    # Repeats of one patient must not make the interval any narrower.
    again = compared(np.repeat(original[::3], 5, axis=0), np.repeat(opened[::3], 5, axis=0), np.arange(50) // 5)
    np.testing.assert_array_equal(again.figures["icc21_low"], alone.icc21_low)


def test_interleaved_patients_keep_the_order_of_the_rows() -> None:
    original, opened = tables(6)
    found = compared(original, opened, np.array(["b", "a", "b", "c", "a", "d"]))
    alone = icc(original[[0, 1, 3, 5]], opened[[0, 1, 3, 5]])
    np.testing.assert_array_equal(found.figures["icc21"], alone.icc21)


def test_images_with_a_feature_of_about_0_are_left_out_and_counted() -> None:
    original, opened = tables(40)
    original[:5, 0], opened[:5, 0] = 1e-9, 1.0
    found = compared(original, opened, np.arange(40))
    assert found.figures["left_out"].tolist() == [5, 0, 0, 0]
    assert found.are[0] < 1


def test_tables_that_do_not_fit_are_refused() -> None:
    original, opened = tables(10)
    with pytest.raises(UsageError, match="a row an image"):
        compared(original, opened[:9], np.arange(10))
    with pytest.raises(UsageError, match="a row an image"):
        compared(original, opened, np.arange(10), NAMES[1:])
    with pytest.raises(UsageError, match="at least 3"):
        compared(original, opened, np.arange(10) % 2)
