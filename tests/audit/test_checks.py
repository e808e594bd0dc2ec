"""Checks of the form: sound releases pass all of them, and every planted fault fails the check that is made for it."""

from __future__ import annotations

import csv
import hashlib
import os
import secrets
from collections import Counter
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Picture
from tests.audit.invented import audit
from tests.pictures import picture

from medveil.audit.checks.collisions import Group, equal_levels, shown_cells
from medveil.audit.checks.form_checks import form_checks
from medveil.audit.checks.public_values import MadeOf, value_checks
from medveil.audit.checks.uniformity import Evenness, chance_of
from medveil.audit.judging.decision import conclude, grounds
from medveil.audit.record import broken_by, record_of
from medveil.audit.results import FormCheck, Verdict
from medveil.audit.targets import keyed
from medveil.audit.targets.originals import find_originals
from medveil.keys.tiers import KeyRing, Tier
from medveil.protection.encrypting import TAG_BYTES
from medveil.protection.keystream import Keystream
from medveil.protection.sealing import PublicCode, PublicMap
from medveil.releases.packages import packing
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.report.findings import because
from medveil.report.sentences import answer


@pytest.fixture(scope="module")
def coded():
    """Codes that were computed before: the same images are shared by every test."""
    return {}


@pytest.fixture
def shared(tmp_path, auditor, monkeypatch, coded):
    """Share images, two of each patient, to check the form of the release; few keys are guessed."""
    monkeypatch.setattr("medveil.attacks.keys.refused_keys.release_kinds", lambda *_: ())
    monkeypatch.setattr("medveil.attacks.keys.refused_keys._GUESSES", 300)

    encode = packing._encode

    def once(image, bucket, plan, coding):
        wanted = image.pixels.tobytes(), plan.profile, plan.level, plan.tiers
        if wanted not in coded:
            coded[wanted] = encode(image, bucket, plan, coding)
        return coded[wanted]

    monkeypatch.setattr(packing, "_encode", once)

    def run(images=8, **settings):
        for number in range(images):
            path = tmp_path / "data" / f"p{number // 2}-{number % 2}.png"
            path.parent.mkdir(exist_ok=True)
            Picture.fromarray(picture(number, 64, 64)).save(path)
        share([tmp_path / "data"], tmp_path / "release", ShareSettings(jobs=1, **settings), owner=auditor)
        return Checked(tmp_path / "release", auditor)

    return run


class Checked:
    """A release on disk that is checked when it is asked for."""

    def __init__(self, folder, owner):
        self.folder, self.owner = folder, owner

    def checks(self, made=()):
        return {check.name: check for check in form_checks(Release(self.folder), self.owner, made)}

    def failed(self, made=()):
        return {name for name, check in self.checks(made).items() if not check.ok}


@pytest.fixture
def known(tmp_path, auditor):
    """What an audit knows of the packages of a release: their files and patients."""

    def known(checked):
        with (tmp_path / "manifest.csv").open("w", newline="") as file:
            rows = [(f"data/{path.name}", path.name.partition("-")[0]) for path in (tmp_path / "data").iterdir()]
            csv.writer(file).writerows([("image", "patient_id"), *rows])
        release, counts = Release(checked.folder), Counter()
        files = find_originals(tmp_path / "data", tmp_path / "manifest.csv", (), counts, lambda: None)
        matched = keyed._matched(release, keyed.owner_ring(release, auditor), files, counts, lambda: None)
        return list(map(keyed._made_of, matched))

    return known


@pytest.mark.parametrize(
    "settings",
    [{"tiers": tuple(Tier)}, {"protection": "encrypted"}, {"protection": "obfuscated"}],
    ids=["sealed", "encrypted", "obfuscated"],
)
def test_a_sound_release_passes(shared, settings):
    checks = shared(4, **settings).checks()
    assert [check for check in checks.values() if not check.ok] == []
    assert not checks["link-the-wrong-way"].tried  # there is one epoch, and so no link
    assert checks["nothing-repeats"].tried
    assert {"nothing-repeats", "uniform-image-sections", "file-times", "lengths-code", "key-guessable"} <= set(checks)
    assert ("streams-differ" in checks) == (settings.get("protection") is None)


def test_lengths_that_tell_packages_apart_are_told(shared):
    checks = shared(protection="encrypted", tiers=(Tier.EXACT,)).checks()
    told = "among 8 packages of one size class: lengths tell packages apart; 0 of no length"
    assert told in checks["lengths-exact"].found
    assert checks["lengths-code"].found.startswith("1 distinct length among 8 packages of one size class; 0 of no")


def test_one_key_for_all_packages_is_found(shared, monkeypatch):
    key_of = KeyRing.find

    def same(ring, place):
        return key_of(ring, replace(place, package=bytes(16), salt=bytes(16)))

    monkeypatch.setattr(KeyRing, "find", same)
    monkeypatch.setattr(KeyRing, "key", same)
    assert {"nothing-repeats", "permutations-differ", "streams-differ", "key-of-other-package"} <= shared().failed()


