"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from medveil.errors import MedveilError, TargetExistsError


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644, overwrite: bool = False) -> None:
    """Write `data` to `path` so that a crash, a kill or a full disk leaves either the whole file or none.

    A temporary file in the same folder is written, flushed to the disk and then given its name; the folder is
    flushed too. The folder must exist.

    Args:
        path: the file to write.
        data: its whole content.
        mode: permission bits, from the first moment on (0o600 for secrets), less the process's umask.
        overwrite: replace an existing file. Without it an existing one is left alone.

    Raises:
        TargetExistsError: `path` exists and `overwrite` is False.
        MedveilError: the system refused (disk full, no permission …); nothing is left behind.
    """
    path = Path(path)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        _write_new(temporary, data, mode)
        if overwrite:
            os.replace(temporary, path)
        else:
            _name_exclusively(temporary, path)
        _flush_folder(path.parent)
    except FileExistsError:
        raise TargetExistsError(
            "a file is already there and is not overwritten", hint="choose another place or --force"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise MedveilError(f"a file could not be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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


def _flush_folder(folder: Path) -> None:
    """Make the new name durable. Not every system can flush a folder; then the name is as durable as it gets."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
