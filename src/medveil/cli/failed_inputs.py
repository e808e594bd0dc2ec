"""Inputs that failed: numbered in messages, named only in a file that its user alone can read."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medveil.cli.session import Session
from medveil.errors import MedveilError

if TYPE_CHECKING:
    from medveil.releases.workers import Failure

_HEADER = ("input", "path", "error", "message")
_SHOWN = 20
_HEADER_ROOM = 256


def failures_file(out: Path) -> Path:
    """`<out>.failed.csv`, beside the folder that was to be written and not in it.

    Where a file of that name is there and not a list of ours, `<out>.failed-2.csv` and so on.
    """
    return next(path for path in _candidates(out) if not os.path.lexists(path) or _is_own(path))


def _candidates(out: Path) -> Iterator[Path]:
    resolved = out.resolve()
    yield resolved.with_name(f"{resolved.name}.failed.csv")
    for number in itertools.count(2):
        yield resolved.with_name(f"{resolved.name}.failed-{number}.csv")


def report_failures(
    run: Session, out: Path, failed: Sequence[Failure], *, show_paths: bool, dry_run: bool = False
) -> list[dict[str, object]]:
    """Say what failed, write `<out>.failed.csv` (0600), and return the entries for --json.

    The file of an earlier run is removed when nothing fails any more. A dry run says what would fail and touches
    nothing. Where the file cannot be written or removed a warning says so, and the result counts all the same.
    """
    if not failed:
        if not dry_run:
            try:
                _remove_own(out)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                run.warn(
                    f"the list of an earlier run beside the output folder cannot be removed ({reason}); nothing failed"
                )
        return []
    for failure in failed[:_SHOWN]:
        name = str(failure.path) if show_paths else f"#{failure.number}"
        run.warn(f"{name}: {failure.error_class}: {failure.message}")
    if len(failed) > _SHOWN:
        run.warn(f"… and {len(failed) - _SHOWN} more")
    if not dry_run:
        run.warn(f"{len(failed)} failed; {_listed(out, failed)}")
    return [_entry(failure, show_paths) for failure in failed]


def _entry(failure: Failure, show_paths: bool) -> dict[str, object]:
    entry: dict[str, object] = {"input": failure.number, "error": failure.error_class, "message": failure.message}
    return entry | {"path": str(failure.path)} if show_paths else entry


def _listed(out: Path, failed: Sequence[Failure]) -> str:
    """Write the list, and say where it is, or why there is none."""
    try:
        target = failures_file(out)
        _write(target, failed)
    except (OSError, MedveilError) as error:
        reason = error.message if isinstance(error, MedveilError) else error.strerror or type(error).__name__
        return f"the list of them beside the output folder is missing ({reason}); --show-paths names them here"
    return f"which files these are is in {target.name}, beside the output folder"


def _write(target: Path, failed: Sequence[Failure]) -> None:
    from medveil.files.atomic import write_bytes

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows((f.number, f.path, f.error_class, f.message) for f in failed)
    write_bytes(target, text.getvalue().encode("utf-8", "surrogateescape"), mode=0o600, overwrite=True)


def _remove_own(out: Path) -> None:
    for path in itertools.takewhile(os.path.lexists, _candidates(out)):
        if _is_own(path):
            path.unlink(missing_ok=True)


def _is_own(path: Path) -> bool:
    """Whether this is a list that medveil wrote: a regular file that begins with our header."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(_HEADER_ROOM).strip() == ",".join(_HEADER)
    except OSError:
        return False
