"""The staging folder: killed anywhere, left over, shared by two, or somebody's own."""

import contextlib
import dataclasses
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import traceback

import pytest
from PIL import Image as Picture
from tests.pictures import picture
from tests.releases import forgery
from tests.releases.looks import snapshot

from medveil.errors import IntegrityError, NoFittingKeyError, TargetExistsError, UsageError
from medveil.keys.grants import Grant, seal_grant
from medveil.keys.identity import generate
from medveil.keys.tiers import EpochKeys
from medveil.keys.wrapping import wrap
from medveil.releases import deputies, granting, rotating
from medveil.releases.inspecting import write_render
from medveil.releases.listing import list_originals
from medveil.releases.opening import open_release
from medveil.releases.records import state as states
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify
from medveil.releases.writing import commit
from medveil.releases.writing import staging as staged_files

KILLED_AT = """
import os, sys
from pathlib import Path
left = int(sys.argv[4])
def dying(real):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return real(*arguments, **options)
    return call
for name in ("fsync", "link", "replace", "unlink", "mkdir", "rename", "rmdir"):
    setattr(os, name, dying(getattr(os, name)))
from medveil.keys.identity import Identity
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
settings = ShareSettings(jobs=1, add="add" in sys.argv)
share([Path(sys.argv[2])], Path(sys.argv[3]), settings, owner=Identity.load(Path(sys.argv[1])))
"""


