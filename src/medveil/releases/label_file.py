"""Labels files: which class, and which patient, the image of a package is of."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medveil.errors import UsageError

IMAGE_COLUMNS = ("package", "image", "path", "file", "filename", "original")
PATIENT_COLUMN = "patient_id"


@dataclass(frozen=True)
class Named:
    """What a row may call the image of a package: its id (32 hexadecimal digits), or its path where that is known."""

    package: str
    path: str = ""


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
