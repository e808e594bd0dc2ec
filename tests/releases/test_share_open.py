import contextlib
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from tests.pictures import picture

import medveil
from medveil.errors import IntegrityError, NoFittingKeyError, TargetExistsError, UsageError
from medveil.keys.grants import MAX_GRANT_BYTES, MAX_OTHER_BYTES
from medveil.keys.identity import Identity, generate
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.releases.listing import list_originals
from medveil.releases.opening import open_release
from medveil.releases.packages.origin import Origin
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify
from medveil.releases.writing import inputs


def opened_files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("protection", ["sealed", "encrypted"])
def test_images_come_back_with_their_names_and_folders(tmp_path, pictures, settings, people, protection):
    release = tmp_path / "release"
    result = share([pictures], release, dataclasses.replace(settings, protection=protection), owner=people["owner"])
    assert (result.done, result.failed) == (3, [])
    open_release(release, tmp_path / "opened", identity=people["ida"])
    names = ["originals/a/IM1.png", "originals/b/IM1.png", "originals/b/c/IM2.png"]
    assert opened_files(tmp_path / "opened") == names
    for name in names:
        original = np.asarray(Picture.open(tmp_path / name), dtype=float)
        back = np.asarray(Picture.open(tmp_path / "opened" / name), dtype=float)
        assert np.sqrt(np.mean((original - back) ** 2)) < 12


def test_without_identity_no_name_comes_out(tmp_path, release, people):
    open_release(release, tmp_path / "opened", identity=people["alice"])
    ids = sorted(entry.package.hex() + ".png" for entry in Release(release).manifest.packages)
    assert opened_files(tmp_path / "opened") == ids
    with pytest.raises(NoFittingKeyError):
        list_originals(release, people["alice"])


def test_a_wrong_key_opens_nothing(tmp_path, release, people):
    with pytest.raises(NoFittingKeyError):
        open_release(release, tmp_path / "opened", identity=people["mallory"])
    assert not (tmp_path / "opened").exists()


def test_the_owner_lists_and_opens_everything(tmp_path, release, people):
    listed = list_originals(release, people["owner"])
    assert [row.path for row in listed] == ["originals/a/IM1.png", "originals/b/IM1.png", "originals/b/c/IM2.png"]
    assert open_release(release, tmp_path / "opened", identity=people["owner"]).done == 3


def test_python_api_yields_images(release, people):
    images = list(Release(release).open(people["alice"]))
    assert [image.pixels.shape for image in images] == [(80, 96)] * 3


def test_sharing_again_does_nothing(tmp_path, pictures, settings, people, release):
    before = {path: path.read_bytes() for path in release.rglob("*") if path.is_file()}
    result = share([pictures], release, settings, owner=people["owner"])
    assert (result.done, result.unchanged) == (0, 3)
    assert {path: path.read_bytes() for path in release.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "is_fine"), [("Doe", False), ("grants/Doe", False), ("packages/zz", False), ("weights", True)]
)
def test_a_folder_that_holds_nothing_of_the_release_is_noticed(release, name, is_fine):
    (release / "packages/00").mkdir(exist_ok=True)  # as a rotation leaves it
    (release / name).mkdir()
    with contextlib.nullcontext() if is_fine else pytest.raises(IntegrityError, match="folder was added"):
        verify(release)


def test_other_settings_are_refused(pictures, settings, people, release):
    for change in (
        {"protection": "encrypted"}, {"quality": 45.0}, {"to": settings.to[:1], "identity": ()}, {"min_quality": 31.0},
        {"burned_in": "refuse"}, {"embed": False},
    ):  # fmt: skip
        with pytest.raises(TargetExistsError, match="other settings"):
            share([pictures], release, dataclasses.replace(settings, **change), owner=people["owner"])


def test_more_images_need_add(tmp_path, pictures, settings, people, release):
    Picture.fromarray(picture(9)).save(pictures / "new.png")
    with pytest.raises(TargetExistsError, match="not in it"):
        share([pictures], release, settings, owner=people["owner"])
    result = share([pictures], release, dataclasses.replace(settings, add=True), owner=people["owner"])
    assert (result.done, result.unchanged) == (1, 3)
    assert verify(release).packages == 4
    assert not (tmp_path / "release.partial").exists()


def test_an_add_may_name_those_who_have_the_release_and_nobody_else(pictures, settings, people, release):
    Picture.fromarray(picture(9)).save(pictures / "new.png")
    alice, mallory = people["alice"].recipient, people["mallory"].recipient
    adding = dataclasses.replace(settings, add=True, identity=())
    for change in (
        {"to": (mallory,)},
        {"to": (alice, mallory)},
        {"to": (alice,), "identity": (alice,)},
        {"to": (), "also_owners": (alice,)},
    ):
        with pytest.raises(TargetExistsError, match="medveil grant"):
            share([pictures], release, dataclasses.replace(adding, **change), owner=people["owner"])
    with pytest.raises(TargetExistsError, match="tiers"):
        share([pictures], release, dataclasses.replace(adding, at={alice: Tier.PREVIEW}), owner=people["owner"])
    assert share([pictures], release, dataclasses.replace(adding, to=(alice,)), owner=people["owner"]).done == 1


