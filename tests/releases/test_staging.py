"""The staging folder: killed anywhere, left over, shared by two, or somebody's own."""

import dataclasses
import multiprocessing
import os
import shutil
import subprocess
import sys
import time

import pytest
from PIL import Image as Picture
from tests.pictures import picture

from medveil.errors import IntegrityError, TargetExistsError
from medveil.keys.grants import Grant, seal_grant, wrap
from medveil.keys.tiers import ReleaseKeys
from medveil.releases import staging as staged_files
from medveil.releases.listing import list_originals
from medveil.releases.opening import open_release
from medveil.releases.release import Release
from medveil.releases.sharing import share
from medveil.releases.verifying import verify

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
    from medveil.keys.identity import generate

    owner = generate(tmp_path / "killed.key")

    def run(inputs, out, count, *more):
        paths = [str(tmp_path / "killed.key"), str(inputs), str(out), str(count)]
        return subprocess.run([sys.executable, "-c", KILLED_AT, *paths, *more], check=False).returncode

    return owner, run


@pytest.mark.parametrize("count", [2, 7, 12, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 32, 34])
def test_killed_at_any_change_of_the_file_system(tmp_path, pictures, killed_at, count):
    owner, run = killed_at
    out = tmp_path / "release"
    run(pictures, out, count)
    assert run(pictures, out, 10**6) == 0
    assert verify(out).packages == 3
    assert len(list(Release(out).open(owner))) == 3
    assert not (tmp_path / "release.partial").exists()


@pytest.mark.parametrize("count", [3, 6, 8, 10, 12, 14, 16, 18])
def test_an_add_killed_at_any_change_of_the_file_system(tmp_path, pictures, killed_at, count):
    owner, run = killed_at
    out = tmp_path / "release"
    assert run(pictures, out, 10**6) == 0
    Picture.fromarray(picture(8)).save(pictures / "new.png")
    run(pictures, out, count, "add")
    assert verify(out).packages in (3, 4)
    assert run(pictures, out, 10**6, "add") == 0
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


def test_two_shares_at_once_are_one_and_a_refusal(tmp_path, pictures, settings, people):
    with (
        staged_files.held(tmp_path / "release.partial"),
        pytest.raises(TargetExistsError, match="another share"),
    ):
        share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert share([pictures], tmp_path / "release", settings, owner=people["owner"]).done == 3


@pytest.mark.skipif(sys.platform != "linux", reason="looks at parents of processes as Linux has them")
def test_workers_end_with_their_parent():
    from medveil.releases.jobs import end_with_parent

    worker = multiprocessing.get_context("spawn").Process(target=_wait_with, args=(end_with_parent, 1 << 30))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 1


def _wait_with(watch, parent):
    watch(parent)
    time.sleep(60)


def test_limits_hold_for_what_an_unfinished_share_left(tmp_path, pictures, settings, people, killed_at):
    _, run = killed_at
    run(pictures, tmp_path / "release", 24)
    from medveil.keys.identity import Identity

    owner = Identity.load(tmp_path / "killed.key")
    strict = dataclasses.replace(settings, to=(), identity=(), min_quality=60.0)
    with pytest.raises(TargetExistsError, match="min-quality"):
        share([pictures], tmp_path / "release", strict, owner=owner)


def test_grants_that_somebody_slipped_in_lock_nobody_out(tmp_path, release, people):
    foreign = Grant(b"x" * 16, 0, b"g" * 16, ReleaseKeys.fresh())
    first = release / "grants" / f"{'0' * 32}.age"
    first.write_bytes(seal_grant(foreign, people["alice"].recipient, people["owner"]))
    (release / "grants" / f"{'0' * 31}1.age").write_bytes(wrap(b"\x82\x41\x00\x05", people["alice"].recipient))
    assert open_release(release, tmp_path / "opened", identity=people["alice"]).done == 3
    with pytest.raises(IntegrityError, match="added"):
        verify(release)


@pytest.mark.parametrize("damage", ["owner.age", "grants", "extra", "folder-link"])
def test_verify_covers_every_file(tmp_path, release, damage):
    if damage == "owner.age":
        (release / "owner.age").write_bytes(b"junk")
    elif damage == "grants":
        next((release / "grants").iterdir()).unlink()
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
    verify(release)


def test_a_release_beside_its_originals_is_not_shared_again(tmp_path, pictures, settings, people):
    out = pictures / "release"
    assert share([pictures], out, settings, owner=people["owner"]).done == 3
    again = share([pictures], out, settings, owner=people["owner"])
    assert (again.done, again.unchanged, again.failed) == (0, 3, [])


def test_a_file_that_changes_meanwhile_fails(tmp_path, pictures, settings, people, monkeypatch):
    from medveil.releases import sharing

    real = sharing.run_tasks

    def changed(*arguments):
        Picture.fromarray(picture(77)).save(pictures / "a/IM1.png")
        return real(*arguments)

    monkeypatch.setattr(sharing, "run_tasks", changed)
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


def test_a_named_owner_outranks_a_first_look_at_a_forgery(tmp_path, release, people):
    from medveil.releases import manifest as manifests

    forged = shutil.copytree(release, tmp_path / "forged")
    manifest = dataclasses.replace(
        Release(forged, pin=False).manifest,
        owner=people["mallory"].recipient.verify_key,
        recipient=people["mallory"].recipient.age,
    )
    manifests.save(forged, manifest, people["mallory"])
    verify(forged)
    with pytest.raises(IntegrityError, match="another owner"):
        verify(release)
    assert verify(release, owner=people["owner"].recipient).signer_known
    assert verify(release).owner == people["owner"].fingerprint
