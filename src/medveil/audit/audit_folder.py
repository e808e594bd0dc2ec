"""Keeping what an audit has found: an interrupted one goes on where it stopped, a finished one appears at once.

An audit grows in `<out>.partial`: a mark, the settings, and one file for each finished unit (an attack in a round, a
part of a task).
The report is written there too and becomes `out` by one renaming. Everything in it is for its user alone: units hold
pictures of patients.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medveil.audit.record import FIGURES, HTML, JSON, OWN_FIGURE, is_record
from medveil.errors import MedveilError, TargetExistsError, UsageError
from medveil.files.atomic import (
    empty_folder,
    flush_folders,
    flush_tree,
    make_folder,
    remove_empty_folders,
    write_bytes,
)
from medveil.files.reading import read_regular
from medveil.releases.records.state import MARK
from medveil.releases.writing.staging import clear, held, refuse_inside_release, staging_of

UNITS = "units"
"""The folder of finished units."""
_SETTINGS, _REPORT, _FORMER, _ENDED = "settings.json", "report", ".former", "ended"
_STAGED = {MARK, _SETTINGS, UNITS, _REPORT, _FORMER, _ENDED}
_TEMPORARY = ".tmp"
_MAX_REPORT = 1 << 28
_MAX_SETTINGS = 1 << 20
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


def check_out(out: Path, beside: Mapping[str, Path], *, force: bool, resume: bool = False) -> Path:
    """The output folder as an absolute path, once it is known that nothing of the user's is in danger.

    Args:
        out: the output folder.
        beside: folders that nothing is written into, such as the release and the originals, by what they are.
        force: whether an audit may be replaced.
        resume: whether one may be written again that was interrupted after its report had got its name.

    Raises:
        TargetExistsError: it is inside a release, is one of those folders, lies in it or holds it, or is there already
            and is not an audit that `force` may replace.
    """
    out = Path(os.path.realpath(out))
    refuse_inside_release(out / "report")
    for what, other in beside.items():
        real = Path(os.path.realpath(other))
        if real == out or real.is_relative_to(out) or out.is_relative_to(real):
            raise TargetExistsError(
                f"the output and the {what} lie in each other", hint="an audit writes into neither; name a new folder"
            )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        left_over = _is_left_over(out)
        if left_over and not force and not resume:
            raise TargetExistsError(
                "the output folder holds a whole audit, and <out>.partial still what it grew from, with pictures of "
                "patients", hint="--resume writes the report once more from it and removes it",
            )  # fmt: skip
        if not force and not left_over:
            raise TargetExistsError("the output folder holds files", hint="name a new folder, or --force to replace it")
        if not _is_audit(out):
            raise TargetExistsError(
                "the output is there and is not an audit, or not only one, so that --force does not replace it",
                hint="name a new folder, or move what is not the audit's out of it",
            )
    return out


def _is_left_over(out: Path) -> bool:
    """Whether the staging folder is that of the audit that stands at `out`, which was killed before it was cleared."""
    partial = staging_of(out, "an audit")
    try:
        ended = read_regular(partial / _ENDED, limit=_MAX_SETTINGS, what="mark")
        return ended == _mark_of(out) and (partial / _SETTINGS).is_file()
    except (MedveilError, OSError):
        return False


def _mark_of(report: Path) -> bytes:
    return hashlib.sha256(read_regular(report / JSON, limit=_MAX_REPORT, what="report")).hexdigest().encode()


def _is_audit(folder: Path) -> bool:
    """Whether a folder holds the files of an audit, and nothing else."""
    entries = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    figures = entries.pop(FIGURES, None)
    if not {JSON} <= set(entries) <= {HTML, JSON} or not all(_is_plain(path) for path in entries.values()):
        return False
    if figures is not None:
        if figures.is_symlink() or not figures.is_dir():
            return False
        if not all(_is_plain(path) and OWN_FIGURE.fullmatch(path.name) for path in figures.iterdir()):
            return False
    try:
        return is_record(json.loads(read_regular(folder / JSON, limit=_MAX_REPORT, what="report")))
    except (MedveilError, OSError, ValueError, RecursionError):
        return False


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


@contextmanager
def growing_folder(out: Path, settings: Mapping[str, Any], *, resume: bool, force: bool) -> Iterator[Path]:
    """Hold the folder that an audit grows in; its units go into `UNITS` of it.

    Args:
        out: of `check_out`.
        settings: what every unit depends on.
        resume: go on with what is there.
        force: begin anew where something is there.

    Raises:
        TargetExistsError: an interrupted audit is there and neither was asked for, or somebody else's folder, or one in
            which another command works.
        UsageError: it was begun with other settings, release, images or versions.
        MedveilError: the system refused (disk full, no permission …), or there is too little memory.
    """
    partial = staging_of(out, "an audit")
    with held(partial, "audit"):
        _refuse_others(partial)
        try:
            os.chmod(partial, _PRIVATE_FOLDER)
            _begin(partial, out, settings, resume=resume, force=force)
            yield partial
        except OSError as error:
            raise MedveilError(
                f"the audit could not read or write a file: {error.strerror or type(error).__name__}",
                hint="see to space and permissions, and run the same command with --resume",
            ) from None
        except MemoryError:
            raise MedveilError(
                "the audit needs more memory than there is",
                hint="free some, and run the same command with --resume; what was finished is kept",
            ) from None


def _refuse_others(partial: Path) -> None:
    """A release grows in a folder of that name too: nothing of it may be taken for an audit's, and removed."""
    others = {path.name for path in partial.iterdir() if path.suffix != _TEMPORARY} - _STAGED
    if others:
        raise TargetExistsError(
            "the folder <audit>.partial holds unfinished work of another command, as of an interrupted share",
            hint="finish that first, or choose another output; nothing was touched",
        )


