"""The decoder learned from the public code."""

import numpy as np
from tests.attacks import toys

from medveil.attacks.reconstruction.code_decoder import LearnedDecoder
from medveil.attacks.reconstruction.decoder_inputs import blocks
from medveil.codecs.code import Bucket
from medveil.mechanisms.observation import Observation


def test_it_learns_an_unprotected_code():
    known, cases = toys.knowledge(toys.plain)
    our_db, their_db = toys.outcome(LearnedDecoder(), known, cases)[1]
    assert our_db > 22
    assert our_db > their_db + 6


def test_it_learns_from_cells_that_it_is_told():
    known, cases = toys.knowledge(toys.told(0.5), in_place=False, own=24)
    our_db, their_db = toys.outcome(LearnedDecoder(), known, cases)[1]
    assert our_db > their_db + 1


def test_random_codes_say_nothing():
    known, cases = toys.knowledge(toys.random, in_place=False)
    our_db, their_db = toys.outcome(LearnedDecoder(), known, cases)[1]
    assert abs(our_db - their_db) < 0.3


def test_it_learns_from_encoded_pixels():
    def publish(code, generator):
        picture = toys.space().picture(code.maps, Bucket(64, 64), (64, 64))
        return Observation(Bucket(64, 64), encoding=picture[::-1].copy())

    known, cases = toys.knowledge(publish, own=24)
    our_db, their_db = toys.outcome(LearnedDecoder(), known, cases)[1]
    assert our_db > their_db + 0.2


def test_what_is_encrypted_gives_the_mean():
    known, cases = toys.knowledge(lambda code, generator: Observation(Bucket(64, 64), (), generator.bytes(90), (90,)))
    our_db, their_db = toys.outcome(LearnedDecoder(), known, cases)[1]
    assert abs(our_db - their_db) < 0.5


def test_blocks_become_channels():
    encoding = np.arange(16 * 24, dtype=np.float32).reshape(16, 24)
    found = blocks(encoding)
    assert found.shape == (64, 2, 3)
    assert found[8 * 3 + 5, 1, 2] == encoding[8 + 3, 16 + 5]


def test_it_is_repeatable():
    known, cases = toys.knowledge(toys.plain, steps=5)
    guesses = [LearnedDecoder().fit(known).predict(cases[0].observation) for _ in range(2)]
    assert np.array_equal(guesses[0].picture, guesses[1].picture)
