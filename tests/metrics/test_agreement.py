import numpy as np
import pytest

from medveil.metrics.agreement import Reproducibility, icc, relative_error, reproducibility_group

# Shrout and Fleiss 1979, table 2: six subjects, four judges.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], np.float64)


def test_six_subjects_and_four_judges_of_the_textbook() -> None:
    found = icc(*RATINGS.T)
    assert (found.subjects, found.raters) == (6, 4)
    assert found.icc21 == pytest.approx([0.29], abs=0.005)
    assert found.icc31 == pytest.approx([0.71], abs=0.005)
    # Intervals as the R package psych prints them for this table.
    assert [*found.icc21_low, *found.icc21_high] == pytest.approx([0.019, 0.761], abs=0.0006)
    assert [*found.icc31_low, *found.icc31_high] == pytest.approx([0.342, 0.946], abs=0.0006)


def test_all_features_at_once_are_as_one_by_one() -> None:
    generator = np.random.default_rng(0)
    first = generator.standard_normal((30, 5)) * (1e-6, 1, 1e3, 1e9, 1)
    second = first + 0.3 * generator.standard_normal((30, 5)) * (1e-6, 1, 1e3, 1e9, 5)
    together = icc(first, second)
    for column in range(5):
        alone = icc(first[:, column], second[:, column])
        for name in ("icc21", "icc21_low", "icc21_high", "icc31", "icc31_low", "icc31_high"):
            assert getattr(together, name)[column] == pytest.approx(getattr(alone, name)[0], rel=1e-12)
    assert (together.icc31_low < together.icc31).all()
    assert (together.icc31 < together.icc31_high).all()
    assert (together.icc21_low < together.icc21).all()
    assert (together.icc21 < together.icc21_high).all()


def test_a_shift_counts_for_agreement_and_not_for_consistency() -> None:
    values = np.random.default_rng(1).standard_normal(50)
    shifted = icc(values, values + 2)
    assert shifted.icc31 == pytest.approx([1])
    assert shifted.icc31_low == pytest.approx([1])
    assert shifted.icc21[0] < 0.5
    scaled = icc(values, 3 * values)
    assert scaled.icc31[0] == pytest.approx(2 * 3 / (1 + 9))  # 2·cov/(var + var)


def test_equal_values_agree_wholly() -> None:
    values = 1e6 + np.random.default_rng(2).standard_normal(20)
    found = icc(values, values)
    for bound in (found.icc21, found.icc21_low, found.icc21_high, found.icc31, found.icc31_low, found.icc31_high):
        assert bound == pytest.approx([1])


def test_constant_and_missing_values_have_no_icc() -> None:
    values = np.random.default_rng(3).standard_normal((20, 4))
    values[:, 1] = 0.1 + 1e-17 * np.arange(20)
    values[:, 2] = 0.0
    values[4, 3] = np.nan
    found = icc(values, values)
    assert np.isnan(found.icc31).tolist() == np.isnan(found.icc21_low).tolist() == [False, True, True, True]
    assert reproducibility_group(float(found.icc31_low[1])) is Reproducibility.UNDEFINED
    steps = icc(np.full(20, 1.0), np.full(20, 2.0))  # no subject differs from another
    assert np.isnan(steps.icc31[0])
    assert np.isnan(steps.icc21_low[0])


@pytest.mark.parametrize(("between", "shift"), [(1.5, 0.5), (0.7, 0.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(between: float, shift: float) -> None:
    generator = np.random.default_rng(4)
    subjects, features = 25, 8000
    true = between * generator.standard_normal((subjects, features))
    shifts = shift * generator.standard_normal((2, 1, features))
    first, second = true + shifts + generator.standard_normal((2, subjects, features))
    found = icc(first, second)
    consistent = between**2 / (between**2 + 1)
    absolute = between**2 / (between**2 + shift**2 + 1)
    assert np.mean((found.icc31_low <= consistent) & (consistent <= found.icc31_high)) == pytest.approx(0.95, abs=0.01)
    # Satterthwaite's degrees of freedom make this one approximate.
    assert np.mean((found.icc21_low <= absolute) & (absolute <= found.icc21_high)) == pytest.approx(0.95, abs=0.02)


def test_relative_errors_by_hand_with_a_feature_about_0_left_out() -> None:
    first = np.array([[10.0, 1e-9], [-10.0, 2.0], [20.0, 4.0], [20.0, np.nan]])
    second = np.array([[11.0, 1.0], [-11.0, 1.0], [20.0, 5.0], [15.0, 1.0]])
    found = relative_error(first, second)
    np.testing.assert_allclose(found.signed, [[10, np.nan], [10, -50], [0, 25], [-25, np.nan]])
    np.testing.assert_allclose(found.absolute[:, 0], [10, 10, 0, 25])
    assert found.left_out.tolist() == [0, 2]
    assert relative_error(np.zeros((3, 1)), np.ones((3, 1))).left_out.tolist() == [3]


def test_groups_hold_their_upper_bounds() -> None:
    by_value = {-0.2: "poor", 0.4: "poor", 0.41: "fair", 0.6: "fair", 0.61: "good", 0.75: "good", 0.751: "excellent"}
    assert {value: reproducibility_group(value).value for value in by_value} == by_value
    assert reproducibility_group(float("nan")) is Reproducibility.UNDEFINED


def test_what_has_no_icc_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more"):
        icc(np.ones(5))
    with pytest.raises(ValueError, match="one shape"):
        icc(np.ones(5), np.ones(6))
    with pytest.raises(ValueError, match="3 subjects"):
        icc(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="level"):
        icc(np.ones(5), np.ones(5), level=95)
    with pytest.raises(ValueError, match="one shape"):
        relative_error(np.ones((5, 2)), np.ones((5, 3)))
