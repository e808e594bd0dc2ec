"""Reading a key file: bounded, and a secret one only when nobody else may read it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from medveil.errors import KeyFileError

MAX_KEY_FILE = 64 * 1024
_SECRET = re.compile(
    rb"AGE-SECRET-KEY-|# medveil secret key|AGE-PLUGIN-|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"
    rb"|-----BEGIN AGE ENCRYPTED FILE-----|\Aage-encryption\.org/",
    re.IGNORECASE,
)


def holds_secret(data: bytes) -> bool:
    """Whether the content of a file is that of a secret key, or locked as one may be."""
    return _SECRET.search(data) is not None


def read_public(path: Path) -> bytes:
    """Content of a public key file. Raises KeyFileError when it cannot be read, or is a secret key file."""
    data, _ = _read(path)
    if holds_secret(data):
        raise KeyFileError(
            "this is a secret key file; a public one is asked for",
            hint="give the .pub file or the certificate, and hand the secret key to nobody",
        )
    return data


def read_secret(path: Path, *, what: str = "secret key file") -> bytes:
    """Content of a file that no other user may read or write.

    Raises:
        KeyFileError: it cannot be read, or its mode lets others in.
    """
    data, mode = _read(path)
    if os.name == "posix" and mode & 0o077:
        raise KeyFileError(
            f"the {what} is open to other users (mode {mode:04o}; 0600 is asked for)",
            hint="chmod 600 on it, and think about who may have read it",
        )
    return data


def text_of(data: bytes) -> str:
    """`data` as text. Raises KeyFileError when it is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyFileError("this is not a key file: it is not text") from None


def lines_of(text: str) -> list[str]:
    """The lines that are neither empty nor a comment, as age reads a file of keys."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_KEY_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise KeyFileError(f"the key file cannot be read: {reason}", hint="check its name") from None
    if len(data) > MAX_KEY_FILE:
        raise KeyFileError("this is not a key file: it is larger than 64 KiB")
    return data, mode
