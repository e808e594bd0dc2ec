"""What a machine remembers of a release, who is vouched for by that, and what is refused without it."""

from __future__ import annotations

import ntpath
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Picture
from tests.pictures import picture
from tests.releases.looks import image_ids, readable, ring_of, snapshot

from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError, RefusedError, UsageError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.keys.tiers import Tier
from medveil.releases import verifying
from medveil.releases.deputies import owned_state
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.opening import open_release
from medveil.releases.records import ledger as ledgers
from medveil.releases.records import pins
from medveil.releases.records.manifest import RECORD
from medveil.releases.records.owner_records import today
from medveil.releases.records.state import MARK
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.sharing import share
from medveil.releases.verifying import verify
from medveil.releases.writing import commit


@pytest.fixture
def revoked(tmp_path, release, people):
    """(the state before alice was revoked, the state after it, its head)"""
    older = shutil.copytree(release, tmp_path / "older")
    head = revoke(release, [people["alice"].recipient], people["owner"]).head
    return older, release, head


def extensions(tmp_path, people, settings, who="owner"):
    """Every way to build on a release: name -> function of the folder and of what is said of its state."""
    (tmp_path / "new").mkdir()
    Picture.fromarray(picture(9)).save(tmp_path / "new" / "new.png")
    adding = replace(settings, to=(), identity=(), add=True)
    owner, mallory = people[who], people["mallory"].recipient
    only = {"only": (image_ids(tmp_path / "release")[0].hex(),)}
    return {
        "add": lambda folder, **said: share([tmp_path / "new"], folder, adding, owner=owner, **said),
        "trial": lambda folder, **said: share(
            [tmp_path / "new"], folder, replace(adding, dry_run=True), owner=owner, **said
        ),
        "grant": lambda folder, **said: grant(folder, Request((mallory,)), owner, **said),
        "grant some": lambda folder, **said: grant(folder, Request((mallory,), **only), owner, **said),
        "revoke": lambda folder, **said: revoke(folder, [people["ida"].recipient], owner, **said),
        "rotate": lambda folder, **said: rotate(folder, owner, jobs=1, **said),
    }


def test_an_older_state_is_built_on_by_nobody_who_does_not_know_it(tmp_path, revoked, people, settings, elsewhere):
    """The storage shows the state before alice was revoked: what is added there, she would open."""
    older, _, head = revoked
    for name, extend in extensions(tmp_path, people, settings).items():
        before = snapshot(older)
        with pytest.raises(RefusedError) as caught:
            extend(older)
        assert caught.value.exit_code == 14
        assert "--head" in caught.value.hint
        assert "--first-look" in caught.value.hint
        with pytest.raises(IntegrityError, match="named head"):
            extend(older, head=head)
        assert snapshot(older) == before, name
        assert not (tmp_path / "older.partial").exists()
    assert not (Path(os.environ["XDG_STATE_HOME"]) / "medveil").exists()


@pytest.mark.parametrize("name", ["add", "grant", "grant some", "revoke", "rotate"])
def test_a_head_and_a_first_look_are_enough_and_are_remembered(tmp_path, revoked, people, settings, name, elsewhere):
    _, release, head = revoked
    extend, again = extensions(tmp_path, people, settings)[name], shutil.copytree(release, tmp_path / "again")
    done = extend(release, head=head)
    assert len(ring_of(release, people["owner"]).epochs) >= 1
    assert (done.standing.entry, done.standing.day) == (2, today())
    assert done.standing.head == ledgers.load(release).digests[-1].hex()
    names = {note.recipient.fingerprint for note in done.standing.open_to}
    assert people["owner"].fingerprint in names
    assert people["alice"].fingerprint not in names
    with pytest.raises(IntegrityError, match="older state"):
        extend(again)  # now this machine knows
    pins.forget(ledgers.load(again).head.release)
    assert extend(again, first_look=True).standing.entry == 2


