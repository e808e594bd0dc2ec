"""ssh keys, as age wraps for them: ssh-ed25519, and ssh-rsa from 2048 bits on.

A file wrapped for an ssh key carries the first 4 bytes of SHA-256 of the public key: who knows the key can tell.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from medveil.errors import KeyFileError, MissingDependencyError
from medveil.keys.passphrases import as_bytes
from medveil.keys.points import Curve, check_point

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.ssh import SSHPrivateKeyTypes, SSHPublicKeyTypes

PRIVATE_MARK = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MIN_RSA_BITS = 2048  # as age asks
_MAX_RSA_BITS = 16384
_MAX_ROUNDS = 512
_MAGIC = b"openssh-key-v1\0"


def canonical_public(text: str) -> str:
    """The public key line without its comment.

    Raises:
        KeyFileError: damaged, of another kind, a point of small order, or an RSA key of fewer than 2048 bits.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("the ssh public key is damaged", hint="ask its owner for the file again") from None
    return _public_text(key)


def canonical_private(data: bytes, passphrase: str | None) -> tuple[bytes, str]:
    """(the private key in OpenSSH's form without a passphrase, its public text).

    Raises:
        KeyFileError: damaged, the wrong passphrase, of another kind, or an RSA key of fewer than 2048 bits.
        MissingDependencyError: it has a passphrase, and bcrypt is not installed.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if passphrase is not None:
        _check_rounds(data)
    key = _loaded(data, passphrase)
    text = _public_text(key.public_key())
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), text


def has_passphrase(data: bytes) -> bool:
    """Whether a private key in OpenSSH's form is under a passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        load_ssh_private_key(data, None)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False  # what is wrong is said where the key is loaded
    return False


def _loaded(data: bytes, passphrase: str | None) -> SSHPrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        return load_ssh_private_key(data, None if passphrase is None else as_bytes(passphrase))
    except UnsupportedAlgorithm:
        if passphrase is not None and not _bcrypt_is_there():
            raise MissingDependencyError(
                "an ssh key under a passphrase needs bcrypt", hint="pip install bcrypt"
            ) from None
        reason = "of a kind that cannot be read"
    except (ValueError, TypeError):
        reason = "damaged" if passphrase is None else "damaged, or the passphrase is another one"
    raise KeyFileError(f"the ssh private key is {reason}") from None


def _check_rounds(data: bytes) -> None:
    """Raises KeyFileError for a key that asks for more than 512 rounds of bcrypt (ten seconds; ssh-keygen takes 24)."""
    body = data.partition(PRIVATE_MARK)[2].partition(b"-----END")[0]
    try:
        raw = base64.b64decode(b"".join(body.split()))
    except ValueError:
        return  # what is wrong is said where the key is loaded
    parts, at = [], len(_MAGIC)
    for _ in range(3):  # cipher, key derivation, its options: a salt and the rounds
        length = int.from_bytes(raw[at : at + 4], "big")
        parts.append(raw[at + 4 : at + 4 + length])
        at += 4 + length
    if parts[1] == b"bcrypt" and int.from_bytes(parts[2][-4:], "big") > _MAX_ROUNDS:
        raise KeyFileError(
            f"the ssh private key asks for more than {_MAX_ROUNDS} rounds of bcrypt",
            hint="if it is your own, lock it again: ssh-keygen -p",
        )


def _bcrypt_is_there() -> bool:
    from importlib.util import find_spec

    return find_spec("bcrypt") is not None


def _public_text(key: SSHPublicKeyTypes) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, Ed25519PublicKey | RSAPublicKey):
        raise KeyFileError("an ssh key of this kind cannot be wrapped for; ssh-ed25519 and ssh-rsa can")
    if isinstance(key, RSAPublicKey) and not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        raise KeyFileError(
            f"an ssh-rsa key of {key.key_size} bits; {_MIN_RSA_BITS} to {_MAX_RSA_BITS} are asked for",
            hint="make another one: ssh-keygen -t ed25519",
        )
    if isinstance(key, Ed25519PublicKey):
        try:
            check_point(key.public_bytes_raw(), Curve.ED25519)
        except ValueError as error:
            raise KeyFileError(f"the ssh key is refused: {error}", hint="ask its owner for another key") from None
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
