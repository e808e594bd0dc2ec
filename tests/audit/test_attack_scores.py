"""What an attack's guesses are worth: pictures, cells, pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.audit.scenes import Blind, Knowing, Plain, case, effort

from medveil.attacks.attack import Guess, Knowledge
from medveil.audit.protocol import Attacked, Round, mean_pictures
from medveil.audit.scores.attack_scores import cell_figures, hits, run_attack
from medveil.audit.scores.linkage_pairs import linkage
from medveil.codecs.code import CodeMap
from medveil.mechanisms.observation import Shown
from medveil.metrics.image_quality import psnr


def trial(count=8, **changed):
    cases = [case(number, number // 2, **changed) for number in range(count)]
    partners = [cases[(number + 2) % count].observation for number in range(count)]
    targets = tuple(Attacked(one, other) for one, other in zip(cases, partners, strict=True))
    seen = tuple(each.observation for each in cases)
    knowledge = Knowledge(Plain(), tuple(cases), (), seen, effort(), 5)
    return Round("a round", "plain", knowledge, targets, mean_pictures(cases), {"same_stratum": count})


def truth(trial):
    """Perfect guesses, by what is seen."""
    found = {}
    for target in trial.tested:
        one = target.case
        scores = np.zeros(40, np.float32)
        scores[one.code.maps[0].positions] = 1
        person = np.eye(8, dtype=np.float32)[one.subject.patient]
        found[one.observation.stream] = Guess(one.subject.picture, (scores,), person)
    return found


def test_who_knows_everything_gets_everything_and_only_from_its_own_package():
    on = trial()
    sample = run_attack(Knowing(truth=truth(on)), on)
    assert sample.mechanism == "plain"
    assert sample.patients.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (sample.values["psnr"][:, 0] == 100).all()
    assert (sample.values["psnr"][:, 1] < 10).all()
    assert (sample.values["ssim"][:, 0] == 1).all()
    assert (sample.values["ssim"][:, 1] < 0.5).all()
    assert (sample.values["support_auc"][:, 0] == 1).all()
    assert (sample.values["support_auc"][:, 1] < 1).all()
    np.testing.assert_allclose(sample.values["recovered_bits"][:, 0], 3 * np.log2(10 / 3))
    assert (sample.pairs.score[sample.pairs.same] == 1).all()
    assert (sample.pairs.score[~sample.pairs.same] < 1).all()
    assert sample.extra["top_1"] == 1
    assert sample.extra["gallery"] == 7
    assert len(sample.examples) == 3


def test_who_says_always_the_same_gains_nothing():
    sample = run_attack(Blind("blind"), trial())
    for table in sample.values.values():
        np.testing.assert_array_equal(table[:, 0], table[:, 1])
    assert (sample.values["support_auc"] == 0.5).all()
    assert set(sample.pairs.score.tolist()) == {0.5}
    assert sample.extra["top_1"] == pytest.approx(1 / 7) == pytest.approx(sample.extra["top_1_by_chance"])


def test_every_package_is_attempted_once():
    class Counting(Blind):
        def predict(self, observation):
            seen.append(observation.stream)
            return super().predict(observation)

    seen = []
    run_attack(Counting("counting"), trial())
    assert sorted(seen) == [bytes([number]) for number in range(8)]


def test_an_image_without_a_partner_or_a_guess_has_no_figures():
    on = trial()
    targets = (replace(on.tested[0], partner=None), *on.tested[1:])
    known = truth(on)
    del known[bytes([5])]
    sample = run_attack(Knowing(truth=known), replace(on, tested=targets))
    assert np.isnan(sample.values["psnr"]).all(axis=1).tolist() == [number in (0, 3, 5) for number in range(8)]


def test_pictures_that_are_no_numbers_are_middle_grey():
    on = trial(2)
    guesses = {bytes([number]): Guess(np.full((24, 24), np.nan, np.float32)) for number in range(2)}
    sample = run_attack(Knowing(truth=guesses), on)
    grey = np.full((24, 24), 127.5)
    assert sample.values["psnr"][0, 0] == pytest.approx(psnr(on.tested[0].case.subject.picture, grey, 255.0))


def test_the_mean_picture_stands_beside():
    on = trial()
    sample = run_attack(Blind("blind"), on)
    mean = np.mean([target.case.subject.picture for target in on.tested], axis=0)
    wanted = np.mean([psnr(target.case.subject.picture, mean, 255.0) for target in on.tested])
    assert sample.extra["mean_picture_psnr"] == pytest.approx(wanted)


def test_candidates_are_shown_cells_only_where_entries_are_in_place_among_others():
    true = CodeMap(100, np.array([1, 2], np.int64), np.ones(2, np.int32))
    shown = Shown(100, np.array([1, 2, 3, 4], np.int64), np.ones(4, np.int32))
    scores = np.zeros(100, np.float32)
    scores[[1, 2, 3, 4]] = 1  # knows no more than what is shown
    among = cell_figures([scores], [true], [shown], in_place=True)
    assert among == {"support_auc": 0.5, "recovered_bits": pytest.approx(1.0 * np.log2(4 / 2))}
    assert cell_figures([scores], [true], [shown], in_place=False)["support_auc"] > 0.98
    bare = Shown(100, true.positions, np.ones(2, np.int32))
    assert cell_figures([scores], [true], [bare], in_place=True)["support_auc"] > 0.98
    assert cell_figures([scores], [true], [], in_place=False)["support_auc"] > 0.98


def test_maps_weigh_by_their_true_entries_and_shorter_scores_are_filled():
    one = CodeMap(10, np.array([0], np.int64), np.ones(1, np.int32))
    three = CodeMap(10, np.array([7, 8, 9], np.int64), np.ones(3, np.int32))
    right = np.arange(10, 0, -1).astype(np.float32)
    found = cell_figures([right, right[:7]], [one, three], [], in_place=False)
    assert found["support_auc"] == pytest.approx((1 * 1.0 + 3 * 0.0) / 4)
    assert cell_figures([right], [CodeMap(10, np.zeros(0, np.int64), np.zeros(0, np.int32))], [], in_place=False) == {}


def test_equal_scores_share_their_places():
    positive = np.zeros(10, bool)
    positive[:4] = True
    assert hits(np.zeros(10), positive) == pytest.approx(4 * 4 / 10)
    assert hits(positive.astype(float), positive) == 4
    assert hits(-positive.astype(float), positive) == 0


def test_pairs_are_of_one_stratum_and_header():
    cases = [case(number, number // 2, stratum=number // 2 % 2, bucket=(64, 64 + 64 * (number >= 8)))
             for number in range(16)]  # fmt: skip
    embeddings = [np.array([each.subject.stratum, each.observation.bucket.width], "f4") for each in cases]
    pairs, extra = linkage(cases, embeddings, np.random.default_rng(0))
    assert len(pairs.score) == 4 * 6
    assert int(pairs.same.sum()) == 8
    by_patient = {each.subject.patient: each for each in cases}
    for one, other in pairs.patients.tolist():
        first, second = by_patient[one], by_patient[other]
        assert first.subject.stratum == second.subject.stratum
        assert first.observation.bucket == second.observation.bucket
    assert len(set(np.round(pairs.score, 5).tolist())) == 1  # stratum and size alone tell nothing
    assert extra["top_1"] == pytest.approx(1 / 3)


def test_pairs_of_two_patients_are_capped_and_those_of_one_are_not(monkeypatch):
    monkeypatch.setattr("medveil.audit.scores.linkage_pairs.MOST_NEGATIVES", 10)
    cases = [case(number, number // 2) for number in range(20)]
    embeddings = [np.ones(2, np.float32)] * 20
    pairs, _ = linkage(cases, embeddings, np.random.default_rng(0))
    assert int(pairs.same.sum()) == 10
    assert int((~pairs.same).sum()) == 10
    other, _ = linkage(cases, embeddings, np.random.default_rng(1))
    assert pairs.patients.tolist() != other.patients.tolist()


def test_without_two_images_of_one_patient_there_is_no_linkage():
    cases = [case(number, number) for number in range(6)]
    assert linkage(cases, [np.ones(2, np.float32)] * 6, np.random.default_rng(0)) == (None, {})
    assert linkage(cases, [None] * 6, np.random.default_rng(0)) == (None, {})