def test_a_look_is_no_state_to_build_on(tmp_path, revoked, pictures, people, settings, elsewhere):
    """Else a verify or open of the older state, on a new machine, would end the question."""
    older, release, head = revoked
    mallory = Request((people["mallory"].recipient,))
    for _ in range(2):
        verify(older)
        share([pictures], older, settings, owner=people["owner"])
        with pytest.raises(RefusedError, match="has only looked at the release") as caught:
            grant(older, mallory, people["owner"])
        assert "--first-look" in caught.value.hint
    assert grant(release, mallory, people["owner"], head=head).notes
    assert grant(release, Request((people["deputy"].recipient,)), people["owner"]).notes  # it was said once


def test_the_same_share_again_is_a_look_and_no_pin(tmp_path, release, pictures, people, settings, elsewhere):
    """Else whoever shows an older state had only to wait for it."""
    before = snapshot(release)
    assert share([pictures], release, settings, owner=people["owner"]).unchanged == 3
    assert snapshot(release) == before
    with pytest.raises(RefusedError):
        share([pictures], release, replace(settings, add=True), owner=people["owner"])


def test_a_deputy_builds_only_for_a_founder_who_is_vouched_for(tmp_path, tiered, people, elsewhere):
    owner, mallory = people["owner"].recipient, Request((people["mallory"].recipient,), {}, (), ())
    deputy, head = people["deputy"], ledgers.load(tiered).digests[-1].hex()
    verify(tiered)  # seen, and nothing more
    for said in ({}, {"first_look": True}):
        with pytest.raises(RefusedError, match="for whom nobody vouches"):
            grant(tiered, mallory, deputy, **said)
    with pytest.raises(RefusedError, match="for whom nobody vouches"):
        owned_state(tiered, deputy, extends=False, repair=False)
    verify(tiered, owner=owner)
    assert grant(tiered, mallory, deputy).notes
    pins.forget(ledgers.load(tiered).head.release)
    with pytest.raises(RefusedError, match="has not seen the release"):
        rotate(tiered, deputy, founder=owner, jobs=1)
    assert rotate(tiered, deputy, head=head, jobs=1).packages == 3
    assert revoke(tiered, [people["mallory"].recipient], deputy).revoked == 1


def test_who_founded_a_release_here_is_not_asked(tmp_path, pictures, people, settings):
    out = tmp_path / "release"
    share([pictures / "a"], out, settings, owner=people["owner"])
    assert verify(out).words == "verified"
    share([pictures], out, replace(settings, to=(), identity=(), add=True), owner=people["owner"])
    assert verify(out).packages == 4


@pytest.mark.parametrize("step", ["remove_all", "remove_stamps", "level_times", "_name", "set_times"])
def test_a_share_that_was_killed_while_it_got_its_name_is_not_asked(
    tmp_path, pictures, people, settings, monkeypatch, step
):
    """Every step after the pin; before it there is nothing that could be taken for a release."""
    out = tmp_path / "release"
    with monkeypatch.context() as patch:
        patch.setattr(commit, step, _killed)
        with pytest.raises(KeyboardInterrupt):
            share([pictures / "a"], out, settings, owner=people["owner"])
    assert share([pictures / "a"], out, settings, owner=people["owner"]).unchanged == 1
    share([pictures], out, replace(settings, to=(), identity=(), add=True), owner=people["owner"])
    assert verify(out).packages == 4
    assert len(readable(out, ring_of(out, people["alice"]))) == 4


def test_an_older_state_in_the_staging_folder_does_not_get_the_name(tmp_path, release, pictures, people, settings):
    """Whoever can write to the storage can put a copy of an older state there, and take the release away."""
    older = shutil.copytree(release, tmp_path / "release.partial.old")
    Picture.fromarray(picture(9)).save(pictures / "new.png")
    share([pictures], release, replace(settings, to=(), identity=(), add=True), owner=people["owner"])
    release.rename(tmp_path / "away")
    older.rename(tmp_path / "release.partial")
    (tmp_path / "release.partial" / MARK).touch()
    with pytest.raises(IntegrityError):
        share([pictures], release, settings, owner=people["owner"])
    assert not release.exists()
    assert (tmp_path / "release.partial" / RECORD).exists()


