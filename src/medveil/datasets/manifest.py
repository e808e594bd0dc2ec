"""Reading a manifest: which patient an image belongs to, which fold the patient is in, its label and its mask."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from medveil.errors import UsageError

_PATH_COLUMNS = ("image", "path", "file", "filename")


@dataclass(frozen=True)
class Record:
    """One row of a manifest.

    Attributes:
        path: the image, absolute.
        patient: the patient's name in the manifest.
        fold: train, val, test, or empty where the manifest has no such column.
        stratum: data set and view, the columns `source` and `view`; empty where there are none.
        written: the image's path as the manifest writes it.
        label: its class, the column `label`; empty where there is none.
        mask: its mask, absolute, from the column `mask`; None where there is none.
        written_mask: the mask's path as the manifest writes it.
    """

    path: Path
    patient: str
    fold: str
    stratum: tuple[str, str] = field(default=("", ""), compare=False)
    written: str = field(default="", compare=False)
    label: str = field(default="", compare=False)
    mask: Path | None = field(default=None, compare=False)
    written_mask: str = field(default="", compare=False)

    @property
    def source(self) -> str:
        """The data set that it comes from."""
        return self.stratum[0]

    @property
    def view(self) -> str:
        """Its projection."""
        return self.stratum[1]


def read_manifest(path: Path) -> tuple[Record, ...]:
    """Read a CSV with a column for the image (image, path, file or filename), `patient_id`, and maybe `fold`, `source`,
    `view`, `label` and `mask`. Paths are relative to the manifest.

    Raises:
        UsageError: no such file, a column is missing, a row names no patient or a path that no file can have, one image
            has two patients, or one patient is in two folds.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            header, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the manifest cannot be read: {type(error).__name__}") from error
    if len(set(header)) < len(header):
        raise UsageError("the manifest has two columns of one name", hint="rename one, or take it out")
    if not rows:
        raise UsageError("the manifest has no rows")
    column = next((name for name in _PATH_COLUMNS if name in rows[0]), None)
    if column is None or "patient_id" not in rows[0]:
        raise UsageError(
            f"the manifest needs the columns patient_id and one of {', '.join(_PATH_COLUMNS)}",
            hint="a manifest is a CSV file with one row an image",
        )
    records = tuple(_record_of(row, row[column], path.parent) for row in rows if row[column])
    _check_patients(records)
    _check_folds(records)
    return records


def _record_of(row: dict[str, str], image: str, folder: Path) -> Record:
    fold = (row.get("fold") or "").strip().lower()
    stratum = ((row.get("source") or "").strip(), (row.get("view") or "").strip())
    label, mask = ((row.get(column) or "").strip() for column in ("label", "mask"))
    try:
        path = (folder / image).resolve()
        outline = (folder / mask).resolve() if mask else None
    except (ValueError, OSError, RuntimeError):
        raise UsageError("the manifest has a path that no file can have") from None
    return Record(path, (row["patient_id"] or "").strip(), fold, stratum, image, label, outline, mask)


def _check_patients(records: tuple[Record, ...]) -> None:
    """Images of nobody would all count as one patient's, and of two names the last one would count."""
    patients: dict[Path, str] = {}
    for record in records:
        if not record.patient:
            raise UsageError(
                "the manifest has a row without a patient", hint="fill in patient_id, or leave the row out"
            )
        if patients.setdefault(record.path, record.patient) != record.patient:
            raise UsageError("the manifest has one image under two patients")


def _check_folds(records: tuple[Record, ...]) -> None:
    folds: dict[str, str] = {}
    for record in records:
        if folds.setdefault(record.patient, record.fold) != record.fold:
            raise UsageError("the manifest has one patient in two folds; a patient belongs to one fold only")
