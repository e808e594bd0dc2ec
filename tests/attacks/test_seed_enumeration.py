"""A guessable seed or key is found, and nothing is found where there is none."""

import hashlib

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.attacks.toy_patients import SIDE, Toy, cases, knowledge, subjects

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.keys.guessable_keys import candidates, fitting, guessed, kinds, release_kinds
from medveil.attacks.keys.seed_enumeration import SeedEnumeration
from medveil.attacks.keys.seeded_decoys import DecoyTable, find_seed, first_probes, probes_of, recover
from medveil.codecs.code import Bucket
from medveil.codecs.registry import get_codec
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.controls import primis_space
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.observation import Case, Observation, Shown
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.weak_codes import SeededDecoys
from medveil.protection.keystream import commit
from medveil.protection.levels import Obfuscated, Sealed

BITS = 14
PEOPLE = subjects(5)


@pytest.fixture(scope="module")
def code_cache():
    return CodeCache()


@pytest.fixture(scope="module")
def seeded(code_cache):
    mechanism = SeededDecoys(primis_space(SIDE, fixed=False), code_cache, decoys=16, bits=BITS)
    published = cases(mechanism, PEOPLE)
    return mechanism, published[:7], published[7:]


def test_the_seed_is_found_and_nearly_all_true_entries_with_it(seeded):
    mechanism, own, seen = seeded
    table = DecoyTable.fit(own, mechanism.space.vector_length)
    for case in seen:
        observation = case.observation
        seed = find_seed(probes_of(table, 0, observation.maps[0]), BITS)
        assert seed == mechanism.seed_of(case.key)
        for found, shown, true in zip(recover(observation, seed, table), observation.maps, case.code.maps, strict=True):
            truth = np.isin(np.arange(shown.cells), true.positions)
            assert roc_auc_score(truth, found.scores) > 0.99
            assert np.isin(found.true.positions, true.positions).mean() > 0.85


def test_no_seed_is_found_in_decoys_of_a_good_generator(seeded, code_cache):
    mechanism, _, _ = seeded
    own = cases(Protection(mechanism.space, code_cache, level=Obfuscated(16)), PEOPLE)
    table = DecoyTable.fit(own[:7], mechanism.space.vector_length)
    for case in own[7:]:
        assert find_seed(probes_of(table, 0, case.observation.maps[0]), BITS) is None


@pytest.mark.filterwarnings("error")
def test_maps_without_entries_before_the_first_are_passed_over(code_cache):
    """Small codes of codec lapped use nothing of their first maps."""
    codec = get_codec("lapped")
    space = PublicCodec(codec, codec.profile(quality_centidb=3400, sparsity=None, deep=0), fixed=False, working=SIDE)
    mechanism = SeededDecoys(space, code_cache, bits=BITS)
    published = cases(mechanism, PEOPLE)
    attacker = SeedEnumeration().fit(knowledge(mechanism, published[:7], seen=published[7:], seed_bits=BITS))
    assert all(attacker.predict(case.observation).picture is not None for case in published[7:9])
    empty = Shown(40, np.zeros(0, np.int64), np.zeros(0, np.int32))
    table = attacker._table
    shown = published[8].observation.maps
    assert not all(len(each.positions) for each in shown)
    number = next(number for number, each in enumerate(shown) if len(each.positions))
    probes = first_probes(table, shown)
    before = sum(each.cells for each in shown[:number])
    assert np.array_equal(probes.cells - before, probes_of(table, number, shown[number]).cells)
    assert first_probes(table, (empty,) * len(shown)) is None


def test_where_nothing_is_a_decoy_nothing_is_enumerated(seeded):
    mechanism, own, _ = seeded
    bare = tuple(Case(case.subject, _without_decoys(case), case.code) for case in own)
    table = DecoyTable.fit(bare, mechanism.space.vector_length)
    assert find_seed(probes_of(table, 0, bare[0].observation.maps[0]), BITS) is None


def _without_decoys(case):
    from medveil.mechanisms.levels import shown

    return Observation(case.observation.bucket, shown(case.code))


def test_the_attack_wins_on_its_targets_and_leaves_the_rest(seeded):
    mechanism, own, seen = seeded
    attacker = SeedEnumeration().fit(knowledge(mechanism, own, seen=seen, seed_bits=BITS, targets=2))
    guesses = [attacker.predict(case.observation) for case in seen]
    assert [guess.picture is not None for guess in guesses] == [True, True, False]
    for guess, case in zip(guesses[:2], seen[:2], strict=True):
        for scores, code_map in zip(guess.support, case.code.maps, strict=True):
            assert roc_auc_score(np.isin(np.arange(code_map.cells), code_map.positions), scores) > 0.99
    again = SeedEnumeration().fit(knowledge(mechanism, own, seen=seen, seed_bits=BITS, targets=2))
    assert np.array_equal(again.predict(seen[0].observation).picture, guesses[0].picture)


