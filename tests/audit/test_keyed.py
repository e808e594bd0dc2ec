"""Which package is which image, and which images are the attacker's own."""

from __future__ import annotations

import csv
import shutil

import pytest
from PIL import Image as Picture
from tests.audit.scenes import WORKING
from tests.pictures import picture

from medveil.audit.facts import manifest_counts
from medveil.audit.targets.keyed import keyed_target, standing_facts
from medveil.audit.targets.target import Limits
from medveil.errors import NoFittingKeyError, UsageError
from medveil.images import read
from medveil.keys.identity import generate
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.mechanisms.levels import EncryptedInSteps
from medveil.mechanisms.working_pictures import Window
from medveil.protection.levels import Encrypted
from medveil.releases.release import Release
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.report.findings import manifest_told

_ALL = Limits(100, 100)


@pytest.fixture
def data(scene, tmp_path):
    """This test's own copy of the originals."""
    return shutil.copytree(scene / "data", tmp_path / "data")


@pytest.fixture
def match(scene, auditor):
    def match(originals, manifest=None, limits=_ALL, **changed):
        release = Release(changed.pop("release", scene / "release"))
        return keyed_target(release, auditor, originals, manifest, limits=limits, working=WORKING, seed=0, **changed)

    return match


def test_an_owner_is_told_where_the_release_stands_and_who_may_open_it(scene, match, auditor):
    facts = match(scene / "data").facts
    assert facts["head"] == Release(scene / "release").ledger.digests[-1].hex()
    assert (facts["entry"], facts["grants"], facts["owner_known"]) == (0, 1, True)
    assert facts["owners"] == [auditor.recipient.fingerprint]
    assert facts["recipients"] == [
        {"name": "", "fingerprint": auditor.recipient.fingerprint, "tier": "exact", "identity": True, "packages": None,
         "until": "", "owner": True}
    ]  # fmt: skip


def test_an_owner_is_told_the_names_that_she_gave(scene, tmp_path, auditor):
    generate(tmp_path / "dr jones.key")
    settings = ShareSettings(to=(Recipient.load(tmp_path / "dr jones.pub"),), jobs=1)
    share([scene / "data" / "shared" / "p0-0.png"], tmp_path / "release", settings, owner=auditor)
    known = standing_facts(Release(tmp_path / "release"), auditor)["recipients"]
    assert [one["name"] for one in known] == ["", "dr jones"]


def test_who_is_no_owner_is_told_how_many_may_open_it_and_not_who(scene, tmp_path, auditor):
    ida = generate(tmp_path / "ida.key")
    settings = ShareSettings(to=(ida.recipient,), identity=(ida.recipient,), jobs=1)
    share([scene / "data" / "shared" / "p0-0.png"], tmp_path / "release", settings, owner=auditor)
    facts = standing_facts(Release(tmp_path / "release"), ida)
    assert (facts["recipients"], facts["grants"]) == (None, 2)


def pixels(subject):
    return subject.image.pixels.tobytes()


def test_packages_find_their_originals_and_patients(scene, match):
    found = match(scene / "data", scene / "data" / "manifest.csv")
    assert len(found.subjects) == 12
    assert found.counts["packages"] == 12
    assert found.patients_known
    assert found.window == Window()
    with (scene / "data" / "manifest.csv").open() as file:
        rows = {read(scene / "data" / row["image"]).pixels.tobytes(): row for row in csv.DictReader(file)}
    people, strata = {}, {}
    for subject in found.subjects:
        row = rows[pixels(subject)]
        assert people.setdefault(subject.patient, row["patient_id"]) == row["patient_id"]
        assert strata.setdefault(subject.stratum, row["source"]) == row["source"]
    assert len(set(people.values())) == len(people) == 6
    assert len(strata) == 2
    assert [subject.patient in people for subject in found.outside] == [False, False]
    assert len({subject.number for subject in found.every}) == 14


