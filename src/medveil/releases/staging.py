"""The staging folder `<out>.partial`: where a release grows until it is whole, and the lock that keeps it for one run.

A staging folder is known by its lock file. A folder of that name without one is the user's own and is never touched.
Worker processes inherit the lock on POSIX systems, so that it stays held until the last of them has ended.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medveil.errors import MedveilError, TargetExistsError
from medveil.keys.tiers import ReleaseKeys
from medveil.releases.book import BOOK, OwnerBook
from medveil.releases.identity import DICTIONARY
from medveil.releases.manifest import RECORD, PackageEntry
from medveil.releases.package import Package
from medveil.releases.packing import entry_of, open_identity

LOCK = "staging.lock"
Origins = dict[tuple[str, bytes], PackageEntry]


def staging_of(out: Path) -> Path:
    """The staging folder of a release folder."""
    return out.with_name(f"{out.name}.partial")


def refuse_inside_release(path: Path) -> None:
    """Raise TargetExistsError for a path inside a release: opened images there would be published with it."""
    for folder in path.parents:
        if (folder / RECORD).exists():
            raise TargetExistsError("the output lies inside a release", hint="name a place outside of it")


@contextmanager
def held(staging: Path) -> Iterator[None]:
    """Keep the staging folder for this process; it is made where there is none, and removed if it stays empty.

    Raises:
        TargetExistsError: the folder is somebody's own, or another share works in it.
    """
    if staging.is_symlink() or (staging.exists() and not _is_ours(staging)):
        raise TargetExistsError(
            "the folder <output>.partial that share works in is there already and was not made by it",
            hint="move that folder away, or choose another output; nothing was touched",
        )
    staging.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(staging / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor):
            raise TargetExistsError(
                "another share works on this output, or its processes are still ending", hint="wait for it to end"
            )
        yield
    finally:
        os.close(descriptor)
        if staging.is_dir() and os.listdir(staging) == [LOCK]:
            shutil.rmtree(staging)


def clear(staging: Path) -> None:
    """Empty a held staging folder, the lock file excepted."""
    for path in staging.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def begun(staging: Path) -> bool:
    """Whether a run got so far that the owner's notes, written last of the preparations, are there."""
    return (staging / BOOK).is_file()


def finished_packages(staging: Path, book: OwnerBook, keys: ReleaseKeys, wanted: set[tuple[str, bytes]]) -> Origins:
    """Whole packages of an interrupted run that this run wants too; every other file among the packages is removed.

    A package counts only under the very name that its id gives it: a temporary name is an unfinished write.
    """
    staged: Origins = {}
    for path in sorted((staging / "packages").rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        try:
            package = Package.from_bytes(path.read_bytes())
            origin, _ = open_identity(package, keys)
            entry = entry_of(package, keys)
            sound = (package.header.release, package.header.epoch) == (book.release, book.epoch)
        except (MedveilError, OSError):
            sound = False
        if sound and path == staging / entry.path and (origin.path, origin.sha256) in wanted - set(staged):
            staged[(origin.path, origin.sha256)] = entry
        else:
            path.unlink()
    return staged


def sweep(staging: Path, wanted: set[str]) -> None:
    """Remove what a killed run left half written: every file but the lock, the owner's notes and the wanted ones."""
    for path in staging.rglob("*"):
        name = path.relative_to(staging).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in {LOCK, BOOK, DICTIONARY, *wanted}:
            path.unlink()


def check_whole(folder: Path, entries: list[PackageEntry]) -> None:
    """Before a manifest is signed: every package that it names is there, and no other file among the packages."""
    named = {folder / entry.path: entry.length for entry in entries}
    for path in (folder / "packages").rglob("*"):
        if path.is_file() and path not in named:
            path.unlink()
    for path, length in named.items():
        if not path.is_file() or path.stat().st_size != length:
            raise MedveilError(
                "a package that was written is not there any more; nothing was signed",
                hint="run the same command again; another process may be working in the folder",
            )


def _is_ours(staging: Path) -> bool:
    return staging.is_dir() and ((staging / LOCK).is_file() or not any(staging.iterdir()))


def _lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
