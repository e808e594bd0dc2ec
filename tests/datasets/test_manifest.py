"""Manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from medveil.datasets.manifest import Record, match_rows, read_manifest
from medveil.errors import UsageError


def write(folder: Path, text: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(text)
    return path


def test_rows_become_records(tmp_path: Path) -> None:
    records = read_manifest(write(tmp_path, "image,patient_id,fold\na.png,p1,train\nsub/b.png,p2,VAL\n,p3,test\n"))
    assert records == (
        Record((tmp_path / "a.png").resolve(), "p1", "train"),
        Record((tmp_path / "sub" / "b.png").resolve(), "p2", "val"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("image,fold\na.png,train\n", "patient_id"),
        ("name,patient_id\na.png,p\n", "patient_id and one of"),
        ("image,patient_id,fold\na.png,p,train\nb.png,p,test\n", "two folds"),
        ("image,patient_id\na\0b.png,p\n", "path that no file can have"),
        ("image,patient_id\na.png,p\nb.png,\n", "row without a patient"),
        ("image,patient_id\na.png,p\nb.png,  \n", "row without a patient"),
        ("image,patient_id\na.png,p\nb.png\n", "row without a patient"),
        ("image,patient_id\na.png,p\n./a.png,q\n", "one image under two patients"),
    ],
)
def test_manifests_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_manifest(write(tmp_path, text))


def test_a_patient_has_one_name_whatever_spaces_stand_around_it(tmp_path: Path) -> None:
    found = read_manifest(write(tmp_path, "image,patient_id\na.png,p\nb.png,p \na.png, p\n"))
    assert {record.patient for record in found} == {"p"}


def test_a_missing_manifest_is_refused_without_naming_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_manifest(tmp_path / "secret-name.csv")
    assert "secret-name" not in caught.value.message


def test_a_manifest_that_is_not_utf_8_says_so_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes("image,patient_id\na.png,Müller\n".encode("cp1252"))
    with pytest.raises(UsageError, match="not UTF-8") as caught:
        read_manifest(tmp_path / "m.csv")
    assert "ller" not in str(caught.value)
    assert "UTF-8" in caught.value.hint


def test_labels_masks_and_views_are_read_without_spaces(tmp_path: Path) -> None:
    (found, bare) = read_manifest(
        write(tmp_path, "image,patient_id,label,mask,source,view\na.png,p, normal , m/a.png , nih ,PA\nb.png,q,,,,\n")
    )
    assert (found.label, found.mask, found.written_mask) == ("normal", (tmp_path / "m" / "a.png").resolve(), "m/a.png")
    assert (found.source, found.view, found.stratum) == ("nih", "PA", ("nih", "PA"))
    assert (bare.label, bare.mask, bare.source) == ("", None, "")
    with pytest.raises(UsageError, match="path that no file can have"):
        read_manifest(write(tmp_path, "image,patient_id,mask\na.png,p,m\0.png\n"))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """images/a.png, images/sub/b.png, masks/a.png below a folder that the manifest is not in."""
    paths = [tmp_path / "data" / name for name in ("images/a.png", "images/sub/b.png", "masks/a.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def patients(rows: str, where: Path, files: list[Path], *folders: Path) -> list[str]:
    records = read_manifest(write(where, f"image,patient_id\n{rows}"))
    return [row.patient if row is not None else "" for row in match_rows(records, files, folders).rows]


def test_a_row_is_found_by_its_path_then_below_the_folder_then_by_a_name_that_is_the_only_one(
    images: list[Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    assert patients("images/a.png,p\nimages/sub/b.png,q\n", data, images) == ["p", "q", ""]
    assert patients("images/a.png,p\nsub/b.png,q\n", tmp_path, images, data) == ["p", "q", ""]
    assert patients("images/a.png,p\nb.png,q\n", tmp_path, images[:2], data / "images") == ["p", "q"]
    assert patients("b.png,q\na.png,p\n", tmp_path, images, data) == ["", "q", ""]  # two files are called a.png
    assert patients("images/b.png,q\nold/b.png,r\nimages/a.png,p\n", tmp_path, images, data)[1] == ""  # two rows
    assert patients("a.png,p\nsub/b.png,q\n", data, images[:2], data / "images") == ["p", "q"]


def test_what_is_not_matched_is_counted(images: list[Path], tmp_path: Path) -> None:
    rows = read_manifest(write(tmp_path, "image,patient_id\nb.png,q\nc.png,r\nd.png,r\n"))
    found = match_rows(rows, images)
    assert (found.listed, found.unmatched, found.unlisted, found.by_name) == (3, 2, 2, 0)


@pytest.mark.parametrize(
    ("written", "count"),
    [("b.png", 0), ("sub/b.png", 0), ("./images/sub/b.png", 0), ("old/b.png", 1), ("x/sub/b.png", 1)],
)
def test_a_row_whose_folder_is_another_one_is_counted(
    images: list[Path], tmp_path: Path, written: str, count: int
) -> None:
    rows = read_manifest(write(tmp_path, f"image,patient_id\n{written},q\n"))
    assert match_rows(rows, images).by_name == count


def test_a_manifest_that_lists_none_of_the_files_is_refused_and_names_nobody(
    images: list[Path], tmp_path: Path
) -> None:
    rows = read_manifest(write(tmp_path, "image,patient_id\nscans/Doe_Jane-1977.dcm,p\n"))
    with pytest.raises(UsageError, match=r"none of the 1 images .* x/x_x-9\.dcm, .* x/x\.png") as caught:
        match_rows(rows, images, [tmp_path / "data"])
    told = caught.value.message + caught.value.hint
    assert not any(word in told for word in ("Doe", "Jane", "1977", "scans", "images/", "a.png"))
    assert match_rows(rows, []).unmatched == 1  # without any file something else is wrong
