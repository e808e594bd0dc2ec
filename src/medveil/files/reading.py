"""Reading a file that somebody else wrote: only a regular one, and never more of it than is allowed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from medveil.errors import IntegrityError


def read_regular(path: Path, *, limit: int, what: str) -> bytes:
    """Content of a regular file of at most `limit` bytes. Links are followed; a pipe or a device is not waited for.

    Args:
        path: the file.
        limit: the most bytes it may have.
        what: what the file is, for the error message.

    Raises:
        FileNotFoundError: there is none.
        IntegrityError: it is not a regular file, is too long, or cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # on Windows a folder could not even be opened
            raise IntegrityError(f"the {what} is not a regular file")
        with open(os.open(path, flags), "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise IntegrityError(f"the {what} is not a regular file")
            data = b"" if state.st_size > limit else file.read(min(limit, state.st_size) + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise IntegrityError(f"the {what} cannot be read: {reason}") from None
    except ValueError:  # a name with a null character
        raise IntegrityError(f"the {what} cannot be read: its name is not a legal one") from None
    if state.st_size > limit or len(data) > limit:
        raise IntegrityError(f"the {what} is longer than {limit} bytes, which is the most that is allowed")
    return data
