"""The staging folder `<out>.partial`: where a release grows until it is whole, and the lock that keeps it for one run.

A staging folder is known by its lock file. A folder of that name without one is the user's own and is never touched.
Worker processes inherit the lock on POSIX systems, so that it stays held until the last of them has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medveil.errors import MedveilError, TargetExistsError
from medveil.files.atomic import empty_folder, make_folder, remove_all, remove_empty_folders
from medveil.releases import ledger as ledgers
from medveil.releases.book import DRAFT, OwnerBook
from medveil.releases.manifest import RECORD, PackageEntry
from medveil.releases.package import Package
from medveil.releases.packing import entry_of
from medveil.releases.unpacking import open_identity

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
    """Keep the staging folder for this process; it is made where there is none, and removed if no file stays in it.

    Raises:
        TargetExistsError: the folder is somebody's own, or another share works in it.
        MedveilError: the system refused to write (disk full, no permission …).
    """
    if staging.is_symlink() or (staging.exists() and not _is_ours(staging)):
        raise TargetExistsError(
            "the folder <output>.partial that share works in is there already and was not made by it",
            hint="move that folder away, or choose another output; nothing was touched",
        )
    try:
        make_folder(staging)
        with _locked(staging):
            yield
    except OSError as error:
        raise refused(error) from None


@contextmanager
def _locked(staging: Path) -> Iterator[None]:
    descriptor = os.open(staging / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock(descriptor):
            raise TargetExistsError(
                "another share works on this output, or its processes are still ending", hint="wait for it to end"
            )
        yield
    finally:
        os.close(descriptor)
        if staging.is_dir():
            remove_empty_folders(staging)
            if os.listdir(staging) == [LOCK]:
                remove_all([staging / LOCK])
                remove_empty_folders(staging)


def clear(staging: Path) -> None:
    """Empty a held staging folder, the lock file excepted."""
    empty_folder(staging, keep=LOCK)


def begun(staging: Path) -> bool:
    """Whether a run got so far that the owner's notes, written last of the preparations, are there."""
    return (staging / DRAFT).is_file()


def finished_packages(staging: Path, book: OwnerBook, wanted: set[tuple[str, bytes]]) -> Origins:
    """Whole packages of an interrupted run that this run wants too; every other file among the packages is removed.

    A package counts only under the very name that its id gives it: a temporary name is an unfinished write.
    """
    staged: Origins = {}
    for path in sorted((staging / "packages").rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        try:
            package = Package.from_bytes(path.read_bytes())
            origin, _ = open_identity(package, book.ring)
            entry = entry_of(package, book.ring)
            place = (package.header.release, package.header.epoch)
            sound = place == (book.manifest.release, book.manifest.epoch)
        except (MedveilError, OSError, ValueError):
            sound = False
        if sound and path == staging / entry.path and (origin.path, origin.sha256) in wanted - set(staged):
            staged[(origin.path, origin.sha256)] = entry
        else:
            remove_all([path])
    return staged


def sweep(staging: Path, wanted: set[str]) -> None:
    """Remove what a killed run left half written: every file but the lock, the owner's notes and the wanted ones."""
    keep = {LOCK, DRAFT, *wanted}
    found = [path for path in staging.rglob("*") if path.is_symlink() or not path.is_dir()]
    remove_all(path for path in found if path.relative_to(staging).as_posix() not in keep)


def sweep_changes(staging: Path) -> None:
    """Remove what a killed run prepared for a change of a release, all but packages, which --add goes on with."""
    packages = {path.relative_to(staging).as_posix() for path in staging.glob("packages/*/*.mveil")}
    sweep(staging, packages)


def check_whole(folder: Path, entries: list[PackageEntry]) -> None:
    """Raise MedveilError unless every package that is about to be published is there."""
    named = {folder / entry.path: entry.length for entry in entries}
    for path, length in named.items():
        if not path.is_file() or path.stat().st_size != length:
            raise MedveilError(
                "a package that was written is not there any more; nothing was signed",
                hint="run the same command again; another process may be working in the folder",
            )


def refused(error: OSError) -> MedveilError:
    """What the system said when a release was to be written."""
    return MedveilError(
        f"the release cannot be written: {error.strerror or type(error).__name__}",
        hint="see to space and permissions, and run the same command again; it continues where it stopped",
    )


def _is_ours(staging: Path) -> bool:
    """Made by a share: it has the lock, or holds no file, or is a whole release that only lacks its name."""
    marks = (LOCK, f"{ledgers.FOLDER}/00000000.cbor")
    if not staging.is_dir():
        return False
    return any((staging / m).is_file() for m in marks) or all(path.is_dir() for path in staging.rglob("*"))


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
