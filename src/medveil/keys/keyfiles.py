"""Reading a key file: bounded, and a secret one only when nobody else may read it.

Keys come by mail and from the clipboard. What that does to a text of a key is undone before it is read: a byte order
mark, UTF-16, marks of quoting, lines that were broken. Nothing is guessed: what is put together again has a checksum of
its own, or a signature over it.
"""

from __future__ import annotations

import codecs
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
_PUBLIC = re.compile(
    rb"^\s*(?:age1|ssh-(?:ed25519|rsa) |# medveil public key|-----BEGIN CERTIFICATE-----)", re.MULTILINE
)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTED = re.compile(rb"^(?:> ?)+", re.MULTILINE)
_BEGINS = re.compile(r"#|age1|AGE-SECRET-KEY-|AGE-PLUGIN-|ssh-|-----", re.IGNORECASE)
_OWN_COMMENT = re.compile(r"#\s*(?:public key|verify-key|self-signature):")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ED25519_CHARACTERS = 68  # of the base64 in an ssh-ed25519 key; what comes after it is a comment
ALLOW_OPEN_KEYS = "MEDVEIL_ALLOW_OPEN_KEYS"
"""Set to 1, this environment variable lets secret keys be read that other users may read as well."""


def holds_secret(data: bytes) -> bool:
    """Whether the content of a file is that of a secret key, or locked as one may be."""
    return _SECRET.search(cleaned(data)) is not None


def cleaned(data: bytes) -> bytes:
    """A file's content without a byte order mark, in UTF-8 if it was UTF-16, and without marks of quoting ("> ")."""
    if data.startswith(_UTF16) and len(data) > 2:
        data = data.decode("utf-16", "replace").encode("utf-8", "replace")
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = [line for line in data.splitlines() if line.strip()]
    return _QUOTED.sub(b"", data) if lines and all(line.startswith(b">") for line in lines) else data


def read_public(path: Path) -> bytes:
    """Content of a public key file. Raises KeyFileError when it cannot be read, or is a secret key file."""
    data, _ = _read(path)
    if _SECRET.search(data):
        raise KeyFileError(
            "this is a secret key file; a public one is asked for",
            hint="give the .pub file or the certificate, and hand the secret key to nobody",
        )
    return data


def read_secret(path: Path, *, what: str = "secret key file") -> bytes:
    """Content of a file that no other user may read or write, or all users where ALLOW_OPEN_KEYS says so.

    Raises:
        KeyFileError: it cannot be read, is a public key file, or its mode lets others in.
    """
    data, mode = _read(path)
    if _PUBLIC.search(data) and not _SECRET.search(data):
        raise KeyFileError(
            f"this is a public key file; a {what} is asked for",
            hint="give the .key file that was made with it, or a certificate together with its private key",
        )
    if _lets_others_in(mode) and os.environ.get(ALLOW_OPEN_KEYS) != "1":
        raise KeyFileError(
            f"the {what} is open to other users (mode {mode:04o}; 0600 is asked for)",
            hint="chmod 600 on it, and think about who may have read it; where the volume keeps no permissions (exFAT, "
            f"WSL), move it to one that does, or set {ALLOW_OPEN_KEYS}=1",
        )
    return data


def mode_for_others(path: Path) -> str:
    """The mode of a key file that other users may read or write, such as 0777; empty where they may not."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:04o}" if _lets_others_in(mode) else ""


def _lets_others_in(mode: int) -> bool:
    return os.name == "posix" and mode & 0o077 != 0


def text_of(data: bytes) -> str:
    """`data` as text. Raises KeyFileError when it is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyFileError("this is not a key file: it is not text") from None


def lines_of(text: str) -> list[str]:
    """The lines that are neither empty nor a comment, as age reads a file of keys."""
    return [line for line in unbroken_lines(text) if not line.startswith("#")]


def unbroken_lines(text: str) -> list[str]:
    """The lines that are not empty; keys and medveil's own comments that a mail program broke are in one line again.

    A line that begins nothing known goes on with the one right before it. A wrong joint shows, since these have a
    checksum, a signature, or a length.
    """
    found: list[str] = []
    broken = False  # whether the line before may go on
    for line in (line.strip() for line in text.splitlines()):
        if broken and line and not (_BEGINS.match(line) and not found[-1].endswith(":")):
            found[-1] = _joined(found[-1], line)
            continue
        if line:
            found.append(line)
        broken = bool(line) and bool(_OWN_COMMENT.match(line) or (_BEGINS.match(line) and not line.startswith("#")))
    return found


def _joined(line: str, more: str) -> str:
    """A line and what was broken off it: a word, or a part of one. An ssh key has three: kind, base64, comment."""
    words = line.split()
    if not line.startswith("ssh-"):
        return line + more
    whole = len(words) > 2 or (
        len(words) == 2 and line.startswith("ssh-ed25519") and len(words[1]) >= _ED25519_CHARACTERS
    )
    apart = len(words) == 1 or whole or line.endswith("=") or not _BASE64.fullmatch(more.split()[0])
    return f"{line} {more}" if apart else line + more


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
    return cleaned(data), mode
