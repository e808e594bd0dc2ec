"""From likeness to figures: by hand, against the plain definitions, and by simulation where nothing is to be found."""

from __future__ import annotations

import numpy as np
import pytest

from medveil.audit.scores.identification import (
    Asked,
    Side,
    headline,
    identification,
    matched_draws,
    null_of_maximum,
)
from medveil.metrics.ranking import auc


def side(who, source=0, profile=None, thing=None):
    """Things of one membership each, unless `thing` says otherwise."""
    who = np.array(who)
    source = np.broadcast_to(np.array(source), who.shape)
    profile = source if profile is None else np.broadcast_to(np.array(profile), who.shape)
    thing = np.arange(len(who)) if thing is None else np.array(thing)
    return Side(int(thing.max()) + 1, thing, who, who, source, profile)


def asked(queries, gallery, left_out=()):
    mask = np.zeros((queries.count, gallery.count), bool)
    for pair in left_out:
        mask[pair] = True
    return Asked(queries, gallery, mask)


def figures(scores, question, resamples=50):
    return identification([(np.array(scores, np.float32), question)], resamples, np.random.default_rng(0))


def drawn(seed, people=40, images=2, profiles=4, signal=0.0):
    """Likeness of two images of each person, more alike by `signal` in standard deviations; mirrored."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), images)
    own = side(who, profile=np.repeat(generator.integers(0, profiles, people), images))
    question = Asked(own, own, np.eye(len(who), dtype=bool), mirrored=True)
    noise = generator.normal(size=(len(who), len(who)))
    scores = np.float32((noise + noise.T) / np.sqrt(2) + signal * (who[:, None] == who))
    scores[np.eye(len(who), dtype=bool)] = np.nan
    return scores, question


def test_by_hand():
    question = asked(side([7, 8]), side([7, 8, 9]))
    found = figures([[5, 4, 1], [3, 2, 9]], question)
    # Wrong pairs 4, 1, 3, 9: of the right ones 5 is above three of them, 2 above one.
    assert found.auc == pytest.approx((3 / 4 + 1 / 4) / 2) == found.patient_auc
    assert (found.pairs, found.negatives, found.queries, found.patients, found.gallery) == (2, 4, 2, 2, 3)
    assert [found.top[k] for k in (1, 2, 3)] == [0.5, 0.5, 1.0]
    assert found.chance[1] == pytest.approx(1 / 3)
    assert found.map == pytest.approx((1 + 1 / 3) / 2)
    assert found.map_at_r == pytest.approx(0.5)
    assert np.isnan(found.tpr_at_1)  # four wrong pairs know no rate of 1 %


def test_a_person_with_many_pairs_counts_once_by_person():
    question = asked(side([1, 1, 1, 2]), side([1, 2]))
    found = figures([[9, 0], [9, 0], [9, 0], [5, 1]], question)
    assert found.auc == pytest.approx((3 * 1.0 + 0.75) / 4)
    assert found.patient_auc == pytest.approx((1.0 + 0.75) / 2)
    assert (found.top[1], found.patient_top[1]) == (0.75, 0.5)


def test_only_pairs_of_one_source_are_compared():
    question = asked(side([1, 2], source=[0, 1]), side([1, 3, 2, 4], source=[0, 0, 1, 1]))
    found = figures([[2, 1, 9, 9], [9, 9, 20, 10]], question)
    assert (found.auc, found.negatives, found.top[1], found.gallery) == (1.0, 2, 1.0, 2)


def test_wrong_pairs_are_matched_by_profile():
    question = asked(side([1], profile=[5]), side([1, 2, 3, 4], profile=[6, 5, 5, 7]))
    found = figures([[5, 9, 1, 0]], question)
    assert (found.auc, found.matched_auc, found.matched_negatives) == (pytest.approx(2 / 3), 0.5, 2)


def test_what_is_left_out_or_not_looked_at_is_no_pair():
    own = asked(side([1, 2]), side([1, 1, 2, 3]), left_out=[(0, 0)])
    assert figures([[9, 1, 2, 3], [0, 0, 9, 0]], own).top[1] == 0.5  # the own record would have been first
    part = figures([[9, 1, np.nan, 3], [0, 0, 9, 0]], own)
    assert (part.negatives, part.ranked, part.queries) == (4, 1, 2)


def test_a_picture_stands_for_several_people():
    gallery = side([1, 2, 3, 4], thing=[0, 0, 1, 1])
    found = figures([[2, 1], [1, 2], [1, 2]], asked(side([1, 2, 4]), gallery))
    assert (found.pairs, found.negatives, found.top[1]) == (3, 3, pytest.approx(2 / 3))


def test_rounds_are_joined_by_level_and_not_by_likeness():
    one = (np.float32([[2, 1]]), asked(side([1]), side([1, 2])))
    other = (np.float32([[200, 100]]), asked(side([3]), side([3, 4])))
    found = identification([one, other], 20, np.random.default_rng(0))
    assert (found.auc, found.pairs, found.negatives, found.patients) == (1.0, 2, 2, 2)


def test_intervals_are_by_patient_and_cover_what_was_measured():
    scores, question = drawn(1, signal=1.0)
    found = figures(scores, question, 400)
    assert found.auc_ci[0] < found.auc < found.auc_ci[1]
    assert found.matched_auc_ci[0] < found.matched_auc < found.matched_auc_ci[1]
    assert found.auc == pytest.approx(auc(scores[question.compared], question.positive[question.compared]), abs=0.01)
    lone = figures([[2, 1]], asked(side([1]), side([1, 2])))
    assert np.isnan(lone.auc_ci[0])


@pytest.mark.parametrize("seed", range(3))
def test_the_null_takes_another_way_to_the_same_figures(seed):
    scores, question = drawn(seed, signal=0.7)
    scores = np.round(scores, 1)  # with ties
    found = figures(scores, question, 2)
    assert headline([(scores, question)]) == pytest.approx((found.matched_auc, found.patient_top[1]))


def test_the_null_keeps_who_is_alike_and_deals_who_is_who():
    _, question = drawn(3)
    dealt = question.shuffled(np.random.default_rng(0))
    assert np.array_equal(dealt.alike, question.alike)
    assert not np.array_equal(dealt.positive, question.positive)
    for number in np.unique(question.gallery.profile):
        own = question.gallery.profile == number
        assert sorted(dealt.gallery.who[own]) == sorted(question.gallery.who[own])


def test_nothing_is_above_the_null_of_the_maximum_as_often_as_it_says():
    """Four attackers who know nothing: the best of them is above 97.5 % of the null in about 1 of 40 trials."""
    above = 0
    for seed in range(24):
        trials = [drawn(100 + seed, people=16)] + [drawn(1000 * seed + n, people=16) for n in range(3)]
        question = trials[0][1]
        attackers = [[scores] for scores, _ in trials]
        bound = null_of_maximum(attackers, [question], 40, np.random.default_rng(seed)).bounds(0.975)
        best = max(headline([(scores, question)])[0] for scores, _ in trials)
        assert bound[0] > 0.5
        above += best > bound[0]
    assert above <= 3


def test_the_maximum_of_more_attackers_has_a_higher_null_and_a_signal_is_above_it():
    scores, question = drawn(5, signal=1.5)
    others = [[drawn(50 + number)[0]] for number in range(5)]
    one, six = (
        null_of_maximum(attackers, [question], 60, np.random.default_rng(0)).bounds(0.975)
        for attackers in ([[scores]], [[scores], *others])
    )
    assert one[0] < six[0] < headline([(scores, question)])[0]


def test_people_with_one_image_are_not_found_in_the_null_either():
    who = np.array([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + list(range(10, 34)))
    question = asked(side(who), side(who), [(place, place) for place in range(len(who))])
    generator = np.random.default_rng(0)
    noise = [generator.normal(size=(len(who), len(who))).astype(np.float32) for _ in range(40)]
    truth = np.array([headline([(scores, question)]) for scores in noise])
    null = [null_of_maximum([[scores]], [question], 10, generator) for scores in noise]
    # 4 people are looked for, with three right pictures among 39; over 28 people it would be 0.03.
    assert truth[:, 1].mean() == pytest.approx(3 / 39, abs=0.02)
    assert np.mean([each.top_1 for each in null]) == pytest.approx(truth[:, 1].mean(), abs=0.02)
    assert np.std([each.matched_auc for each in null]) == pytest.approx(truth[:, 0].std(), rel=0.35)


def test_a_picture_may_show_people_of_whom_no_image_was_read():
    """Nobody of `everybody` is drawn otherwise for it: all wrong pairs are alike here, so that only that shows."""
    everybody, found = np.arange(1, 11), []
    for shown in (everybody, [1, 11, *range(2, 11), 12]):
        scores = np.ones((2, len(shown)), np.float32)
        scores[0, list(shown).index(1)], scores[1, list(shown).index(2)] = 5, 0
        rounds = [(scores, asked(side([1, 2]), side(shown)))]
        found.append(matched_draws(rounds, everybody, 20, np.random.default_rng(0)))
    assert len(np.unique(found[0])) > 1
    assert np.array_equal(*found)