def test_renamed_and_moved_originals_are_found_by_their_content(data, match):
    for number, path in enumerate(sorted((data / "shared").iterdir())):
        (data / "elsewhere").mkdir(exist_ok=True)
        path.rename(data / "elsewhere" / f"{number}.bin")
    found = match(data)
    assert len(found.subjects) == 12
    assert found.counts["matched_by_path_only"] == 0


def test_changed_originals_are_found_by_their_path_and_told(data, match):
    path = data / "shared" / "p0-0.png"
    picture = Picture.open(path)
    picture.load()
    picture.save(path, compress_level=1)
    found = match(data / "shared")
    assert len(found.subjects) == 12
    assert found.counts["matched_by_path_only"] == 1


def test_a_file_of_that_name_and_another_size_is_not_the_original(data, match):
    Picture.fromarray(picture(3, 100, 64)).save(data / "shared" / "p0-0.png")
    found = match(data / "shared")
    assert len(found.subjects) == 11
    assert found.counts["originals_of_another_size"] == 1


def test_a_changed_original_is_compared_to_the_pixel(data, match):
    """One that was cut a little since falls into the same size class, and would end the audit at its end."""
    Picture.fromarray(picture(3, 63, 61)).save(data / "shared" / "p0-0.png")
    found = match(data / "shared")
    assert len(found.subjects) == 11
    assert found.counts["originals_of_another_size"] == 1


def test_missing_originals_are_counted(data, match):
    for path in list((data / "shared").iterdir())[:5]:
        path.unlink()
    found = match(data)
    assert len(found.subjects) == 7
    assert found.counts["packages_without_original"] == 5


def test_other_images_of_patients_in_the_release_are_nobodys(data, match):
    for patient in (0, 1):
        Picture.fromarray(picture(77 + patient, 64, 64)).save(data / "others" / f"again-{patient}.png")
    (data / "others" / "notes.txt").write_text("no image")
    with (data / "manifest.csv").open("a", newline="") as file:
        csv.writer(file).writerow(("others/again-0.png", "patient 0", "south", "PA"))
    found = match(data, data / "manifest.csv")
    assert len(found.outside) == 2
    assert found.counts["files_of_patients_in_release"] == 1
    assert found.counts["files_unlisted_in_manifest"] == 3  # the second image, the notes, the manifest


def test_without_a_manifest_every_content_is_a_patient(data, match):
    shutil.copy(data / "others" / "p6-0.png", data / "others" / "copy.png")
    found = match(data)
    assert not found.patients_known
    assert len({subject.patient for subject in found.subjects}) == 12
    assert len(found.outside) == 2
    assert found.counts["files_not_images"] == 1


def test_a_manifest_may_lie_elsewhere(data, match, tmp_path):
    (data / "manifest.csv").rename(tmp_path / "moved.csv")
    found = match(data, tmp_path / "moved.csv")
    assert found.counts["packages_unlisted_in_manifest"] == 0
    assert len({subject.patient for subject in found.subjects}) == 6


def _manifest(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "patient_id"), *rows])
    return path


def test_a_manifest_with_other_folders_in_it_is_matched_by_names(data, match, tmp_path):
    """Its paths begin with a folder that --originals is already, which once gave an audit without patients."""
    rows = [(f"cohort/{path.name}", path.name.partition("-")[0]) for path in (data / "shared").iterdir()]
    found = match(data, _manifest(tmp_path / "m.csv", *rows, ("cohort/gone.png", "p9")))
    assert len({subject.patient for subject in found.subjects}) == 6
    assert found.counts["packages_unlisted_in_manifest"] == 0
    assert (found.counts["manifest_rows"], found.counts["manifest_rows_unmatched"]) == (13, 1)
    told = manifest_told(manifest_counts(found.counts))
    assert "Rows that match a file by its name alone, while their folders differ: 12." in told


