"""Which attack meets which control, and what controls are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from tests.audit.scenes import preset, subject, target

from medveil.attacks.attack import Goal
from medveil.attacks.registry import all_attacks
from medveil.audit import control_plan
from medveil.audit.control_plan import chosen_controls, chosen_pairs, control_images, control_round, shuffled
from medveil.mechanisms.controls import all_controls, control_named
from medveil.mechanisms.expected_breaks import expected_breaks


@dataclass(frozen=True)
class Named:
    name: str
    trains: bool = False
    goal: Goal = Goal.SUPPORT
    requires: tuple = ()
    beats: tuple[str, ...] = field(default=())


def bench_of(one, spent, seed, *, many=False):
    return control_plan.bench_of(control_images(one, spent, seed, many=many), one, spent, seed)


ATTACKS = tuple(Named(each.name, each.trains, each.goal) for each in all_attacks())


@pytest.mark.parametrize("thorough", [False, True])
def test_every_attack_meets_a_control_it_must_break_and_every_control_somebody_who_must(thorough):
    controls = all_controls(seed_bits=8, release=True)
    pairs = chosen_pairs(controls, ATTACKS, thorough=thorough)
    assert len({(control.name, attack.name) for control, attack in pairs}) == len(pairs)
    for attack in ATTACKS:
        assert any(
            one is attack and control.positive and control.name in expected_breaks(attack) for control, one in pairs
        ), attack.name
    for control in controls:
        mine = [attack for one, attack in pairs if one is control]
        assert mine
        assert not control.positive or any(attack.name in control.expected for attack in mine)
        if thorough and control.positive:
            wanted = {each.name for each in ATTACKS if not each.trains or each.name in control.expected}
            assert {each.name for each in mine} == wanted
    assert {f"revealed-{share}" for share in ("0.1", "1", "10")} <= {control.name for control, _ in pairs}


def test_the_quick_way_leaves_out_what_need_not_break_and_networks_on_the_release():
    controls = all_controls(seed_bits=8, release=True)
    quick, thorough = (set(chosen_pairs(controls, ATTACKS, thorough=way)) for way in (False, True))
    assert quick < thorough
    left_out = thorough - quick
    assert all(attack.name not in control.expected or control.release for control, attack in left_out)
    assert any(attack.trains and control.release for control, attack in left_out)


def test_an_attack_that_no_control_expects_meets_what_it_names_first():
    own = Named("own", beats=("unprotected", "matched-decoys"))
    controls = [control_named(name) for name in ("matched-decoys", "unprotected")]
    pairs = chosen_pairs(controls, [Named("naive-decode"), own], thorough=False)
    assert [control.name for control, attack in pairs if attack is own] == ["unprotected"]


def test_the_bench_takes_few_images_of_many_patients():
    subjects = [subject(10 * p + i, p) for p in range(8) for i in range(9)]
    images = control_images(target(subjects), preset(control_tested=12, control_own=7), 0)
    assert Counter(Counter(each.patient for each in images.tested).values()) == {3: 4}
    assert images.invented_tested == 0


def test_what_leaks_little_is_attacked_in_invented_patients_whatever_the_release_is():
    small, large = ([subject(2 * p + i, p) for p in range(count) for i in range(2)] for count in (2, 20))
    one, other = (bench_of(target(subjects), preset(control_patients=2), 0, many=True) for subjects in (small, large))
    assert Counter(Counter(each.patient for each in one.plan.tested).values()) == {3: 2}
    for mine, its in zip((*one.plan.tested, *one.plan.own), (*other.plan.tested, *other.plan.own), strict=True):
        assert (mine.number, mine.patient) == (its.number, its.patient)
        assert np.array_equal(mine.picture, its.picture)
    differing = bench_of(target(small), preset(control_patients=1), 1, many=True).plan.tested
    assert not np.array_equal(differing[0].picture, one.plan.tested[0].picture)
    many = {control.name for control in all_controls() if control.many}
    assert many == {"content-weight", "unpadded-lengths", "linear-encoding"}


def test_where_a_release_has_too_few_patients_controls_are_filled_up_with_invented_ones():
    subjects = [subject(number, number) for number in range(6)]  # nobody comes twice
    spent = preset(control_tested=9, control_own=4, control_patients=4)
    images = control_images(target(subjects), spent, 0)
    assert (len(images.tested), len(images.own), images.invented_tested, images.invented_own) == (3, 3, 4, 4)
    assert images.counts() == {"images": 15, "patients": 7, "invented": 4}
    bench = bench_of(target(subjects), spent, 0)
    plan = bench.plan
    assert len(plan.tested) == 15
    assert len(plan.own) + len(plan.validation) == len(bench.setup.pool) == 15
    every = (*plan.tested, *plan.own, *plan.validation)
    assert len({each.number for each in every}) == len(every)
    assert not {each.patient for each in plan.tested} & {each.patient for each in (*plan.own, *plan.validation)}
    invented = [each for each in every if each.stratum]  # they are compared with each other alone
    assert Counter(Counter(each.patient for each in invented).values()) == {3: 8}
    assert {each.image.pixels.dtype for each in invented} == {subjects[0].image.pixels.dtype}


def test_few_attacks_are_held_against_the_controls_that_they_must_break():
    chosen = chosen_controls([Named("wrong-key")], SimpleNamespace(space="a codec"), preset())
    assert [control.name for control in chosen] == ["two-time-pad", "random-codes", "shuffled-identities"]


def test_the_bench_deals_patients_and_takes_those_with_several_images_first():
    subjects = [subject(2 * p + i, p) for p in range(10) for i in range(1 + (p % 2))]
    bench = bench_of(target(subjects), preset(control_tested=6, control_own=7), 0)
    tested = Counter(each.patient for each in bench.plan.tested)
    others = {each.patient for each in (*bench.plan.own, *bench.plan.validation)}
    assert set(tested.values()) == {2}
    assert sum(tested.values()) == 6
    assert not others & set(tested)
    assert len(bench.setup.pool) == len(bench.plan.own) + len(bench.plan.validation) <= 7


def test_identities_are_shuffled_so_that_no_pair_of_one_patient_stays():
    subjects = [subject(number, number // 2) for number in range(40)]
    mixed = shuffled(subjects, np.random.default_rng(0))
    assert Counter(each.patient for each in mixed) == Counter(each.patient for each in subjects)
    assert [each.number for each in mixed] == list(range(40))
    true = {(a.number, b.number) for a in subjects for b in subjects if a.patient == b.patient and a.number < b.number}
    told = {(a.number, b.number) for a in mixed for b in mixed if a.patient == b.patient and a.number < b.number}
    assert len(told) == len(true) == 20
    assert len(true & told) <= 1


def test_a_control_round_is_told_by_the_controls_name():
    subjects = [subject(number, number // 2) for number in range(12)]
    bench = bench_of(target(subjects), preset(control_tested=4, control_own=4), 0)
    found = control_round(bench, control_named("linear-encoding"))
    assert found.mechanism == "linear-encoding"
    assert len(found.tested) == 4
    assert found.tested[0].case.observation.encoding is not None
    assert all(one.partner is not None for one in found.tested)