def test_an_owner_who_is_named_twice_is_one_owner(tmp_path, pictures, people):
    deputy = people["ida"].recipient
    twice = ShareSettings(to=(deputy,), also_owners=(deputy,), jobs=1)
    assert share([pictures], tmp_path / "release", twice, owner=people["owner"]).done == 3
    assert share([pictures], tmp_path / "release", twice, owner=people["owner"]).unchanged == 3
    assert len(list((tmp_path / "release" / "grants").iterdir())) == 2
    without = dataclasses.replace(twice, also_owners=())
    with pytest.raises(TargetExistsError, match="owners"):
        share([pictures], tmp_path / "release", without, owner=people["owner"])


def test_another_owner_cannot_add(pictures, settings, people, release):
    with pytest.raises(NoFittingKeyError):
        share([pictures], release, dataclasses.replace(settings, add=True), owner=people["mallory"])


def test_a_folder_that_is_no_release_is_left_alone(tmp_path, pictures, settings, people):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(TargetExistsError):
        share([pictures], mine, settings, owner=people["owner"])
    assert opened_files(mine) == ["thesis.txt"]


def test_opening_overwrites_nothing(tmp_path, release, people):
    target = tmp_path / "opened"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(TargetExistsError):
        open_release(release, target, identity=people["alice"])
    assert opened_files(target) == ["notes.txt"]


def test_one_bad_input_does_not_stop_the_others(tmp_path, pictures, settings, people):
    (pictures / "bad.png").write_bytes((pictures / "a/IM1.png").read_bytes()[:60])
    (pictures / "empty.dcm").write_bytes(b"")
    result = share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert result.done == 3
    assert len(result.failed) == 2
    assert all("bad" not in failure.message and "empty.dcm" not in failure.message for failure in result.failed)
    again = share([pictures], tmp_path / "release", settings, owner=people["owner"])
    assert (again.unchanged, len(again.failed)) == (3, 2)


def test_only_bad_inputs_leave_no_release(tmp_path, settings, people):
    (tmp_path / "x.png").write_bytes(b"no image")
    result = share([tmp_path / "x.png"], tmp_path / "release", settings, owner=people["owner"])
    assert len(result.failed) == 1
    assert not (tmp_path / "release").exists()
    assert not (tmp_path / "release.partial").exists()


def test_no_input_is_a_usage_error(tmp_path, settings, people):
    (tmp_path / "void").mkdir()
    with pytest.raises(UsageError):
        share([tmp_path / "void"], tmp_path / "release", settings, owner=people["owner"])


def test_dry_run_writes_nothing(tmp_path, pictures, settings, people):
    before = sorted(tmp_path.rglob("*"))
    share([pictures], tmp_path / "release", dataclasses.replace(settings, dry_run=True), owner=people["owner"])
    assert sorted(tmp_path.rglob("*")) == before


def test_grants_are_small_and_say_nothing(release):
    sizes = [path.stat().st_size for path in (release / "grants").iterdir()]
    assert len(sizes) == 3
    assert max(sizes) <= MAX_OTHER_BYTES
    assert len(set(sizes)) == 1


def test_grants_of_classical_keys_are_smaller_still(tmp_path, pictures):
    owner, alice = Identity.fresh(classical=True), Identity.fresh(classical=True)
    share([pictures / "a"], tmp_path / "release", ShareSettings(to=(alice.recipient,), jobs=1), owner=owner)
    paths = list((tmp_path / "release" / "grants").iterdir())
    assert [path.suffix for path in paths] == [".age"] * 2
    assert max(path.stat().st_size for path in paths) <= MAX_GRANT_BYTES


def test_file_times_are_equal(release):
    times = {path.stat().st_mtime for path in release.rglob("*")}
    assert len(times) == 1
    assert times.pop() % 86_400 == 0


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_opened_images_are_for_the_user_alone(tmp_path, release, people):
    open_release(release, tmp_path / "opened", identity=people["ida"])
    modes = {path.stat().st_mode & 0o077 for path in [tmp_path / "opened", *(tmp_path / "opened").rglob("*")]}
    assert modes == {0}


