"""The network over the whole public code."""

import numpy as np
import pytest
from tests.attacks import toys

from medveil.attacks.support.cell_planes import grid_order
from medveil.attacks.support.likelihood import LikelihoodRatio
from medveil.attacks.support.support_network import SupportInference
from medveil.codecs.code import Bucket


def test_each_cell_has_its_place():
    order = grid_order(toys.space(), (256,), Bucket(64, 64), (64, 64))
    assert order.shape == (16, 4, 4)
    assert np.array_equal(np.sort(order.ravel()), np.arange(256))
    assert order[3, 1, 2] == (1 * 4 + 2) * 16 + 3


def test_it_sees_more_than_counting():
    known, cases = toys.knowledge(toys.matched, own=32, steps=80)
    (ours, theirs), (our_db, their_db) = toys.outcome(SupportInference(), known, cases)
    assert ours > toys.outcome(LikelihoodRatio(), known, cases)[0][0] + 0.01
    assert ours > theirs + 0.1
    assert our_db > their_db + 3


def test_cells_in_order_of_priority():
    known, cases = toys.knowledge(toys.above, ranked=True)
    (ours, _theirs), (our_db, their_db) = toys.outcome(SupportInference(), known, cases)
    assert ours > 0.9
    assert our_db > their_db + 3


@pytest.mark.parametrize("ranked", [False, True])
def test_random_codes_say_nothing(ranked):
    known, cases = toys.knowledge(toys.random, in_place=False, ranked=ranked)
    (ours, theirs), (our_db, their_db) = toys.outcome(SupportInference(), known, cases)
    assert abs(ours - theirs) < 0.03
    assert abs(our_db - their_db) < 1e-6


def test_it_is_repeatable():
    known, cases = toys.knowledge(toys.matched, steps=5)
    guesses = [SupportInference().fit(known).predict(cases[0].observation) for _ in range(2)]
    assert np.array_equal(guesses[0].support[0], guesses[1].support[0])
