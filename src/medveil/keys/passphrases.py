"""Secret key files under a passphrase: an age file with one scrypt stanza, as `age -p` writes and `age -d` reads.

The work factor is fixed when writing, so that a busy machine does not choose a lower one; when reading, it is looked
at before any computing, so that a file cannot ask for hours or for all of the memory.
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING

from medveil.errors import KeyFileError
from medveil.keys import agefile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

MIN_PASSPHRASE = 10
_WORK_FACTOR = 18  # as age writes: 256 MiB and about a second
_MAX_WORK_FACTOR = 20  # 1 GiB
_LABEL = b"age-encryption.org/v1/scrypt"
_SALT_BYTES = 16
_NUMBER = re.compile(r"[1-9][0-9]{0,99}")
_ARMOR = re.compile(
    r"\s*-----BEGIN AGE ENCRYPTED FILE-----\r?\n((?:[A-Za-z0-9+/]{64}\r?\n)*[A-Za-z0-9+/]{1,64}={0,2}\r?\n)"
    r"-----END AGE ENCRYPTED FILE-----\s*"
)


def as_bytes(passphrase: str) -> bytes:
    """The passphrase as it was typed; bytes of a terminal that are no UTF-8 stay what they were."""
    return passphrase.encode("utf-8", "surrogateescape")


def is_locked(data: bytes) -> bool:
    """Whether `data` is an age file, armored or not."""
    return data.startswith(b"age-encryption.org/") or b"-----BEGIN AGE ENCRYPTED FILE-----" in data


def check_new(passphrase: str) -> None:
    """Raises KeyFileError for a passphrase that is too short to lock a new key with."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise KeyFileError(
            f"the passphrase is too short: {MIN_PASSPHRASE} characters at least are asked for",
            hint="take several words that have nothing to do with each other",
        )


def lock(data: bytes, passphrase: str) -> bytes:
    """`data` as an age file that the passphrase opens. Raises KeyFileError when the passphrase is too short."""
    check_new(passphrase)

    def stanza_of(file_key: bytes) -> agefile.Stanza:
        salt = secrets.token_bytes(_SALT_BYTES)
        body = _aead(passphrase, salt, _WORK_FACTOR).encrypt(bytes(12), file_key, None)
        return agefile.Stanza(("scrypt", agefile.encode_base64(salt), str(_WORK_FACTOR)), body)

    return agefile.seal(data, stanza_of)


def unlock(data: bytes, passphrase: str) -> bytes:
    """Content of an age file that the passphrase opens.

    Raises:
        KeyFileError: another passphrase, damaged, or more work asked for than 2^20.
    """
    from cryptography.exceptions import InvalidTag

    file, salt, work_factor = _parsed(data)
    try:
        return file.open(_aead(passphrase, salt, work_factor).decrypt(bytes(12), file.stanza.body, None))
    except (InvalidTag, ValueError):
        raise KeyFileError("the passphrase does not open the key file, or the file is damaged") from None


def check_locked(data: bytes) -> None:
    """Raises KeyFileError, as `unlock` does, for what no passphrase will open; computes nothing."""
    _parsed(data)


def _parsed(data: bytes) -> tuple[agefile.AgeFile, bytes, int]:
    try:
        file = agefile.parse(_dearmored(data))
        kind, salt_text, number = file.stanza.arguments
        salt = agefile.decode_base64(salt_text)
        if kind != "scrypt" or len(salt) != _SALT_BYTES or not _NUMBER.fullmatch(number):
            raise ValueError("stanza")
    except ValueError:
        raise KeyFileError(
            "the key file is an age file, and not one under a passphrase",
            hint="medveil reads what `age -p` wrote; open others with age first",
        ) from None
    if int(number) > _MAX_WORK_FACTOR:
        raise KeyFileError(
            f"the key file asks for more work (scrypt work factor) than the 2^{_MAX_WORK_FACTOR} that are allowed",
            hint="if it is your own, open it with age and lock it again",
        )
    return file, salt, int(number)


def _dearmored(data: bytes) -> bytes:
    """An age file without its ASCII armor. Raises ValueError unless the armor is canonical."""
    if data.startswith(b"age-encryption.org/"):
        return data
    found = _ARMOR.fullmatch(data.decode("ascii"))
    if found is None:
        raise ValueError("armor")
    text = "".join(found[1].split())
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("armor")
    return raw


def _aead(passphrase: str, salt: bytes, work_factor: int) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    key = Scrypt(salt=_LABEL + salt, length=32, n=1 << work_factor, r=8, p=1).derive(as_bytes(passphrase))
    return ChaCha20Poly1305(key)
