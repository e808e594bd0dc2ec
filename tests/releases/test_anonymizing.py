"""Open releases: what is written, what is said of it, and what comes of bad input, killed runs and full disks."""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pydicom
import pytest
from platformdirs import user_state_path
from pydicom.uid import ExplicitVRLittleEndian
from tests import image_files
from tests.images.test_deidentification import CLASSES, MARKER, plant
from tests.pictures import picture

from medveil import images
from medveil.anonymizers.registry import get_anonymizer
from medveil.audit.targets.anonymized import read_link
from medveil.errors import IntegrityError, MedveilError, RefusedError, TargetExistsError, UsageError
from medveil.files import atomic
from medveil.images.dicom.public import PUBLIC
from medveil.keys.identity import Identity
from medveil.releases import anonymizing
from medveil.releases.anonymizing import Row, anonymize
from medveil.releases.records import open_record, released
from medveil.releases.records.pins import Replaced
from medveil.releases.records.state import MARK
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify, verify_open
from medveil.releases.workers import Failure

OWNER = Identity.fresh()


@pytest.fixture
def originals(tmp_path):
    folder = tmp_path / "Doe_John"
    folder.mkdir()
    for number in range(4):
        (folder / f"Doe{number}.png").write_bytes(image_files.png(picture(number, 64, 64), texts=[("Author", "Doe")]))
    (folder / "Doe.dcm").write_bytes(image_files.dicom(picture(7, 64, 64, 12), bits_stored=12))
    return folder


def people(tasks):
    return {task.number: Row(f"p{task.number // 2}", ("chest",), (f"sick{task.number % 2}",)) for task in tasks}


def make(originals, tmp_path, method="pixelate", *, name="public", rows=people, **more):
    settings, owner = more.pop("settings", {}), more.pop("owner", OWNER)
    chosen = get_anonymizer(method, settings)
    out, link = tmp_path / name, tmp_path / f"{name}.csv"
    result = anonymize([originals], out, link, chosen, owner=owner, rows=rows, jobs=1, **more)
    return out, link, result


def linked(link):
    with link.open(newline="") as file:
        return list(csv.DictReader(file))