@pytest.mark.parametrize("row", ["cohort/nobody.png", "others/p6-0.png"])
def test_a_manifest_that_lists_no_image_of_the_release_is_refused(data, match, row, tmp_path):
    with pytest.raises(UsageError, match="lists"):
        match(data, _manifest(tmp_path / "m.csv", (row, "p")))


def test_no_original_at_all_is_an_error_that_names_nothing(tmp_path, match):
    (tmp_path / "secret-folder").mkdir()
    with pytest.raises(UsageError, match="none of the 12 packages") as caught:
        match(tmp_path / "secret-folder")
    assert "secret-folder" not in caught.value.message


def test_limits_keep_whole_patients(scene, match):
    found = match(scene / "data", scene / "data" / "manifest.csv", Limits(5, 100))
    assert len(found.subjects) == 4
    assert len({subject.patient for subject in found.subjects}) == 2


def test_the_digest_tells_images_and_patients_apart(scene, data, match):
    listed, alone = match(data, data / "manifest.csv"), match(data)
    assert listed.digest != alone.digest
    assert listed.digest == match(data, data / "manifest.csv").digest
    assert listed.digest == match(scene / "data", scene / "data" / "manifest.csv").digest


def test_who_sees_no_identity_is_told_so(data, tmp_path, auditor):
    reader = generate(tmp_path / "reader.key")
    settings = ShareSettings(to=(reader.recipient,), jobs=1, protection="encrypted")
    share([data / "others"], tmp_path / "small", settings, owner=auditor)
    with pytest.raises(NoFittingKeyError, match="not whose they are"):
        keyed_target(Release(tmp_path / "small"), reader, data, None, limits=_ALL, working=WORKING, seed=0)


def test_deep_images_have_a_window_of_their_own(tmp_path, auditor, match):
    (tmp_path / "deep").mkdir()
    for number in range(2):
        Picture.fromarray(picture(number, 64, 64, 12)).save(tmp_path / "deep" / f"{number}.png")
    share([tmp_path / "deep"], tmp_path / "small", ShareSettings(jobs=1, protection="encrypted"), owner=auditor)
    found = match(tmp_path / "deep", release=tmp_path / "small")
    assert 0 <= found.window.low < 500
    assert 3500 < found.window.high <= 4095
    assert all(each.picture.min() >= 0 and each.picture.max() > 200 for each in found.subjects)


def test_an_encrypted_release_of_an_early_version_is_attacked_as_it_was_padded(data, tmp_path, auditor, match):
    """Its codes are as long as they needed. An attacker who trained on codes of one length would see nothing in it."""
    settings = ShareSettings(jobs=1, protection="encrypted")
    with pytest.MonkeyPatch.context() as early:
        for name in ("budget", "padded", "length"):
            early.setattr(Encrypted, name, getattr(EncryptedInSteps, name))
        share([data / "others"], tmp_path / "early", settings, owner=auditor)
    share([data / "others"], tmp_path / "now", settings, owner=auditor)
    levels = {name: match(data, release=tmp_path / name).mechanism.level for name in ("early", "now")}
    assert levels == {"early": EncryptedInSteps(), "now": Encrypted()}
    subject = match(data, release=tmp_path / "now").subjects[0]
    shown = [match(data, release=tmp_path / name).mechanism.publish(subject, bytes(32)) for name in ("early", "now")]
    assert shown[0].lengths != shown[1].lengths


def test_padding_to_the_bucket_is_seen_and_simulated(data, tmp_path, auditor, match):
    settings = ShareSettings(jobs=1, protection="encrypted", tiers=(Tier.EXACT,), keep_file=True, padding="bucket")
    share([data / "others"], tmp_path / "even", settings, owner=auditor)
    found = match(data, release=tmp_path / "even")
    for subject in found.subjects[:2]:
        simulated = found.mechanism.publish(subject, bytes(32))
        assert simulated.lengths == found.case_of(subject).observation.lengths
