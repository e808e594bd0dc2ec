"""Rounds: patients are never mixed, everybody is attacked once, and partners are fair."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.audit.scenes import Plain, case, effort, preset, subject

from medveil.audit.protocol import carry_out, header_of, mean_pictures, pair_up, plan_rounds
from medveil.datasets.splits import dealt_by_patient
from medveil.errors import UsageError
from medveil.experiments.sampling import drawn_by_patient


def people(patients, images, start=0):
    return [subject(start + p * images + i, start + p, p % 2) for p in range(patients) for i in range(images)]


def sides(plan):
    return [{each.patient for each in side} for side in (plan.own, plan.validation, plan.tested)]


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_every_patient_is_attacked_by_somebody_who_never_saw_her(folds):
    shared = people(11, 3)
    plans = plan_rounds(shared, [], preset(folds=folds), 7)
    assert len(plans) == folds
    for plan in plans:
        own, validation, tested = sides(plan)
        assert own
        assert validation
        assert tested
        assert not (own & validation)
        assert not (own & tested)
        assert not (validation & tested)
    attacked = Counter(each.number for plan in plans for each in plan.tested)
    assert attacked == Counter(each.number for each in shared)


def test_no_more_folds_are_attacked_than_are_needed():
    shared = people(40, 2)
    assert [len(plan.tested) for plan in plan_rounds(shared, [], preset(folds=4, tested_images=24), 0)] == [20]
    assert [len(plan.tested) for plan in plan_rounds(shared, [], preset(folds=4, tested_images=30), 0)] == [14, 14]


def test_enough_images_of_others_make_one_round():
    outside = people(20, 2, start=1000)
    plans = plan_rounds(people(5, 2), outside, preset(), 0)
    assert [len(plan.tested) for plan in plans] == [10]
    own, validation, tested = sides(plans[0])
    assert own | validation == {each.patient for each in outside}
    assert tested == set(range(5))
    assert 0.05 < len(plans[0].validation) / len(outside) <= 0.15
    assert len(plan_rounds(people(5, 2), outside[:-2], preset(), 0)) == 2


def test_one_patient_alone_cannot_be_attacked():
    with pytest.raises(UsageError, match="images of one patient"):
        plan_rounds(people(1, 5), [], preset(), 0)


def test_the_seed_decides():
    shared = people(9, 2)
    plans = [plan_rounds(shared, [], preset(), seed) for seed in (1, 1, 2)]
    assert [sides(plan) for plan in plans[0]] == [sides(plan) for plan in plans[1]]
    assert [sides(plan) for plan in plans[0]] != [sides(plan) for plan in plans[2]]


def test_repetitions_attack_the_same_images_with_other_attackers():
    first, second = plan_rounds(people(6, 2), people(30, 2, 500), preset(repeats=2, own_images=20), 0)
    assert first.tested == second.tested
    assert (first.name, first.seed) != (second.name, second.seed)
    assert first.own != second.own


def test_caps_keep_whole_patients_and_prefer_those_with_several_images():
    patients = [0, 0, 0, 1, 1, *range(2, 60)]
    kept = drawn_by_patient(patients, 20, np.random.default_rng(0))
    chosen = Counter(patients[index] for index in kept)
    assert len(kept) <= 20
    assert chosen[0] == 3
    assert chosen[1] == 2
    assert all(count == patients.count(patient) for patient, count in chosen.items())


def test_folds_are_even():
    patients = [0] * 10 + list(range(1, 21))
    parts = dealt_by_patient(patients, 3, np.random.default_rng(1))
    assert sorted(index for part in parts for index in part) == list(range(30))
    assert [len(part) for part in parts] == [10, 10, 10]


def test_partners_are_other_patients_of_the_same_stratum_and_header():
    cases = [case(number, number // 3, stratum=number // 3 % 2, bucket=(64, 64 + 64 * (number // 3 % 4 > 1)))
             for number in range(48)]  # fmt: skip
    partners, counts = pair_up(cases, np.random.default_rng(0))
    assert counts == {"same_stratum": 48}
    for one, other in zip(cases, partners, strict=True):
        assert one.subject.patient != other.subject.patient
        assert one.subject.stratum == other.subject.stratum
        assert header_of(one.observation) == header_of(other.observation)
    assert set(Counter(id(other) for other in partners).values()) == {1}  # a derangement: everybody stands for one


def test_where_a_stratum_has_one_patient_the_header_decides():
    cases = [case(0, 0, stratum=1), case(1, 1, stratum=2), case(2, 2, stratum=3)]
    partners, counts = pair_up(cases, np.random.default_rng(0))
    assert counts == {"same_header": 3}
    assert all(one.subject.patient != other.subject.patient for one, other in zip(cases, partners, strict=True))


def test_a_patient_with_most_of_the_images_is_never_her_own_partner():
    cases = [case(number, min(number, 1) if number < 2 else 1) for number in range(9)]
    partners, counts = pair_up(cases, np.random.default_rng(0))
    for one, other in zip(cases, partners, strict=True):
        assert other is None or one.subject.patient != other.subject.patient
    assert counts.total() == sum(other is not None for other in partners) >= 2


def test_where_the_release_has_no_partner_one_is_published_and_else_the_image_stays_alone():
    lonely = subject(0, 0, side=64)
    plan = plan_rounds([lonely, *people(20, 1, 100)], [], preset(), 3)
    plan = next(each for each in plan if any(one.number == 0 for one in each.tested))
    alone = type(plan)(plan.name, plan.own, plan.validation, (lonely,), plan.seed)
    found = carry_out(alone, Plain(), effort())
    assert found.partners == {"simulated": 1}
    assert found.tested[0].partner is not None
    nobody = carry_out(type(plan)("x", (), (), (lonely,), 1), Plain(), effort())
    assert nobody.partners == {"none": 1}
    assert nobody.tested[0].partner is None


def test_a_round_publishes_everything_under_keys_of_its_own():
    plan = plan_rounds(people(6, 2), [], preset(), 0)[0]
    found = carry_out(plan, Plain(), effort())
    own = [each.key for each in (*found.knowledge.own, *found.knowledge.validation)]
    others = [other.stream for target in found.tested for other in target.case.observation.others]
    tested = [target.case.observation.stream for target in found.tested]
    assert len({*own, *others, *tested}) == len(own) + len(others) + len(tested)
    assert len(others) == 2 * len(tested)
    assert all(len(target.partner.others) == 2 for target in found.tested)
    assert found.knowledge.seen == tuple(target.case.observation for target in found.tested)
    again = carry_out(plan, Plain(), effort())
    assert [each.key for each in again.knowledge.own] == [each.key for each in found.knowledge.own]


def test_mean_pictures_are_those_of_a_size_class():
    cases = [case(0, 0), case(1, 1), case(2, 2, bucket=(128, 64))]
    means = mean_pictures(cases)
    pictures = [each.subject.picture for each in cases]
    np.testing.assert_allclose(means[cases[0].observation.bucket], (pictures[0] + pictures[1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(means[None], np.mean(pictures, axis=0), rtol=1e-6)
