"""Values that give themselves away, and the public code as it stands."""

import numpy as np
from tests.attacks import toys

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.support.thresholds import NaiveDecode, ValueThreshold, gap, scores
from medveil.codecs.code import Bucket
from medveil.mechanisms.observation import Observation, Shown


def _law(generator, count=400):
    """True values up to 1000 whose law thins out, and decoys from there to 2000."""
    true = np.minimum(np.abs(generator.normal(0, 250, count)) + 20, 1000).astype(np.int32)
    true[0] = 1000
    decoys = 1000 + generator.integers(1, 980, count)
    return np.concatenate([true, decoys]).astype(np.int32), np.arange(2 * count) < count


def test_the_gap_of_the_published_law_is_found_from_values_alone():
    values, true = _law(np.random.default_rng(1))
    border = gap(Shown(len(values), np.arange(len(values)), values))
    assert np.all(values[true] < border + 5)
    assert np.mean(values[~true] >= border) > 0.98


def test_natural_values_have_no_gap():
    values = np.rint(np.random.default_rng(2).laplace(0, 60, 4000)).astype(np.int32)
    values = values[values != 0]
    assert gap(Shown(len(values), np.arange(len(values)), values)) is None


def test_scores_are_highest_for_negative_and_lowest_for_empty_cells():
    values, _ = _law(np.random.default_rng(3))
    values[5] = -7
    found = scores(Shown(len(values) + 1, np.arange(len(values)), values))
    assert found[5] == found.max()
    assert found[-1] == found.min() < found[:-1].min()


def test_decoys_above_the_range_are_seen_through():
    known, cases = toys.knowledge(toys.above)
    (ours, theirs), (our_db, their_db) = toys.outcome(ValueThreshold(), known, cases)
    assert ours > 0.85 > theirs + 0.1
    naive = toys.outcome(NaiveDecode(), known, cases)[1][0]
    assert our_db > naive + 3
    assert our_db > their_db + 1


def test_an_unprotected_code_is_read_as_it_stands():
    known, cases = toys.knowledge(toys.plain)
    (ours, _theirs), (our_db, their_db) = toys.outcome(NaiveDecode(), known, cases)
    assert ours == 1.0
    assert our_db > their_db + 3


def test_random_codes_say_nothing():
    known, cases = toys.knowledge(toys.random, in_place=False)
    for attack in (ValueThreshold(), NaiveDecode()):
        (ours, _theirs), (our_db, their_db) = toys.outcome(attack, known, cases)
        assert abs(ours - 0.5) < 0.05
        assert abs(our_db - their_db) < 0.3


def test_nothing_to_decode_is_said():
    known, _ = toys.knowledge(lambda code, generator: Observation(Bucket(64, 64), (), b"secret"))
    assert unmet_need(ValueThreshold.requires, known) is Need.CODE_MAPS
    assert unmet_need(NaiveDecode.requires, known) is Need.DECODABLE


def test_encoded_pixels_are_shown_without_their_signs():
    subject = toys.subjects(1)[0]
    signs = np.random.default_rng(4).choice([-1.0, 1.0], subject.picture.shape)
    encoding = (subject.picture * signs).astype(np.float32)
    known, _ = toys.knowledge(lambda code, generator: Observation(Bucket(64, 64), encoding=encoding))
    picture = NaiveDecode().fit(known).predict(known.seen[0]).picture
    assert np.corrcoef(picture.ravel(), subject.picture.ravel())[0, 1] > 0.99
