"""The staging folder `<out>.partial`: where a release grows until it is whole, and the lock that keeps it for one run.

A staging folder is known by the mark in it. A folder of that name without one is the user's own and is never touched.
The lock is a file beside it, `<out>.partial.lock`, so that it outlasts the renaming of the folder to the release.
Worker processes inherit the lock on POSIX systems, so that it stays held until the last of them has ended.

Whoever can write to the storage can put files here. So a package counts as the owner's own work only with a stamp
beside it: a MAC under a key that only the owners have. Stamps never get into the release. medveil makes no links, so
those that lie in the folder are removed before anything else: nothing is read, written or removed through one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from medveil.errors import MedveilError, TargetExistsError, UsageError
from medveil.files.atomic import (
    empty_folder,
    flush_folders,
    make_folder,
    remove_all,
    remove_empty_folders,
    remove_links,
)
from medveil.files.reading import read_regular
from medveil.images import record
from medveil.keys.tiers import Section
from medveil.protection import padding
from medveil.releases.packages.package import MAX_PACKAGE_BYTES, Package, PackageEntry
from medveil.releases.packages.packing import entry_of
from medveil.releases.packages.unpacking import decrypted, image_record, open_identity
from medveil.releases.records import open_record
from medveil.releases.records.manifest import RECORD
from medveil.releases.records.owner_records import DRAFT, OwnerBook
from medveil.releases.records.state import MARK

STAMP = ".mac"
_SUFFIX = ".partial"
_TRIES = 100  # to lock a file that others make and remove meanwhile
OriginKey = tuple[str, bytes, bool]  # path, sha256, and whether it is an attachment
Origins = dict[OriginKey, PackageEntry]
Labels = tuple[tuple[str, str], ...]  # (name, value)
_NOT_WANTED = (("", ""),)  # no label has no name
Instances = dict[bytes, tuple[bytes, bytes]]  # DICOM objects, by tag: content of the object, sha256 of its file


def staging_of(out: Path, what: str = "a release") -> Path:
    """The staging folder of a release folder, or of an audit. Raises UsageError where it has the name of another's."""
    if out.name.lower().endswith(_SUFFIX):
        raise UsageError(
            f"{what} cannot have a name that ends with {_SUFFIX}: medveil works in folders of such names",
            hint="give it another name",
        )
    return out.with_name(f"{out.name}{_SUFFIX}")


def lock_of(staging: Path) -> Path:
    """The lock file of a staging folder."""
    return staging.with_name(f"{staging.name}.lock")


def refuse_inside_release(path: Path) -> None:
    """Raise TargetExistsError for a path inside a release, open or not: what is private would be published with it."""
    for folder in Path(os.path.realpath(path)).parents:
        signed = all(os.path.exists(folder / name) for name in (open_record.RECORD, open_record.SIGNATURE))
        if signed or os.path.exists(folder / RECORD):
            raise TargetExistsError("the output lies inside a release", hint="name a place outside of it")


@contextmanager
def held(staging: Path, what: str = "release") -> Iterator[None]:
    """Keep the staging folder for this process; it is made where there is none, and removed if no file stays in it.

    Args:
        staging: the folder.
        what: grows there, for messages.

    Raises:
        TargetExistsError: the folder is somebody's own, or another command works in it.
        UsageError: the release lies on another file system than the staging folder.
        MedveilError: the system refused to write (disk full, no permission …).
    """
    _check_one_file_system(staging, what)
    try:
        make_folder(staging.parent)
        with _locked(lock_of(staging), what):
            if staging.is_symlink() or (staging.exists() and not _is_ours(staging)):
                raise TargetExistsError(
                    f"the folder <{what}>.partial that medveil works in is there already and was not made by it",
                    hint="move that folder away, or choose another output; nothing was touched",
                )
            try:
                make_folder(staging)
                _set_mark(staging)
                remove_links(staging)
                yield
            finally:
                _tidy(staging)
    except OSError as error:
        raise refused(error, what) from None


def _set_mark(staging: Path) -> None:
    """In one step: a temporary file would make the folder of a killed run look like somebody's own."""
    os.close(os.open(staging / MARK, os.O_WRONLY | os.O_CREAT, 0o644))
    flush_folders([staging])


def _check_one_file_system(staging: Path, what: str) -> None:
    """Raises UsageError where the renaming from the staging folder to the release could not work."""
    release = staging.with_name(staging.name.removesuffix(_SUFFIX))
    for folder in (release, staging):
        if _device_of(folder) not in (None, _device_of(folder.parent)):
            raise UsageError(
                f"the {what}, or its .partial folder, lies on another file system than the folder that holds it",
                hint="a folder that is a mount point cannot be changed: use a folder below it; nothing was touched",
            )


