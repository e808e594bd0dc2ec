"""Keys of other packages open what shares a key, and nothing of what does not; a real release refuses them all."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from tests.attacks.toy_patients import SIDE, Toy, cases, knowledge, subjects
from tests.pictures import picture

from medveil.attacks.applicability import Need, unmet_need
from medveil.attacks.keys import refused_keys as trials
from medveil.attacks.keys.refused_keys import Outcome, refused_keys
from medveil.attacks.keys.wrong_keys import WrongKey
from medveil.codecs.code import Bucket
from medveil.codecs.registry import get_codec
from medveil.keys.identity import generate
from medveil.keys.tiers import KeyRing, Tier
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.observation import Observation
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.weak_codes import TwoTimePad
from medveil.protection.levels import Encrypted, Sealed
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

PEOPLE = subjects(5)


def lapped(fixed=True):
    codec = get_codec("lapped")
    return PublicCodec(codec, codec.profile(quality_centidb=3400, sparsity=None, deep=0), fixed=fixed, working=SIDE)


def learned(mechanism):
    published = cases(mechanism, PEOPLE)
    own, seen = published[:8], published[8:]
    return WrongKey().fit(knowledge(mechanism, own, seen=seen)), seen


def errors(attacker, seen):
    return [float(np.mean((attacker.predict(case.observation).picture - case.subject.picture) ** 2)) for case in seen]


def test_one_key_for_all_opens_everything():
    attacker, seen = learned(TwoTimePad(lapped(), CodeCache(), secret=b"s" * 32))
    mean = np.mean([subject.picture for subject in PEOPLE[:8]], axis=0)
    for error, case in zip(errors(attacker, seen), seen, strict=True):
        assert error < 0.3 * np.mean((mean - case.subject.picture) ** 2)
    for case in seen:
        scores = attacker.predict(case.observation).support
        for each, code_map in zip(scores, case.code.maps, strict=True):
            assert np.array_equal(np.flatnonzero(each), code_map.positions)


@pytest.mark.parametrize("level", [Sealed(), Encrypted()])
def test_keys_of_their_own_leave_the_mean_picture(level):
    attacker, seen = learned(Protection(lapped(level.fixed), CodeCache(), level=level))
    mean = np.mean([subject.picture for subject in PEOPLE[:8]], axis=0)
    for case in seen:
        guess = attacker.predict(case.observation)
        assert np.allclose(guess.picture, mean, atol=1e-3)
        assert not any(each.any() for each in guess.support or ())


def test_it_is_the_same_every_time():
    mechanism = TwoTimePad(lapped(), CodeCache(), secret=b"s" * 32)
    first, second = (learned(mechanism) for _ in range(2))
    seen = first[1][0].observation
    assert np.array_equal(first[0].predict(seen).picture, second[0].predict(seen).picture)


def test_it_needs_keys_and_something_to_open():
    show = Toy(lambda subject, generator: Observation(Bucket(64, 64)))
    assert unmet_need(WrongKey.requires, knowledge(show, cases(show, PEOPLE))) is Need.CODE
    mechanism = Protection(lapped(), CodeCache(), level=Sealed())
    own = cases(mechanism, PEOPLE[:2])
    assert unmet_need(WrongKey.requires, knowledge(mechanism, own)) is None
    keyless = [type(case)(case.subject, case.observation) for case in own]
    assert unmet_need(WrongKey.requires, knowledge(mechanism, keyless)) is Need.OWN_KEYS


@pytest.fixture(scope="module")
def shared_release(tmp_path_factory):
    """Two pictures shared with all tiers, and their owner."""
    root = tmp_path_factory.mktemp("refused")
    owner = generate(root / "owner.key")
    (root / "originals").mkdir()
    for number in range(2):
        Picture.fromarray(picture(number)).save(root / "originals" / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        settings = ShareSettings(
            to=(owner.recipient,), identity=(owner.recipient,), jobs=1, tiers=(Tier.EXACT, Tier.PREVIEW)
        )
        share([root / "originals"], root / "release", settings, owner=owner)
    return root / "release", owner


def content(folder: Path):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_release_refuses_every_kind_of_key_and_is_left_as_it_is(shared_release, monkeypatch):
    folder, owner = shared_release
    monkeypatch.setattr(trials, "_GUESSES", 2000)
    before = content(folder)
    rows = {row.what: row.outcome for row in refused_keys(Release(folder), owner)}
    assert content(folder) == before
    assert len(rows) == 9
    assert Outcome.OPENED not in rows.values()
    assert list(rows.values()).count(Outcome.REFUSED) >= 7


def test_a_rotated_release_still_refuses_them(shared_release, tmp_path, monkeypatch):
    folder, owner = shared_release
    monkeypatch.setattr(trials, "_GUESSES", 100)
    copy = shutil.copytree(folder, tmp_path / "copy")
    rotate(copy, owner, first_look=True, jobs=1)
    assert not [row for row in refused_keys(Release(copy), owner) if row.outcome is Outcome.OPENED]


def test_keys_that_do_fit_are_told(shared_release, monkeypatch):
    """Planted mistakes: a ring that never loses a tier, and one that has one key for everything."""
    folder, owner = shared_release
    monkeypatch.setattr(trials, "_GUESSES", 100)
    monkeypatch.setattr(KeyRing, "lowered", lambda ring, tier: ring)
    monkeypatch.setattr(trials, "commit", lambda key: b"")
    monkeypatch.setattr(trials._Commitments, "fits", lambda *_: True)
    opened = [row.what for row in refused_keys(Release(folder), owner) if row.outcome is Outcome.OPENED]
    assert any(what.startswith("keys of tier preview") for what in opened)
    assert any(what.startswith("keys of one package") for what in opened)
    assert any("lowest tier" in what for what in opened)