def test_one_keystream_for_all_packages_is_found(shared, monkeypatch):
    one = staticmethod(lambda key, label: Keystream(bytes(32), label))
    monkeypatch.setattr("medveil.protection.levels.Sealed.streams", one)
    assert shared().failed() == {"permutations-differ", "streams-differ", "streams-not-shifted"}


def test_a_constant_stream_is_found(shared, monkeypatch):
    monkeypatch.setattr(Keystream, "bytes", lambda self, wanted: bytes(wanted))
    failed = shared().failed()
    assert "uniform-code-sections" in failed
    assert "permutations-differ" not in failed


def test_a_permutation_that_is_left_out_is_found(shared, monkeypatch):
    monkeypatch.setattr(Keystream, "permutation", lambda self, cells: np.arange(cells))
    assert shared().failed() == {"permutations-differ"}


def _drawing(monkeypatch, names, salts):
    """Ids and salts of packages, which are drawn in turn, come from these functions of the package's number."""
    number = count()

    def drawn(length):
        turn = next(number)
        return (salts if turn % 2 else names)(turn // 2)[:length]

    monkeypatch.setattr("medveil.releases.packages.packing.secrets", SimpleNamespace(token_bytes=drawn))


def test_a_salt_that_is_the_patients_is_found(shared, monkeypatch):
    _drawing(
        monkeypatch, lambda _: secrets.token_bytes(16), lambda n: hashlib.sha256(b"patient %d" % (n // 2)).digest()
    )
    checked = shared()
    assert "nothing-repeats" in checked.failed()
    assert "8 of 8 salts" in checked.checks()["nothing-repeats"].found


def test_a_salt_that_is_a_hash_of_the_file_is_found(shared, monkeypatch, tmp_path, known):
    files = lambda n: (tmp_path / "data" / f"p{n // 2}-{n % 2}.png").read_bytes()  # noqa: E731
    _drawing(monkeypatch, lambda _: secrets.token_bytes(16), lambda n: hashlib.sha256(files(n)).digest())
    checked = shared()
    assert checked.failed() == set()  # nobody who does not know the files sees it
    assert checked.failed(known(checked)) == {"values-are-no-hashes"}
    assert "8 of 8 salts" in checked.checks(known(checked))["values-are-no-hashes"].found


def test_an_id_that_begins_with_a_hash_of_the_patient_is_found(shared, monkeypatch, known):
    _drawing(
        monkeypatch, lambda n: hashlib.md5(b"p%d" % (n // 2)).digest()[:10] + secrets.token_bytes(6),
        lambda _: secrets.token_bytes(16),
    )  # fmt: skip
    checked = shared()
    found = {"values-random", "values-say-nothing-of-patients", "values-are-no-hashes"}
    assert checked.failed(known(checked)) == found
    told = " ".join(check.found for check in checked.checks(known(checked)).values())
    assert "8 of 8 package ids" in told
    assert "p0" not in told


def test_a_value_of_the_patient_that_only_the_program_explains_is_found(shared, monkeypatch, known):
    key = secrets.token_bytes(16)
    _drawing(
        monkeypatch, lambda _: secrets.token_bytes(16),
        lambda n: secrets.token_bytes(10) + hashlib.sha256(key + bytes([n // 2])).digest()[:6],
    )  # fmt: skip
    checked = shared()
    assert "values-say-nothing-of-patients" in checked.failed(known(checked))
    assert "values-are-no-hashes" not in checked.failed(known(checked))


def test_a_thumbnail_that_is_masked_with_a_constant_is_found(shared, monkeypatch, tmp_path, known):
    mask = secrets.token_bytes(16)

    def thumbnail(n):
        with Picture.open(tmp_path / "data" / f"p{n // 2}-{n % 2}.png") as image:
            small = np.asarray(image.resize((4, 4), Picture.Resampling.BOX), np.uint8).tobytes()
        return bytes(a ^ b for a, b in zip(small, mask, strict=True))

    _drawing(monkeypatch, lambda _: secrets.token_bytes(16), thumbnail)
    checked = shared()
    assert checked.failed(known(checked)) == {"values-hold-no-thumbnail"}
    assert checked.checks(known(checked))["values-hold-no-thumbnail"].found.startswith("salts:")


def test_a_keystream_that_begins_elsewhere_in_each_package_is_found(shared, monkeypatch):
    whole, known = Keystream(bytes(32), "levels").bytes(1 << 20), {}

    class Shifted(Keystream):
        def __init__(self, key, label):
            super().__init__(key, label)
            self._start = 24 * known.setdefault(key, len(known))

        def bytes(self, wanted):
            return whole[self._start : self._start + wanted]

    monkeypatch.setattr("medveil.protection.levels.Sealed.streams", Shifted)
    assert "streams-not-shifted" in shared().failed()


@pytest.mark.parametrize("images", [6, pytest.param(24, marks=pytest.mark.slow)])
def test_a_sound_release_says_nothing_of_its_files_and_patients(shared, known, images):
    checked = shared(images, **({"tiers": tuple(Tier)} if images > 6 else {}))
    checks = checked.checks(known(checked))
    for name in ("values-random", "values-say-nothing-of-patients", "values-are-no-hashes",
                 "values-hold-no-thumbnail", "streams-not-shifted"):  # fmt: skip
        assert checks[name].ok, checks[name].found
        assert checks[name].tried


def test_random_values_are_hardly_ever_called_alike():
    generator = np.random.default_rng(4)
    for packages in (2, 9, 60):
        made = [MadeOf(bytes(16), str(place // 3), (str(place),)) for place in range(packages)]
        for _ in range(10):
            values = {"ids": {place: generator.bytes(16) for place in range(packages)}}
            assert all(check.ok for check in value_checks(values, made, (b"release",)))


def test_names_that_tell_are_found(shared, monkeypatch):
    _drawing(monkeypatch, lambda n: b"patient-%08d" % n, lambda _: secrets.token_bytes(16))
    assert shared().failed() == {"uniform-package-ids", "values-random"}


def test_sections_that_are_not_encrypted_are_found(shared, monkeypatch):
    monkeypatch.setattr("medveil.protection.encrypting.encrypt", lambda data, *_: data + bytes(TAG_BYTES))
    monkeypatch.setattr("medveil.protection.encrypting.decrypt", lambda data, *_: data[:-TAG_BYTES])
    failed = shared(4, tiers=(Tier.EXACT, Tier.DIAGNOSTIC)).failed()
    assert {"uniform-image-sections", "uniform-identity-sections", "uniform-exact-sections"} <= failed
    assert "uniform-code-sections" not in failed


def test_lengths_without_padding_are_found(shared, monkeypatch):
    monkeypatch.setattr("medveil.protection.padding.to_length", lambda record, length: record + b"\x80")
    failed = shared(protection="encrypted").failed()
    assert failed == {"lengths-code"}


def test_what_the_folder_tells_is_found(shared):
    checked = shared()
    package = next(checked.folder.glob("packages/*/*.mveil"))
    os.utime(package, (1, 1))
    assert checked.failed() == {"file-times"}
    (checked.folder / "list of patients.csv").touch()
    os.utime(checked.folder / "list of patients.csv", (1, 1))
    assert checked.failed() == {"file-times", "no-other-files"}
    assert "list" not in checked.checks()["no-other-files"].found.replace("listed", "")


def test_uniform_bytes_are_hardly_ever_called_uneven():
    generator = np.random.default_rng(3)
    for size in (1, 12, 200, 3000, 100_000):
        counts = [np.bincount(generator.integers(0, 256, size), minlength=256) for _ in range(200)]
        assert min(chance_of(each) for each in counts) > 1e-5


def test_what_compresses_is_found_though_its_bytes_are_uniform():
    kind = Evenness()
    for _ in range(12):
        kind.take(bytes(np.random.default_rng(5).permutation(np.arange(256, dtype=np.uint8).repeat(8))))
    words, sound = kind.verdict()
    assert not sound
    assert "compression saves 9" in words


def _sealed(generator, cells=5000, entries=1500, length=600):
    positions = np.sort(generator.choice(cells, entries, replace=False))
    return PublicCode((PublicMap(cells, positions, np.ones(entries, bool)),), generator.bytes(length))


def test_one_repeated_pair_among_many_is_found():
    generator = np.random.default_rng(1)
    group, other = Group(), Group()
    codes = [_sealed(generator) for _ in range(40)]
    for code in codes:
        group.take(code)
        other.take(code)
    assert shown_cells(group).ok
    assert equal_levels(group).ok
    other.take(codes[7])
    assert not shown_cells(other).ok
    assert not equal_levels(other).ok


def test_few_cells_in_common_are_no_alarm():
    generator = np.random.default_rng(2)
    for _ in range(200):
        group = Group()
        for _ in range(6):
            group.take(_sealed(generator, cells=400, entries=6, length=3))
        assert shown_cells(group).ok
        assert equal_levels(group).ok


def test_a_failed_check_breaks_the_release_and_is_told():
    bad = FormCheck("nothing-repeats", "Nothing repeats", "Not unique: 4 of 4 salts.", False)
    good = FormCheck("file-times", "All files have one time", "4 files, 4 distinct times.", False, of_copy=True)
    whole = audit(checks=(good, bad))
    assert conclude(grounds((), (), (), (good, bad))) is Verdict.BROKEN
    told = because(audit(attacks=(), controls=(), data={}, checks=(good, bad)))
    assert "nothing-repeats" in told[0]
    assert "4 of 4 salts" in told[0]
    assert not any("file-times" in text for text in told)
    assert conclude(grounds((), (), (), (good,))) is Verdict.TOO_WEAK
    assert record_of(whole)["checks"][1] == {
        "name": "nothing-repeats", "title": "Nothing repeats", "found": "Not unique: 4 of 4 salts.", "ok": False,
        "of_copy": False, "tried": True,
    }  # fmt: skip
    assert broken_by(whole)[-1] == "nothing-repeats"
    assert "Checks of the form that it fails: nothing-repeats." in answer(whole)
