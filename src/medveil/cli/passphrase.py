"""Asking for the passphrase of a key: in the terminal, or from the file that MEDVEIL_PASSPHRASE_FILE names.

A passphrase is never an argument or the value of an environment variable: other users of the machine can read these.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from medveil.errors import KeyFileError

_VARIABLE = "MEDVEIL_PASSPHRASE_FILE"


def ask_passphrase() -> str:
    """The passphrase of a key that is there.

    Raises:
        KeyFileError: there is neither a terminal nor a file, or the file holds none or is open to others.
    """
    named = os.environ.get(_VARIABLE)
    return _typed("Passphrase of the key: ") if named is None else _from_file(Path(named))


def new_passphrase() -> str:
    """A passphrase for a new key, typed twice.

    Raises:
        KeyFileError: as `ask_passphrase`; also when it is too short, or the two differ.
    """
    from medveil.keys.passphrases import check_new

    passphrase = ask_passphrase()
    check_new(passphrase)
    if os.environ.get(_VARIABLE) is None and _typed("The same once more: ") != passphrase:
        raise KeyFileError("the two passphrases differ; no key was made")
    return passphrase


def _typed(prompt: str) -> str:
    from getpass import getpass

    if not sys.stdin.isatty():
        raise KeyFileError(
            "a passphrase is asked for, and there is no terminal to type it in",
            hint=f"put it into a file of mode 0600 and name the file in {_VARIABLE}",
        )
    try:
        return getpass(prompt)
    except EOFError:
        raise KeyFileError("no passphrase was typed") from None


def _from_file(path: Path) -> str:
    from medveil.keys.keyfiles import read_secret

    lines = read_secret(path, what="passphrase file").splitlines()
    if not lines or not lines[0]:
        raise KeyFileError(f"the passphrase file has an empty first line ({_VARIABLE})")
    return lines[0].decode("utf-8", "surrogateescape")
