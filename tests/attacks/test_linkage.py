"""Linkage attacks find who belongs together where it shows, and nothing where it does not."""

import numpy as np
import pytest
from tests.attacks.toy_patients import Toy, cases, knowledge, linkage, subjects

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.reidentification.linkage import LinkageCode, LinkagePicture
from medveil.attacks.reidentification.observation_features import observation_blocks
from medveil.codecs.code import Bucket
from medveil.mechanisms.instance_encodings import LinearEncoding
from medveil.mechanisms.observation import Observation, Shown

BUCKET = Bucket(64, 64)
OWN, SEEN = subjects(10), subjects(6, first=10)


def plain(subject, generator):
    return Observation(BUCKET, encoding=subject.picture / 255)


def noise(subject, generator):
    return Observation(BUCKET, encoding=generator.normal(size=(64, 64)).astype(np.float32))


def one_pad(subject, generator):
    """Cells that an image uses, all moved by one and the same permutation."""
    cells = 2000
    order = np.random.default_rng(5).permutation(cells)
    used = np.random.default_rng([6, subject.patient]).permutation(cells)[:200]
    used = np.where(generator.random(200) < 0.9, used, generator.integers(0, cells, 200))
    positions = np.unique(order[used])
    return Observation(BUCKET, (Shown(cells, positions, np.ones(len(positions), np.int32)),))


def own_pads(subject, generator):
    positions = np.sort(generator.permutation(2000)[:200])
    return Observation(BUCKET, (Shown(2000, positions, np.ones(200, np.int32)),))


def learned(attack, mechanism):
    own, seen = cases(mechanism, OWN), cases(mechanism, SEEN, seed=1)
    return attack.fit(knowledge(mechanism, own[:14], own[14:], seen)), seen


@pytest.mark.parametrize("mechanism", [LinearEncoding(b"s" * 32), Toy(one_pad)], ids=["linear", "one pad"])
def test_the_code_alone_tells_who_it_is(mechanism):
    assert linkage(*learned(LinkageCode(), mechanism)) > 0.85


@pytest.mark.parametrize("show", [noise, own_pads])
def test_the_code_alone_tells_nothing_of_random_codes(show):
    assert 0.2 < linkage(*learned(LinkageCode(), Toy(show))) < 0.8


def test_rows_in_another_order_and_turned_have_the_same_invariants():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(16, 32)).astype(np.float32)
    turn = np.linalg.qr(generator.normal(size=(32, 32)))[0]
    other = (rows[generator.permutation(16)] @ turn).astype(np.float32)
    blocks = observation_blocks([Observation(BUCKET, encoding=each) for each in (rows, other, 2 * rows)], None)
    assert np.allclose(blocks[4][0], blocks[4][1], atol=1e-3)
    assert not np.allclose(blocks[4][0], blocks[4][2], atol=0.1)


def test_a_stranger_recognises_what_shows():
    attacker, seen = learned(LinkagePicture(), Toy(plain))
    assert linkage(attacker, seen) > 0.9


def test_a_stranger_recognises_nothing_in_noise():
    assert 0.2 < linkage(*learned(LinkagePicture(), Toy(noise))) < 0.8


@pytest.mark.parametrize("attack", [LinkageCode(), LinkagePicture()])
def test_the_same_knowledge_gives_the_same_embeddings(attack):
    found = []
    for _ in range(2):
        attacker, seen = learned(attack, Toy(plain))
        found.append(attacker.predict(seen[0].observation).embedding)
    assert np.array_equal(*found)


@pytest.mark.parametrize("attack", [LinkageCode(), LinkagePicture()])
def test_without_patients_of_two_images_there_is_nothing_to_learn(attack):
    own = cases(Toy(plain), subjects(4, visits=1))
    assert unmet_need(attack.requires, knowledge(Toy(plain), own, seen=own)) is Need.OWN_PATIENTS
    assert unmet_need(attack.requires, knowledge(Toy(plain), own + own, seen=own)) is None


def test_features_have_one_width_for_all_observations():
    seen = [case.observation for case in cases(Toy(one_pad), SEEN)]
    assert [len(block) for block in observation_blocks(seen, None)] == [len(seen)] * 5
