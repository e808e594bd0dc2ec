"""The DICOM UIDs of opened files: one UID names one content, and stays what it was whatever is done to the release."""

import hmac
import io
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from tests import image_files
from tests.pictures import picture
from tests.vector_releases import RELEASES, key_files

from medveil import images
from medveil.keys.identity import Identity
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Section, Tier
from medveil.releases import sharing
from medveil.releases.deputies import owned_state, read_book
from medveil.releases.granting import Request, grant, revoke
from medveil.releases.opening import open_release
from medveil.releases.packages.package import load_package
from medveil.releases.records import state as states
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.writing.inputs import Input, mark_repeats
from medveil.releases.writing.staging import contents_of

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
def series(tmp_path, series_made, people):
    """This test's own copy of it, on a machine where its founder is vouched for."""
    copy = shutil.copytree(series_made / "release", tmp_path / "release")
    Release(copy, owner=people["owner"].recipient).pin()
    return copy


@pytest.fixture
def opened(tmp_path):
    """The data sets that somebody opens."""
    numbers = iter(range(1000))

    def _opened(release, who, tier=None):
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
    hers, others = (opened(series, people[name], Tier.PREVIEW) for name in ("alice", "mallory"))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert not every(hers, keyword) & every(others, keyword)


def test_one_uid_names_one_file_whatever_is_granted_later(series, people, opened, tmp_path):
    """Every tier without identity, then, after a grant, with it: no two files of one SOP Instance UID differ."""
    found: dict[str, set[bytes]] = {}
    studies: dict[str, set[str]] = {}
    numbers = iter(range(10))
    for identity in ((), (people["mallory"].recipient,)):
        grant(series, ask(people["mallory"], Tier.EXACT, identity=identity), people["owner"])
        for tier in Tier:
            out = tmp_path / f"bytes{next(numbers)}"
            open_release(series, out, identity=people["mallory"], tier=tier, jobs=1)
            for path in out.rglob("*.dcm"):
                data = pydicom.dcmread(path)
                found.setdefault(data.SOPInstanceUID, set()).add(path.read_bytes())
                studies.setdefault(data.SeriesInstanceUID, set()).add(data.StudyInstanceUID)
    assert len(found) == 2 * len(Tier) * len(NAMES)
    assert {len(contents) for contents in found.values()} == {1}
    assert len(studies) == 2 * len(Tier)
    assert {len(of_series) for of_series in studies.values()} == {1}


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


def test_adding_revoking_and_rotating_change_no_uid(series, people, opened, tmp_path):
    at = {"alice": Tier.PREVIEW, "ida": Tier.DIAGNOSTIC, "owner": Tier.EXACT}
    before = {name: uids(opened(series, people[name], tier)) for name, tier in at.items()}
    slices(tmp_path / "more", ["four.dcm"])
    share([tmp_path / "more"], series, ShareSettings(add=True, protection="encrypted", jobs=1), owner=people["owner"])
    revoke(series, [people["mallory"].recipient], people["owner"])
    rotate(series, people["owner"], jobs=1)
    for name, tier in at.items():
        after = uids(opened(series, people[name], tier))
        assert before[name] < after
        assert len({study for _, _, study, *_ in after}) == 1


@pytest.mark.parametrize("release", ["encrypted", "sealed"])
def test_grants_of_the_first_version_keep_their_uid_key(release, tmp_path):
    """Golden releases: when they were made, each tier of a recipient had a key of its own."""
    folder, keys = shutil.copytree(RELEASES / release, tmp_path / "release"), key_files(tmp_path)
    owner, alice = Identity.load(keys / "owner.key"), load_opener(keys / "alice.key")
    before = uid_key(folder, alice)
    Release(folder, owner=owner.recipient).pin()
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


# Inputs of one SOP Instance UID


UID = "1.2.3.4.5.77"


