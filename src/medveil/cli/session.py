"""Session: what every command shares. Timing, stdout and stderr, JSON, errors to exit codes, progress."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from medveil.cli.printable import shown
from medveil.errors import MedveilError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SCHEMA = 1
INTERRUPTED = 130
SOME_FAILED = 3

Step = Callable[[int, int, str], None]


class Session:
    """One run of one command.

    The result goes to stdout (lines of text, or one JSON object), everything else to stderr.

    Args:
        command: name of the command.
        as_json: print the result as one JSON object.
        quiet: nothing on stderr but errors and warnings.
    """

    def __init__(self, command: str, *, as_json: bool = False, quiet: bool = False) -> None:
        self.command = command
        self.as_json = as_json
        self.quiet = quiet
        self.started = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""

    def say(self, text: str) -> None:
        """One line for the person at the keyboard, on stderr."""
        if not self.quiet:
            self._clear()
            print(shown(text), file=sys.stderr)

    def warn(self, text: str) -> None:
        """One line on stderr that --quiet does not silence."""
        self._clear()
        print(shown(text), file=sys.stderr)

    def progress(self, done: int, total: int, text: str, *, estimate: bool = True) -> None:
        """Show how far the work is, on a terminal only. `text` names no input other than by number.

        Args:
            done, total, text: how far, and with what.
            estimate: whether the bar says how long the rest takes; not where the text does.
        """
        if self.quiet or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._start_bar(estimate=estimate)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, description=text)

    def stage(self, done: int, total: int, text: str) -> None:
        """Show how far long work is, whose text says how long the rest takes: a bar on a terminal; elsewhere, in a log,
        one line when the text changes.
        """
        if sys.stderr.isatty():
            self.progress(done, total, text, estimate=False)
        elif text != self._stage:
            self._stage = text
            self.say(f"[{done}/{total}] {text}" if total else text)

    def result(
        self,
        lines: Sequence[str],
        *,
        done: int = 0,
        failed: Sequence[Mapping[str, object]] = (),
        size: int = 0,
        **more: object,
    ) -> None:
        """Print the result: the lines, or with --json one object that says the same.

        Args:
            lines: the result in words.
            done: how many inputs were done.
            failed: one {input, error} for each that was not.
            size: bytes written.
            more: whatever else the object holds.
        """
        self._clear()
        if not self.as_json:
            for line in lines:
                print(shown(line))
            return
        seconds = round(time.monotonic() - self.started, 3)
        record: dict[str, object] = {"schema": SCHEMA, "command": self.command, "ok": not failed, "done": done}
        record |= {"failed": [dict(entry) for entry in failed], "bytes": size, "seconds": seconds}
        print(_json(record | more))

    def fail(self, error: MedveilError) -> NoReturn:
        """Print the error and its hint, and end with its exit code."""
        self.refuse(type(error).__name__, error.message, error.hint, error.exit_code)

    def close(self) -> None:
        self._clear()

    def refuse(self, kind: str, message: str, hint: str, code: int) -> NoReturn:
        """Print an error of this class, with --json as an object too, and end with this exit code."""
        self._clear()
        print(shown(f"{f'medveil {self.command}'.rstrip()}: {message}"), file=sys.stderr)
        if hint:
            print(shown(f"  hint: {hint}"), file=sys.stderr)
        if self.as_json:
            print(_json(self._error_record(kind, message, hint)))
        raise typer.Exit(code)

    def _error_record(self, kind: str, message: str, hint: str) -> dict[str, Any]:
        seconds = round(time.monotonic() - self.started, 3)
        record: dict[str, Any] = {"schema": SCHEMA, "command": self.command, "ok": False, "done": 0, "failed": []}
        return record | {
            "bytes": 0,
            "seconds": seconds,
            "error": {"class": kind, "message": message, "hint": hint},
        }

    def _start_bar(self, *, estimate: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        self._bar = Progress(
            *columns, *([TimeRemainingColumn()] if estimate else []), console=Console(stderr=True), transient=True
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=None)

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._task = None


def _json(record: Mapping[str, object]) -> str:
    """The record in ASCII without control characters: json leaves DEL as it is."""
    return json.dumps(record, default=str).replace("\x7f", "\\u007f")


@contextmanager
def session(command: str, *, as_json: bool = False, quiet: bool = False) -> Iterator[Session]:
    """Run one command: errors become one line on stderr and an exit code.

    An unexpected exception prints its class alone, since its text may hold a patient's values;
    MEDVEIL_DEBUG=1 lets the whole of it through.
    """
    current = Session(command, as_json=as_json, quiet=quiet)
    try:
        yield current
    except MedveilError as error:
        current.fail(error)
    except KeyboardInterrupt:
        current.refuse("Interrupted", "interrupted; what was finished is kept", "run the same command to go on", 130)
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except Exception as error:
        if os.environ.get("MEDVEIL_DEBUG") == "1":
            raise
        kind = type(error).__name__
        current.refuse(kind, f"internal error ({kind}); please report it", "MEDVEIL_DEBUG=1 shows the traceback", 1)
    finally:
        current.close()
