"""Labels files: which class, and which patient, an image is of. Read to share labels, and to train with them."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medveil.datasets.manifest import match_rows
from medveil.errors import UsageError
from medveil.images.record import IMAGE_COLUMNS, MAX_LABEL, MAX_LABELS, PATIENT_COLUMN, is_label

MOST_VALUES = 50  # different ones in a column that is shared: more are names or free text
_ROWS_NAMED = 5
# What tells a patient from others: five digits with no letter between them, or a day.
_NUMBER = re.compile(r"\d(?:[\W_]*\d){4}")
_DAY = re.compile(r"\d+ ?[-./] ?\d+ ?[-./] ?\d+")
_MONTHS = (  # in small letters without accents; short forms are English, German and French ones
    "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|marz|mrz|mai|okt|dez|janv|fev|fevr|avr|juil"
    "|january|february|march|april|june|july|august|september|october|november|december"
    "|januar|janner|jaenner|februar|feber|maerz|juni|juli|oktober|dezember"
    "|janvier|fevrier|mars|avril|juin|juillet|aout|septembre|octobre|novembre|decembre"
    "|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre"
    "|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre"
    "|januari|februari|maart|mei|augustus"
    "|janeiro|fevereiro|marco|maio|junho|julho|setembro|outubro|novembro|dezembro"
)
_MONTH = re.compile(rf"(?<![^\W\d_])(?:{_MONTHS})(?![^\W\d_])")
_WORD = re.compile(r"[\w(<>][\w .,:/()+<>%&-]*|[+-]\d*\.?\d*")


@dataclass(frozen=True)
class GivenLabels:
    """Labels that travel with the images of a share.

    Attributes:
        of: the labels of a file, as (name, value) pairs.
        patients: the patient of a file, where the labels file names them.
        counts: how many images have each value of each column, the most frequent first.
        unlabelled: images without any label.
        unmatched: rows that are of no image.
        by_name: rows that were matched by the file's name alone, see `datasets.manifest.Matched`.
        digest: SHA-256 of the columns and the labels file.
    """

    of: Mapping[Path, tuple[tuple[str, str], ...]] = field(repr=False, default_factory=dict)
    patients: Mapping[Path, str] = field(repr=False, default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unlabelled: int = 0
    unmatched: int = 0
    by_name: int = 0
    digest: bytes = bytes(32)


NO_LABELS = GivenLabels()


@dataclass(frozen=True)
class Named:
    """An image of a release, and what a row may call it.

    Attributes:
        package: id of its package, 32 hexadecimal digits.
        path: its path where that is known.
        labels: labels that came with it.
        patient: the recipient's pseudonym of its patient, or empty.
    """

    package: str
    path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    patient: str = ""


def read_rows(path: Path, target: str) -> tuple[list[dict[str, str]], str]:
    """The rows of a CSV file with a header, and which column names the image.

    Raises:
        UsageError: no such file, no rows, or no column that names the image or is called `target`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, restval="")
            header = [(name or "").strip() for name in reader.fieldnames or ()]
            rows = [
                {name.strip(): _cell(value) for name, value in row.items() if isinstance(name, str)} for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the labels file cannot be read: {type(error).__name__}") from None
    if len(set(header)) < len(header):
        raise UsageError("the labels file has two columns of one name", hint="rename one, or take it out")
    if not rows:
        raise UsageError("the labels file has no rows", hint="it is a CSV file with a header and one row an image")
    column = next((name for name in IMAGE_COLUMNS if name in rows[0]), None)
    if column is None:
        raise UsageError(
            f"the labels file has no column that names the image: {', '.join(IMAGE_COLUMNS)}",
            hint="its first line is the header, such as: image,label,patient_id",
        )
    if target not in rows[0]:
        raise UsageError(f"the labels file has no column {target!r}", hint='name another one: target="…"')
    return rows, column


def labels_csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A labels file of these rows: the image, its patient where one is known, then the labels by name."""
    labels = sorted({name for row in rows for name in row} - {"image", PATIENT_COLUMN})
    known = [PATIENT_COLUMN] if any(row[PATIENT_COLUMN] for row in rows) else []
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["image", *known, *labels], restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["image"]))
    return text.getvalue().encode()


def _cell(value: str | None) -> str:
    """Without control characters and without spaces around."""
    return "".join(sign if sign.isprintable() else " " for sign in value or "").strip()


def matched(rows: Sequence[Mapping[str, str]], column: str, images: Sequence[Named]) -> list[int | None]:
    """For each image the number of its row, or None.

    A row names the package's id (a name such as `<id>.png`, as an opened file has it, will do), or the path as
    `medveil list` shows it. Paths that do not fit so are compared from their ends: `scans/a/1.png` is `a/1.png` where
    no other row and no other image may be meant.

    Raises:
        UsageError: two rows are of one image.
    """
    names = [_normal(row[column]) for row in rows]
    packages = {image.package for image in images}
    exact: dict[str, int] = {}
    for number, name in enumerate(names):
        stem = name.rpartition("/")[2].partition(".")[0].lower()
        key = stem if stem in packages else name
        if key and exact.setdefault(key, number) != number:
            raise UsageError("two rows of the labels file are of one image", hint="keep one row an image")
    found = [exact.get(image.package, exact.get(_normal(image.path))) for image in images]
    return _from_their_ends(names, images, found)


def _from_their_ends(names: Sequence[str], images: Sequence[Named], found: list[int | None]) -> list[int | None]:
    taken = {number for number in found if number is not None}
    by_file: defaultdict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        if name and number not in taken:
            by_file[name.rpartition("/")[2]].append(number)
    claims: defaultdict[int, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        if found[place] is None and image.path:
            path = _normal(image.path)
            fitting = [
                number for number in by_file[path.rpartition("/")[2]] if _one_ends_the_other(names[number], path)
            ]
            if len(fitting) == 1:
                claims[fitting[0]].append(place)
    for number, places in claims.items():
        if len(places) == 1:
            found[places[0]] = number
    return found


def _one_ends_the_other(first: str, second: str) -> bool:
    return f"/{first}".endswith(f"/{second}") or f"/{second}".endswith(f"/{first}")


def _normal(path: str) -> str:
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))


@dataclass(frozen=True)
class _Row:
    """A row of a labels file; see `datasets.manifest.Row`."""

    path: Path
    written: str
    cells: Mapping[str, str]


def labels_to_share(path: Path, columns: Sequence[str], files: Sequence[Path], folders: Sequence[Path]) -> GivenLabels:
    """The labels of images that are about to be shared, from some columns of a labels file.

    Whoever opens an image reads them, at every tier. So a column with many values, a number that may be a patient's, a
    date and free text are refused. Rows find their images as those of a manifest do.

    Args:
        path: a CSV file with a header, a column that names the image, the wanted ones, and maybe `patient_id`.
        columns: names of the columns; `patient_id` among them changes nothing, since only pseudonyms travel.
        files: the images.
        folders: those that the user named.

    Raises:
        UsageError: see `read_rows`; a column that is not there or may not travel; two rows of one image; no row is of
            any image.
    """
    wanted = [name for name in dict.fromkeys(columns) if name != PATIENT_COLUMN]
    if not wanted or len(wanted) > MAX_LABELS:
        raise UsageError(f"{len(wanted)} label columns are named; 1 to {MAX_LABELS} can be shared")
    table, image_column = read_rows(path, wanted[0])
    for name in wanted:
        if name not in table[0] or name in IMAGE_COLUMNS or not is_label(name):
            raise UsageError(
                f"the labels file has no column {name!r} that could be a label",
                hint=f"its columns are: {', '.join(table[0])}",
            )
        _check_values(name, [row[name] for row in table])
    try:
        rows = [_Row((path.parent / row[image_column]).resolve(), row[image_column], row) for row in table]
    except (ValueError, OSError, RuntimeError):
        raise UsageError("the labels file has a path that no file can have") from None
    if len({row.path for row in rows}) < len(rows):
        raise UsageError("two rows of the labels file are of one image", hint="keep one row an image")
    matched_rows = match_rows(rows, files, folders, what="labels file")
    found = {file: row.cells for file, row in zip(files, matched_rows.rows, strict=True) if row is not None}
    of = {file: tuple((name, row[name]) for name in wanted if row[name]) for file, row in found.items()}
    counts = {name: Counter(dict(pairs)[name] for pairs in of.values() if name in dict(pairs)) for name in wanted}
    return GivenLabels(
        of,
        {file: row[PATIENT_COLUMN] for file, row in found.items() if row.get(PATIENT_COLUMN)},
        {name: dict(count.most_common()) for name, count in counts.items()},
        len(files) - sum(bool(pairs) for pairs in of.values()),
        matched_rows.unmatched,
        matched_rows.by_name,
        hashlib.sha256("\0".join(wanted).encode() + path.read_bytes()).digest(),
    )


def told(given: GivenLabels, readers: str) -> list[tuple[str, bool]]:
    """How many images have each label, since others will read them: sentences, and whether each is a warning.

    Args:
        given: the labels.
        readers: who will read them, in words.
    """
    found = []
    for name, counts in given.counts.items():
        values = ", ".join(f"{value} {count}" for value, count in counts.items())
        found.append((f"label {name}, for {readers}: {values}", False))
        alone = sum(count == 1 for count in counts.values())
        if alone:
            found.append((f"label {name}: values on one image only: {alone}. Is one a name?", True))
    if given.counts and given.unlabelled + given.unmatched:
        lone = f"images without a label: {given.unlabelled}; rows of no image: {given.unmatched}"
        found.append((lone, given.unlabelled > 0))
    if given.by_name:
        found.append((f"rows that match by file name alone, while their folders differ: {given.by_name}", True))
    return found


def _holds_number(text: str) -> bool:
    return _NUMBER.search(text) is not None


def _holds_date(text: str) -> bool:
    """Whether it holds a day in digits, or the name of a month and a digit anywhere.

    >>> _holds_date("14 juillet"), _holds_date("March the 3rd"), _holds_date("2 marked")
    (True, True, False)
    """
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(sign))
    named = _MONTH.search(plain) and any(sign.isdigit() for sign in plain)
    return bool(named or _DAY.search(text))


def _check_values(column: str, values: Sequence[str]) -> None:
    """Raises UsageError for a column with values that may tell patients apart. It names rows and no value."""
    different = len(set(values) - {""})
    if different > MOST_VALUES:
        raise UsageError(
            f"the label column {column!r} has {different} different values; {MOST_VALUES} at most can be shared",
            hint="leave the column out, or write fewer classes into a column of their own",
        )
    refusals: dict[str, Callable[[str], object]] = {
        f"are longer than {MAX_LABEL} characters": lambda text: len(text) > MAX_LABEL,
        "hold a number of more than four digits": _holds_number,
        "hold a date": _holds_date,
        "hold signs that no label has, or begin with one": lambda text: not _WORD.fullmatch(text),
    }
    for what, is_refused in refusals.items():
        lines = [
            str(number)
            for number, text in enumerate(values, start=2)
            if text and (is_refused(text) or is_refused(unicodedata.normalize("NFKC", text)))
        ]
        if lines:
            more = f" and {len(lines) - _ROWS_NAMED} more" if len(lines) > _ROWS_NAMED else ""
            raise UsageError(
                f"the label column {column!r} has values that {what}: rows {', '.join(lines[:_ROWS_NAMED])}{more} "
                "(the header is row 1)",
                hint="whoever opens an image reads its labels; write classes such as normal or PA",
            )