def test_a_hostile_owner_writes_no_name_that_programs_act_upon(tmp_path, pictures, settings, people, monkeypatch):
    """An opened `.git` ran code; all content comes out, under names of no meaning, and nothing meets another file."""
    names = {
        "0.txt": ".git/config", "1.txt": "_git/config.data", "2.txt": ".envrc", "3.txt": "sub/autorun.inf",
        "4.txt": "x.desktop", "5.txt": "GIT~1/hooks/pre-commit", "6.txt": "labels.csv", "7.txt": "conftest.py",
        "IM1.png": "sub/sitecustomize.py",
    }  # fmt: skip
    attached = [tmp_path / name for name in names if name.endswith(".txt")]
    for path in attached:
        path.write_text(f"this is {path.name}")
    hostile = lambda relative, digest: Origin(names[relative], digest)  # noqa: E731
    monkeypatch.setattr(inputs, "Origin", hostile)
    wanted = dataclasses.replace(settings, attach=tuple(attached), keep_file=True, protection="encrypted")
    assert share([pictures / "a/IM1.png"], tmp_path / "release", wanted, owner=people["owner"]).failed == []
    result = open_release(tmp_path / "release", tmp_path / "opened", identity=people["owner"])
    found = opened_files(tmp_path / "opened")
    assert set(found) - {"_git/config.data", "_git/config-2.data"} == {
        "_envrc.data", "sub/autorun.inf.data", "x.desktop.data", "GIT_1/hooks/pre-commit.data", "labels.csv",
        "conftest.py.data", "sub/sitecustomize.py.png",
    }  # fmt: skip
    contents = {(tmp_path / "opened" / name).read_bytes() for name in found}
    assert contents == {path.read_bytes() for path in [*attached, pictures / "a/IM1.png"]}
    assert result.done == 9
    assert result.renamed in (7, 8)  # of two that meet, the later one is renamed; packages come in random order


def test_attachments_need_identity(tmp_path, pictures, settings, people):
    (tmp_path / "labels.csv").write_text("image,label\na/IM1.png,normal\n")
    wanted = dataclasses.replace(settings, attach=(tmp_path / "labels.csv",))
    share([pictures], tmp_path / "release", wanted, owner=people["owner"])
    open_release(tmp_path / "release", tmp_path / "ida", identity=people["ida"])
    assert (tmp_path / "ida/labels.csv").read_text().startswith("image,label")
    result = open_release(tmp_path / "release", tmp_path / "alice", identity=people["alice"])
    assert (result.done, result.withheld) == (3, 1)


def test_several_processes_give_the_same_images(tmp_path, pictures, settings, people):
    Picture.fromarray(picture(7)).save(pictures / "d.png")
    share([pictures], tmp_path / "release", dataclasses.replace(settings, jobs=2), owner=people["owner"])
    assert verify(tmp_path / "release").packages == 4
    assert len(list(Release(tmp_path / "release").open(people["alice"]))) == 4


def test_contradicting_settings(people):
    alice = people["alice"].recipient
    for wrong in (
        ShareSettings(protection="seald"),
        ShareSettings(identity=(alice,)),
        ShareSettings(quality=12.0),
        ShareSettings(quality=40.0, sparsity=8),
        ShareSettings(decoys=4),
        ShareSettings(protection="obfuscated", to=(alice,), at={alice: Tier.EXACT}),
        ShareSettings(protection="obfuscated", tiers=(Tier.PREVIEW,)),
        ShareSettings(protection="obfuscated", keep_file=True),
        ShareSettings(also_owners=(Recipient(alice.text),)),
    ):
        with pytest.raises(UsageError):
            wrong.check()


def test_paths_are_given_as_they_come(tmp_path, pictures, people, settings):
    """As str or as Path, to every public function that takes one."""
    generate(tmp_path / "bob.key")
    for kind in (str, Path):
        out, bob = kind(tmp_path / f"of {kind.__name__}"), medveil.Identity.load(kind(tmp_path / "bob.key"))
        (tmp_path / "note.txt").write_text("x")
        with_note = dataclasses.replace(settings, attach=(kind(tmp_path / "note.txt"),))
        assert medveil.share([kind(pictures / "a")], out, with_note, owner=people["owner"]).done == 2
        assert medveil.share(kind(pictures / "a"), out, with_note, owner=people["owner"]).unchanged == 2
        to = medveil.Recipient.load(kind(tmp_path / "bob.pub"))
        assert to == bob.recipient
        assert medveil.grant(out, medveil.Request((to,)), people["owner"]).notes
        assert medveil.open_release(out, kind(tmp_path / f"o {kind.__name__}"), identity=bob, jobs=1).done == 1
        assert medveil.revoke(out, [to], people["owner"]).revoked == 1
        assert medveil.rotate(out, people["owner"], jobs=1).packages == 2
        assert len(medveil.Release(out)) == 2


def test_a_release_tells_what_everybody_can_see(tmp_path, release, people):
    folder = release.rename(tmp_path / "Doe-Jane")
    told = repr(medveil.Release(folder))
    for word in ("3 packages", "sealed", "tiers diagnostic", "entry 0 of ", people["owner"].fingerprint, "(verified)"):
        assert word in told
    assert "Doe" not in told
    assert len(told.splitlines()) == 1