def test_files_are_signed_random_and_alike(originals, tmp_path):
    out, link, result = make(originals, tmp_path)
    assert (result.pictures, result.images, result.failed) == (5, 5, [])
    record = open_record.load(out)
    assert set(json.loads((out / "release.json").read_text())) == {
        "schema", "id", "created", "medveil", "method", "settings", "model", "owner", "label_columns", "files",
    }  # fmt: skip
    assert (record.method, record.settings) == ("pixelate", {"cells": 16})
    assert {path.suffix for path in (out / "images").iterdir()} == {".png", ".dcm"}
    assert len({path.stat().st_mtime for path in out.rglob("*")} | {out.stat().st_mtime}) == 1
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert not any(word in everything for word in (b"Doe", b"doe", b"ID-4711", b"20260102", b"Maker"))
    rows = linked(link)
    assert [row["image"] for row in rows] == sorted(path.name for path in originals.iterdir())
    assert {row["released"] for row in rows} == set(record.pictures)
    assert rows[0]["patient_id"].startswith("p")
    if os.name == "posix":
        assert stat.S_IMODE(link.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.partial*"))
    assert (verify_open(out).words, verify_open(out).signer_known) == ("verified", True)  # it was made here
    for memory in ("released", "paths"):
        shutil.rmtree(user_state_path("medveil", appauthor=False) / memory)
    assert (verify_open(out).words, verify_open(out).signer_known) == ("signer unknown", False)
    assert verify_open(out).words.startswith("same signer as on ")
    assert verify_open(out, OWNER.recipient).words == "verified"
    assert verify_open(out).words == "verified"  # she was named here before


def test_another_release_in_the_place_of_an_open_one_is_noticed(originals, tmp_path, monkeypatch):
    """Also one for recipients in the place of an open one, or the other way round: both go by the path."""
    out, _, _ = make(originals, tmp_path)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (tmp_path / "own").mkdir()
    with monkeypatch.context() as elsewhere:  # on Mallory's machine
        elsewhere.setenv("XDG_STATE_HOME", str(tmp_path / "mallory"))
        make(originals, foreign, owner=Identity.fresh())
        share([originals / "Doe0.png"], foreign / "sealed", ShareSettings(jobs=1), owner=Identity.fresh())
    other, _, _ = make(originals, tmp_path / "own")
    out.rename(tmp_path / "away")
    for there, look in ((foreign / "public", verify_open), (foreign / "sealed", verify)):
        there.rename(out)
        with pytest.raises(IntegrityError, match="another signer's release lies here"):
            look(out)
        out.rename(there)
    other.rename(out)
    found = verify_open(out)
    assert (found.replaced, found.words) == (Replaced.RELEASE, "verified")
    (tmp_path / "away").rename(other)
    assert verify_open(other).replaced is Replaced.RELEASE
    shutil.rmtree(user_state_path("medveil", appauthor=False) / "paths")
    assert not verify_open(out).replaced


def test_no_cell_of_the_link_file_is_a_formula_and_the_audit_reads_what_it_was(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "=1+1;@a.png").write_bytes(image_files.png(picture(0, 16, 16)))
    out, link, _ = make(folder, tmp_path, rows=lambda _: {1: Row("-7")})
    (row,) = linked(link)
    assert (row["image"], row["patient_id"]) == ("'=1+1;'@a.png", "'-7")
    (read,) = read_link(link, open_record.load(out))
    assert (read.image, read.patient) == ("=1+1;@a.png", "-7")


def test_pictures_are_what_the_method_makes(originals, tmp_path):
    out, link, _ = make(originals, tmp_path, settings={"cells": "4"})
    for row in linked(link):
        before, after = images.read(originals / row["image"]), images.read(out / row["released"])
        expected = get_anonymizer("pixelate", {"cells": "4"}).apply([before], bytes(32))
        assert np.array_equal(after.pixels, expected.pixels)
        assert after.bits_stored == before.bits_stored


@pytest.mark.parametrize("spoil", ["change", "add", "folder", "remove", "link", "record", "signature", "owner"])
def test_what_was_changed_is_noticed(originals, tmp_path, spoil):
    out, _, _ = make(originals, tmp_path)
    victim = out / open_record.load(out).pictures[0]
    owner = None
    if spoil == "change":
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    elif spoil == "add":
        (out / "images" / "x.png").write_bytes(b"")
    elif spoil == "folder":
        (out / "images" / "Doe").mkdir()
    elif spoil == "remove":
        victim.unlink()
    elif spoil == "link":
        data = victim.read_bytes()
        victim.unlink()
        (tmp_path / "away").write_bytes(data)
        victim.symlink_to(tmp_path / "away")
    elif spoil == "record":
        path = out / "release.json"
        path.write_bytes(path.read_bytes().replace(b'"cells": 16', b'"cells": 17'))
    elif spoil == "signature":
        (out / "release.json.sig").write_bytes(bytes(64))
    else:
        owner = Identity.fresh().recipient
    with pytest.raises(IntegrityError):
        verify_open(out, owner)


@pytest.mark.parametrize("kind", ["DX", *(pytest.param(kind, marks=pytest.mark.slow) for kind in CLASSES)])
def test_identity_planted_in_dicom_is_nowhere(tmp_path, kind):
    data = image_files.dataset(picture(1, 16, 16, 12), bits_stored=12, Modality=kind)
    data.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{CLASSES[kind]}"
    plant(data)
    data.BurnedInAnnotation = "NO"
    folder = tmp_path / "in"
    folder.mkdir()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(folder / "a", enforce_file_format=True)
    for method, settings in (("pixelate", {"cells": "4"}), ("mixup", {"size": "16"})):
        (folder / "b").write_bytes((folder / "a").read_bytes())
        rows = {1: Row("a"), 2: Row("b")}
        out, link, result = make(
            folder,
            tmp_path,
            method,
            name=f"{kind}-{method}",
            settings=settings,
            rows=lambda _, rows=rows: rows,
            again=True,
        )
        assert result.failed == []
        for path in (out / "images").iterdir():
            assert not MARKER.search(path.read_bytes())
            public = pydicom.dcmread(path)
            allowed = PUBLIC | {0x7FE00010, 0x00080018, 0x0020000D, 0x0020000E, 0x00282110, 0x00282112, 0x00282114}
            told = {element.tag for element in public if element.value not in ("", None) and not element.is_empty}
            known = {0x00120062, 0x00120063, 0x00120064, 0x00280303, 0x00080064, 0x00400318, 0x00181508, 0x00281054}
            assert {int(tag) for tag in told} <= allowed | known | {0x00082218, 0x00080068}
            assert public.ImageType[0] == "DERIVED"
        assert MARKER.search(link.read_bytes()) is None


def test_every_picture_has_uids_of_its_own(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}").write_bytes(image_files.dicom(picture(number, 16, 16, 12), bits_stored=12))
    uids = []
    for name in ("one", "two"):
        out, _, _ = make(folder, tmp_path, name=name)
        for path in (out / "images").iterdir():
            found = pydicom.dcmread(path)
            uids += [found.SOPInstanceUID, found.StudyInstanceUID, found.SeriesInstanceUID]
    assert len(set(uids)) == 18


@pytest.mark.parametrize(("said", "way", "failed"), [("YES", "warn", 1), ("", "warn", 0), ("", "refuse", 1)])
def test_text_that_a_file_says_is_in_its_pixels_is_never_released(tmp_path, said, way, failed):
    folder = tmp_path / "in"
    folder.mkdir()
    stated = {"BurnedInAnnotation": said} if said else {}
    screen = image_files.dicom(
        picture(1, 16, 16, 12), bits_stored=12, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", **stated
    )
    (folder / "a").write_bytes(screen)
    (folder / "b").write_bytes(image_files.png(picture(2, 16, 16)))
    out, _, result = make(folder, tmp_path, burned_in=way)
    assert (len(result.failed), result.pictures) == (failed, 2 - failed)
    if not failed:
        assert "no text is burned" in result.warnings[0][1]
        (public,) = (pydicom.dcmread(path) for path in (out / "images").glob("*.dcm"))
        assert public.PatientIdentityRemoved == "NO"


def test_a_second_release_by_a_secret_method_is_refused(originals, tmp_path):
    make(originals, tmp_path, "warp", settings={"mm": "1"})
    (originals / "Doe0.png").rename(originals / "other.png")  # the pixels count, not the name
    with pytest.raises(RefusedError, match="5 of the images"):
        make(originals, tmp_path, "dp-pix", name="second")
    assert not (tmp_path / "second").exists()
    assert not (tmp_path / "second.csv").exists()
    _, _, result = make(originals, tmp_path, "dp-pix", name="second", again=True)
    assert result.repeated == 5
    make(originals, tmp_path, name="plain")  # pixelation is no secret: nothing adds up


def test_epsilon_adds_up_over_releases(originals, tmp_path):
    spent = []
    for number in range(3):
        settings = {"epsilon": "0.5", "m": "4"}
        _, _, result = make(originals, tmp_path, "dp-pix", name=f"r{number}", settings=settings, again=True)
        spent.append(result.spent)
    assert spent == [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
    assert result.epsilon == Fraction(1, 2) * 64 * 64 / 4


def test_a_damaged_memory_refuses_and_again_goes_on(originals, tmp_path):
    make(originals, tmp_path, "dp-pix")
    (path,) = released._folder(OWNER.recipient.verify_key).glob("*.cbor")
    path.write_bytes(b"\xff")
    with pytest.raises(IntegrityError, match="cannot be read"):
        make(originals, tmp_path, "dp-pix", name="second")
    make(originals, tmp_path, "dp-pix", name="second", again=True)


def test_the_key_of_a_warp_stands_in_the_link_file_and_undoes_it(originals, tmp_path):
    method = get_anonymizer("warp", {"mm": "10"})
    smooth = np.add.outer(np.sin(np.arange(64) / 6), np.cos(np.arange(64) / 5)) * 60 + 128
    (originals / "smooth.png").write_bytes(image_files.png(smooth.astype(np.uint8)))
    out, link, _ = make(originals, tmp_path, "warp", settings={"mm": "10"})
    row = next(row for row in linked(link) if row["image"] == "smooth.png")
    moved, before = images.read(out / row["released"]), images.read(originals / "smooth.png")
    back = method.undo(moved, bytes.fromhex(row["key"]))
    apart = [np.abs(each.pixels.astype(int) - before.pixels).mean() for each in (moved, back)]
    assert apart[1] < 0.5 * apart[0]
    assert "key" not in linked(make(originals, tmp_path, name="plain")[1])[0]


def test_mixtures_have_a_row_for_each_image_and_mixed_labels(originals, tmp_path):
    out, link, result = make(originals, tmp_path, "mixup", settings={"size": "32"}, columns=("finding",))
    rows = linked(link)
    assert (result.pictures, result.images, result.left_out) == (2, 4, 1)
    assert len(rows) == 4
    assert len({row["released"] for row in rows}) == 2
    with (out / "labels.csv").open(newline="") as file:
        labels = list(csv.DictReader(file))
    assert {row["finding"] for row in labels} <= {"sick0:1", "sick1:1", "sick0:0.5|sick1:0.5"}
    assert {f"images/{row['image']}" for row in labels} == set(open_record.load(out).pictures)
    assert verify_open(out).pictures == 2


def test_patients_are_needed_where_groups_are(originals, tmp_path):
    with pytest.raises(UsageError, match="5 of 5 images have no row"):
        make(originals, tmp_path, "k-same", rows=lambda _: {})
    with pytest.raises(UsageError, match="has 3 patients, and a group needs 10"):
        make(originals, tmp_path, "k-same")


def test_k_same_releases_one_picture_a_group(originals, tmp_path):
    out, link, result = make(originals, tmp_path, "k-same", settings={"k": "2", "size": "64"}, columns=("finding",))
    assert (result.pictures, result.images, result.left_out) == (1, 3, 2)
    assert len({row["released"] for row in linked(link)}) == 1
    assert "sick" in (out / "labels.csv").read_text()


def test_bad_inputs_are_counted_and_the_others_released(originals, tmp_path):
    (originals / "Doe8.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    _, link, result = make(originals, tmp_path)
    assert (result.pictures, len(result.failed)) == (5, 1)
    assert "Doe" not in result.failed[0].message
    assert len(linked(link)) == 5


def test_a_killed_run_goes_on_with_what_it_had_finished(originals, tmp_path, monkeypatch):
    real, done = anonymizing._painted, []

    def killed(painter, one):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(real(painter, one))
        return done[-1]

    monkeypatch.setattr(anonymizing, "_painted", killed)
    with pytest.raises(KeyboardInterrupt):
        make(originals, tmp_path, "warp", settings={"mm": "1"})
    assert not (tmp_path / "public").exists()
    assert not (tmp_path / "public.csv").exists()
    staged = tmp_path / "public.partial" / "images"
    forged = staged / done[0].path.removeprefix("images/")
    forged.write_bytes(image_files.png(picture(9, 64, 64)))  # others may write where the release grows
    monkeypatch.setattr(anonymizing, "_painted", real)
    out, link, result = make(originals, tmp_path, "warp", settings={"mm": "1"})
    assert (result.pictures, result.unchanged) == (5, 2)
    assert {row["released"] for row in linked(link)} >= {one.path for one in done}
    assert not np.array_equal(images.read(out / done[0].path).pixels, picture(9, 64, 64))
    verify_open(out)


def test_a_killed_run_goes_on_without_an_input_and_no_picture_is_another_images(originals, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(anonymizing, "_publish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make(originals, tmp_path)
    real = anonymizing._examined

    def first_fails(examiner, given):
        found = real(examiner, given)
        failure = Failure(given.number, str(given.path), "InputError", "no memory")
        return replace(found, failure=failure) if given.number == 1 else found

    monkeypatch.setattr(anonymizing, "_examined", first_fails)
    out, link, result = make(originals, tmp_path)
    assert (result.pictures, len(result.failed)) == (4, 1)
    for row in linked(link):
        expected = get_anonymizer("pixelate").apply([images.read(originals / row["image"])], bytes(32)).pixels
        assert np.array_equal(images.read(out / row["released"]).pixels, expected)


def test_an_image_that_is_there_twice_is_refused_by_a_method_with_secret_randomness(originals, tmp_path):
    (originals / "copy.png").write_bytes(image_files.png(picture(0, 64, 64)))  # another file of the same pixels
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match="1 of the images are there more than once"):
            make(originals, tmp_path, "dp-pix", dry_run=dry_run)
    assert not (tmp_path / "public").exists()
    assert not (tmp_path / "public.csv").exists()
    *_, result = make(originals, tmp_path, "dp-pix", again=True)
    assert (result.pictures, result.doubled, result.spent) == (6, 1, 2)
    assert [release.epsilon for release in released.known(OWNER)] == [2]
    *_, result = make(originals, tmp_path, "pixelate", name="plain")
    assert (result.pictures, result.doubled) == (6, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to be killed half-way")
def test_a_run_that_was_killed_while_it_was_named_is_ended(originals, tmp_path, monkeypatch):
    real = anonymizing.move_all
    monkeypatch.setattr(anonymizing, "move_all", lambda _: os._exit(9))
    child = os.fork()
    if child == 0:
        try:
            make(originals, tmp_path, "warp", settings={"mm": "1"})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / "public.csv").exists()
    monkeypatch.setattr(anonymizing, "move_all", real)
    _, link, result = make(originals, tmp_path, "warp", settings={"mm": "1"})
    assert (result.pictures, result.repeated, len(linked(link))) == (5, 0, 5)
    assert not list((released._folder(OWNER.recipient.verify_key).parents[1] / "anonymizing").iterdir())


@pytest.mark.parametrize("named", [True, False])
def test_an_error_after_the_release_has_its_name_takes_no_private_file_away(originals, tmp_path, monkeypatch, named):
    real = anonymizing.move_all

    def broken(pairs):
        if named:
            real(pairs)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(anonymizing, "move_all", broken)
    with pytest.raises(MedveilError, match="Input/output"):
        make(originals, tmp_path, "warp", settings={"mm": "1"})
    assert (tmp_path / "public" / "release.json").exists() == named
    assert (tmp_path / "public.csv").exists() == named
    assert bool(released.known(OWNER)) == named


def test_a_killed_run_goes_on_beside_a_link_and_nothing_is_reached_through_it(originals, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "photo.png").write_text("years of work")

    def killed(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(anonymizing, "_paint", killed)
        with pytest.raises(MemoryError):
            make(originals, tmp_path)
    (tmp_path / "public.partial").mkdir(exist_ok=True)
    (tmp_path / "public.partial" / MARK).touch()
    (tmp_path / "public.partial" / "images").symlink_to(own)
    out, _, result = make(originals, tmp_path)
    assert (result.pictures, verify_open(out).pictures) == (5, 5)
    assert [path.read_text() for path in own.iterdir()] == ["years of work"]


def test_a_killed_run_of_other_settings_is_begun_anew(originals, tmp_path, monkeypatch):
    real = anonymizing._publish
    monkeypatch.setattr(anonymizing, "_publish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(originals, tmp_path)
    monkeypatch.setattr(anonymizing, "_publish", real)
    out, _, result = make(originals, tmp_path, settings={"cells": "3"})
    assert result.unchanged == 0
    assert len(verify_open(out).settings) == 1


@pytest.mark.parametrize("at", range(1, 16, 2))
def test_a_full_disk_leaves_nothing_public_and_a_second_run_ends_it(originals, tmp_path, monkeypatch, at):
    real, calls = atomic._write_new, []

    def full(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(atomic, "_write_new", full)
    with pytest.raises(MedveilError, match="No space left") as caught:
        make(originals, tmp_path, "warp", settings={"mm": "1"})
    assert "run the same command again" in caught.value.hint
    assert not (tmp_path / "public").exists()
    assert not (tmp_path / "public.csv").exists()
    monkeypatch.setattr(atomic, "_write_new", real)
    make(originals, tmp_path, "warp", settings={"mm": "1"})
    verify_open(tmp_path / "public")
    assert len(linked(tmp_path / "public.csv")) == 5


def test_places_that_would_harm_are_refused(originals, tmp_path):
    method = get_anonymizer("pixelate")

    def at(out, link):
        return anonymize([originals], tmp_path / out, tmp_path / link, method, owner=OWNER, rows=people, jobs=1)

    with pytest.raises(UsageError, match="for everybody to read"):
        at("public", "public/link.csv")
    with pytest.raises(UsageError, match="folder of the link file"):
        at("public", "nowhere/link.csv")
    (tmp_path / "link.csv").write_text("mine")
    with pytest.raises(TargetExistsError, match="link file"):
        at("public", "link.csv")
    assert (tmp_path / "link.csv").read_text() == "mine"
    with pytest.raises(TargetExistsError, match="output is there"):
        at("Doe_John", "other.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Doe_John", "link.csv"]


def test_a_dry_run_writes_nothing(originals, tmp_path):
    _, _, result = make(originals, tmp_path, "mixup", dry_run=True)
    assert (result.pictures, result.images, result.left_out) == (2, 4, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["Doe_John"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": True}, {"id": "00"}, {"owner": 5}, {"files": {"../x": "00" * 32}}, {"more": 1},
        {"settings": {"a": []}},
        {"files": {"images/x.png": "00" * 32}}, {"label_columns": [1]}, {"files": {"labels.csv": "zz" * 32}},
    ],
)  # fmt: skip
def test_a_record_that_medveil_would_not_write_is_refused(originals, tmp_path, change):
    out, _, _ = make(originals, tmp_path)
    record = json.loads((out / "release.json").read_text()) | change
    data = (json.dumps(record, sort_keys=True, indent=1) + "\n").encode()
    (out / "release.json").write_bytes(data)
    (out / "release.json.sig").write_bytes(OWNER.sign(b"medveil/v1/open-release", data))
    with pytest.raises(IntegrityError):
        open_record.load(out)


def test_a_folder_of_both_kinds_is_refused(originals, tmp_path):
    out, _, _ = make(originals, tmp_path)
    assert open_record.is_open(out)
    (out / "manifest.cbor").write_bytes(b"")
    with pytest.raises(UsageError, match="holds both"):
        open_record.is_open(out)
