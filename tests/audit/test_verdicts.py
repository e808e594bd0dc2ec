import math
from collections.abc import Mapping

import numpy as np
import pytest

from medveil.audit.judging.verdicts import Judging, judge
from medveil.audit.results import AttackResult, Measured, Pairs, Sample, Verdict
from medveil.experiments.unit import Status
from medveil.metrics.image_quality import MOST_DB

_QUICK = Judging(resamples=400)


def _sample(
    values: Mapping[str, np.ndarray], patients: np.ndarray, pairs: Pairs | None = None, refusal: str = ""
) -> Sample:
    return Sample(
        "some-attack",
        "release",
        np.arange(len(patients)),
        patients,
        values,
        pairs,
        status=Status.REFUSED if refusal else Status.DONE,
        refusal=refusal,
    )


def _noisy(
    generator: np.random.Generator, patients: int = 30, effect: float = 0.0, noise: float = 0.2, metric: str = "psnr"
) -> Sample:
    """Attacker and baseline of some dB, `effect` apart, with images of one patient alike."""
    whose = np.repeat(np.arange(patients), generator.integers(1, 4, patients))
    baseline = generator.normal(16, 1, len(whose))
    apart = effect + noise * (generator.normal(0, 1, patients)[whose] + generator.normal(0, 1, len(whose)))
    return _sample({metric: np.stack([baseline + apart, baseline], axis=1)}, whose)


def _pairs(generator: np.random.Generator, patients: int, gain: float) -> Pairs:
    whose = np.repeat(np.arange(patients), 2)
    points = generator.normal(0, 1, (len(whose), 3)) + gain * generator.normal(0, 1, (patients, 3))[whose]
    one, other = np.triu_indices(len(whose), 1)
    score = -np.linalg.norm(points[one] - points[other], axis=1).astype(np.float32)
    return Pairs(score, whose[one] == whose[other], np.stack([whose[one], whose[other]], axis=1))


def _judged(*samples: Sample, settings: Judging = _QUICK, seed: int = 1) -> tuple[AttackResult, ...]:
    return judge(samples, {"some-attack": "Some attack"}, settings, np.random.default_rng(seed))


def _only(sample: Sample, **settings: float) -> Measured:
    (result,) = _judged(sample, settings=Judging(resamples=400, **settings))
    (measured,) = result.measured
    return measured


def test_a_clear_effect_is_broken() -> None:
    measured = _only(_noisy(np.random.default_rng(1), effect=1.0))
    assert measured.verdict is Verdict.BROKEN
    assert measured.p < 0.01
    assert measured.advantage == pytest.approx(measured.attacker - measured.baseline)
    assert measured.ci[0] < measured.advantage < measured.ci[1]
    assert measured.advantage < measured.upper
    assert measured.ci[0] > 0.8
    assert measured.worst > measured.attacker


def test_a_small_effect_well_measured_is_still_broken() -> None:
    """A margin says what can be ruled out, not what may be taken."""
    measured = _only(_noisy(np.random.default_rng(2), 60, effect=0.1, noise=0.05))
    assert measured.upper < measured.margin
    assert measured.verdict is Verdict.BROKEN


def test_nothing_well_measured_is_no_evidence_and_nothing_badly_measured_is_not() -> None:
    assert _only(_noisy(np.random.default_rng(3), 40)).verdict is Verdict.NO_EVIDENCE
    measured = _only(_noisy(np.random.default_rng(3), 40, noise=2))
    assert measured.verdict is Verdict.INCONCLUSIVE
    assert measured.smallest_visible > measured.margin


def test_fewer_than_five_patients_conclude_nothing() -> None:
    few = _only(_sample({"psnr": np.tile([30.0, 10.0], (400, 1))}, np.arange(400) % 4))
    assert few.verdict is Verdict.INCONCLUSIVE
    assert math.isinf(few.upper)
    assert math.isinf(few.smallest_visible)
    assert _only(_sample({"psnr": np.full((400, 2), 10.0)}, np.arange(400) % 4)).verdict is Verdict.INCONCLUSIVE


def test_five_patients_that_happen_to_agree_rule_out_little() -> None:
    """The bootstrap alone never looks beyond the patients there are."""
    values = np.stack([16 + np.array([0.25, 0.1, -0.2, 0.05, 0.2]), np.full(5, 16.0)], axis=1)
    measured = _only(_sample({"psnr": values}, np.arange(5)), alpha_bound=0.005)
    assert measured.ci[1] < 0.3 < measured.upper
    assert measured.verdict is Verdict.INCONCLUSIVE