def _killed(*_args, **_kwargs):
    raise KeyboardInterrupt


def test_an_addition_that_was_killed_goes_on_unasked(tmp_path, release, pictures, people, settings, monkeypatch):
    Picture.fromarray(picture(9)).save(pictures / "new.png")
    adding = replace(settings, to=(), identity=(), add=True)
    with monkeypatch.context() as patch:
        patch.setattr(commit.states, "switch", _killed)
        with pytest.raises(KeyboardInterrupt):
            share([pictures], release, adding, owner=people["owner"])
    assert share([pictures], release, adding, owner=people["owner"]).unchanged == 4
    assert verify(release).packages == 4


def pin_files():
    return sorted((Path(os.environ["XDG_STATE_HOME"]) / "medveil" / "pins").iterdir())


def test_a_pin_of_a_former_version_is_a_look_and_one_of_this_version_protects_a_former_one(release, people, elsewhere):
    """Its three fields stay what they were; what is new stands in a file that it passes over."""
    head = verify(release, owner=people["owner"].recipient).head
    signer, state = sorted(pin_files(), key=lambda path: path.name.count("."), reverse=True)
    ledger = ledgers.load(release)
    assert canonical.loads(state.read_bytes(), what="pin") == [ledger.owners[0], 0, ledger.digests[-1]]
    assert state.name == f"{ledger.head.release.hex()}.cbor"
    assert [path.stat().st_mode & 0o777 for path in (signer, state)] == [0o600, 0o600]
    assert Release(release).signer.words == "verified"
    sound = signer.read_bytes()
    record = canonical.loads(sound, what="pin")
    for other in (
        b"", b"junk", sound + b"\0", canonical.dumps([bytes(32), record[1], True]),
        canonical.dumps([record[0], "yesterday", True]), canonical.dumps([record[0], record[1], 1]),
        canonical.dumps([record[0], 5, True]), canonical.dumps({}), canonical.dumps(record * 2),
    ):  # fmt: skip
        signer.write_bytes(other)
        assert Release(release).signer.words == f"same signer as on {today()}"
    signer.unlink()
    os.utime(state, (0, 86400 * 365))
    assert Release(release).signer.words == "same signer as on 1971-01-01"
    verify(release)
    assert Release(release).signer.words == "same signer as on 1971-01-01"  # the first look, not the last
    assert verify(release, head=head).words == "verified"
    assert Release(release).signer.words == "verified"


def test_a_damaged_pin_is_told_and_left_and_nothing_is_built_on_it(tmp_path, revoked, people, settings):
    """It may have been of a later state than the one that is shown."""
    older, _, head = revoked
    verify(older.with_name("release"))
    state = min(pin_files(), key=lambda path: path.name.count("."))
    state.write_bytes(b"junk")
    assert Release(older).signer.words == "signer unknown"
    found = verify(older)
    assert found.words == "signer unknown"
    assert "cannot be read" in found.pin_note
    assert "cannot be read" in open_release(older, tmp_path / "opened", identity=people["alice"]).pin_note
    for extend in extensions(tmp_path, people, settings).values():
        for said in ({}, {"first_look": True}):
            with pytest.raises(RefusedError, match="cannot be read") as caught:
                extend(older, **said)
            assert "medveil forget" in caught.value.hint
    assert state.read_bytes() == b"junk"
    assert pins.forget(ledgers.load(older).head.release)
    assert not verify(older.with_name("release"), head=head).pin_note
    with pytest.raises(IntegrityError, match="older state"):
        rotate(older, people["owner"], jobs=1)


