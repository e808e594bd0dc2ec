"""Reading a manifest: which patient an image belongs to, which fold the patient is in, its label and its mask.

Rows name images by paths; `match_rows` is the one place that says which row is of which file.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Generic, Protocol, TypeVar

from medveil.errors import UsageError

_PATH_COLUMNS = ("image", "path", "file", "filename")
_SUFFIXES = frozenset((".bmp", ".csv", ".dcm", ".gz", ".jpeg", ".jpg", ".nii", ".png", ".tif", ".tiff", ".txt"))
"""Ends of names that say what a file is, and nothing of anybody."""


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
        cells: the whole row, by column.
    """

    path: Path
    patient: str
    fold: str
    stratum: tuple[str, str] = field(default=("", ""), compare=False)
    written: str = field(default="", compare=False)
    label: str = field(default="", compare=False)
    mask: Path | None = field(default=None, compare=False)
    written_mask: str = field(default="", compare=False)
    cells: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

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
    except UnicodeDecodeError as error:
        raise UsageError("the manifest cannot be read: it is not UTF-8 text", hint="save it as UTF-8") from error
    except (OSError, csv.Error) as error:
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


class Row(Protocol):
    """What a row of any manifest says of its image: `path` is absolute, `written` is how the manifest writes it."""

    @property
    def path(self) -> Path: ...
    @property
    def written(self) -> str: ...


AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True)
class Matched(Generic[AnyRow]):
    """Which row is of which file.

    Attributes:
        rows: of each file its row, None for a file that the manifest does not list.
        listed: how many different images the manifest lists.
        unmatched: of how many of these there is no file.
        by_name: rows that were matched by the file's name alone, although they name a folder that is another one's.
    """

    rows: tuple[AnyRow | None, ...]
    listed: int
    unmatched: int
    by_name: int = 0

    @property
    def unlisted(self) -> int:
        """How many files no row is of."""
        return self.rows.count(None)


def match_rows(
    rows: Sequence[AnyRow], files: Sequence[Path], folders: Sequence[Path] = (), *, what: str = "manifest"
) -> Matched[AnyRow]:
    """Find the row of each file: by its path from the manifest's folder, by its path below a folder that was given
    (a manifest may have been moved away from its images), then by its base name, where no other row and no other file
    has that name.

    Args:
        rows: of a manifest, at most one of a path counts.
        files: that may be meant.
        folders: that the user named for the files.
        what: the rows are of, for messages.

    Raises:
        UsageError: no row is of any of the files. The message shows the form of one path of each, not the path, since
            a name may be a patient's.
    """
    by_path = {row.path: row for row in rows}
    below: dict[Path, AnyRow] = {}
    for folder in folders:
        below |= {(folder / row.written).resolve(): row for row in by_path.values() if row.written}
    places = [file.resolve() for file in files]
    names, named = Counter(place.name for place in places), Counter(path.name for path in by_path)
    by_name = {path.name: row for path, row in by_path.items() if named[path.name] == names[path.name] == 1}
    found = [by_path.get(place) or below.get(place) for place in places]
    taken = {row.path for row in found if row is not None}
    by_name_alone = 0
    for number, place in enumerate(places):
        row = by_name.get(place.name)
        if found[number] is None and row is not None and row.path not in taken:
            found[number] = row
            taken.add(row.path)
            by_name_alone += not _ends_with(place, row.written)
    if rows and files and not taken:
        shown = _form(rows[0].written or rows[0].path.name), _form(_below(places[0], folders))
        raise UsageError(
            f"none of the {len(by_path)} images that the {what} lists is among the {len(files)} files that were "
            f"given: a row has the form {shown[0]}, a file below its folder the form {shown[1]} "
            "(x for letters, 9 for digits)",
            hint=f"write paths as they are from the {what}'s own folder or below the folder that you named; a bare "
            "file name does where no two files share one",
        )
    return Matched(tuple(found), len(by_path), len(by_path) - len(taken), by_name_alone)


def _ends_with(place: Path, written: str) -> bool:
    """Whether a path, as a manifest writes it, is the end of that of a file; a bare name is."""
    parts = tuple(part for part in written.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return not parts or place.parts[-len(parts) :] == parts


def _below(place: Path, folders: Sequence[Path]) -> str:
    """A path from the folder that holds it; its base name where none does."""
    roots = (folder.resolve() for folder in folders)
    return next((place.relative_to(root).as_posix() for root in roots if place.is_relative_to(root)), place.name)


def _form(path: str) -> str:
    """images/p0012_Doe.png -> x/x9_x.png: how a path is built, without what it says."""
    suffix = PurePosixPath(path).suffix
    kept = suffix if suffix.lower() in _SUFFIXES else ""
    form = re.sub(r"[^\W\d_]+", "x", path.removesuffix(kept))
    form = re.sub(r"\d+", "9", form)
    return re.sub(r"[^x9_./\\ -]", "?", form) + kept


def _record_of(row: dict[str, str], image: str, folder: Path) -> Record:
    fold = (row.get("fold") or "").strip().lower()
    stratum = ((row.get("source") or "").strip(), (row.get("view") or "").strip())
    label, mask = ((row.get(column) or "").strip() for column in ("label", "mask"))
    try:
        path = (folder / image).resolve()
        outline = (folder / mask).resolve() if mask else None
    except (ValueError, OSError, RuntimeError):
        raise UsageError("the manifest has a path that no file can have") from None
    return Record(path, (row["patient_id"] or "").strip(), fold, stratum, image, label, outline, mask, row)


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
