"""What shows beside the code: found where it tells something, and never mixed up with the code itself."""

from dataclasses import replace

import numpy as np
from tests.attacks.toy_patients import Toy, cases, knowledge, linkage, subjects

from medveil.attacks.reidentification.side_channels import SideChannels, content_weights, repeat_weights, side_features
from medveil.codecs.code import Bucket
from medveil.mechanisms.observation import Observation, Shown

BUCKET = Bucket(64, 64)
OWN, SEEN = subjects(30), subjects(15, first=30)


def telling(subject, generator):
    """A length that follows the patient, beside one that is the same for all and one that is random."""
    size = 5000 + 300 * (subject.patient * 7 % 45) + int(generator.integers(0, 40))
    return Observation(
        BUCKET, lengths=(size, 4096, int(generator.integers(1000, 9000))), place=float(generator.random())
    )


def silent(subject, generator):
    return Observation(BUCKET, lengths=(5000, 4096), place=float(generator.random()))


def of_content(subject, generator):
    """A number of entries that follows how bright the picture is."""
    count = round(10 * float(subject.picture.mean()))
    positions = np.sort(generator.permutation(4000)[:count])
    return Observation(BUCKET, (Shown(4000, positions, np.ones(count, np.int32)),))


def learned(show, people=OWN):
    mechanism = Toy(show)
    own, seen = cases(mechanism, people), cases(mechanism, SEEN, seed=1)
    return SideChannels().fit(knowledge(mechanism, own[:40], own[40:], seen)), seen


def test_a_length_that_follows_the_patient_links_her_images():
    assert linkage(*learned(telling)) > 0.9


def test_lengths_that_are_all_the_same_link_nothing():
    assert 0.3 < linkage(*learned(silent)) < 0.7


def lit(people):
    """The same people, each under light of her own."""
    found = []
    for subject in people:
        level = float(np.random.default_rng(subject.number).uniform(40, 215))
        found.append(replace(subject, picture=np.clip(subject.picture - 128 + level, 0, 255).astype(np.float32)))
    return found


def test_a_count_that_follows_the_content_gives_a_better_picture_than_the_mean():
    people, seen = lit(OWN), lit(SEEN)
    mechanism = Toy(of_content)
    own = cases(mechanism, people)
    attacker = SideChannels().fit(knowledge(mechanism, own[:40], own[40:]))
    mean = np.mean([subject.picture for subject in people], axis=0)
    errors = [
        (np.mean((attacker.predict(case.observation).picture - case.subject.picture) ** 2), case.subject)
        for case in cases(mechanism, seen, seed=1)
    ]
    assert np.mean([error for error, _ in errors]) < 0.7 * np.mean(
        [np.mean((mean - s.picture) ** 2) for _, s in errors]
    )


def test_nothing_beside_the_code_gives_the_mean_picture():
    attacker, seen = learned(silent)
    guesses = [attacker.predict(case.observation).picture for case in seen[:4]]
    assert max(float(np.abs(guess - guesses[0]).mean()) for guess in guesses) < 20.0


def test_values_places_and_stream_do_not_enter():
    positions = np.arange(10)
    one = Observation(BUCKET, (Shown(100, positions, np.ones(10, np.int32)),), b"abcd")
    other = Observation(BUCKET, (Shown(100, positions + 50, np.full(10, -3, np.int32)),), b"wxyz")
    assert np.array_equal(side_features(one), side_features(other))
    longer = Observation(BUCKET, (Shown(100, np.arange(11), np.ones(11, np.int32)),), b"abcd")
    assert not np.array_equal(side_features(one), side_features(longer))


def test_weights_are_of_the_features_that_repeat_and_that_explain():
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(50), 2)
    table = generator.normal(size=(100, 3))
    table[:, 1] = np.repeat(generator.normal(size=50), 2) + 0.1 * generator.normal(size=100)
    weights = repeat_weights(table, patients, np.zeros(100, np.int64))
    assert weights[1] > 10
    assert weights[0] == weights[2] == 0
    pictures = np.outer(table[:, 1], generator.normal(size=64)) + 0.1 * generator.normal(size=(100, 64))
    assert content_weights(table, pictures).argmax() == 1
    assert content_weights(table, pictures)[1] > 0.8


def test_it_is_the_same_every_time():
    first, second = (learned(telling)[0].predict(learned(telling)[1][0].observation) for _ in range(2))
    assert np.array_equal(first.picture, second.picture)
    assert np.array_equal(first.embedding, second.embedding)
