"""A seal with a mistake in it must be found out, on a real release and by attacks as users run them.

The mistake may be the attacker's too, who publishes with the same program; or in the packages of the release alone,
because another build made them: then nothing that the attacker publishes shows it.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.scenes import effort, preset, shared_images

from medveil.audit import presets
from medveil.audit.audit_run import audit_release
from medveil.audit.results import Verdict
from medveil.mechanisms import levels
from medveil.protection.keystream import Keystream
from medveil.protection.levels import Sealed


class Sound(Keystream):
    """The keystream as it is, whatever a test makes of `Keystream`."""

    __init__, bytes, permutation = Keystream.__init__, Keystream.bytes, Keystream.permutation


def no_permutation(patch):
    patch.setattr(Keystream, "permutation", lambda self, cells: np.arange(cells))


def no_level_mask(patch):
    """The level stream in the clear; places permuted, signs masked."""

    def labelled(self, key, label):
        Sound.__init__(self, key, label)
        self.label = label

    patch.setattr(Keystream, "__init__", labelled)
    patch.setattr(
        Keystream, "bytes", lambda self, count: bytes(count) if self.label == "levels" else Sound.bytes(self, count)
    )


def no_seal(patch):
    """Neither permutation nor masks."""
    no_permutation(patch)
    patch.setattr(Keystream, "bytes", lambda self, count: bytes(count))


class SoundSeal(Sealed):
    """The level of whoever publishes with another build; what others sealed is opened as it was."""

    def protect(self, *asked):
        return _Soundly().protect(*asked)


class _Soundly(Sealed):
    streams = Sound


def sound_simulation(patch):
    """What the attacker publishes is sealed as it should be."""

    def mechanism_of(*asked, **settings):
        found = levels.mechanism_of(*asked, **settings)
        found.level = SoundSeal()
        return found

    patch.setattr("medveil.audit.targets.keyed.mechanism_of", mechanism_of)


@pytest.fixture
def verdicts(tmp_path, auditor, monkeypatch):
    """The verdicts on a release of 16 patients with one image each, without the report."""

    def run(codec, mistakes=(), attacks=("naive-decode", "plain-stream")):
        spent = effort(working=64)
        tiny = preset(effort=spent, control_effort=spent, own_images=16, control_own=2, control_tested=2)
        monkeypatch.setattr(presets, "_PRESETS", (tiny,))
        monkeypatch.setattr("medveil.audit.control_plan.all_controls", lambda **_: ())
        monkeypatch.setattr("medveil.attacks.keys.refused_keys.release_kinds", lambda *_: ())  # 300 000 guesses fewer
        for mistake in mistakes:
            mistake(monkeypatch)
        root = shared_images(tmp_path, auditor, patients=16, images=1, codec=codec)
        audit = audit_release(
            root / "release", identity=auditor, originals=root / "data", manifest=root / "data" / "manifest.csv",
            out=root / "audit", preset="tiny", attacks=attacks, threads=1,
        )  # fmt: skip
        return {result.name: result.verdict for result in audit.attacks}

    return run


@pytest.mark.slow  # by default: canary audit_sealed, tests/locks
@pytest.mark.parametrize("codec", ["lapped", "primis"])
def test_a_seal_is_not_broken(verdicts, codec):
    assert Verdict.BROKEN not in verdicts(codec).values()


def test_a_seal_with_the_identity_permutation_is_broken(verdicts):
    assert verdicts("lapped", [no_permutation], ("naive-decode",)) == {"naive-decode": Verdict.BROKEN}


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["lapped", "primis"])
def test_a_seal_is_not_broken_by_likelihoods_either(verdicts, codec):
    """They take longer than the other two attacks together; tests/attacks/test_likelihood.py has toys for them."""
    assert Verdict.BROKEN not in verdicts(codec, attacks=("likelihood-ratio",)).values()


@pytest.mark.slow
def test_a_seal_with_the_identity_permutation_is_broken_by_likelihoods_as_well(verdicts):
    found = verdicts("lapped", [no_permutation], ("naive-decode", "likelihood-ratio"))
    assert set(found.values()) == {Verdict.BROKEN}


def test_a_seal_of_codec_primis_with_the_identity_permutation_is_broken(verdicts):
    assert verdicts("primis", [no_permutation])["naive-decode"] is Verdict.BROKEN


def test_a_seal_without_its_level_mask_is_broken_by_reading_the_stream(verdicts):
    found = verdicts("lapped", [no_level_mask])
    assert found["plain-stream"] is Verdict.BROKEN
    assert found["naive-decode"] is not Verdict.BROKEN


def test_codes_of_codec_primis_that_nothing_seals_are_broken_by_reading_them(verdicts):
    assert verdicts("primis", [no_seal], ("plain-stream",))["plain-stream"] is Verdict.BROKEN


@pytest.mark.parametrize(("mistake", "by"), [(no_permutation, "naive-decode"), (no_level_mask, "plain-stream")])
def test_a_mistake_in_the_packages_of_the_release_alone_is_found(verdicts, mistake, by):
    assert verdicts("lapped", [mistake, sound_simulation], (by,)) == {by: Verdict.BROKEN}