@pytest.fixture
def killed_at(tmp_path):
    """Run share in a process that ends, without any clean-up, at its n-th change of the file system."""
    owner = generate(tmp_path / "killed.key")

    def run(inputs, out, count, *more):
        paths = [str(tmp_path / "killed.key"), str(inputs), str(out), str(count)]
        if not hasattr(os, "fork"):
            return subprocess.run([sys.executable, "-c", KILLED_AT, *paths, *more], check=False).returncode
        child = os.fork()  # a process of its own that need not import everything again
        if child == 0:
            sys.argv = ["-c", *paths, *more]
            end = os._exit
            try:
                exec(KILLED_AT, {})
                end(0)
            finally:
                traceback.print_exc()
                end(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return owner, run


def put_small(folder):
    for number in range(3):
        (folder / str(number)).mkdir(parents=True)
        Picture.fromarray(picture(number, 32, 32)).save(folder / str(number) / "IM.png")
    return folder


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """The small pictures and one more were coded here once: a process that is forked off knows their codes."""
    root = tmp_path_factory.mktemp("coded")
    Picture.fromarray(picture(8, 32, 32)).save(put_small(root / "small") / "new.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        share([root / "small"], root / "release", ShareSettings(jobs=1), owner=generate(root / "owner.key"))


@pytest.fixture
def small(tmp_path, coded):
    """Three small pictures."""
    return put_small(tmp_path / "small")


def sampled(counts, every):
    """Each of the counts, of which one of so many is not slow."""
    return [pytest.param(one, marks=() if at % every == 0 else pytest.mark.slow) for at, one in enumerate(counts)]


@pytest.mark.parametrize("count", sampled([2, 9, 16, 23, 30, 37, 42, 46, 50, 54, 58, 61, 64, 67, 70], 4))
def test_killed_at_any_change_of_the_file_system(tmp_path, small, killed_at, count):
    """In a process of its own; test_crash looks at every single one, of every command."""
    owner, run = killed_at
    out = tmp_path / "release"
    assert run(small, out, count) == 9
    assert run(small, out, 10**6) == 0
    assert verify(out).packages == 3
    assert len(list(Release(out).open(owner))) == 3
    assert not (tmp_path / "release.partial").exists()


@pytest.mark.parametrize("count", sampled([3, 12, 20, 28, 36, 44, 52, 60, 66, 70], 3))
def test_an_add_killed_at_any_change_of_the_file_system(tmp_path, small, killed_at, count):
    owner, run = killed_at
    out = tmp_path / "release"
    assert run(small, out, 10**6) == 0
    Picture.fromarray(picture(8, 32, 32)).save(small / "new.png")
    assert run(small, out, count, "add") == 9
    assert verify(out).packages in (3, 4)
    assert run(small, out, 10**6, "add") == 0
    assert verify(out).packages == 4
    assert len(list(Release(out).open(owner))) == 4


def test_what_an_unfinished_share_left_is_published_only_when_asked_for_again(tmp_path, pictures, killed_at):
    owner, run = killed_at
    run(pictures, tmp_path / "release", 24)
    assert list((tmp_path / "release.partial/packages").rglob("*.mveil"))
    only = tmp_path / "only"
    only.mkdir()
    Picture.fromarray(picture(9)).save(only / "one.png")
    assert run(only, tmp_path / "release", 10**6) == 0
    assert [row.path for row in list_originals(tmp_path / "release", owner)] == ["only/one.png"]
    assert verify(tmp_path / "release").packages == 1


def test_a_folder_of_the_users_own_is_never_touched(tmp_path, pictures, settings, people):
    own = tmp_path / "release.partial"
    own.mkdir()
    (own / "thesis.txt").write_text("years of work")
    for inputs in ([pictures], [pictures / "a"]):
        with pytest.raises(TargetExistsError, match="not made by it"):
            share(inputs, tmp_path / "release", settings, owner=people["owner"])
    assert [path.name for path in own.iterdir()] == ["thesis.txt"]
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize(
    "name", ["packages", "packages/ab", "packages/ab/x.mac", "grants", "images", "units", "report"]
)
def test_a_link_in_the_folder_is_removed_before_anything_else(tmp_path, name):
    """Whoever can write to the storage may put one there, to what is the user's own."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own/x.mac").write_text("years of work")
    link = tmp_path / "release.partial" / name
    link.parent.mkdir(parents=True)
    (tmp_path / "release.partial" / states.MARK).touch()
    link.symlink_to(tmp_path / "own")
    with staged_files.held(tmp_path / "release.partial"):
        assert not link.is_symlink()
    assert (tmp_path / "own/x.mac").read_text() == "years of work"


def test_an_unfinished_share_goes_on_beside_a_link(tmp_path, small, killed_at):
    owner, run = killed_at
    run(small, tmp_path / "release", 24)
    staged = tmp_path / "release.partial/packages"
    staged.rename(tmp_path / "own")
    before = snapshot(tmp_path / "own")
    assert before
    staged.symlink_to(tmp_path / "own")
    assert run(small, tmp_path / "release", 10**6) == 0
    assert snapshot(tmp_path / "own") == before
    assert len(list(Release(tmp_path / "release").open(owner))) == 3


def test_two_shares_at_once_are_one_and_a_refusal(tmp_path, pictures, settings, people):
    with (
        staged_files.held(tmp_path / "release.partial"),
        pytest.raises(TargetExistsError, match="another command"),
    ):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert share([pictures], tmp_path / "release", settings, owner=people["owner"]).done == 3


def test_limits_hold_for_what_an_unfinished_share_left(tmp_path, pictures, settings, people, killed_at):
    _, run = killed_at
    run(pictures, tmp_path / "release", 24)
    from medveil.keys.identity import Identity

    owner = Identity.load(tmp_path / "killed.key")
    for limit in ({"min_quality": 60.0}, {"burned_in": "refuse"}):
        strict = dataclasses.replace(settings, to=(), identity=(), **limit)
        with pytest.raises(TargetExistsError, match="min-quality, --max-rmse or --burned-in"):
            share([pictures], tmp_path / "release", strict, owner=owner)


def test_grants_that_somebody_slipped_in_lock_nobody_out(tmp_path, release, people):
    """Only grants that the ledger names count: the others never meet a secret key."""
    foreign = Grant(b"x" * 16, 0, b"g" * 16, EpochKeys.fresh(), bytes(32))
    first = release / "grants" / f"{'0' * 32}.pqage"
    first.write_bytes(seal_grant(foreign, people["alice"].recipient, people["owner"]))
    second = release / "grants" / f"{'0' * 31}1.pqage"
    second.write_bytes(wrap(b"\x82\x41\x00\x05", people["alice"].recipient))
    assert open_release(release, tmp_path / "opened", identity=people["alice"]).done == 3
    with pytest.raises(IntegrityError, match="added"):
        verify(release)


def test_a_grant_of_another_release_opens_nothing(tmp_path, release, pictures, people, settings, elsewhere):
    """An owner's grant, spliced into another release of hers and named by its ledger."""
    share([pictures / "a"], tmp_path / "other", settings, owner=people["owner"])
    (number,) = [
        index
        for index, file in enumerate(states.load(tmp_path / "other").ledger.grants)
        if _opens(tmp_path / "other" / file.path, people["alice"])
    ]
    spliced = states.load(tmp_path / "other").ledger.grants[number]
    fields = forgery.read_entry(forgery.entry_paths(release)[0])
    rows = [[spliced.grant_id, spliced.wrap.value, spliced.sha256]]
    kept = [row for row in fields["granted"] if not _opens(release / f"grants/{row[0].hex()}.pqage", people["alice"])]
    assert len(kept) == 2
    shutil.copy(tmp_path / "other" / spliced.path, release / spliced.path)
    forgery.change_entry(release, people["owner"], granted=sorted(kept + rows))
    with pytest.raises(NoFittingKeyError):  # and no word of what it is: that would tell whose key opens it
        open_release(release, tmp_path / "opened", identity=people["alice"])


def _opens(path, identity):
    with contextlib.suppress(NoFittingKeyError):
        return bool(identity.unwrap(path.read_bytes()))
    return False


@pytest.mark.parametrize("damage", ["ledger", "grants", "grant", "dictionary", "owner.age", "extra", "folder-link"])
def test_verify_covers_every_file(tmp_path, people, settings, damage):
    for number in range(2):  # with what a dictionary is made of
        profile = b"the same colour profile in every picture of this release"
        Picture.fromarray(picture(number)).save(tmp_path / f"{number}.png", icc_profile=profile)
    release = tmp_path / "release"
    share([tmp_path / "0.png", tmp_path / "1.png"], release, settings, owner=people["owner"])
    verify(release)
    assert (release / "identity.0.dict").exists()
    if damage == "ledger":
        (release / "ledger/00000000.cbor").write_bytes(b"junk")
    elif damage == "grants":
        next((release / "grants").iterdir()).unlink()
    elif damage == "grant":
        next((release / "grants").iterdir()).write_bytes(b"junk")
    elif damage == "dictionary":
        (release / "identity.0.dict").write_bytes(b"junk")
    elif damage == "owner.age":
        (release / "owner.age").write_bytes(b"junk")
    elif damage == "extra":
        (release / "patients.csv").write_text("name")
    else:
        os.symlink(tmp_path, release / "packages" / "zz")
    with pytest.raises(IntegrityError):
        verify(release)


def test_outputs_inside_a_release_are_refused(release, pictures, settings, people):
    with pytest.raises(TargetExistsError, match="inside a release"):
        open_release(release, release / "opened", identity=people["ida"])
    with pytest.raises(TargetExistsError, match="inside a release"):
        share([pictures], release / "sub" / "other", settings, owner=people["owner"])
    with pytest.raises(TargetExistsError, match="inside a release"):
        write_render(release, None, release / "view.png")
    (release.parent / "link").symlink_to(release)
    for out in (release, release.parent / "link" / "opened"):
        with pytest.raises(TargetExistsError, match="inside a release"):
            open_release(release, out, identity=people["ida"], force=True)
    verify(release)


def test_a_release_beside_its_originals_is_not_shared_again(tmp_path, pictures, settings, people):
    out = pictures / "release"
    assert share([pictures], out, settings, owner=people["owner"]).done == 3
    again = share([pictures], out, settings, owner=people["owner"])
    assert (again.done, again.unchanged, again.failed) == (0, 3, [])


def test_a_file_that_changes_meanwhile_fails(tmp_path, pictures, settings, people, monkeypatch):
    from medveil.releases import sharing

    real = sharing.done_by_workers

    def changed(*arguments):
        Picture.fromarray(picture(77)).save(pictures / "a/IM1.png")
        return real(*arguments)

    monkeypatch.setattr(sharing, "done_by_workers", changed)
    result = share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert [failure.message for failure in result.failed] == ["it changed while it was being shared"]
    assert result.done == 2


def test_a_file_and_a_folder_of_one_name_both_come_back(tmp_path, settings, people):
    for number, name in enumerate(("d1/scan", "d2/scan/x.png")):
        (tmp_path / name).parent.mkdir(parents=True)
        Picture.fromarray(picture(number)).save(tmp_path / name, format="PNG")
    share([tmp_path / "d1/scan", tmp_path / "d2/scan"], tmp_path / "release", settings, owner=people["owner"])
    result = open_release(tmp_path / "release", tmp_path / "opened", identity=people["ida"])
    assert (result.done, result.failed) == (2, [])


def test_a_named_owner_outranks_a_first_look_at_a_forgery(tmp_path, release, people, elsewhere):
    forged = shutil.copytree(release, tmp_path / "forged")
    forgery.usurp(forged, people["mallory"])
    verify(forged)
    with pytest.raises(IntegrityError, match="another owner"):
        verify(release)
    assert verify(release, owner=people["owner"].recipient).signer_known
    assert verify(release).owner == people["owner"].fingerprint


def test_a_whole_release_of_somebody_else_in_the_partial_folder_is_left_there(tmp_path, release, people, settings):
    """It is no unfinished one of hers who shares."""
    theirs = shutil.copytree(release, tmp_path / "new.partial")
    (theirs / states.MARK).touch()
    before = snapshot(theirs)
    for _ in range(2):
        with pytest.raises(NoFittingKeyError, match="another owner"):
            share([tmp_path / "originals"], tmp_path / "new", settings, owner=people["mallory"])
        assert snapshot(theirs) == before
        assert not (tmp_path / "new").exists()
    share([tmp_path / "originals"], tmp_path / "new", settings, owner=people["owner"])
    assert verify(tmp_path / "new").packages == 3


def test_who_is_refused_the_lock_leaves_it_to_its_holder(tmp_path):
    staging = tmp_path / "release.partial"
    with staged_files.held(staging):
        for _ in range(2):
            with pytest.raises(TargetExistsError, match="another command"), staged_files.held(staging):
                pytest.fail("two at once")
            assert staged_files.lock_of(staging).exists()
            assert (staging / states.MARK).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_removed_meanwhile_is_not_the_lock(tmp_path, monkeypatch):
    """Who opened the file before its holder removed it holds, after that, a file without a name."""
    staging, real, came = tmp_path / "release.partial", staged_files._lock, []

    def late(descriptor):
        if not came:
            came.append(True)
            os.unlink(staged_files.lock_of(staging))  # as the former holder does
        return real(descriptor)

    monkeypatch.setattr(staged_files, "_lock", late)
    with staged_files.held(staging):
        assert staged_files.lock_of(staging).exists()
        with pytest.raises(TargetExistsError, match="another command"), staged_files.held(staging):
            pytest.fail("two at once")


def test_a_lock_file_of_the_users_own_stays(tmp_path, pictures, settings, people):
    own = tmp_path / "release.partial.lock"
    own.write_text("notes")
    with pytest.raises(TargetExistsError, match="not made by medveil"):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert own.read_text() == "notes"


@pytest.mark.skipif(os.name != "posix", reason="locks a file by two descriptors")
def test_many_processes_hold_the_folder_one_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_hold_often, args=(tmp_path / "release.partial",)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def _hold_often(staging):
    end, mark = time.monotonic() + 2, staging.with_name("one")
    while time.monotonic() < end:
        with contextlib.suppress(TargetExistsError), staged_files.held(staging):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            os.unlink(mark)


def test_a_release_has_one_lock_by_whatever_name(tmp_path, release, pictures, settings, people):
    os.symlink(release, tmp_path / "link")
    alice = people["alice"].recipient
    with staged_files.held(tmp_path / "release.partial"):
        for call in (
            lambda: granting.grant(tmp_path / "link", granting.Request((alice,), {}), people["owner"]),
            lambda: granting.revoke(tmp_path / "link", [alice], people["owner"]),
            lambda: rotating.rotate(tmp_path / "link", people["owner"]),
        ):
            with pytest.raises(TargetExistsError, match="another command"):
                call()
    (tmp_path / "up").symlink_to(tmp_path)
    share([pictures], tmp_path / "up" / "release", dataclasses.replace(settings, add=True), owner=people["owner"])
    assert not (tmp_path / "up" / "release.partial").exists()


def test_an_entry_of_the_ledger_is_never_replaced(release, people):
    """Where two commands ran at once all the same, the later one fails, and the former one's grants stay."""
    real, unlink = states.switch, os.unlink
    first, second = people["deputy"].recipient, people["mallory"].recipient

    def late(folder, entry):
        announced = (folder / f"{entry.path}.next").read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(states, "switch", real)
            patch.setattr(staged_files, "_lock", lambda descriptor: True)
            patch.setattr(os, "unlink", lambda path: None if path.name.endswith(".lock") else unlink(path))
            granting.grant(release, granting.Request((first,), {}), people["owner"])
        (folder / f"{entry.path}.next").write_bytes(announced)
        real(folder, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(states, "switch", late)
        with pytest.raises(TargetExistsError, match="another command"):
            granting.grant(release, granting.Request((second,), {}), people["owner"])
    assert verify(release).leftovers == 0
    state = deputies.owned_state(release, people["owner"], repair=False)
    granted = [note.recipient for note in deputies.read_book(release, state, people["owner"]).grants]
    assert first in granted
    assert second not in granted


def test_an_entry_under_both_names_is_a_leftover(release, people):
    """As a kill leaves it between the two steps of the switch; of other content it is foreign."""
    (entry,) = forgery.entry_paths(release)
    announced = entry.with_name(f"{entry.name}.next")
    shutil.copy(entry, announced)
    assert verify(release).leftovers == 1
    announced.write_bytes(b"junk")
    with pytest.raises(IntegrityError):
        verify(release)
    shutil.copy(entry, announced)
    states.settle(release, states.load(release))
    assert not announced.exists()


def test_a_release_is_not_a_staging_folder(tmp_path, release, pictures, settings, people):
    """Somebody's release of that name is never cleared, and medveil makes none."""
    own = release.rename(tmp_path / "study.partial")
    share([pictures / "a"], tmp_path / "study0", settings, owner=people["owner"])
    study = (tmp_path / "study0").rename(tmp_path / "study")
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    request = granting.Request((people["deputy"].recipient,), {})
    with pytest.raises(TargetExistsError, match="not made by it"):
        granting.grant(study, request, people["owner"])
    with pytest.raises(TargetExistsError, match="not made by it"):
        rotating.rotate(study, people["owner"])
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before
    for name in ("other.partial", "other.Partial"):
        with pytest.raises(UsageError, match="ends with"):
            share([pictures], tmp_path / name, settings, owner=people["owner"])
    with pytest.raises(UsageError, match="ends with"):
        granting.grant(own, request, people["owner"])


def test_a_release_whose_mark_a_kill_left(release, people):
    (release / states.MARK).write_bytes(b"")
    assert verify(release).leftovers == 1
    granting.grant(release, granting.Request((people["deputy"].recipient,), {}), people["owner"])
    assert verify(release).leftovers == 0
    (release / states.MARK).write_bytes(b"a message")
    with pytest.raises(IntegrityError):
        verify(release)


def test_a_release_on_another_file_system_than_its_folder(tmp_path, release, pictures, settings, people, monkeypatch):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real = staged_files._device_of
    monkeypatch.setattr(staged_files, "_device_of", lambda folder: -1 if folder == release else real(folder))
    adding = dataclasses.replace(settings, add=True)
    for call in (
        lambda: share([pictures], release, adding, owner=people["owner"]),
        lambda: granting.grant(release, granting.Request((people["deputy"].recipient,), {}), people["owner"]),
        lambda: rotating.rotate(release, people["owner"]),
    ):
        with pytest.raises(UsageError, match="another file system"):
            call()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_image_that_is_attached_too_is_both(tmp_path, pictures, settings, people):
    both = dataclasses.replace(settings, attach=(pictures,))
    assert share([pictures], tmp_path / "release", both, owner=people["owner"]).done == 6
    assert verify(tmp_path / "release").packages == 6
    again = share([pictures], tmp_path / "release", both, owner=people["owner"])
    assert (again.done, again.unchanged) == (0, 6)
    result = open_release(tmp_path / "release", tmp_path / "opened", identity=people["ida"])
    assert (result.done, result.failed) == (6, [])


def test_times_of_what_links_lead_to_stay(tmp_path, release, people):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.txt").write_text("work")
    os.utime(outside / "thesis.txt", (1, 1))
    os.utime(outside, (1, 1))
    os.symlink(outside, release / "folder")
    os.symlink(outside / "thesis.txt", release / "file")
    commit.level_times(release, "2024-01-01")
    commit.level_times(release, "2024-01-01", ["folder/thesis.txt", "file"])
    assert [path.stat().st_mtime for path in (outside, outside / "thesis.txt")] == [1, 1]