def begun_units(out: Path, settings: Mapping[str, Any], *, resume: bool, force: bool) -> Path | None:
    """Where the finished units of an interrupted audit are that would be gone on with; nothing is written.

    Args and raises: as `growing_folder`.
    """
    partial = staging_of(out, "an audit")
    if not partial.is_dir():
        return None
    _refuse_others(partial)
    _check_begun(partial, settings, resume=resume, force=force)
    return partial / UNITS if resume and (partial / UNITS).is_dir() else None


def _check_begun(partial: Path, settings: Mapping[str, Any], *, resume: bool, force: bool) -> None:
    path = partial / _SETTINGS
    if path.exists():
        begun = read_regular(path, limit=_MAX_SETTINGS, what="settings of an interrupted audit")
        if resume and begun != _canonical(settings):
            other = ", ".join(_different(begun, settings)) or "other settings"
            raise UsageError(
                f"the interrupted audit was begun with another {other}",
                hint="give the same command again with --resume, or begin anew with --force",
            )
        if not resume and not force:
            raise TargetExistsError(
                "an interrupted audit is there", hint="--resume goes on with it, --force begins anew"
            )


def _begin(partial: Path, out: Path, settings: Mapping[str, Any], *, resume: bool, force: bool) -> None:
    _check_begun(partial, settings, resume=resume, force=force)
    if not resume:
        _restore_former(partial, out)
        clear(partial)
    write_bytes(partial / _SETTINGS, _canonical(settings), mode=_PRIVATE_FILE, overwrite=True)


def _restore_former(partial: Path, out: Path) -> None:
    """An audit that was about to be replaced, when that was interrupted, stays until there is another."""
    former = partial / _FORMER
    if former.is_dir() and not (out.exists() and (out.is_file() or any(out.iterdir()))):
        os.replace(former, out)
        flush_folders({out.parent, partial})


def _different(begun: bytes, settings: Mapping[str, Any]) -> list[str]:
    try:
        former = json.loads(begun)
    except ValueError:
        return []
    now = json.loads(_canonical(settings))
    return sorted(name for name in now if not isinstance(former, dict) or former.get(name) != now[name])


def report_folder(partial: Path) -> Path:
    """Where the report is to be written: a new, empty folder."""
    folder = partial / _REPORT
    if folder.exists():
        empty_folder(folder)
        remove_empty_folders(folder)
    make_folder(folder)
    os.chmod(folder, _PRIVATE_FOLDER)
    return folder


def finish(partial: Path, out: Path) -> None:
    """Give the report its name by one renaming, and remove what it grew from. An audit that was there is replaced."""
    report = partial / _REPORT
    former = partial / _FORMER
    flush_tree(report)
    if (report / JSON).is_file():
        write_bytes(partial / _ENDED, _mark_of(report), mode=_PRIVATE_FILE, overwrite=True)
    if out.exists():
        if former.exists():  # of an interrupted replacement that came to its end otherwise
            empty_folder(former)
            remove_empty_folders(former)
        os.replace(out, former)
    os.replace(report, out)
    flush_folders({out.parent, partial})
    if (partial / UNITS).is_dir():
        clear(partial / UNITS)  # first, while what tells a left-over is there: they hold pictures of patients
    clear(partial)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
