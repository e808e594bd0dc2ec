import numpy as np
import pytest

from medveil.metrics.inference import (
    bootstrap_means,
    holm_adjusted,
    holm_levels,
    interval,
    patient_draws,
    sign_flip_p,
    upper_bound,
    weighted_means,
)


def _clustered(generator: np.random.Generator, patients: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Images that share much with the others of their patient."""
    whose = np.repeat(np.arange(patients) * 7 + 3, generator.integers(1, 5, patients))
    common = dict(zip(np.unique(whose), generator.normal(0, 1, patients), strict=True))
    return np.array([common[p] for p in whose]) + generator.normal(0, 0.3, len(whose)), whose


def test_each_draw_is_of_as_many_patients_as_there_are() -> None:
    draws = patient_draws(9, 4000, np.random.default_rng(1))
    assert np.all(draws.sum(axis=1) == 9)
    assert draws.mean(axis=0) == pytest.approx(np.ones(9), abs=0.06)
    assert draws.var(axis=0) == pytest.approx(np.full(9, 8 / 9), abs=0.08)


def test_a_draw_means_over_all_images_of_its_patients() -> None:
    values, whose = np.array([1.0, 2, 3, 10]), np.array([5, 5, 5, 2])
    draws = np.array([[1, 1], [2, 0], [0, 2]], np.float32)  # patient 2, then patient 5
    assert weighted_means(values, whose, draws) == pytest.approx([4, 10, 2])


def test_the_spread_is_that_of_patients_and_not_of_images() -> None:
    values, whose = _clustered(np.random.default_rng(2))
    spread = bootstrap_means(values, whose, 6000, np.random.default_rng(3)).std()
    _, index = np.unique(whose, return_inverse=True)
    sums = np.bincount(index, values - values.mean())
    assert spread == pytest.approx(np.sqrt(np.sum(sums**2)) / len(values), rel=0.1)
    as_if_apart = bootstrap_means(values, np.arange(len(values)), 6000, np.random.default_rng(3)).std()
    assert as_if_apart < 0.8 * spread


def test_far_from_zero_the_draws_keep_their_precision() -> None:
    values, whose = _clustered(np.random.default_rng(2))
    near = bootstrap_means(values, whose, 50, np.random.default_rng(3))
    far = bootstrap_means(values + 1e6, whose, 50, np.random.default_rng(3))
    assert far - 1e6 == pytest.approx(near, abs=1e-6)


def test_few_patients_are_counted_out() -> None:
    generator = np.random.default_rng(0)
    four = np.repeat(np.arange(4), 2)
    assert sign_flip_p(np.ones(8), four, 10, generator) == 1 / 16
    assert sign_flip_p(-np.ones(8), four, 10, generator) == 1
    assert sign_flip_p(np.zeros(8), four, 10, generator) == 1
    # 3 - 1 - 1 = 1 is reached by +++, and by the three with exactly one of the ones turned or only the observed kept.
    assert sign_flip_p(np.array([3.0, -1, -1]), np.arange(3), 10, generator) == 4 / 8


def test_drawn_flips_agree_with_the_exact_distribution() -> None:
    generator = np.random.default_rng(4)
    thirteen = np.array([2.0, 1, 3, -1, 2, 1, -2, 1, 1, 2, -3, 1, 1])
    flips = 1 - 2.0 * ((np.arange(1 << 13)[:, None] >> np.arange(13)) & 1)
    exact = np.mean(flips @ thirteen >= thirteen.sum() - 1e-9)
    assert sign_flip_p(thirteen, np.arange(13), 20_000, generator) == pytest.approx(exact, rel=0.25)


def test_p_agrees_with_scipys_permutation_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(5).normal(0.4, 1, 10)
    ours = sign_flip_p(values, np.arange(10), 1, np.random.default_rng(0))
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    assert ours == pytest.approx(theirs.pvalue)


def test_p_is_never_zero_and_counts_the_observation() -> None:
    p = sign_flip_p(np.full(40, 0.5), np.arange(40), 999, np.random.default_rng(1))
    assert p == 1 / 1000


def test_images_of_one_patient_flip_together() -> None:
    """One patient with a hundred good images is one toss of a coin."""
    values, whose = np.ones(100), np.zeros(100, np.int64)
    assert sign_flip_p(values, whose, 5000, np.random.default_rng(1)) == 0.5


def test_the_null_is_rejected_as_often_as_the_level_says() -> None:
    generator = np.random.default_rng(6)
    p = np.array([sign_flip_p(*_clustered(generator, 25), 2000, generator) for _ in range(1500)])
    for level in (0.01, 0.05, 0.2):
        assert np.mean(p <= level) < level + 3 * np.sqrt(level * (1 - level) / len(p))
    assert np.mean(p <= 0.2) > 0.15


def test_an_effect_is_seen() -> None:
    values, whose = _clustered(np.random.default_rng(7))
    assert sign_flip_p(values + 2, whose, 20_000, np.random.default_rng(8)) < 1e-4


def test_the_same_generator_gives_the_same_numbers() -> None:
    values, whose = _clustered(np.random.default_rng(2))
    one, two = (
        (sign_flip_p(values, whose, 500, g), *bootstrap_means(values, whose, 20, g))
        for g in (np.random.default_rng(9), np.random.default_rng(9))
    )
    assert one == two


def test_intervals_and_bounds_are_quantiles() -> None:
    samples = np.random.default_rng(1).permutation(np.arange(1001.0))
    assert interval(samples, 0.9) == pytest.approx((50, 950))
    assert upper_bound(samples, 0.95) == 950
    assert upper_bound(np.arange(10.0), 0.999) == 9


def test_adjusted_p_by_hand() -> None:
    # 0.01·4, then max(0.02·3), max(0.03·2), max(0.04·1): nothing falls behind the one before.
    assert holm_adjusted([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm_adjusted([0.6, 0.9]) == pytest.approx([1, 1])
    assert holm_adjusted([]).shape == (0,)


def test_levels_by_hand_stop_at_the_first_that_is_not_rejected() -> None:
    levels = holm_levels([0.9, 0.001, 0.02, 0.03], 0.05)
    assert levels == pytest.approx([0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])
    assert holm_levels([0.01, 0.02], 0.05) == pytest.approx([0.025, 0.05])


def test_levels_and_adjusted_p_reject_the_same() -> None:
    generator = np.random.default_rng(1)
    for _ in range(200):
        p = generator.random(7) ** 3
        assert np.array_equal(p <= holm_levels(p, 0.1), holm_adjusted(p) <= 0.1)


def test_holm_keeps_the_family_wise_error_where_single_tests_do_not() -> None:
    generator = np.random.default_rng(2)
    p = generator.random((4000, 20))
    wrong = np.mean([holm_adjusted(row).min() <= 0.05 for row in p])
    assert 0.04 < wrong < 0.06
    assert np.mean(p.min(axis=1) <= 0.05) > 0.5


@pytest.mark.parametrize("p", [[-0.1], [1.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match="p-values"):
        holm_adjusted(p)
