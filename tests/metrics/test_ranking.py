import numpy as np
import pytest

from medveil.metrics.ranking import (
    auc,
    bootstrap_auc,
    map_at_r,
    permuted_auc_p,
    share_below,
    top_k,
    tpr_at_fpr,
)


def _scores(seed: int = 1, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """With many ties."""
    generator = np.random.default_rng(seed)
    same = generator.random(count) < 0.3
    return np.round(generator.normal(same, 1), 1).astype(np.float32), same


def _pairs(
    generator: np.random.Generator, patients: int, gain: float = 0.0, heavy: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of images by the distance of embeddings, of which `gain` is the patient's and the rest chance."""
    whose = np.repeat(np.arange(patients), generator.integers(1, 4, patients))
    own = generator.normal(0, 1, (patients, 3))[whose]
    points = gain * own + generator.normal(0, 1, own.shape)
    points *= np.exp(heavy * generator.normal(0, 1, len(points)))[:, None]  # images unlike everything
    one, other = np.triu_indices(len(whose), 1)
    score = -np.linalg.norm(points[one] - points[other], axis=1)
    return score, whose[one] == whose[other], np.stack([whose[one], whose[other]], axis=1)


def test_auc_equals_scikit_learn_with_ties() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    score, same = _scores()
    assert auc(score, same) == pytest.approx(metrics.roc_auc_score(same, score), abs=1e-12)
    assert share_below(score[same], score[~same]).mean() == pytest.approx(auc(score, same), abs=1e-12)


def test_auc_at_its_ends() -> None:
    same = np.array([False, False, True])
    assert auc(np.array([1.0, 2, 3]), same) == 1
    assert auc(np.array([3.0, 2, 1]), same) == 0
    assert auc(np.ones(3), same) == 0.5
    assert np.isnan(auc(np.ones(3), np.ones(3, bool)))
    with pytest.raises(ValueError, match="NaN"):
        auc(np.array([1.0, np.nan, 0]), same)


def test_tpr_is_that_of_the_roc_curve() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    score, same = _scores(4)
    false, true, _ = metrics.roc_curve(same, score, drop_intermediate=False)
    for rate in (0.0, 0.01, 0.1, 0.5, 1.0):
        assert tpr_at_fpr(score, same, rate) == pytest.approx(true[false <= rate].max())
    assert tpr_at_fpr(np.ones(9), np.arange(9) < 3, 0.3) == 0


def test_a_bootstrap_draw_weighs_pairs_by_how_often_their_patients_came() -> None:
    """Two patients of two images: only the draw of both has pairs of both kinds, and it is the data themselves."""
    score, same = np.array([0.9, 0.4, 0.1, 0.2, 0.5, 0.3]), np.array([1, 1, 0, 0, 0, 0], bool)
    patients = np.array([[0, 0], [1, 1], [0, 1], [0, 1], [0, 1], [0, 1]])
    assert np.unique(bootstrap_auc(score, same, patients, 50, np.random.default_rng(1))) == pytest.approx([7 / 8])


def test_two_measures_of_the_same_people_draw_the_same_ones() -> None:
    score, same, patients = _pairs(np.random.default_rng(5), 12, gain=1)
    everybody = np.arange(-1, 13)
    some = ~np.isin(patients, (0, 5)).any(axis=1)  # of the other measure two people have no pair
    draws = [
        bootstrap_auc(score[kept], same[kept], patients[kept], 300, np.random.default_rng(6), everybody)
        for kept in (np.ones_like(same), some)
    ]
    alone = bootstrap_auc(score[some], same[some], patients[some], 300, np.random.default_rng(6))
    assert np.corrcoef(draws[0], draws[1])[0, 1] > 0.7 > abs(np.corrcoef(draws[0], alone)[0, 1]) + 0.3


def test_bootstrap_draws_are_weighted_aucs() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    score, same, patients = _pairs(np.random.default_rng(5), 12, gain=1)
    score = np.round(score, 1)
    ours = bootstrap_auc(score, same, patients, 3000, np.random.default_rng(6))
    theirs = []
    generator = np.random.default_rng(7)
    while len(theirs) < 400:
        times = np.bincount(generator.integers(0, 12, 12), minlength=12)
        weight = np.where(same, times[patients[:, 0]], times[patients[:, 0]] * times[patients[:, 1]])
        if weight[same].any() and weight[~same].any():
            theirs.append(metrics.roc_auc_score(same, score, sample_weight=weight))
    assert ours.mean() == pytest.approx(np.mean(theirs), abs=0.02)
    assert ours.std() == pytest.approx(np.std(theirs), rel=0.15)


def test_the_bootstrap_spreads_like_fresh_patients_do() -> None:
    generator = np.random.default_rng(8)
    fresh = [auc(*_pairs(generator, 40, gain=0.7)[:2]) for _ in range(300)]
    drawn = [bootstrap_auc(*_pairs(generator, 40, gain=0.7), 300, generator).std() for _ in range(20)]
    assert np.mean(drawn) == pytest.approx(np.std(fresh), rel=0.2)


@pytest.mark.parametrize("heavy", [0.0, 0.7])
def test_no_linkage_is_called_linkage_as_often_as_the_level_says(heavy: float) -> None:
    generator = np.random.default_rng(9)
    p = np.array([permuted_auc_p(*_pairs(generator, 30, heavy=heavy), 1000, generator) for _ in range(700)])
    for level in (0.01, 0.05, 0.2):
        assert np.mean(p <= level) < level + 3 * np.sqrt(level * (1 - level) / len(p))
    assert np.mean(p <= 0.5) > 0.35


def test_pairs_taken_for_independent_would_be_called_linkage_too_often() -> None:
    """Patients whose images look like everybody's, or like nobody's: their own pairs are no more alike for that."""
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(10)
    whose = np.repeat(np.arange(20), 1 + np.arange(20) % 4 * 2)
    one, other = np.triu_indices(len(whose), 1)
    same, patients = whose[one] == whose[other], np.stack([whose[one], whose[other]], axis=1)
    naive, ours = [], []
    for _ in range(300):
        usual = generator.normal(size=20)[whose]
        score = usual[one] + usual[other] + 0.5 * generator.normal(size=len(one))
        naive.append(stats.mannwhitneyu(score[same], score[~same], alternative="greater").pvalue)
        ours.append(permuted_auc_p(score, same, patients, 1000, generator))
    assert np.mean(np.array(naive) <= 0.01) > 0.05
    assert np.mean(np.array(ours) <= 0.01) < 0.03


def test_linkage_is_seen() -> None:
    generator = np.random.default_rng(11)
    assert permuted_auc_p(*_pairs(generator, 40, gain=1.5), 20_000, generator) < 0.001


def test_one_patient_with_pairs_of_their_own_proves_nothing() -> None:
    score, same, patients = _pairs(np.random.default_rng(12), 20)
    alone = same & (patients[:, 0] == patients[same][0, 0])
    kept = alone | ~same
    best = np.where(alone, 99.0, score)
    assert permuted_auc_p(best[kept], same[kept], patients[kept], 5000, np.random.default_rng(1)) > 0.3


def test_without_pairs_of_both_kinds_there_is_no_auc_to_draw() -> None:
    for same in (np.ones(3, bool), np.zeros(3, bool)):
        for call in (bootstrap_auc, permuted_auc_p):
            with pytest.raises(ValueError, match="pairs of one patient"):
                call(np.arange(3.0), same, np.zeros((3, 2), np.int64), 10, np.random.default_rng(0))


def test_top_k_by_hand() -> None:
    nan = np.nan
    scores = np.array([[nan, 0.9, 0.2, 0.5], [0.9, nan, 0.1, 0.4], [0.2, 0.1, nan, 0.3]])
    same = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0]], bool)
    # Query 0 finds its match second, query 1 has none but itself, query 2 second.
    assert top_k(scores, same, (1, 2)) == {1: 0, 2: 1}
    assert np.isnan(top_k(scores[1:2], same[1:2], (1,))[1])


def test_who_ranks_all_alike_gets_chance_wherever_the_match_stands() -> None:
    for place in range(6):
        same = np.arange(6)[None] == place
        found = top_k(np.zeros((1, 6)), same, (1, 3, 6, 9))
        assert found == pytest.approx({1: 1 / 6, 3: 0.5, 6: 1, 9: 1})


def test_map_at_r_by_hand() -> None:
    scores = np.array([[5.0, 4, 3, 2, np.nan]])
    same = np.array([[True, False, True, True, True]])
    # R = 3: hits at ranks 1 and 3, precisions 1 and 2/3.
    assert map_at_r(scores, same) == pytest.approx((1 + 2 / 3) / 3)
    assert map_at_r(np.zeros((1, 5)), np.array([[True, False, False, False, False]])) == 0
    assert np.isnan(map_at_r(scores, np.zeros((1, 5), bool)))