def test_many_images_of_one_patient_are_one_patient() -> None:
    generator = np.random.default_rng(4)
    whose = np.concatenate([np.zeros(500, np.int64), np.arange(1, 8)])
    values = np.stack([16 + 0.02 * generator.normal(size=507), np.full(507, 16.0)], axis=1)
    alone = _only(_sample({"psnr": values}, whose))
    apart = _only(_sample({"psnr": values}, np.arange(507)))
    assert apart.upper < 0.01
    assert alone.upper > 3 * apart.upper


def test_who_ignores_what_is_given_shows_nothing_and_could_have_shown_nothing() -> None:
    measured = _only(_sample({"ssim": np.tile([0.61, 0.61], (30, 1))}, np.arange(30)))
    assert measured.p == 1
    assert measured.upper == 0
    assert measured.verdict is Verdict.NO_EVIDENCE
    assert math.isinf(measured.smallest_visible)


@pytest.mark.parametrize(("patients", "verdict"), [(19, Verdict.INCONCLUSIVE), (20, Verdict.NO_EVIDENCE)])
@pytest.mark.parametrize("value", [0.61, 1 / 3])
def test_who_always_says_the_same_rules_something_out_with_twenty_patients(
    patients: int, verdict: Verdict, value: float
) -> None:
    measured = _only(_sample({"ssim": np.full((patients, 2), value)}, np.arange(patients)))
    assert measured.verdict is verdict
    assert math.isinf(measured.upper) is (verdict is Verdict.INCONCLUSIVE)
    spread = np.stack([0.6 + 1e-4 * (np.arange(12) % 3 - 1), np.full(12, 0.6)], axis=1)
    assert _only(_sample({"ssim": spread}, np.arange(12))).verdict is Verdict.NO_EVIDENCE


