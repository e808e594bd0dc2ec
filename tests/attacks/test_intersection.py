"""Several publications of one image."""

import numpy as np
from tests.attacks import toys

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.support.intersection import Intersection, coincidences
from medveil.attacks.support.likelihood import LikelihoodRatio
from medveil.mechanisms.observation import Shown


def test_position_and_value_have_to_coincide():
    shown = Shown(10, np.array([1, 3, 5]), np.array([2, -1, 4], np.int32))
    other = Shown(10, np.array([1, 3, 7]), np.array([2, 1, 4], np.int32))
    assert coincidences(shown, [other]).tolist() == [1.0, -1.0, -1.0]
    assert coincidences(shown, [other, shown]).tolist() == [2.0, 0.0, 0.0]
    assert coincidences(shown, [Shown(10, np.zeros(0, np.int64), np.zeros(0, np.int32))]).tolist() == [0.0, 0.0, 0.0]


def test_two_publications_give_the_support_away():
    known, cases = toys.knowledge(toys.matched, others=1)
    (ours, theirs), (our_db, their_db) = toys.outcome(Intersection(), known, cases)
    assert ours > 0.98
    assert ours > theirs + 0.1
    assert ours > toys.outcome(LikelihoodRatio(), known, cases)[0][0]
    assert our_db > their_db + 3


def test_random_codes_say_nothing():
    known, cases = toys.knowledge(toys.random, in_place=False, others=1)
    (ours, theirs), (our_db, their_db) = toys.outcome(Intersection(), known, cases)
    assert abs(ours - theirs) < 0.03
    assert abs(our_db - their_db) < 1e-6


def test_one_publication_is_not_enough():
    known, _ = toys.knowledge(toys.matched)
    assert unmet_need(Intersection.requires, known) is Need.SEVERAL_PUBLICATIONS