def one_uid(folder, names):
    """Slices of one SOP Instance UID; what follows a dash in a name is no part of the content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        pixels = picture(sum(name.partition("-")[0].encode()), 24, 32, bits=12).astype(np.uint16)
        syntax = RLELossless if name.endswith("-rle") else ExplicitVRLittleEndian
        (folder / name).write_bytes(image_files.dicom(pixels, syntax, bits_stored=12, SOPInstanceUID=UID))
    return [folder / name for name in names]


def shared_as(out, people, files, **more):
    """Share files so that mallory opens every pixel without identity, and ida with it."""
    to = (people["mallory"].recipient, people["ida"].recipient)
    wanted = ShareSettings(to=to, identity=to[1:], tiers=tuple(Tier), protection="encrypted", jobs=1, **more)
    result = share(files, out, wanted, owner=people["owner"])
    assert result.failed == []
    return [f"#{number}: {text}" for number, text in result.warned if "SOP Instance UID" in text]


def tags(release, people):
    """Tag of the SOP instance of every package, by the name of its input."""
    state = owned_state(release, people["owner"], repair=False)
    book = read_book(release, state, people["owner"])
    found = {}
    for entry in state.manifest.packages:
        package = load_package(release, entry, state.manifest)
        (path, *_), objects, _ = contents_of(package, book)
        found |= dict.fromkeys([path], *objects)
    return book.tag_key, found


def expected(tag_key, *content):
    return hmac.digest(tag_key, b"".join((UID.encode(), *content)), "sha256")[:16]


@contextmanager
def killed(monkeypatch, ready):
    """What shares here is killed when the packages of these inputs are ready, and no other."""
    whole = sharing.done_by_workers

    def lost(work, packer, given, jobs):
        list(whole(work, packer, [each for each in given if each.relative in ready], jobs))
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sharing, "done_by_workers", lost)
        with pytest.raises(Killed):
            yield


class Killed(BaseException):
    """Stands for a kill: nothing in the library may catch it."""


@pytest.mark.parametrize("workers", [1, 2])
def test_of_inputs_with_one_uid_the_first_keeps_its_tag(tmp_path, people, workers):
    files = one_uid(tmp_path / "in", ["a", "b", "c", "a-copy", "a-rle"])
    wanted = ShareSettings(tiers=tuple(Tier), protection="encrypted", jobs=workers)
    result = share(files, tmp_path / "out", wanted, owner=people["owner"])
    said = sorted((number, text) for number, text in result.warned if "SOP" in text)
    assert [number for number, _ in said] == [2, 3]
    assert all("other content; both are kept" in text and UID not in text for _, text in said)
    tag_key, found = tags(tmp_path / "out", people)
    first = expected(tag_key)
    assert {name for name, tag in found.items() if tag == first} == {"a", "a-copy", "a-rle"}
    for name in "bc":
        content = images.instance(images.read(tmp_path / "in" / name)).content
        assert found[name] == expected(tag_key, b"\0", content)


def test_two_patients_with_one_uid_are_told_apart_when_opened(shared, tmp_path, people, opened):
    files = [shared / "dicom" / "odd" / name for name in ("dup_sop_a.dcm", "dup_sop_b_other_patient.dcm")]
    if not files[0].is_file():
        pytest.skip(f"needs the odd DICOM files in {files[0].parent}")
    (warning,) = shared_as(tmp_path / "out", people, files)
    assert warning.startswith("#2: another input has the same SOP Instance UID and other content; both are kept")
    for name, tier, count in (("mallory", Tier.EXACT, 2), ("mallory", Tier.DIAGNOSTIC, 2), ("ida", Tier.PREVIEW, 2)):
        assert len(every(opened(tmp_path / "out", people[name], tier), "SOPInstanceUID")) == count
    back = opened(tmp_path / "out", people["ida"])
    assert {str(one.PatientName) for one in back} == {"Test^Anna", "Other^Bert"}
    assert len(every(back, "SOPInstanceUID")) == 1  # the originals' own


def test_equal_files_are_one_content_with_one_uid(tmp_path, people, opened):
    files = one_uid(tmp_path / "in", ["a", "a-copy"])
    assert shared_as(tmp_path / "out", people, files) == []
    found = opened(tmp_path / "out", people["mallory"], Tier.DIAGNOSTIC)
    assert (len(found), len(uids(found))) == (2, 1)


@pytest.mark.parametrize("batches", [("a", "bc"), ("ab", "c")])
def test_what_is_added_later_gets_the_tags_that_it_had_got_at_once(tmp_path, people, batches):
    files = dict(zip("abc", one_uid(tmp_path / "in", "abc"), strict=True))
    out, said = tmp_path / "out", []
    for number, batch in enumerate(batches):
        more = {} if number == 0 else {"add": True}
        if number == 1:
            rotate(out, people["owner"], jobs=1)
        said += shared_as(out, people, [files[name] for name in batch], **more)
    assert len(said) == 2
    tag_key, found = tags(out, people)
    assert found["a"] == expected(tag_key)
    for name in "bc":
        assert found[name] == expected(tag_key, b"\0", images.instance(images.read(files[name])).content)


@pytest.mark.parametrize(("kept", "adds"), [("a", False), ("b", False), ("bc", False), ("ac", False), ("bc", True)])
def test_a_killed_share_gives_the_tags_that_it_would_have_given(tmp_path, people, monkeypatch, kept, adds):
    """Whatever of the packages was ready when it was killed, in whatever order the workers ended."""
    files, out = one_uid(tmp_path / "in", "abc"), tmp_path / "out"
    if adds:
        shared_as(out, people, [slices(tmp_path / "before", ["other"]) / "other"])
    with killed(monkeypatch, kept):
        shared_as(out, people, files, add=adds)
    shared_as(out, people, files, add=adds)
    tag_key, found = tags(out, people)
    assert found["a"] == expected(tag_key)
    for name, file in zip("bc", files[1:], strict=True):
        assert found[name] == expected(tag_key, b"\0", images.instance(images.read(file)).content)


def test_a_killed_share_of_other_inputs_gives_no_uid_twice(tmp_path, people, monkeypatch):
    """What was ready counts as the first, although it is named last now."""
    files, out = one_uid(tmp_path / "in", "ab"), tmp_path / "out"
    with killed(monkeypatch, "b"):
        shared_as(out, people, files[1:])
    assert [line[:3] for line in shared_as(out, people, files)] == ["#1:"]
    tag_key, found = tags(out, people)
    assert found["b"] == expected(tag_key) != found["a"]


def test_an_image_of_an_early_release_is_the_first(tmp_path, people, opened):
    """A golden release, whose records do not say what they hold."""
    folder, keys = shutil.copytree(RELEASES / "sealed-12-bit", tmp_path / "release"), key_files(tmp_path)
    Release(folder, owner=Identity.load(keys / "owner.key").recipient).pin()
    (there,) = opened(folder, Identity.load(keys / "owner.key"))
    pixels = there.pixel_array[::-1].copy()
    (tmp_path / "other").write_bytes(image_files.dicom(pixels, bits_stored=12, SOPInstanceUID=there.SOPInstanceUID))
    wanted = ShareSettings(add=True, jobs=1)
    result = share([tmp_path / "other"], folder, wanted, owner=Identity.load(keys / "owner.key"))
    assert [(number, text[:13]) for number, text in result.warned] == [(1, "another input")]
    found = opened(folder, load_opener(keys / "alice.key"))
    assert len(every(found, "SOPInstanceUID")) == 2


def test_a_dry_run_says_it_too(tmp_path, people):
    files, out = one_uid(tmp_path / "in", "ab"), tmp_path / "out"
    assert [line[:3] for line in shared_as(out, people, files, dry_run=True)] == ["#2:"]
    shared_as(out, people, files[:1])
    assert [line[:3] for line in shared_as(out, people, files[1:], dry_run=True, add=True)] == ["#1:"]
    assert not shared_as(out, people, one_uid(tmp_path / "copy", ["a"]), dry_run=True, add=True)


def test_open_counts_files_of_one_uid_and_other_content(tmp_path, people, monkeypatch):
    """As early versions sealed them, without a tag of its own for the second."""
    files = one_uid(tmp_path / "in", ["a", "b", "a-copy", "a-rle"])
    with monkeypatch.context() as patch:
        patch.setattr(sharing, "mark_repeats", lambda tasks, *_: tasks)
        shared_as(tmp_path / "out", people, files)
    for number, (name, tier) in enumerate(product(("mallory", "ida"), Tier)):
        out = tmp_path / str(number)
        assert open_release(tmp_path / "out", out, identity=people[name], tier=tier, jobs=1).same_uid == 4
    shared_as(tmp_path / "new", people, files)
    for number, (name, tier) in enumerate(product(("mallory", "ida"), Tier)):
        both_as_they_were = (name, tier) == ("ida", Tier.EXACT)
        result = open_release(tmp_path / "new", tmp_path / f"new{number}", identity=people[name], tier=tier, jobs=1)
        assert result.same_uid == (4 if both_as_they_were else 0)


@pytest.mark.parametrize("protection", ["encrypted", "sealed"])
def test_a_kept_file_changes_no_ratio(tmp_path, people, opened, protection):
    """One slice in two transfer syntaxes, whose kept files have two lengths, is one object at every lossy tier."""
    pixels = picture(5, 256, 256, bits=12).astype(np.uint16)
    for name, syntax in (("native", ExplicitVRLittleEndian), ("rle", RLELossless)):
        (tmp_path / name).write_bytes(image_files.dicom(pixels, syntax, bits_stored=12))
    to = (people["mallory"].recipient, people["ida"].recipient)
    wanted = ShareSettings(to=to, identity=to[1:], tiers=tuple(Tier), protection=protection, keep_file=True, jobs=1)
    share([tmp_path / "native", tmp_path / "rle"], tmp_path / "out", wanted, owner=people["owner"])
    manifest = states.load(tmp_path / "out").manifest
    packages = [load_package(tmp_path / "out", entry, manifest) for entry in manifest.packages]
    assert len({len(package.to_bytes()) for package in packages}) == 2
    length = 0
    for tier, section in ((Tier.PREVIEW, Section.PREVIEW), (Tier.DIAGNOSTIC, Section.CODE)):
        (added,) = {len(package.sections[section]) for package in packages}
        length += added
        for name in ("mallory", "ida"):
            found = opened(tmp_path / "out", people[name], tier)
            assert len(found) == 2
            assert {float(one.LossyImageCompressionRatio) for one in found} == {float(f"{pixels.nbytes / length:.6g}")}


# One UID names one content


KINDS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans())  # number of the UID, of the picture, compressed


@settings(max_examples=40, deadline=None)
@given(st.lists(KINDS, min_size=1, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_equal_uids_mean_equal_data_sets(inputs, later):
    """Over all that two recipients open at all tiers, some of it later with identity.

    Of originals that share a UID, not those with all of identity.
    """
    tasks, read = [], {}
    for number, (uid, content, compressed) in enumerate(inputs):
        path = Path(str(number))
        read[path] = _image(uid, content, RLELossless if compressed else ExplicitVRLittleEndian)
        tasks.append(Input(number, path, path.name, path.name.encode()))
    found = {path: images.instance(image) for path, image in read.items()}
    named = {}
    for task, identity in zip(mark_repeats(tasks, found, {}, b"t" * 32), later, strict=False):
        image = images.tagged(read[task.path], b"t" * 32, repeats=task.repeats)
        pixel_record, identity_record = images.records(image, b"t" * 32)
        for tier, uid_key, sees in product(Tier, (b"u" * 32, b"v" * 32), {False, identity}):
            if tier is Tier.EXACT and sees and task.repeats:
                continue
            pixels = image.pixels >> tier.rank << tier.rank
            back = images.restore(pixels, 12, image.source.kind, pixel_record, identity_record if sees else b"")
            loss = None if tier is Tier.EXACT else images.Loss(2.0, "x")
            out = pydicom.dcmread(io.BytesIO(images.to_file_bytes(back, loss=loss, uid_key=uid_key, tier=tier)))
            del out.file_meta
            assert named.setdefault(out.SOPInstanceUID, out) == out


@cache
def _image(uid, content, syntax):
    pixels = picture(content, 24, 32, bits=12).astype(np.uint16)
    data = image_files.dicom(pixels, syntax, bits_stored=12, SOPInstanceUID=f"1.2.3.4.5.{uid}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        return images.read(path)
