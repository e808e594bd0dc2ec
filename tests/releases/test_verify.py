import contextlib
import dataclasses
import hashlib
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image as Picture
from tests.pictures import picture
from tests.releases import forgery

from medveil.errors import FormatVersionError, IntegrityError, MedveilError, NoFittingKeyError, UsageError
from medveil.files import canonical
from medveil.releases.listing import list_originals
from medveil.releases.opening import open_release
from medveil.releases.packages.package import Package
from medveil.releases.records import state as states
from medveil.releases.records.ledger import Action, LedgerEntry
from medveil.releases.records.owner_records import today
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.sharing import share
from medveil.releases.verifying import verify


def packages(release):
    return sorted((release / "packages").rglob("*.mveil"))


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.fixture
def stranger(release, monkeypatch, tmp_path):
    """Somebody who looks at the release for the first time."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "stranger"))
    return release


def test_signer_is_unknown_at_the_first_look_and_pinned_at_the_second(stranger, people):
    assert verify(stranger).words == "signer unknown"
    seen = verify(stranger)
    assert (seen.words, seen.signer_known) == (f"same signer as on {today()}", False)
    assert verify(stranger, owner=people["owner"].recipient).words == "verified"
    assert verify(stranger).words == "verified"  # since somebody vouched for her


def test_another_named_owner_is_refused(stranger, people):
    with pytest.raises(IntegrityError, match="another owner"):
        verify(stranger, owner=people["mallory"].recipient)


@pytest.mark.parametrize("offset", [0, 6, 7, 9, 40, -1, -200])
def test_a_flipped_bit_is_found(stranger, offset):
    flip(packages(stranger)[1], offset)
    with pytest.raises(IntegrityError, match="was changed"):
        verify(stranger)


def test_missing_added_and_swapped_packages_are_found(stranger):
    first, second, _ = packages(stranger)
    extra = first.with_name("0" * 32 + ".mveil")
    shutil.copy(first, extra)
    with pytest.raises(IntegrityError, match="added"):
        verify(stranger)
    extra.unlink()
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    with pytest.raises(IntegrityError, match="was changed"):
        verify(stranger)
    first.write_bytes(one)
    second.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        verify(stranger)


@pytest.mark.parametrize("name", ["manifest.cbor", "manifest.sig", "ledger/00000000.cbor"])
def test_a_changed_or_missing_record_is_found(stranger, name):
    flip(stranger / name, 20)
    with pytest.raises(MedveilError):
        verify(stranger)
    (stranger / name).unlink()
    with pytest.raises((IntegrityError, UsageError)):
        verify(stranger)


@pytest.mark.parametrize("offset", [0, 3, 100, 300, -1, -64])
@pytest.mark.parametrize("name", ["manifest.cbor", "manifest.sig", "ledger/00000000.cbor"])
def test_a_flipped_bit_of_a_record_is_found(stranger, name, offset):
    path = stranger / name
    flip(path, offset % path.stat().st_size)
    with pytest.raises(MedveilError):
        verify(stranger)


def test_an_older_state_and_another_signer_are_found(tmp_path, stranger, settings, people, pictures):
    shutil.copytree(stranger, tmp_path / "old")
    Picture.fromarray(picture(5)).save(pictures / "z.png")
    share(
        [pictures],
        stranger,
        dataclasses.replace(settings, to=(), identity=(), add=True),
        owner=people["owner"],
        first_look=True,
    )
    verify(stranger)
    with pytest.raises(IntegrityError, match="older state"):
        verify(tmp_path / "old")
    forgery.usurp(stranger, people["mallory"])
    with pytest.raises(IntegrityError, match="another owner"):
        verify(stranger)


def test_a_newer_format_says_so(stranger, people):
    forgery.change_manifest(stranger, people["owner"], format=2)
    with pytest.raises(FormatVersionError):
        verify(stranger)
    forgery.change_manifest(stranger, people["owner"], format=1)
    verify(stranger)
    forgery.change_entry(stranger, people["owner"], format=2)
    with pytest.raises(FormatVersionError):
        verify(stranger)


def test_a_newer_manifest_than_the_ledger_knows_says_so(stranger):
    (stranger / "manifest.cbor").write_bytes(canonical.dumps(forgery.read_manifest(stranger) | {"format": 2}))
    with pytest.raises(FormatVersionError):
        verify(stranger)


def test_an_empty_folder_is_no_release(tmp_path):
    with pytest.raises(UsageError):
        verify(tmp_path)


def test_intact_packages_open_beside_a_damaged_one(tmp_path, stranger, people):
    flip(packages(stranger)[0], -1)
    result = open_release(stranger, tmp_path / "opened", identity=people["ida"])
    assert (result.done, len(result.failed), result.damaged) == (2, 1, True)


def test_a_package_of_another_release_is_foreign(tmp_path, stranger, settings, people, pictures):
    """Even the owner's own other release: same images, same keys' owner, other release id."""
    share([pictures], tmp_path / "other", settings, owner=people["owner"])
    foreign = packages(tmp_path / "other")[0].read_bytes()
    release = Release(stranger, pin=False)
    entry = release.manifest.packages[0]
    (stranger / entry.path).write_bytes(foreign)
    swapped = dataclasses.replace(entry, length=len(foreign), sha256=hashlib.sha256(foreign).digest())
    manifest = release.manifest.with_packages([swapped, *release.manifest.packages[1:]], 0)
    forgery.write_manifest(stranger, manifest.to_bytes(), people["owner"])
    with pytest.raises(IntegrityError, match="another release"):
        verify(stranger)


def test_trailing_bytes_after_the_sections_are_refused(stranger):
    with pytest.raises(IntegrityError):
        Package.from_bytes(packages(stranger)[0].read_bytes() + b"\x00")


def test_a_switch_that_was_cut_short_is_the_old_or_the_new_release(tmp_path, stranger, people):
    """The one rename that counts is that of the ledger's entry; the manifest's pair follows it in any order."""
    state = states.load(stranger)
    following = state.manifest.with_packages(list(state.manifest.packages[:2]), 1)
    digest = hashlib.sha256(following.to_bytes()).digest()
    entry = LedgerEntry(
        following.release, 1, state.ledger.digests[0], Action.ADD, following.created, 0, digest, 2
    )  # fmt: skip
    (tmp_path / "staging").mkdir()
    states.announce(stranger, tmp_path / "staging", entry, following, people["owner"])
    assert len(Release(stranger).manifest.packages) == 3  # cut before the first rename
    os.replace(stranger / "ledger/00000001.cbor.next", stranger / "ledger/00000001.cbor")
    assert len(Release(stranger).manifest.packages) == 2  # cut after the first
    for count, name in enumerate(("manifest.sig", "manifest.cbor")):
        os.replace(stranger / f"{name}.next", stranger / name)
        assert len(Release(stranger).manifest.packages) == 2, count


def test_an_announced_state_of_somebody_else_changes_nothing(tmp_path, stranger, people):
    state = states.load(stranger)
    following = state.manifest.with_packages(list(state.manifest.packages[:2]), 1)
    digest = hashlib.sha256(following.to_bytes()).digest()
    entry = LedgerEntry(following.release, 1, state.ledger.digests[0], Action.ADD, following.created, 0, digest, 2)
    (tmp_path / "staging").mkdir()
    states.announce(stranger, tmp_path / "staging", entry, following, people["mallory"])
    assert len(Release(stranger).manifest.packages) == 3
    with pytest.raises(IntegrityError, match="added"):
        verify(stranger)
    os.replace(stranger / "ledger/00000001.cbor.next", stranger / "ledger/00000001.cbor")
    with pytest.raises(IntegrityError, match="not signed by an owner"):
        verify(stranger)


def test_looking_and_failing_pin_nothing(tmp_path, stranger, people):
    """A signer is remembered by a verify, by images that opened, or as an owner; not by a mere look."""
    for look in (
        lambda: Release(stranger),
        lambda: list(Release(stranger).open(people["alice"])),
        lambda: list_originals(stranger, people["ida"]),
        lambda: open_release(stranger, tmp_path / "a", identity=people["mallory"]),
    ):
        with contextlib.suppress(NoFittingKeyError):
            look()
        assert Release(stranger).signer.words == "signer unknown"
    result = open_release(stranger, tmp_path / "b", identity=people["alice"], jobs=1)
    assert (result.signer_known, result.signer) == (False, "signer unknown")
    assert Release(stranger).signer.words == f"same signer as on {today()}"


def test_a_release_may_be_pinned_by_hand(stranger, people):
    Release(stranger).pin()
    assert (Release(stranger).signer_known, Release(stranger).signer.since) == (False, today())
    Release(stranger, owner=people["owner"].recipient).pin()
    assert Release(stranger).signer_known


def test_a_named_owner_and_a_head_outrank_a_pin_of_somebody_else(tmp_path, stranger, people):
    head = Release(stranger).ledger.digests[-1].hex()
    forged = shutil.copytree(stranger, tmp_path / "forged")
    forgery.usurp(forged, people["mallory"])
    for way in ({"owner": people["owner"].recipient}, {"head": head}):
        shutil.rmtree(Path(os.environ["XDG_STATE_HOME"]) / "medveil", ignore_errors=True)
        verify(forged)
        with pytest.raises(IntegrityError, match="another owner than at the first look") as caught:
            verify(stranger)
        assert "--owner" in caught.value.hint
        assert verify(stranger, **way).words == "verified"
        assert verify(stranger).words == "verified"


def test_leftovers_are_the_bytes_that_a_record_names(tmp_path, stranger, people):
    """A killed change leaves files; what bears their names and is something else was put there by somebody."""
    state = states.load(stranger)
    gone, grant = state.manifest.packages[2], state.ledger.grants[1]
    following = state.manifest.with_packages(list(state.manifest.packages[:2]), 1)
    digest = hashlib.sha256(following.to_bytes()).digest()
    entry = LedgerEntry(
        following.release, 1, state.ledger.digests[0], Action.REVOKE, following.created, 0, digest, 2, (),
        (grant.grant_id,),
    )  # fmt: skip
    (tmp_path / "staging").mkdir()
    states.announce(stranger, tmp_path / "staging", entry, following, people["owner"])
    assert verify(stranger).leftovers == 3
    _refuses_other_bytes(stranger, ["manifest.cbor.next", "manifest.sig.next"])
    os.replace(stranger / "ledger/00000001.cbor.next", stranger / "ledger/00000001.cbor")
    assert verify(stranger).leftovers == 4
    names = [gone.path, grant.path, "manifest.cbor.next", "manifest.sig.next", "manifest.cbor", "manifest.sig"]
    _refuses_other_bytes(stranger, names)
    assert verify(stranger).leftovers == 4


def _refuses_other_bytes(folder, names):
    for name in names:
        path = folder / name
        kept = path.read_bytes()
        for other in (kept + b"x", b"patient list"):
            path.write_bytes(other)
            with pytest.raises(IntegrityError):
                verify(folder)
        path.write_bytes(kept)


_JUNK = ("._manifest.cbor", ".DS_Store", "packages/Thumbs.db", "packages/.DS_Store", "grants/Desktop.ini", "ledger/._x")


def test_what_finder_and_explorer_leave_is_counted_and_passed_over(release, people):
    """By verify, and by the commands that change a release: they neither fail over it nor make it part of it."""
    clean = verify(release)
    package = packages(release)[0]
    names = (*_JUNK, package.with_name(f"._{package.name}").relative_to(release).as_posix())
    for name in names:
        (release / name).write_bytes(b"\0\x05\x16\x07")
    found = verify(release)
    assert (found.junk, found.leftovers, found.bytes, clean.junk) == (len(names), 0, clean.bytes, 0)
    rotate(release, people["owner"], jobs=1)
    after = verify(release)
    assert (after.packages, after.leftovers) == (clean.packages, 0)
    assert after.junk == len(names)
    assert len(list_originals(release, people["owner"])) == clean.packages


@pytest.mark.parametrize("name", [".DS_Store", "packages/._note", "desktop.ini"])
def test_what_only_bears_such_a_name_is_refused(stranger, name, tmp_path):
    path = stranger / name
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(IntegrityError, match="added"):
        verify(stranger)
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(b"x")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="added"):
        verify(stranger)


@pytest.mark.parametrize("name", [".hidden", "notes.txt", "Thumbs.db.exe", "packages/DS_Store", "..Thumbs.db"])
def test_other_files_are_refused(stranger, name):
    (stranger / name).write_bytes(b"x")
    with pytest.raises(IntegrityError, match="added"):
        verify(stranger)
