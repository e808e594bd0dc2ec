"""What a run has to say of single inputs: by number in messages, by path in a list that its user alone can read.

The list lies in the user's state folder, never beside what was written: a release may lie in anybody's storage, and
file names name patients.
"""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medveil.cli.printable import shown
from medveil.cli.session import Session
from medveil.errors import MedveilError
from medveil.files import cells

if TYPE_CHECKING:
    from medveil.releases.workers import Failure

KEPT = 50  # lists: those of earlier runs go when a newer one is written
_HEADER = ("input", "path", "kind", "class", "message")
_NAME = re.compile(r"\d{4}-\d\d-\d\d-[0-9a-f]{16}\.csv")
_SHOWN = 20


def lists_folder() -> Path:
    """Where the lists of this user's runs are."""
    from platformdirs import user_state_path

    return user_state_path("medveil", appauthor=False) / "lists"


def report_inputs(
    run: Session, failed: Sequence[Failure], warned: Sequence[tuple[int, str]], paths: Mapping[int, str],
    *, show_paths: bool, dry_run: bool = False, told: Sequence[tuple[int, str]] = (),
) -> tuple[list[dict[str, object]], str]:  # fmt: skip
    """Say what failed and what is to be warned of, and write the list that says which files those are.

    A dry run writes none, and where all that failed are named paths that are not there, none is needed. Where the list
    cannot be written a warning says so, and the result counts all the same.

    Args:
        run: the command.
        failed: inputs that could not be used.
        warned: what is to be said of inputs that were used, as (number, words).
        paths: path of each input that is warned of, by number.
        show_paths: name inputs by their paths in messages.
        dry_run: nothing is written.
        told: the same as `warned`, of which the command has said the sum: for the list only.

    Returns:
        The entries of those that failed, for --json, and the path of the list, or nothing.
    """
    _tell_warnings(run, warned, paths if show_paths else {})
    for failure in failed[:_SHOWN]:
        name = failure.path if show_paths else f"#{failure.number}"
        run.warn(f"{name}: {failure.error_class}: {failure.message}")
    if len(failed) > _SHOWN:
        run.warn(f"… and {len(failed) - _SHOWN} more")
    rows = [_row(one.number, one.path, "failed", one.error_class, one.message) for one in failed]
    rows += [_row(number, paths[number], "warning", "", text) for number, text in (*warned, *told)]
    listed = ""
    if not dry_run and (warned or told or any(not failure.mistyped for failure in failed)):
        listed = _write(run, sorted(rows, key=lambda row: int(row[0])))
    return [_entry(failure, show_paths) for failure in failed], listed


def _tell_warnings(run: Session, warned: Sequence[tuple[int, str]], names: Mapping[int, str]) -> None:
    """One line for what is said of several inputs."""
    of_text: dict[str, list[str]] = {}
    for number, text in warned:
        of_text.setdefault(text, []).append(names.get(number, f"#{number}"))
    for text, inputs in list(of_text.items())[:_SHOWN]:
        more = f" and {len(inputs) - _SHOWN} more" if len(inputs) > _SHOWN else ""
        named = ", ".join(inputs[:_SHOWN]) + more
        run.warn(f"warning: {named if len(inputs) == 1 else f'{len(inputs)} files ({named})'}: {text}")
    if len(of_text) > _SHOWN:
        run.warn(f"… and {len(of_text) - _SHOWN} more warnings")


def _entry(failure: Failure, show_paths: bool) -> dict[str, object]:
    entry: dict[str, object] = {"input": failure.number, "error": failure.error_class, "message": failure.message}
    return entry | {"path": failure.path} if show_paths else entry


def _row(number: int, path: str, *words: str) -> list[str]:
    return [str(number), neutral(os.path.abspath(path)), *map(neutral, words)]


def neutral(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, on one line, and with escapes for what does not print."""
    return cells.neutral(shown(text))


def _write(run: Session, rows: Sequence[Sequence[str]]) -> str:
    """Write the list, say where it is, or why there is none, and return its path."""
    from medveil.files.atomic import make_folder, write_bytes
    from medveil.releases.records.owner_records import today

    text = io.StringIO(newline="")
    csv.writer(text).writerows([_HEADER, *rows])
    target = lists_folder() / f"{today()}-{secrets.token_hex(8)}.csv"
    try:
        make_folder(target.parent, mode=0o700)
        write_bytes(target, text.getvalue().encode(), mode=0o600)
        _remove_oldest(target)
    except (OSError, MedveilError) as error:
        reason = error.message if isinstance(error, MedveilError) else error.strerror or type(error).__name__
        run.warn(
            f"a list of the files that this is of cannot be kept in your state folder ({reason}); --show-paths names "
            "them here"
        )
        return ""
    run.warn(f"which file each # is: {target}")
    return str(target)


def _remove_oldest(newest: Path) -> None:
    from medveil.files.atomic import remove_all

    others = [path for path in newest.parent.iterdir() if _NAME.fullmatch(path.name) and path != newest]
    others.sort(key=lambda path: path.lstat().st_mtime_ns, reverse=True)
    remove_all(others[KEPT - 1 :])
