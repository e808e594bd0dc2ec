"""Likelihood ratios of cells."""

import numpy as np
import pytest
from tests.attacks import toys

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.support.cell_statistics import Weighing
from medveil.attacks.support.likelihood import LikelihoodRatio


@pytest.mark.parametrize("ranked", [False, True])
def test_decoys_above_the_range_are_told_apart(ranked):
    known, cases = toys.knowledge(toys.above, ranked=ranked)
    (ours, theirs), (our_db, their_db) = toys.outcome(LikelihoodRatio(), known, cases)
    assert ours > 0.9
    assert ours > theirs + 0.2
    assert our_db > their_db + 3


def test_random_codes_say_nothing():
    known, cases = toys.knowledge(toys.random, in_place=False)
    (ours, theirs), (our_db, their_db) = toys.outcome(LikelihoodRatio(), known, cases)
    assert abs(ours - theirs) < 0.03
    assert our_db == pytest.approx(their_db, abs=1e-6)


def test_cells_that_are_told_come_back():
    known, cases = toys.knowledge(toys.told(0.5), in_place=False)
    (ours, theirs), (our_db, their_db) = toys.outcome(LikelihoodRatio(), known, cases)
    assert ours > theirs + 0.05
    assert our_db > their_db + 1


def test_it_is_repeatable():
    known, cases = toys.knowledge(toys.matched)
    guesses = [LikelihoodRatio().fit(known).predict(cases[0].observation) for _ in range(2)]
    assert np.array_equal(guesses[0].picture, guesses[1].picture)
    assert np.array_equal(guesses[0].support[0], guesses[1].support[0])


def test_two_copies_of_one_feature_count_once():
    generator = np.random.default_rng(5)
    odds = generator.normal(0, 2, 20_000).astype(np.float32)
    truth = generator.random(len(odds)) < 1 / (1 + np.exp(-odds))
    found = Weighing(np.stack([odds, odds], 1), truth)
    assert found.weights.sum() == pytest.approx(1.0, abs=0.08)
    assert np.allclose(found(np.stack([odds, odds], 1)), odds, atol=0.5)


def test_a_release_without_maps_is_refused():
    known, _ = toys.knowledge(lambda code, generator: toys.Observation(toys.Bucket(64, 64), (), b"secret"))
    assert unmet_need(LikelihoodRatio.requires, known) is Need.CODE_MAPS
