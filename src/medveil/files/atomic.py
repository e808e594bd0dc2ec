"""Writing a file whole or not at all; moving and removing files. Everything that changes a release goes through here.

A name counts as written once its folder has been flushed to the disk. Whatever a later step relies on is flushed before
that step begins, so that a loss of power leaves a state that some step left, and never a later one without an earlier.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from medveil.errors import MedveilError, TargetExistsError

NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""What systems answer that have no room for a file."""
_CANNOT_FLUSH = {  # what systems answer that have no flushing of folders
    errno.EINVAL, errno.EACCES, errno.EPERM, errno.EISDIR, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS,
}  # fmt: skip


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
_CAN_SPARE_LINKS = os.utime in os.supports_follow_symlinks


def write_bytes(
    path: Path, data: bytes, *, mode: int = 0o644, overwrite: bool = False, unnamed: bool = False
) -> None:  # fmt: skip
    """Write `data` to `path` so that a crash, a kill or a full disk leaves either the whole file or none.

    A temporary file in the same folder is written, flushed to the disk and then given its name; the folder is
    flushed too. The folder must exist. A kill may leave the temporary file, whose name ends with `.tmp`; see
    `sweep`.

    Args:
        path: the file to write.
        data: its whole content.
        mode: permission bits, from the first moment on (0o600 for secrets), less the process's umask.
        overwrite: replace an existing file. Without it an existing one is left alone.
        unnamed: for what nobody else should find: where the system can, the temporary file has no name, so that a kill
            leaves none of it.

    Raises:
        TargetExistsError: `path` exists and `overwrite` is False.
        MedveilError: the system refused (disk full, no permission …); nothing is left behind.
    """
    path = Path(path)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        if not (unnamed and _write_unnamed(temporary if overwrite else path, data, mode)):
            _write_new(temporary, data, mode)
            if not overwrite:
                _name_exclusively(temporary, path)
        if overwrite:
            os.replace(temporary, path)
        flush_folders([path.parent])
    except FileExistsError:
        raise TargetExistsError(
            "a file is already there and is not overwritten", hint="choose another place or --force"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        hint = "make room on the disk, and run the same command again" if error.errno in NO_SPACE else ""
        raise MedveilError(f"a file could not be written: {reason}", hint=hint) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        _write_all(handle, data)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)


def _write_unnamed(path: Path, data: bytes, mode: int) -> bool:
    """Write a file that gets its name when all of it is on the disk; False where the system has no such files.

    Raises:
        OSError: it refused; FileExistsError where something has the name.
    """
    flag = getattr(os, "O_TMPFILE", None)  # Linux
    if flag is None or os.link not in os.supports_dir_fd:
        return False
    try:
        handle = os.open(path.parent, os.O_WRONLY | flag, mode)
    except OSError as error:
        if error.errno in (*_CANNOT_FLUSH, errno.ENOENT):  # what file systems without them answer
            return False
        raise
    try:
        _write_all(handle, data)
        return _link_unnamed(handle, path)
    finally:
        os.close(handle)


def _link_unnamed(handle: int, path: Path) -> bool:
    try:
        os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle, follow_symlinks=True)
    except FileExistsError:
        raise
    except OSError:  # no /proc, or a file system that gives no second name
        return False
    return True


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed runs of `write_bytes` left in a folder, but not below it."""
    remove_all(
        folder / name
        for name in sorted(os.listdir(folder))
        if _TEMPORARY.fullmatch(name) and stat.S_ISREG((folder / name).lstat().st_mode)
    )


def holds_files(folder: Path) -> bool:
    """Whether anything lies in a folder or below it but folders and what `sweep` removes."""
    for place, folders, names in os.walk(folder):
        if any(not _TEMPORARY.fullmatch(name) for name in names):
            return True
        if any(os.path.islink(os.path.join(place, name)) for name in folders):
            return True
    return False


def move_exclusively(source: Path, target: Path) -> None:
    """Give a file a new name in its folder, for good, and only where nothing has that name.

    A kill may leave the file under both names. Raises OSError; FileExistsError where something has the name.
    """
    _name_exclusively(source, target)
    flush_folders([target.parent])


def _name_exclusively(temporary: Path, path: Path) -> None:
    """Give the file its name only where nothing has that name; a hard link does so in one step."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES):
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(temporary, path)
    else:
        os.unlink(temporary)  # before the folder is flushed, or a loss of power could bring it back


def move_all(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Give files new names in the same file system, one after the other; afterwards all new names are durable.

    Folders of the targets are made. What stood under a target's name is replaced.

    Raises:
        OSError: the system refused; what was moved before stays moved.
    """
    sources, targets = set(), set()
    for source, target in pairs:
        make_folder(target.parent)
        os.replace(source, target)
        sources.add(source.parent)
        targets.add(target.parent)
    flush_folders(targets)  # first: a file may stand under both names, and must not stand under none
    flush_folders(sources - targets)


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files and links for good; one that is not there is none to remove. Folders that they leave empty stay."""
    folders = set()
    for path in paths:
        folders.add(path.parent)  # also where it is gone already: a run that was killed may not have flushed that
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
    flush_folders(folders)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder, and its parents where they are missing, for good; `mode` is of the folder itself."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    if missing:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    flush_folders({folder.parent for folder in missing})


def remove_empty_folders(folder: Path) -> None:
    """Remove the folders below a folder that hold no files, and the folder itself if it is one of them."""
    _rmdir_empty([*folders_below(folder), folder])
    flush_folders([folder.parent])


def remove_links(folder: Path) -> None:
    """Remove the links below a folder for good, and nothing of what they lead to."""
    found = [Path(top) / name for top, folders, files in os.walk(folder) for name in (*folders, *files)]
    remove_all(path for path in found if path.is_symlink())


def empty_folder(folder: Path, *, keep: str = "") -> None:
    """Remove all that is in a folder, except a file of that name. Links are not followed.

    Raises:
        OSError: the system refused; NotADirectoryError where the folder itself is a link.
    """
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    below = folders_below(folder)
    for place in (*below, folder):
        for name in sorted(os.listdir(place)):
            path = place / name
            if path not in below and path != folder / keep:
                os.unlink(path)
    _rmdir_empty(below)
    flush_folders([folder])


def folders_below(folder: Path) -> list[Path]:
    """The innermost first; links are none."""
    walk = os.walk(folder, topdown=False)
    return [Path(top) / name for top, names, _ in walk for name in names if not os.path.islink(os.path.join(top, name))]


def _rmdir_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise


def flush_folders(folders: Iterable[Path]) -> None:
    """Make the names in folders durable. Not every system can; then they are as durable as they get."""
    for folder in sorted(folders):
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            if error.errno in (*_CANNOT_FLUSH, errno.ENOENT):
                continue
            raise
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in _CANNOT_FLUSH:
                raise
        finally:
            os.close(handle)


def flush_tree(folder: Path) -> None:
    """Make all names in a folder and in the folders below it durable."""
    flush_folders([*folders_below(folder), folder])


def set_times(paths: Iterable[Path], moment: float) -> None:
    """Give files and folders that time of change and of access, in seconds since 1970. Links are left alone."""
    for path in paths:
        if not path.is_symlink():
            os.utime(path, (moment, moment), follow_symlinks=not _CAN_SPARE_LINKS)
