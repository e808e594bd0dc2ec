"""Bytes that nothing protects are read; what is protected says nothing; no bytes whatever break the reader."""

from dataclasses import replace

import numpy as np
import pytest
from tests.attacks.toy_patients import SIDE, Toy, cases, knowledge, subjects

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.keys.plain_streams import PlainStream
from medveil.codecs.code import Bucket
from medveil.codecs.registry import get_codec
from medveil.images.intensity import grey_image
from medveil.mechanisms import levels
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.observation import Observation
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.weak_codes import IdentityPermutation, UnmaskedLevels, Unprotected
from medveil.protection.keystream import Keystream
from medveil.protection.levels import Encrypted, Obfuscated, Sealed

OWN = 8


def _people():
    """Patients whose images are not all equally bright."""
    found = []
    for each in subjects(6):
        picture = (each.picture * 0.5 + 15 * (each.patient * 5 % 9)).astype(np.float32)
        found.append(replace(each, picture=picture, image=grey_image(picture)))
    return found


PEOPLE = _people()
MEAN = np.mean([subject.picture for subject in PEOPLE[:OWN]], axis=0)


class Nothing(Keystream):
    """A stream that moves and masks nothing."""

    def bytes(self, count):
        return bytes(count)

    def words(self, count):
        return np.zeros(count, np.uint64)

    def permutation(self, cells):
        return np.arange(cells)


class _Off(Sealed):
    streams = Nothing


class AllOff(IdentityPermutation):
    """A seal without permutation and masks."""

    level = _Off()


@pytest.fixture(scope="module")
def code_cache():
    return CodeCache()


def space(name, *, fixed=True, preview=False):
    codec = get_codec(name)
    quality, sparsity = (3400, None) if name == "lapped" else (0, 16)
    profile = codec.profile(quality_centidb=quality, sparsity=sparsity, deep=0)
    return PublicCodec(codec, profile, fixed=fixed, preview=preview, working=SIDE)


def learned(mechanism):
    published = cases(mechanism, PEOPLE)
    seen = published[OWN:]
    return PlainStream().fit(knowledge(mechanism, published[:OWN], seen=seen)), seen


def gains(mechanism):
    """(guesses, cases, mean squared errors as shares of those of the mean picture)."""
    attacker, seen = learned(mechanism)
    guesses = [attacker.predict(case.observation) for case in seen]
    shares = [
        float(np.mean((guess.picture - case.subject.picture) ** 2) / np.mean((MEAN - case.subject.picture) ** 2))
        for guess, case in zip(guesses, seen, strict=True)
    ]
    return guesses, seen, shares


# the sample is the default codec; the whole has both
BOTH_CODECS = pytest.mark.parametrize("name", ["lapped", pytest.param("primis", marks=pytest.mark.slow)])


@pytest.mark.parametrize(("name", "preview"), [
    ("lapped", False), pytest.param("lapped", True, marks=pytest.mark.slow), ("primis", False),
])  # fmt: skip
def test_side_bytes_in_the_clear_are_seen_although_the_permutation_holds(code_cache, name, preview):
    guesses, _, shares = gains(UnmaskedLevels(space(name, preview=preview), code_cache))
    assert np.mean(shares) < (0.8 if name == "lapped" else 0.95)
    assert max(np.abs(guess.picture - guesses[0].picture).max() for guess in guesses) > 1


@pytest.mark.parametrize("name", ["lapped", "primis"])
def test_without_permutation_and_masks_the_whole_code_is_read(code_cache, name):
    guesses, seen, shares = gains(AllOff(space(name), code_cache))
    assert max(shares) < 0.1
    for guess, case in zip(guesses, seen, strict=True):
        for scores, true in zip(guess.support, case.code.maps, strict=True):
            assert np.array_equal(np.flatnonzero(scores), true.positions)


@BOTH_CODECS
@pytest.mark.parametrize("level", [Sealed, Encrypted, Obfuscated])
def test_what_is_protected_leaves_the_mean_picture(code_cache, name, level):
    guesses, _, _ = gains(Protection(space(name, fixed=level is Sealed), code_cache, level=level()))
    for guess in guesses:
        assert np.allclose(guess.picture, MEAN, atol=1e-3)
        assert not any(each.any() for each in guess.support or ())


@pytest.mark.parametrize("encrypt", [
    lambda plain, key, aad: plain + b"sixteen bytes-16",
    pytest.param(lambda plain, key, aad: b"sixteen bytes-16" + plain, marks=pytest.mark.slow),
    pytest.param(lambda plain, key, aad: plain, marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.parametrize(("level", "preview"), [
    (Encrypted, False), pytest.param(Encrypted, True, marks=pytest.mark.slow), (Obfuscated, False),
])  # fmt: skip
def test_a_section_that_is_not_encrypted_is_read(code_cache, level, preview, encrypt, monkeypatch):
    monkeypatch.setattr(levels, "encrypt", encrypt)
    _, _, shares = gains(Protection(space("lapped", fixed=False, preview=preview), code_cache, level=level()))
    assert max(shares) < 0.1


@BOTH_CODECS
@pytest.mark.parametrize("level", [
    pytest.param(UnmaskedLevels.level, marks=pytest.mark.slow), Encrypted(), Obfuscated(),
])  # fmt: skip
def test_no_bytes_break_it(code_cache, name, level):
    preview = name == "lapped" and level.tiered
    attacker, seen = learned(Protection(space(name, fixed=level.fixed, preview=preview), code_cache, level=level))
    observation, generator = seen[0].observation, np.random.default_rng(5)
    whole = observation.stream
    streams = [generator.bytes(count) for count in (*range(0, 40, 3), 200, len(whole), 2 * len(whole))]
    streams += [whole[:count] for count in range(0, len(whole), 1 + len(whole) // 10)]
    streams += [bytes(300), b"\xff" * 300, b"\x80" * 300]
    for at in generator.integers(0, min(len(whole), 60), 15):
        streams.append(whole[:at] + generator.bytes(1) + whole[at + 1 :])
    for stream in streams:
        guess = attacker.predict(replace(observation, stream=stream))
        assert guess.picture.shape == (SIDE, SIDE)
        assert np.isfinite(guess.picture).all()
    attacker.predict(replace(observation, lengths=()))
    attacker.predict(replace(observation, maps=()))
    attacker.predict(replace(observation, maps=observation.maps[:1], bucket=Bucket(128, 64)))


def test_it_needs_a_codec_and_bytes(code_cache):
    show = Toy(lambda subject, generator: Observation(Bucket(64, 64), stream=b"x"))
    assert unmet_need(PlainStream.requires, knowledge(show, cases(show, PEOPLE))) is Need.CODE
    sealed = Protection(space("lapped"), code_cache, level=Sealed())
    every = ((Unprotected(space("lapped"), code_cache), Need.STREAM), (sealed, None))
    for mechanism, missing in every:
        published = cases(mechanism, PEOPLE[:3])
        assert unmet_need(PlainStream.requires, knowledge(mechanism, published, seen=published)) is missing
