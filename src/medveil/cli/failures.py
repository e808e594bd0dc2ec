"""Inputs that failed: numbered in messages, named only in a file that its user alone can read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from medveil.cli.session import Session

_HEADER = ("input", "path", "error", "message")
_SHOWN = 20


class Failure(Protocol):
    """One input that failed.

    Attributes:
        number: its place among the inputs, from 1.
        path: where it is; shown only where the user asked for it.
        error_class: name of the error's class.
        message: what was wrong, without names or values of the input.
    """

    @property
    def number(self) -> int: ...
    @property
    def path(self) -> object: ...
    @property
    def error_class(self) -> str: ...
    @property
    def message(self) -> str: ...


def failures_file(out: Path) -> Path:
    """`<out>.failed.csv`, beside the folder that was to be written and not in it."""
    resolved = out.resolve()
    return resolved.with_name(resolved.name + ".failed.csv")


def report_failures(run: Session, out: Path, failed: Sequence[Failure], *, show_paths: bool) -> list[dict[str, object]]:
    """Say what failed, write `<out>.failed.csv` (0600), and return the entries for --json.

    The file of an earlier run is removed when nothing fails any more.
    """
    target = failures_file(out)
    if not failed:
        _remove_own(target)
        return []
    for failure in failed[:_SHOWN]:
        name = str(failure.path) if show_paths else f"#{failure.number}"
        run.warn(f"{name}: {failure.error_class}: {failure.message}")
    if len(failed) > _SHOWN:
        run.warn(f"… and {len(failed) - _SHOWN} more")
    _write(target, failed)
    run.warn(f"{len(failed)} failed; which files these are is in {target.name}, beside the output folder")
    return [_entry(failure, show_paths) for failure in failed]


def _entry(failure: Failure, show_paths: bool) -> dict[str, object]:
    entry: dict[str, object] = {"input": failure.number, "error": failure.error_class, "message": failure.message}
    return entry | {"path": str(failure.path)} if show_paths else entry


def _write(target: Path, failed: Sequence[Failure]) -> None:
    from medveil.files.atomic import write_bytes

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows((f.number, f.path, f.error_class, f.message) for f in failed)
    write_bytes(target, text.getvalue().encode("utf-8", "surrogateescape"), mode=0o600, overwrite=True)


def _remove_own(target: Path) -> None:
    try:
        with target.open(encoding="utf-8", errors="replace") as file:
            own = file.readline().strip() == ",".join(_HEADER)
    except OSError:
        return
    if own:
        target.unlink(missing_ok=True)
