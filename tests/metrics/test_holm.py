import numpy as np
import pytest

from medveil.metrics.holm import adjusted, step_levels


def test_adjusted_p_by_hand() -> None:
    # 0.01·4, then max(0.02·3), max(0.03·2), max(0.04·1): nothing falls behind the one before.
    assert adjusted([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert adjusted([0.6, 0.9]) == pytest.approx([1, 1])
    assert adjusted([]).shape == (0,)


def test_levels_by_hand_stop_at_the_first_that_is_not_rejected() -> None:
    levels = step_levels([0.9, 0.001, 0.02, 0.03], 0.05)
    assert levels == pytest.approx([0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])
    assert step_levels([0.01, 0.02], 0.05) == pytest.approx([0.025, 0.05])


def test_levels_and_adjusted_p_reject_the_same() -> None:
    generator = np.random.default_rng(1)
    for _ in range(200):
        p = generator.random(7) ** 3
        assert np.array_equal(p <= step_levels(p, 0.1), adjusted(p) <= 0.1)


def test_holm_keeps_the_family_wise_error_where_single_tests_do_not() -> None:
    generator = np.random.default_rng(2)
    p = generator.random((4000, 20))
    wrong = np.mean([adjusted(row).min() <= 0.05 for row in p])
    assert 0.04 < wrong < 0.06
    assert np.mean(p.min(axis=1) <= 0.05) > 0.5


@pytest.mark.parametrize("p", [[-0.1], [1.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match="p-values"):
        adjusted(p)