def test_where_nothing_can_be_remembered_it_is_asked_for_each_time(tmp_path, pictures, people, settings, elsewhere):
    Path(os.environ["XDG_STATE_HOME"]).write_bytes(b"")  # no folder can be made there
    out, mallory = tmp_path / "out", Request((people["mallory"].recipient,))
    assert "cannot remember" in share([pictures / "a"], out, settings, owner=people["owner"]).standing.pin_note
    assert "cannot remember" in verify(out).pin_note
    assert "cannot remember" in open_release(out, tmp_path / "opened", identity=people["alice"]).pin_note
    with pytest.raises(RefusedError):
        grant(out, mallory, people["owner"])
    done = grant(out, mallory, people["owner"], first_look=True)
    assert "cannot remember" in done.standing.pin_note
    assert grant(out, mallory, people["owner"], head=done.head).unchanged == 1


@pytest.mark.parametrize("name", ["add", "grant", "grant some", "revoke", "rotate"])
def test_a_state_that_could_not_be_remembered_is_not_made(tmp_path, release, people, settings, monkeypatch, name):
    """The disk that the pins are on is full: the pin would stay behind, and this machine accept the state before."""
    extend, before, known = extensions(tmp_path, people, settings)[name], snapshot(release), pin_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(pins, "write_bytes", _full)
        for said in ({}, {"first_look": True}, {"head": ledgers.load(release).digests[-1].hex()}):
            with pytest.raises(MedveilError, match=r"could not remember the next state .*No space left") as caught:
                extend(release, **said)
            assert caught.value.hint
    assert snapshot(release) == before
    assert pin_bytes() == known
    assert not (tmp_path / "release.partial").exists()
    assert not extend(release).standing.pin_note
    assert len(pin_files()) == 2  # no file of a trial stays


def test_a_disk_that_is_full_just_after_the_switch_is_told(release, people, monkeypatch):
    older = shutil.copytree(release, release.with_name("older"))
    with monkeypatch.context() as patch:
        patch.setattr(
            pins, "write_bytes", lambda path, *args, **said: (_full if path.suffix == ".cbor" else write_bytes)(
                path, *args, **said
            )
        )  # fmt: skip
        done = revoke(release, [people["alice"].recipient], people["owner"])
    assert "takes an older one for the newest" in done.standing.pin_note
    assert not verify(release).pin_note
    with pytest.raises(IntegrityError, match="older state"):
        grant(older, Request((people["mallory"].recipient,)), people["owner"])


@pytest.mark.parametrize("change", ["grant", "revoke", "rotate"])
def test_what_an_owner_does_meanwhile_on_this_machine_is_no_older_state(
    tmp_path, release, people, settings, monkeypatch, change
):
    """While somebody opens, verifies or only looks; and the later state stays the one that is remembered."""
    extend = extensions(tmp_path, people, settings)[change]
    older, looked = shutil.copytree(release, tmp_path / "older"), Release(release)
    opened = open_release(
        older, tmp_path / "opened", identity=people["alice"], jobs=1,
        progress=lambda done, *_: extend(release) if done == 1 else None,
    )  # fmt: skip
    assert (opened.done, opened.failed, opened.pin_note) == (3, [], "")
    looked.pin()
    with pytest.raises(IntegrityError, match="older state"):
        verify(older)
    with pytest.raises(IntegrityError, match="older state"):
        open_release(older, tmp_path / "again", identity=people["alice"], jobs=1)


@pytest.mark.parametrize("place", ["check_signer", "load_package"])
def test_verify_looks_again_before_it_accuses(release, people, monkeypatch, place):
    """An owner's command begins and ends between two of its steps."""
    sound, steps = getattr(verifying, place), []

    def meanwhile(*args, **said):
        if not steps:
            steps.append(place)
            rotate(release, people["owner"], jobs=1)
        return sound(*args, **said)

    monkeypatch.setattr(verifying, place, meanwhile)
    assert verify(release).sequence == 1
    steps[:] = []
    assert Release(release).ledger.head.number == (2 if place == "check_signer" else 1)


def _full(*_args, **_kwargs):
    raise MedveilError("a file could not be written: No space left on device")


def pin_bytes():
    return {path.name: path.read_bytes() for path in pin_files()}


