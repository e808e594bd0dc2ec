"""rotate: the same content under new keys, and nothing that the old keys open."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Picture
from tests.pictures import picture
from tests.releases.looks import image_ids, readable, ring_of, snapshot

from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError
from medveil.keys.grants import open_grant
from medveil.keys.tiers import Section, Tier
from medveil.releases import rotating
from medveil.releases.access import read_shared
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.listing import list_originals
from medveil.releases.opening import open_release
from medveil.releases.packages.package import Package
from medveil.releases.records import pins
from medveil.releases.records import state as states
from medveil.releases.records.ledger import Action
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify


@pytest.fixture
def made_as(tmp_path, pictures, people):
    """Make a release with a protection; of two pictures, for alice and ida, who sees names."""

    def make(protection):
        alice, ida = people["alice"].recipient, people["ida"].recipient
        wanted = ShareSettings(to=(alice, ida), identity=(ida,), protection=protection, jobs=1)
        share([pictures / "a", pictures / "b" / "c"], tmp_path / protection, wanted, owner=people["owner"])
        return tmp_path / protection

    return make


def headers(folder):
    return [Package.from_bytes(path.read_bytes()).header for path in (folder / "packages").rglob("*.mveil")]


def sections(folder, section):
    packages = [Package.from_bytes(path.read_bytes()) for path in (folder / "packages").rglob("*.mveil")]
    return sorted(package.sections[section] for package in packages)


def content(folder, identity, out):
    """Path -> bytes of what somebody opens."""
    open_release(folder, out, identity=identity, jobs=1)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("protection", ["sealed", "encrypted", "obfuscated"])
def test_the_content_is_the_same_and_everything_around_it_new(tmp_path, made_as, people, protection):
    release = made_as(protection)
    old = shutil.copytree(release, tmp_path / "old")
    before = content(release, people["ida"], tmp_path / "before")
    done = rotate(release, people["owner"], jobs=1)
    assert (done.packages, done.grants, done.epoch, done.protection) == (2, 3, 1, protection)
    assert verify(release).leftovers == 0
    assert content(release, people["ida"], tmp_path / "after") == before
    assert len(before) == 2
    was, now = headers(old), headers(release)
    assert not {h.package for h in was} & {h.package for h in now}
    assert len({h.salt for h in (*was, *now)}) == 4
    assert {h.epoch for h in now} == {1}
    assert {h.release for h in now} == {h.release for h in was}
    assert sorted(h.sections for h in now) == sorted(h.sections for h in was)
    for section, _ in was[0].sections:
        same = sections(old, section) == sections(release, section)
        assert same is (protection == "obfuscated" and section is Section.CODE)


@pytest.mark.parametrize("protection", ["sealed", "obfuscated"])
def test_old_keys_open_nothing_of_the_new_packages(tmp_path, made_as, people, protection):
    release = made_as(protection)
    old = shutil.copytree(release, tmp_path / "old")
    kept = {name: ring_of(old, people[name]) for name in ("owner", "alice", "ida")}
    rotate(release, people["owner"], jobs=1)
    for name, ring in kept.items():
        assert readable(release, ring) == {}
        assert len(readable(old, ring)) == 2  # the copy made before stays open
        assert len(readable(release, ring_of(release, people[name]))) == 2
        assert sorted(ring_of(release, people[name]).epochs) == [1]  # no link leads back
    before = {file.path for file in states.load(old).ledger.grants}
    assert not before & {file.path for file in states.load(release).ledger.grants}
    for file in states.load(old).ledger.grants:  # an old grant, put back, counts for nothing
        shutil.copy(old / file.path, release / file.path)
    with pytest.raises(IntegrityError, match="added"):
        verify(release)


def test_who_was_taken_out_opens_nothing_after_a_rotation(tmp_path, made_as, people):
    release = made_as("sealed")
    kept = ring_of(release, people["ida"])
    revoke(release, [people["ida"].recipient], people["owner"])
    assert len(readable(release, kept)) == 2
    done = rotate(release, people["owner"], jobs=1)
    assert done.epoch == 2
    assert readable(release, kept) == {}
    with pytest.raises(NoFittingKeyError):
        ring_of(release, people["ida"])
    assert len(readable(release, ring_of(release, people["alice"]))) == 2


def test_a_release_of_all_tiers_rotates(tmp_path, tiered, people):
    before = {name: content(tiered, people[name], tmp_path / f"{name}-before") for name in ("ida", "deputy")}
    pixels = sorted(np.asarray(image.pixels).tobytes() for image in Release(tiered).open(people["alice"]))
    rotate(tiered, people["deputy"], jobs=1)
    assert verify(tiered, owner=people["owner"].recipient).leftovers == 0
    for name, files in before.items():
        assert content(tiered, people[name], tmp_path / f"{name}-after") == files
        assert len(files) == 3
    assert sorted(np.asarray(image.pixels).tobytes() for image in Release(tiered).open(people["alice"])) == pixels
    opened = readable(tiered, ring_of(tiered, people["alice"]))
    assert opened == {package: {Section.PREVIEW, Section.IMAGE} for package in image_ids(tiered)}
    assert states.load(tiered).ledger.head.action is Action.ROTATE


def test_limited_grants_are_renewed_for_the_new_packages(tmp_path, tiered, people):
    mallory = people["mallory"].recipient
    one = next(bytes.fromhex(r.package) for r in list_originals(tiered, people["owner"]) if r.path.endswith("one.png"))
    wanted = Request((mallory,), {mallory: Tier.DIAGNOSTIC}, (mallory,), only=(one.hex(),), until="2999-12-31")
    grant(tiered, wanted, people["owner"])
    kept = ring_of(tiered, people["mallory"])
    rotate(tiered, people["owner"], jobs=1)
    assert readable(tiered, kept) == {}
    ring = ring_of(tiered, people["mallory"])
    assert ring.packages is not None
    assert one not in ring.packages
    assert list(readable(tiered, ring).values()) == [
        {Section.PREVIEW, Section.IMAGE, Section.CODE, Section.IDENTITY}
    ]  # fmt: skip
    assert [row.path for row in list_originals(tiered, people["mallory"])] == ["originals/one.png"]
    assert Release(tiered).access_of(people["mallory"]).until == "2999-12-31"


def test_what_identities_have_in_common_is_sealed_anew(tmp_path, people):
    profile = b"one colour profile that all pictures of this program carry along"
    for number in range(2):
        Picture.fromarray(picture(number)).save(tmp_path / f"{number}.png", icc_profile=profile)
    release, inputs = tmp_path / "release", [tmp_path / "0.png", tmp_path / "1.png"]
    share(inputs, release, ShareSettings(jobs=1), owner=people["owner"])
    kept, sealed = ring_of(release, people["owner"]), (release / "identity.0.dict").read_bytes()
    before = content(release, people["owner"], tmp_path / "before")
    rotate(release, people["owner"], jobs=1)
    assert not (release / "identity.0.dict").exists()
    assert (release / "identity.1.dict").read_bytes() != sealed
    assert ring_of(release, people["owner"]).dictionary == kept.dictionary != b""
    manifest = states.load(release).manifest
    assert read_shared(release, manifest.shared[0], manifest, kept) is None
    assert content(release, people["owner"], tmp_path / "after") == before


def test_what_is_added_after_a_rotation_opens_for_everybody(tmp_path, made_as, pictures, people):
    release = made_as("sealed")
    rotate(release, people["owner"], jobs=1)
    share([pictures / "b" / "IM1.png"], release, ShareSettings(add=True, jobs=1), owner=people["owner"])
    rotate(release, people["owner"], jobs=1)
    revoke(release, [people["ida"].recipient], people["owner"])
    assert len(readable(release, ring_of(release, people["alice"]))) == 3
    assert verify(release).packages == 3


def test_new_grants_hold_new_keys(made_as, people):
    release = made_as("sealed")
    opened = []
    for _ in range(2):
        ledger = states.load(release).ledger
        for file in ledger.grants:
            try:
                data = (release / file.path).read_bytes()
                opened.append(open_grant(data, people["alice"], ledger.owners))
            except NoFittingKeyError:
                continue
        rotate(release, people["owner"], jobs=1)
    first, second = opened
    assert first.keys.tier_key != second.keys.tier_key
    assert (first.epoch, second.epoch) == (0, 1)
    assert first.uid_key == second.uid_key


def test_without_free_space_nothing_is_changed(made_as, people, monkeypatch):
    release = made_as("sealed")
    before = snapshot(release)
    monkeypatch.setattr(rotating.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    with pytest.raises(MedveilError, match="free space") as caught:
        rotate(release, people["owner"], jobs=1)
    assert caught.value.exit_code == 1
    assert snapshot(release) == before
    assert not release.with_name(f"{release.name}.partial").exists()


def test_a_damaged_package_stops_it_and_nothing_is_changed(made_as, people):
    release = made_as("sealed")
    victim = sorted((release / "packages").rglob("*.mveil"))[1]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    before = snapshot(release)
    with pytest.raises(IntegrityError, match="was changed"):
        rotate(release, people["owner"], jobs=1)
    assert snapshot(release) == before
    data[-1] ^= 1
    victim.write_bytes(data)
    assert rotate(release, people["owner"], jobs=1).packages == 2
    assert not release.with_name(f"{release.name}.partial").exists()


def test_only_owners_rotate(made_as, people):
    release = made_as("encrypted")
    before = snapshot(release)
    for name in ("alice", "ida", "mallory"):
        with pytest.raises(NoFittingKeyError):
            rotate(release, people[name], jobs=1)
    assert snapshot(release) == before


def test_several_processes_rotate_as_one_does(tmp_path, pictures, people):
    Picture.fromarray(picture(7)).save(pictures / "d.png")
    share([pictures], tmp_path / "release", ShareSettings(jobs=1, protection="encrypted"), owner=people["owner"])
    before = content(tmp_path / "release", people["owner"], tmp_path / "before")
    reported = []
    done = rotate(tmp_path / "release", people["owner"], jobs=2, progress=lambda *told: reported.append(told))
    assert (done.packages, [told[:2] for told in reported]) == (4, [(n, 4) for n in range(1, 5)])
    assert content(tmp_path / "release", people["owner"], tmp_path / "after") == before


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path, release, people):
    grant(release, Request((people["mallory"].recipient,), until="2999-01-01"), people["owner"])
    before = snapshot(tmp_path)
    told = rotate(release, people["owner"], dry_run=True)
    assert snapshot(tmp_path) == before
    assert (told.standing.entry, len(told.standing.open_to)) == (1, 4)
    done = rotate(release, people["owner"], jobs=1)
    assert (told.packages, told.grants, told.epoch, told.ended) == (done.packages, done.grants, done.epoch, done.ended)
    with pytest.raises(NoFittingKeyError):
        rotate(release, people["alice"], dry_run=True)


def test_a_copy_that_was_rotated_does_not_lock_out_of_the_original(tmp_path, release, people):
    """The message says what happened and which command helps; that command does, and so does the hint after it."""
    copy = shutil.copytree(release, tmp_path / "copy")
    rotate(copy, people["owner"], jobs=1)
    with pytest.raises(IntegrityError, match="a copy of this release went further, to entry 1") as caught:
        rotate(release, people["owner"], jobs=1)
    assert "medveil forget RELEASE" in caught.value.hint
    assert pins.forget(Release(copy).manifest.release, release)
    assert verify(release).sequence == 0
    assert rotate(release, people["owner"], first_look=True, jobs=1).standing.entry == 1
    with pytest.raises(IntegrityError, match="two histories") as caught:
        verify(copy)
    assert "medveil forget RELEASE" in caught.value.hint