def _device_of(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except FileNotFoundError:
        return None


@contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file, which is made, and removed at the end: only by who got the lock, and while it is held."""
    descriptor = _lock_file(path, what)
    try:
        yield
    finally:
        try:
            if os.name != "nt":
                remove_all([path])
        finally:
            os.close(descriptor)
        if os.name == "nt":  # no system there removes an open file; one that another run opened meanwhile stays
            with suppress(PermissionError):
                remove_all([path])


def _lock_file(path: Path, what: str) -> int:
    """A locked descriptor of the file that has that name: who had it before may have removed the one that was opened.

    A lock file is empty; one that holds something is somebody's own.
    """
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_size:
                raise TargetExistsError(
                    f"the file <{what}>.partial.lock is there and was not made by medveil",
                    hint="move that file away; nothing was touched",
                )
            if not _lock(descriptor):
                break
            if _has_name(descriptor, path):
                kept, descriptor = descriptor, -1
                return kept
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    raise TargetExistsError(
        f"another command works on this {what}, or its processes are still ending", hint="wait for it to end"
    )


def _has_name(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _tidy(staging: Path) -> None:
    """Remove a staging folder that holds nothing but its mark."""
    if staging.is_dir():
        remove_empty_folders(staging)
        if staging.is_dir() and os.listdir(staging) == [MARK]:
            remove_all([staging / MARK])
            remove_empty_folders(staging)


def clear(staging: Path) -> None:
    """Empty a held staging folder, its mark excepted."""
    empty_folder(staging, keep=MARK)


def begun(staging: Path) -> bool:
    """Whether a run got so far that the owner's notes, written last of the preparations, are there."""
    return (staging / DRAFT).is_file()


def stamp_of(package: Path) -> Path:
    """The file beside a staged package that says that an owner's run wrote it."""
    return package.with_suffix(STAMP)


def stamp(package: bytes, key: bytes) -> bytes:
    """What stands in that file. The package's header, and so its id, is a part of its bytes."""
    return hmac.digest(key, hashlib.sha256(package).digest(), "sha256")


def remove_stamps(staging: Path) -> None:
    """Remove all of them: the packages are about to be the release's."""
    remove_all(sorted(staging.glob(f"packages/*/*{STAMP}")))


def finished_packages(staging: Path, book: OwnerBook, wanted: Mapping[OriginKey, Labels]) -> tuple[Origins, Instances]:
    """Whole packages of an interrupted run that this run wants too, with these labels, and the DICOM objects in them.

    Every other file among the packages is removed.

    A package counts only under the very name that its id gives it (a temporary name is an unfinished write), and with
    its stamp: whoever sees identity could seal one as well, and the owner would sign it.
    """
    staged: Origins = {}
    instances: Instances = {}
    kept: set[Path] = set()
    for path in sorted((staging / "packages").glob("*/*.mveil")):
        try:
            package = _finished(path, book)
            (key, objects, labels), entry = contents_of(package, book), entry_of(package, book.ring)
        except (MedveilError, OSError, ValueError):
            continue
        if path == staging / entry.path and key not in staged and dict(wanted.get(key, _NOT_WANTED)) == labels:
            staged[key] = entry
            instances |= objects
            kept |= {path, stamp_of(path)}
    found = [path for path in (staging / "packages").rglob("*") if path.is_symlink() or not path.is_dir()]
    remove_all(path for path in sorted(found) if path not in kept)
    return staged, instances


def _finished(path: Path, book: OwnerBook) -> Package:
    """A staged package. Raises MedveilError, OSError or ValueError for one that is not the owner's."""
    if path.is_symlink() or stamp_of(path).is_symlink():
        raise ValueError("a link")
    said = read_regular(stamp_of(path), limit=32, what="stamp")
    data = read_regular(path, limit=MAX_PACKAGE_BYTES, what="package")
    if not hmac.compare_digest(said, stamp(data, book.stamp_key)):
        raise ValueError("the stamp of another package, or of somebody else")
    package = Package.from_bytes(data)
    if (package.header.release, package.header.epoch) != (book.manifest.release, book.manifest.epoch):
        raise ValueError("of another release or epoch")
    return package


def contents_of(package: Package, book: OwnerBook) -> tuple[OriginKey, Instances, dict[str, str]]:
    """Which input a package holds (what a task's `identity` is), the DICOM object in it if there is one, its labels."""
    from medveil import images

    origin, identity_record = open_identity(package, book.ring)
    found, labels = None, {}
    if Section.IMAGE in package.sections:
        kind, _, pixel_record = image_record(padding.remove(decrypted(package, Section.IMAGE, book.ring)))
        found = images.sealed_instance(kind, pixel_record, identity_record)
        labels = record.labels_of(pixel_record, kind)
    key = origin.path, origin.sha256, Section.ATTACHMENT in package.sections
    return key, {found[0]: (found[1], origin.sha256)} if found else {}, labels


def sweep(staging: Path, wanted: set[str]) -> None:
    """Remove what a killed run left half written: all but the mark, the owner's notes, stamps and the wanted files."""
    stamps = {Path(name).with_suffix(STAMP).as_posix() for name in wanted if name.endswith(".mveil")}
    keep = {MARK, DRAFT, *wanted, *stamps}
    found = [path for path in staging.rglob("*") if path.is_symlink() or not path.is_dir()]
    remove_all(path for path in found if path.relative_to(staging).as_posix() not in keep)


def sweep_changes(staging: Path) -> None:
    """Remove what a killed run prepared for a change of a release, all but packages that --add can go on with."""
    packages = [path for path in staging.glob("packages/*/*.mveil") if stamp_of(path).is_file()]
    sweep(staging, {path.relative_to(staging).as_posix() for path in packages})


def check_whole(folder: Path, entries: list[PackageEntry]) -> None:
    """Raise MedveilError unless every package that is about to be published is there."""
    named = {folder / entry.path: entry.length for entry in entries}
    for path, length in named.items():
        if not path.is_file() or path.stat().st_size != length:
            raise MedveilError(
                "a package that was written is not there any more; nothing was signed",
                hint="run the same command again; another process may be working in the folder",
            )


def refused(error: OSError, what: str = "release") -> MedveilError:
    """What the system said when a release was to be written, or an audit."""
    return MedveilError(
        f"the {what} cannot be written: {error.strerror or type(error).__name__}",
        hint="see to space and permissions, and run the same command again; it continues where it stopped",
    )


def _is_ours(staging: Path) -> bool:
    """Made by medveil: it has the mark, or holds no file."""
    if not staging.is_dir():
        return False
    marked = (staging / MARK).is_file() and not (staging / MARK).is_symlink()
    return marked or all(path.is_dir() and not path.is_symlink() for path in staging.rglob("*"))


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