def test_a_release_is_forgotten(release, people, elsewhere):
    verify(release, owner=people["owner"].recipient)
    release_id = ledgers.load(release).head.release
    assert pins.forget(release_id)
    assert pin_files() == []
    assert not pins.forget(release_id)


def test_a_head_is_of_a_release_that_is_there(tmp_path, pictures, people, settings):
    with pytest.raises(UsageError, match="no release"):
        share([pictures], tmp_path / "none", settings, owner=people["owner"], head="0" * 64)
    assert not (tmp_path / "none").exists()


def test_notes_of_a_share_that_somebody_else_put_there_are_told_alike(tmp_path, release, people, settings, pictures):
    """Whoever writes to the storage asks what the owner's key opens: a grant to her, or to somebody else."""
    told = set()
    for path in sorted((release / "grants").iterdir()):
        staging = tmp_path / "fresh.partial"
        staging.mkdir()
        (staging / "medveil.staging").touch()
        shutil.copy(path, staging / "owner.age")
        with pytest.raises(NoFittingKeyError) as caught:
            share([pictures], tmp_path / "fresh", settings, owner=people["owner"])
        told.add((type(caught.value), caught.value.message, caught.value.hint))
        shutil.rmtree(staging)
    assert len(told) == 1


def test_a_tier_is_still_granted_by_who_may(release, people):
    """The control: nothing of this stands in the way on the founder's machine."""
    mallory = people["mallory"].recipient
    done = grant(release, Request((mallory,), {mallory: Tier.DIAGNOSTIC}), people["owner"])
    assert [note.recipient.fingerprint for note in done.notes] == [mallory.fingerprint]
    assert mallory.fingerprint in {note.recipient.fingerprint for note in done.standing.open_to}