def lapped():
    codec = get_codec("lapped")
    return PublicCodec(codec, codec.profile(quality_centidb=3400, sparsity=None, deep=0), fixed=True, working=SIDE)


class SealedUnder(Sealed):
    """Every section is sealed with one key."""

    def __init__(self, key):
        object.__setattr__(self, "weak", key)

    def protect(self, codes, coding, bucket, key, stream=None):
        return super().protect(codes, coding, bucket, lambda section: self.weak, stream)


class WeakKeys(Protection):
    """Every section is sealed with the number of the image as its key."""

    def observation(self, subject, key, lengths, maps, stream):
        seen = super().observation(subject, key, lengths, maps, stream)
        return Observation(seen.bucket, seen.maps, seen.stream, seen.lengths, seen.place, (commit(self.weak(subject)),))

    def publish(self, subject, key):
        self.level = SealedUnder(self.weak(subject))
        return super().publish(subject, key)

    @staticmethod
    def weak(subject):
        return hashlib.sha256(str(subject.number).encode()).digest()


def test_keys_that_bad_software_would_use_open_packages(monkeypatch):
    monkeypatch.setattr("medveil.attacks.keys.seed_enumeration._LEAST_KEYS", 2000)
    published = cases(WeakKeys(lapped(), CodeCache(), level=Sealed()), PEOPLE)
    attacker = SeedEnumeration().fit(
        knowledge(WeakKeys(lapped(), CodeCache(), level=Sealed()), published[:4], seen=published[4:], targets=3)
    )
    mean = np.mean([case.subject.picture for case in published[:4]], axis=0)
    for case in published[4:7]:
        guess = attacker.predict(case.observation)
        assert np.mean((guess.picture - case.subject.picture) ** 2) < 0.3 * np.mean((mean - case.subject.picture) ** 2)


def test_good_keys_leave_the_mean_picture(monkeypatch):
    monkeypatch.setattr("medveil.attacks.keys.seed_enumeration._LEAST_KEYS", 2000)
    mechanism = Protection(lapped(), CodeCache(), level=Sealed())
    published = cases(mechanism, PEOPLE)
    attacker = SeedEnumeration().fit(knowledge(mechanism, published[:4], seen=published[4:], targets=3))
    mean = np.mean([case.subject.picture for case in published[:4]], axis=0)
    assert np.allclose(attacker.predict(published[4].observation).picture, mean, atol=1e-3)


def test_every_kind_of_guessable_key_is_among_the_first():
    tries = {key: what for what, key in candidates(5000)}
    assert {kind.what for kind in kinds()} == set(tries.values())
    assert {len(key) for key in tries} == {32}
    for key in (bytes(32), (7).to_bytes(32, "little"), (7).to_bytes(32, "big"), hashlib.sha256(b"7").digest()):
        assert key in tries
    assert len(list(candidates(70_000))) == 70_000


def test_keys_that_follow_from_the_manifest_are_among_them():
    release, package = b"r" * 16, b"p" * 16
    keys = {kind.what: list(kind.every()) for kind in release_kinds(release, [package], "2026-11-21")}
    assert hashlib.sha256(package).digest() in keys["id"]
    noon = 1_795_262_400  # 2026-11-21T12:00:00Z
    assert hashlib.sha256(str(noon).encode()).digest() in keys["time stamp"]


def test_a_commitment_is_found_by_its_key_only():
    key = (5).to_bytes(32, "big")
    tries = lambda: iter([("small integer", key), ("word", bytes(32))])  # noqa: E731
    assert fitting(tries(), {commit(key)}) == {commit(key): ("small integer", key)}
    assert fitting(tries(), {commit(b"x" * 32)}) == {}


@pytest.mark.parametrize("count", [100, 70_000])
def test_the_first_candidates_are_found_and_no_others(count):
    chosen = {place: key for place, (_, key) in enumerate(candidates(70_000)) if place in (7, 99, 100, 69_999)}
    expected = {commit(key) for place, key in chosen.items() if place < count}
    assert set(guessed(count, {commit(key) for key in chosen.values()})) == expected


def test_it_needs_decoys_or_commitments():
    show = Toy(lambda subject, generator: Observation(Bucket(64, 64)))
    published = cases(show, PEOPLE)
    known = knowledge(show, published, seen=published)
    assert unmet_need(SeedEnumeration.requires, known) is Need.DECOYS_OR_COMMITMENTS