def test_scores_that_are_all_equal_rule_nothing_out_with_few_patients() -> None:
    generator = np.random.default_rng(8)
    for patients, verdict in ((12, Verdict.INCONCLUSIVE), (24, Verdict.NO_EVIDENCE)):
        pairs = _pairs(generator, patients, 0)
        level = Pairs(np.zeros_like(pairs.score), pairs.same, pairs.patients)
        assert _only(_sample({}, np.arange(2 * patients) // 2, level)).verdict is verdict


@pytest.mark.parametrize(("silent", "verdict"), [(4, Verdict.NO_EVIDENCE), (5, Verdict.INCONCLUSIVE)])
def test_nine_of_ten_images_have_a_value_before_anything_is_ruled_out(silent: int, verdict: Verdict) -> None:
    values = np.stack([16 + 0.05 * (np.arange(40) % 3 - 1.0), np.full(40, 16.0)], axis=1)
    values[:silent] = np.nan
    assert _only(_sample({"psnr": values}, np.arange(40))).verdict is verdict


def test_silence_where_it_would_show_rules_nothing_out() -> None:
    sample = _noisy(np.random.default_rng(5), 60)
    values = np.array(sample.values["psnr"])
    values[: len(values) * 3 // 5] = np.nan
    measured = _only(_sample({"psnr": values}, sample.patients))
    assert measured.images == len(values) - len(values) * 3 // 5
    assert measured.upper <= measured.margin
    assert measured.verdict is Verdict.INCONCLUSIVE


def test_a_value_on_one_side_only_is_left_out() -> None:
    values = np.array([[np.nan, 1.0], [0.7, np.nan], *[[0.5, 0.5]] * 8])
    measured = _only(_sample({"support_auc": values}, np.arange(10)))
    assert (measured.images, measured.patients, measured.attacker) == (8, 8, 0.5)


def test_equal_pictures_count_as_the_cap() -> None:
    values = np.tile([np.inf, 20.0], (20, 1))
    measured = _only(_sample({"psnr": values}, np.arange(20)))
    assert measured.advantage == MOST_DB - 20
    assert measured.verdict is Verdict.BROKEN


def test_a_ranking_upside_down_is_not_nothing() -> None:
    generator = np.random.default_rng(6)
    auc = np.stack([0.2 + 0.02 * generator.normal(size=40), np.full(40, 0.5)], axis=1)
    assert _only(_sample({"support_auc": auc}, np.arange(40))).verdict is Verdict.INCONCLUSIVE
    # A picture worse than no information is what a bad attacker has.
    assert _only(_noisy(generator, 40, effect=-1)).verdict is Verdict.NO_EVIDENCE


def test_linkage_against_one_half() -> None:
    generator = np.random.default_rng(7)
    found = _only(_sample({}, np.arange(80) // 2, _pairs(generator, 40, gain=2)))
    assert (found.metric, found.baseline, found.patients, found.images) == ("linkage_auc", 0.5, 40, 80)
    assert found.verdict is Verdict.BROKEN
    assert _only(_sample({}, np.arange(80) // 2, _pairs(generator, 40, gain=0))).verdict is not Verdict.BROKEN


def test_attacks_are_judged_by_all_that_they_gave() -> None:
    whose, swing = np.arange(40), np.tile([-1.0, 1.0], 20)
    quiet, loud, unsure = (
        np.stack([16 + apart, np.full(40, 16.0)], axis=1) for apart in (0.1 * swing, swing + 3, 8 * swing)
    )

    def of(first: np.ndarray, second: np.ndarray) -> Sample:
        return _sample({"psnr": first, "ssim": second * 0.01}, whose)

    results = _judged(of(quiet, quiet), of(quiet, loud), of(quiet, unsure), _sample({}, whose), settings=_QUICK)
    assert [result.verdict for result in results] == [
        Verdict.NO_EVIDENCE, Verdict.BROKEN, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE,
    ]  # fmt: skip
    assert results[0].title == "Some attack"


def test_a_refusal_has_no_verdict() -> None:
    (result,) = _judged(_sample({}, np.zeros(0, np.int64), refusal="no code"))
    assert result.verdict is None
    assert result.refusal == "no code"
    assert result.measured == ()


def test_recovered_bits_are_told_and_not_judged() -> None:
    bits = np.array([[3.0, 1.0], [5.0, 1.0]])
    (result,) = _judged(_sample({"recovered_bits": bits}, np.arange(2)))
    assert result.measured == ()
    assert result.extra == {"recovered_bits": 4.0, "recovered_bits_baseline": 1.0}


def test_more_tests_ask_for_more() -> None:
    generator = np.random.default_rng(9)
    one = _noisy(generator, 40)
    alone = _only(one)
    crowd = _judged(one, *(_noisy(generator, 40, noise=3) for _ in range(40)))[0].measured[0]
    assert crowd.upper > alone.upper
    assert crowd.smallest_visible > alone.smallest_visible
    assert crowd.p >= alone.p


def test_a_clear_effect_stands_out_of_many_tests() -> None:
    """However many tests there are, there are flips enough that one of them can be small enough."""
    generator = np.random.default_rng(10)
    crowd = [_noisy(generator, 20, noise=1) for _ in range(60)]
    results = _judged(_noisy(generator, 40, effect=1), *crowd, settings=Judging(resamples=50))
    assert results[0].verdict is Verdict.BROKEN
    assert all(result.verdict is not Verdict.BROKEN for result in results[1:])


def test_families_of_nothing_are_hardly_ever_broken() -> None:
    generator = np.random.default_rng(11)
    broken = 0
    for seed in range(80):
        samples = [_noisy(generator, int(generator.integers(8, 30)), noise=1) for _ in range(5)]
        samples.append(_sample({}, np.arange(24) // 2, _pairs(generator, 12, 0)))
        results = judge(samples, {}, Judging(resamples=50), np.random.default_rng(seed))
        broken += any(result.verdict is Verdict.BROKEN for result in results)
    assert broken <= 3  # 0.8 expected at the most that the level allows; above 3 with probability 1 %


def test_advantages_at_the_margin_are_hardly_ever_ruled_out() -> None:
    generator = np.random.default_rng(12)
    wrong = 0
    for seed in range(100):
        samples = [_noisy(generator, patients, effect=0.3, noise=0.3) for patients in (6, 10, 20)]
        results = judge(samples, {}, Judging(resamples=100), np.random.default_rng(seed))
        wrong += any(result.verdict is Verdict.NO_EVIDENCE for result in results)
    assert wrong <= 12  # 5 expected at the most that the level allows; above 12 with probability 0.2 %


def test_the_smallest_visible_effect_is_seen_as_often_as_it_says() -> None:
    generator = np.random.default_rng(13)
    visible = np.median([_only(_noisy(generator, 40)).smallest_visible for _ in range(20)])
    seen = [_only(_noisy(generator, 40, effect=visible)).verdict is Verdict.BROKEN for _ in range(150)]
    assert 0.68 < np.mean(seen) < 0.92


def test_one_generator_gives_one_result() -> None:
    samples = [
        _noisy(np.random.default_rng(14)),
        _sample({}, np.arange(40) // 2, _pairs(np.random.default_rng(1), 20, 1)),
    ]
    assert _judged(*samples) == _judged(*samples)
    assert _judged(*samples) != _judged(*samples, seed=2)