@pytest.fixture
def strangers(tmp_path, pictures, people, settings):
    """A release of the same pictures that mallory founded, on a machine of her own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "hers"))
        share([pictures], tmp_path / "strangers", settings, owner=people["mallory"])
    return tmp_path / "strangers"


def exchange(place, other):
    """What hostile storage does: the release at a path is another one, as a whole."""
    place.rename(place.with_name(f"was {place.name}"))
    shutil.copytree(other, place)


def test_looking_twice_vouches_for_nobody(tmp_path, release, people, elsewhere):
    assert [verify(release).words for _ in range(3)] == ["signer unknown"] + [f"same signer as on {today()}"] * 2
    opened = [open_release(release, tmp_path / f"{n}", identity=people["alice"], jobs=1) for n in range(2)]
    assert {result.signer_known for result in opened} == {False}
    assert not Release(release, pin=True).signer_known
    assert verify(release, owner=people["owner"].recipient).signer_known
    assert verify(release).signer_known


def test_a_stranger_at_the_path_of_a_release_that_was_vouched_for(tmp_path, release, strangers, people, elsewhere):
    verify(release, owner=people["owner"].recipient)
    exchange(release, strangers)
    for look in (verify, Release, lambda folder: open_release(folder, tmp_path / "o", identity=people["alice"])):
        with pytest.raises(IntegrityError, match="another signer's release lies here") as caught:
            look(release)
        assert "medveil forget" in caught.value.hint
    assert not (tmp_path / "o").exists()
    assert verify(release.with_name("was release")).words == "verified"  # a folder that was moved
    assert verify(release, owner=people["mallory"].recipient).words == "verified"
    assert verify(release).words == "verified"  # it is hers from now on
    shutil.rmtree(release)
    (tmp_path / "was release").rename(release)
    with pytest.raises(IntegrityError, match="another signer's release"):
        verify(release)


def test_a_stranger_at_the_path_of_a_release_that_was_only_seen(tmp_path, release, strangers, people, elsewhere):
    verify(release)
    exchange(release, strangers)
    for _ in range(2):  # until somebody says otherwise
        assert (verify(release).replaced, verify(release).replaced_since) == ("signer", today())
        assert not verify(release).signer_known
    opened = open_release(release, tmp_path / "o", identity=people["alice"], jobs=1)
    assert (opened.replaced, opened.done) == ("signer", 3)
    assert pins.forget(folder=release)
    assert not verify(release).replaced


def test_another_release_of_the_same_founder_at_a_path(tmp_path, release, pictures, people, settings):
    """The storage shows her an older one in its place: what she adds, those who may open that one would open."""
    newer = tmp_path / "newer"
    share([pictures], newer, settings, owner=people["owner"])
    exchange(newer, release)
    found = verify(newer)
    assert (found.replaced, found.words) == ("release", "verified")
    for name, extend in extensions(tmp_path, people, settings).items():
        with pytest.raises(RefusedError, match="another release lies there") as caught:
            extend(newer)
        assert "--head" in caught.value.hint, name
    mallory = Request((people["mallory"].recipient,))
    assert grant(newer, mallory, people["owner"], first_look=True).notes
    assert not verify(newer).replaced


def test_a_link_that_was_turned_to_another_release_of_hers(tmp_path, release, pictures, people, settings):
    other, link = tmp_path / "other", tmp_path / "link"
    share([pictures / "a"], other, settings, owner=people["owner"])
    link.symlink_to(release)
    mallory = Request((people["mallory"].recipient,))
    assert grant(link, mallory, people["owner"]).notes
    link.unlink()
    link.symlink_to(other)
    for change in (
        lambda: grant(link, mallory, people["owner"]),
        lambda: revoke(link, [people["ida"].recipient], people["owner"]),
        lambda: rotate(link, people["owner"], jobs=1),
    ):
        with pytest.raises(RefusedError, match="another release lies there"):
            change()
    assert grant(other, mallory, people["owner"]).notes


def test_paths_are_known_by_every_name_and_stand_nowhere(tmp_path, release, strangers, people, elsewhere, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(release)
    verify(link, owner=people["owner"].recipient)
    folder = Path(os.environ["XDG_STATE_HOME"]) / "medveil" / "paths"
    files = sorted(folder.iterdir())
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * 3  # the key, and two names of one folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not any(name in path.read_bytes() + path.name.encode() for path in files for name in (b"release", b"link"))
    link.unlink()
    link.symlink_to(strangers)  # the link was turned, and the folders are as they were
    with pytest.raises(IntegrityError, match="another signer's release"):
        verify(link)
    exchange(release, strangers)
    monkeypatch.chdir(tmp_path)
    for name in ("release", "./release/", "originals/../release"):
        with pytest.raises(IntegrityError, match="another signer's release"):
            verify(Path(name))


def test_names_of_a_path_on_windows():
    names = [
        pins._names_of(name, ntpath)
        for name in ("C:\\Data\\Release", "c:/data/release/", "C:\\data\\.\\x\\..\\RELEASE")
    ]
    assert set(names) == {("c:\\data\\release",)}


def test_a_path_that_cannot_be_remembered_is_told(release, strangers, people, elsewhere):
    state = Path(os.environ["XDG_STATE_HOME"]) / "medveil"
    state.mkdir(parents=True)
    (state / "paths").write_bytes(b"")  # no folder can be made there
    assert "at this path" in verify(release).pin_note
    (state / "paths").unlink()
    verify(release)
    for path in (state / "paths").iterdir():
        sound = path.read_bytes()
        for bad in (b"junk", canonical.dumps([]), canonical.dumps([bytes(16), bytes(32), today(), 1])):
            path.write_bytes(bad)
            assert "at this path" in verify(release).pin_note
            assert path.read_bytes() == bad
        path.write_bytes(sound)
    assert not verify(release).pin_note
    exchange(release, strangers)
    assert verify(release).replaced == "signer"


def test_forgetting_a_release_forgets_its_paths(tmp_path, release, strangers, people, elsewhere):
    copy = shutil.copytree(release, tmp_path / "copy")
    for place in (release, copy):
        verify(place, owner=people["owner"].recipient)
    assert pins.forget(ledgers.load(release).head.release)
    for place in (release, copy):
        exchange(place, strangers)
        assert not verify(place).replaced
