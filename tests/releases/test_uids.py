"""The DICOM UIDs of opened files: one UID names one content, and stays what it was whatever is done to the release."""

import shutil

import numpy as np
import pydicom
import pytest
from tests import image_files
from tests.pictures import picture
from tests.vector_releases import RELEASES, key_files

from medveil.keys.identity import Identity
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.releases import state as states
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.opening import open_release
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

STUDY, SERIES, FRAME = "1.2.3.4", "1.2.3.4.5", "1.2.3.9"
NAMES = ("one.dcm", "two.dcm", "three.dcm")


def slices(folder, names=NAMES, **attributes):
    """A series of small CT slices, one a name, in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        number = sum(name.encode())
        pixels = picture(number, 24, 32, bits=12).astype(np.uint16)
        values = {"SOPInstanceUID": f"1.2.3.4.5.{number}", **attributes}
        (folder / name).write_bytes(image_files.dicom(pixels, bits_stored=12, **values))
    return folder


@pytest.fixture(scope="session")
def series_made(tmp_path_factory, people):
    """Three slices as a release of all tiers: alice has the preview, mallory exact, ida exact and identity."""
    root = tmp_path_factory.mktemp("series")
    slices(root / "originals")
    at = {people["alice"]: Tier.PREVIEW, people["mallory"]: Tier.EXACT, people["ida"]: Tier.EXACT}
    at = {person.recipient: tier for person, tier in at.items()}
    wanted = ShareSettings(
        to=tuple(at), at=at, identity=(people["ida"].recipient,), tiers=tuple(Tier), protection="encrypted", jobs=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        share([root / "originals"], root / "release", wanted, owner=people["owner"])
    return root


@pytest.fixture
def series(tmp_path, series_made):
    """This test's own copy of it, on a machine that never saw it."""
    return shutil.copytree(series_made / "release", tmp_path / "release")


@pytest.fixture
def opened(tmp_path):
    """The data sets that somebody opens."""
    numbers = iter(range(1000))

    def _opened(release, who, tier=Tier.EXACT):
        out = tmp_path / f"opened{next(numbers)}"
        result = open_release(release, out, identity=who, tier=tier, jobs=1)
        assert result.failed == []
        return [pydicom.dcmread(path) for path in sorted(out.rglob("*.dcm"))]

    return _opened


def ask(person, tier, **more):
    return Request(to=(person.recipient,), at={person.recipient: tier}, **more)


def every(found, keyword):
    return {one[keyword].value for one in found}


def uids(found):
    """All UIDs of opened files, each with the pixels that it names."""
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    return {(*(one[keyword].value for keyword in keywords), one.PixelData) for one in found}


def test_one_key_at_two_tiers_gives_two_uids_in_two_series_of_one_study(series, people, opened):
    found = [one for tier in Tier for one in opened(series, people["mallory"], tier)]
    assert len(every(found, "SOPInstanceUID")) == len(found) == 9
    assert len(every(found, "SeriesInstanceUID")) == 3
    assert len(every(found, "StudyInstanceUID")) == len(every(found, "FrameOfReferenceUID")) == 1
    assert all(one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID for one in found)


def test_with_identity_no_lossy_image_lies_in_the_original_series(series, people, opened):
    exact, lossy = (opened(series, people["ida"], tier) for tier in (Tier.EXACT, Tier.DIAGNOSTIC))
    assert every(exact, "SeriesInstanceUID") == {SERIES}
    assert len(every(lossy, "SeriesInstanceUID") - {SERIES}) == 1
    assert (every(lossy, "StudyInstanceUID"), every(lossy, "FrameOfReferenceUID")) == ({STUDY}, {FRAME})
    assert {one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in lossy} == every(exact, "SOPInstanceUID")
    assert {one.ReferencedSeriesSequence[0].SeriesInstanceUID for one in lossy} == {SERIES}


@pytest.mark.parametrize("tier", list(Tier))
def test_without_identity_no_uid_of_the_original_is_left(series, people, tier, tmp_path):
    open_release(series, tmp_path / "out", identity=people["mallory"], tier=tier, jobs=1)
    files = [path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm")]
    assert len(files) == len(NAMES)
    assert not any(uid.encode() in data for data in files for uid in (STUDY, FRAME))


def test_two_recipients_have_uids_of_their_own(series, people, opened):
    grant(series, ask(people["deputy"], Tier.EXACT), people["owner"])
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        found = [every(opened(series, people[name]), keyword) for name in ("mallory", "deputy")]
        assert not set.intersection(*found)


def test_a_better_grant_changes_no_uid(series, people, opened):
    before = uids(opened(series, people["alice"]))
    for tier in (Tier.DIAGNOSTIC, Tier.EXACT):
        grant(series, ask(people["alice"], tier), people["owner"])
        assert uids(opened(series, people["alice"], Tier.PREVIEW)) == before


def test_a_grant_of_some_packages_and_then_of_all_changes_no_uid(series, people, opened):
    package = states.load(series).manifest.packages[0].package
    grant(series, ask(people["deputy"], Tier.PREVIEW, only=(package.hex(),)), people["owner"])
    first = uids(opened(series, people["deputy"]))
    grant(series, ask(people["deputy"], Tier.DIAGNOSTIC), people["owner"])
    assert len(first) == 1
    assert first < uids(opened(series, people["deputy"], Tier.PREVIEW))


def test_taken_out_and_let_in_again_she_has_the_uids_that_she_had(series, people, opened):
    before = uids(opened(series, people["alice"]))
    revoke(series, [people["alice"].recipient], people["owner"])
    grant(series, ask(people["alice"], Tier.EXACT), people["owner"])
    assert uids(opened(series, people["alice"], Tier.PREVIEW)) == before


@pytest.mark.parametrize("name", ["alice", "mallory", "ida", "owner"])
def test_adding_revoking_and_rotating_change_no_uid(series, people, opened, tmp_path, name):
    who, tier = people[name], Tier.PREVIEW if name == "alice" else Tier.DIAGNOSTIC
    before = uids(opened(series, who, tier))
    slices(tmp_path / "more", ["four.dcm"])
    share([tmp_path / "more"], series, ShareSettings(add=True, protection="encrypted", jobs=1), owner=people["owner"])
    revoke(series, [people["mallory" if name != "mallory" else "alice"].recipient], people["owner"])
    rotate(series, people["owner"], jobs=1)
    after = uids(opened(series, who, tier))
    assert before < after
    assert len({study for _, _, study, *_ in after}) == 1


@pytest.mark.parametrize("release", ["encrypted", "recipients", "sealed"])
def test_grants_of_the_first_version_keep_their_uid_key(release, tmp_path):
    """Golden releases: when they were made, each tier of a recipient had a key of its own."""
    folder, keys = shutil.copytree(RELEASES / release, tmp_path / "release"), key_files(tmp_path)
    owner, alice = Identity.load(keys / "owner.key"), load_opener(keys / "alice.key")
    before = uid_key(folder, alice)
    deputy = Recipient.load(keys / "deputy.pub")
    for request in (ask(alice, Tier.EXACT, identity=(alice.recipient,)), Request(to=(deputy,))):
        grant(folder, request, owner)
    assert uid_key(folder, alice) == before
    revoke(folder, [deputy], owner)
    assert uid_key(folder, alice) == before
    rotate(folder, owner, jobs=1)
    assert uid_key(folder, alice) == before
    revoke(folder, [alice.recipient], owner)
    grant(folder, ask(alice, Tier.DIAGNOSTIC), owner)
    assert uid_key(folder, alice) == before


def uid_key(folder, opener):
    return Release(folder).access_of(opener).uid_key
