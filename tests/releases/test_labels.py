"""Labels that travel with the images: to whoever opens them, at every tier, and to nobody else."""

import csv
import dataclasses
import re
import shutil

import pydicom
import pytest
from PIL import Image as Picture
from tests import image_files
from tests.pictures import picture
from tests.reader import identities
from tests.reader import release as second_reader
from tests.releases.looks import snapshot

import medveil
from medveil.errors import IntegrityError, TargetExistsError, UsageError
from medveil.files import canonical
from medveil.images import record
from medveil.keys.identity import Identity, generate
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Section, Tier
from medveil.releases.granting import Request, grant
from medveil.releases.label_file import MOST_VALUES, labels_to_share, told
from medveil.releases.opening import open_release
from medveil.releases.packages.package import load_package
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share

ROWS = {
    "a/1.png": ("pneumonia", "PA", "Doe-1"),
    "a/2.png": ("normal", "PA", "Doe-1"),
    "b/1.png": ("pneumonia", "AP", "Doe-2"),
    "scan.dcm": ("normal", "", "Doe-3"),
    "b/none.png": ("", "", ""),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """images/ and labels.csv, and a release of them with preview for alice: alice.key, owner.key, release/."""
    root = tmp_path_factory.mktemp("labelled")
    for number, name in enumerate(ROWS):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".dcm"):
            path.write_bytes(image_files.dicom(picture(number, 24, 32), PatientID="MRN-3"))
        else:
            Picture.fromarray(picture(number, 24, 32)).save(path)
    rows = [",".join((f"images/{name}", *row, "seen by Dr. Roe")) for name, row in ROWS.items()]
    (root / "labels.csv").write_text(
        "\n".join(["image,label,view,patient_id,remarks", *rows, "images/gone.png,normal,,Doe-9,"])
    )
    owner = generate(root / "owner.key")
    generate(root / "alice.key")
    alice = Recipient.load(root / "alice.pub")
    settings = ShareSettings(
        to=(alice,), at={alice: Tier.PREVIEW}, protection="encrypted", labels=root / "labels.csv",
        label_columns=("label", "view"), jobs=1,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        result = share([root / "images"], root / "release", settings, owner=owner)
    assert result.failed == []
    assert result.told[0] == "label label, for everybody who opens an image at any tier: pneumonia 2, normal 2"
    assert result.labels.counts == {"label": {"pneumonia": 2, "normal": 2}, "view": {"PA": 2, "AP": 1}}
    assert (result.labels.unlabelled, result.labels.unmatched) == (1, 1)
    return root


def labels_in(folder):
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_recipient_without_identity_gets_labels_and_pseudonyms_beside_the_pictures(desk, tmp_path):
    result = open_release(desk / "release", tmp_path / "out", identity=Identity.load(desk / "alice.key"), jobs=1)
    assert (result.done, result.labels, result.labelled) == (5, "labels.csv", 4)
    rows = labels_in(tmp_path / "out")
    assert sorted((row["label"], row["view"]) for row in rows) == sorted(row[:2] for row in ROWS.values() if row[0])
    assert all((tmp_path / "out" / row["image"]).is_file() for row in rows)
    patients = [row["patient_id"] for row in rows if row["view"] == "PA"]
    assert len(set(patients)) == 1
    assert len({row["patient_id"] for row in rows}) == 3
    assert all(re.fullmatch("[A-Z2-7]{26}", row["patient_id"]) for row in rows)
    (scan,) = [row for row in rows if row["image"].endswith(".dcm")]
    assert scan["patient_id"] == pydicom.dcmread(tmp_path / "out" / scan["image"]).PatientID
    content = (tmp_path / "out" / "labels.csv").read_text()
    assert "Doe" not in content
    assert "Roe" not in content


def test_nobody_else_reads_them(desk):
    for word in (b"pneumonia", b"Doe-1", b"Doe-2", b"Dr. Roe"):
        assert not [path for path, (data, _) in snapshot(desk / "release").items() if word in data]
    manifest = medveil.Release(desk / "release").manifest
    headers = [load_package(desk / "release", entry, manifest).header for entry in manifest.packages]
    assert len({dict(header.sections)[Section.IMAGE] for header in headers}) == 1  # with labels and without


def test_rotation_and_new_recipients_have_them_too(desk, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(shutil.copytree(desk / "state", tmp_path / "state")))
    release, owner, bob = (
        shutil.copytree(desk / "release", tmp_path / "release"),
        Identity.load(desk / "owner.key"),
        Identity.fresh(),
    )
    grant(release, Request((bob.recipient,)), owner)
    rotate(release, owner, jobs=1)
    before, after = (
        {(one.labels["label"], one.patient) for one in opened_by_second_reader(folder, desk, key) if one.labels}
        for folder, key in ((desk / "release", "alice"), (release, "alice"))
    )
    assert before == after
    assert len(before) == 4
    open_release(release, tmp_path / "bob", identity=bob, jobs=1)
    assert sorted(row["label"] for row in labels_in(tmp_path / "bob")) == ["normal", "normal", "pneumonia", "pneumonia"]
    assert not {row["patient_id"] for row in labels_in(tmp_path / "bob")} & {patient for _, patient in before}


def opened_by_second_reader(folder, desk, key):
    owner = Identity.load(desk / "owner.key").recipient.verify_key
    return second_reader.open_release(folder, identities.load(desk / f"{key}.key"), owner).values()


def test_the_second_reader_reads_what_ours_does(desk, tmp_path):
    open_release(desk / "release", tmp_path / "out", identity=Identity.load(desk / "alice.key"), jobs=1)
    ours = {(row["label"], row["view"], row["patient_id"]) for row in labels_in(tmp_path / "out")}
    theirs = {
        (one.labels["label"], one.labels.get("view", ""), one.patient)
        for one in opened_by_second_reader(desk / "release", desk, "alice") if one.labels
    }  # fmt: skip
    assert ours == theirs


def test_the_training_line_of_the_readme_works_on_its_release(desk, repository, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="training needs torch")
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert "--labels labels.csv --label-columns label" in text
    (line,) = re.findall(r"`(medveil\.Release\(\"release\"\)\.dataset\([^`]*\))`", text)
    monkeypatch.chdir(desk)
    data = eval(line, {"medveil": medveil})
    assert (data.classes, len(data), data.labels.unlabelled) == (("normal", "pneumonia"), 4, 1)
    image, target = data[0]
    assert (tuple(image.shape), target) == ((1, 24, 32), data.targets[0])
    assert len(set(data.patients)) == 3
    assert sum(map(len, data.split(0.3))) == 4
    assert len(medveil.Release("release").dataset("alice.key", target=None)) == 5
    assert medveil.Release("release").dataset("alice.key", target="view").classes == ("AP", "PA")
    with pytest.raises(UsageError, match="no label 'class'") as refused:
        medveil.Release("release").dataset("alice.key", target="class")
    assert "label, view" in refused.value.hint


def test_no_pseudonyms_travel_where_they_are_withheld(desk, tmp_path):
    owner = Identity.load(desk / "owner.key")
    settings = ShareSettings(
        labels=desk / "labels.csv",
        label_columns=("label", "patient_id"),
        pseudonyms=False,
        protection="encrypted",
        jobs=1,
    )
    share([desk / "images" / "a"], tmp_path / "release", settings, owner=owner)
    open_release(tmp_path / "release", tmp_path / "out", identity=owner, jobs=1)
    assert set(labels_in(tmp_path / "out")[0]) == {"image", "label"}


def test_other_labels_are_other_settings(desk, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "state"))
    owner, alice = Identity.load(desk / "owner.key"), Recipient.load(desk / "alice.pub")
    same = ShareSettings(
        to=(alice,), at={alice: Tier.PREVIEW}, protection="encrypted", labels=desk / "labels.csv",
        label_columns=("label", "view"), jobs=1,
    )  # fmt: skip
    assert share([desk / "images"], desk / "release", same, owner=owner).unchanged == 5
    (tmp_path / "labels.csv").write_text((desk / "labels.csv").read_text().replace("pneumonia", "pneumothorax"))
    for other in (
        {"label_columns": ("label",)},
        {"labels": None, "label_columns": ()},
        {"labels": tmp_path / "labels.csv"},
    ):
        with pytest.raises(TargetExistsError, match="labels"):
            share([desk / "images"], desk / "release", dataclasses.replace(same, **other), owner=owner)


