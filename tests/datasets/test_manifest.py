"""Manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from medveil.datasets.manifest import Record, read_manifest
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


def test_labels_masks_and_views_are_read_without_spaces(tmp_path: Path) -> None:
    (found, bare) = read_manifest(
        write(tmp_path, "image,patient_id,label,mask,source,view\na.png,p, normal , m/a.png , nih ,PA\nb.png,q,,,,\n")
    )
    assert (found.label, found.mask, found.written_mask) == ("normal", (tmp_path / "m" / "a.png").resolve(), "m/a.png")
    assert (found.source, found.view, found.stratum) == ("nih", "PA", ("nih", "PA"))
    assert (bare.label, bare.mask, bare.source) == ("", None, "")
    with pytest.raises(UsageError, match="path that no file can have"):
        read_manifest(write(tmp_path, "image,patient_id,mask\na.png,p,m\0.png\n"))