def table(tmp_path, *values, column="label"):
    (tmp_path / "in").mkdir(exist_ok=True)
    files = [tmp_path / "in" / f"{number}.png" for number in range(len(values))]
    lines = [f'in/{file.name},"{value}"' for file, value in zip(files, values, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join([f"image,{column}", *lines]), encoding="utf-8")
    return lambda *names: labels_to_share(tmp_path / "labels.csv", names or (column,), files, [tmp_path / "in"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("12345", "more than four digits"), ("12 345", "more than four digits"), ("1-2-3-4-5", "more than four digits"),
        ("MRN4711/99", "more than four digits"), ("3.1.53", "a date"), ("1953-4-7", "more than four digits"),
        ("7 Mar", "a date"), ("Mai 53", "a date"), ("oct-12", "a date"), ("x" * 65, "longer than 64"),
        *((value, "more than four digits") for value in (
            "12%345", "1&2&3&4&5", "12(34)567", "12  345  67", "\u00b9\u00b2\u00b3\u2074\u2075", "1_2_3_4_5",
        )),
        *((value, "a date") for value in (
            "March the 3rd", "2 of Jan", "14 juillet", "5 janvier", "3 f\u00e9v", "der 3te M\u00e4rz", "2 marzo",
            "7 mei",
        )),
        ("DOE^JANE", "signs"), ("=HYPERLINK(1)", "signs"), ("@SUM", "signs"), ("-x", "signs"), ("a@b", "signs"),
    ],
)  # fmt: skip
def test_what_may_tell_patients_apart_is_refused_by_row_and_not_by_value(tmp_path, value, reason):
    with pytest.raises(UsageError, match=reason) as refused:
        table(tmp_path, "normal", value)()
    assert "rows 3 " in refused.value.message
    assert value not in refused.value.message + refused.value.hint


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|x", "-a", "\uff1d1", "a\nb", " a", "", "x" * 65])
def test_labels_that_share_does_not_write_are_refused(text):
    """They are written to a table that somebody opens with a spreadsheet."""
    for labels in ({"label": text}, {text: "normal"}):
        packed = canonical.dumps({"kind": "png", "version": 1, "labels": labels})
        with pytest.raises(IntegrityError):
            record.labels_of(packed, "png")


def test_labels_named_as_the_columns_that_say_what_image_it_is_are_left_out():
    labels = {"image": "other.png", "patient_id": "P1", "path": "x", "label": "normal"}
    packed = canonical.dumps({"kind": "png", "version": 1, "labels": labels})
    assert record.labels_of(packed, "png") == {"label": "normal"}


@pytest.mark.parametrize(
    "value",
    [
        "normal",
        "PA",
        "grade 3-4",
        "T1 2 mm",
        "+",
        "-1",
        "0.5",
        "Lungenödem",
        "C34.1",
        "2 marked",
        "T2 N1 M0 R0",
        "August",
    ],
)
def test_classes_pass(tmp_path, value):
    assert table(tmp_path, value)().counts == {"label": {value: 1}}


def test_rows_that_fit_a_file_by_its_name_alone_are_told(tmp_path):
    made = table(tmp_path, "a", "b")
    (tmp_path / "labels.csv").write_text("image,label\nother/0.png,a\n1.png,b\n")
    given = made()
    assert (given.counts, given.by_name) == ({"label": {"a": 1, "b": 1}}, 1)
    assert ("rows that match by file name alone, while their folders differ: 1", True) in told(given, "everybody")
    assert not any("alone, while" in text for text, _ in told(table(tmp_path, "a", "b")(), "everybody"))


def test_a_column_of_many_values_is_refused(tmp_path):
    def names(count):
        return [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(count)]

    assert len(table(tmp_path, *names(MOST_VALUES))().counts["label"]) == MOST_VALUES
    with pytest.raises(UsageError, match=f"{MOST_VALUES + 1} different values"):
        table(tmp_path, *names(MOST_VALUES + 1))()


def test_columns_and_rows_that_make_no_sense_are_refused(tmp_path):
    made = table(tmp_path, "a", "b")
    for names, words in (
        (("class",), "no column 'class'"),
        (("label", "image"), "no column 'image'"),
        (("patient_id",), "0 label"),
    ):
        with pytest.raises(UsageError, match=words):
            made(*names)
    (tmp_path / "labels.csv").write_text("image,label\nin/0.png,a\nin/0.png,b\n")
    with pytest.raises(UsageError, match="two rows"):
        made()
    (tmp_path / "labels.csv").write_text("image,label\nelsewhere.png,a\n")
    with pytest.raises(UsageError, match="none of the 1 images that the labels file lists"):
        made()
    for settings in (ShareSettings(labels=tmp_path / "labels.csv"), ShareSettings(label_columns=("label",))):
        with pytest.raises(UsageError, match="go together"):
            settings.check()
