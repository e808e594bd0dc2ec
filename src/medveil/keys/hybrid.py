"""age's post-quantum recipients (age 1.3; https://c2sp.org/age): the stanza `mlkem768x25519` and its keys.

A secret is 32 random bytes. SHAKE256 stretches it to an ML-KEM-768 seed (64 bytes) and an X25519 secret (32 bytes);
the public key is both public keys, one after the other (X-Wing; filippo.io/hpke-pq). The file key goes through HPKE
(RFC 9180, base mode) with KEM MLKEM768-X25519 (0x647a), HKDF-SHA256 and ChaCha20-Poly1305.

age refuses to write a file for hybrid and other recipients at once, and opens one that somebody wrote all the same.
Here a file has one stanza, so none can be opened by breaking X25519 alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from medveil.errors import MissingDependencyError
from medveil.keys import agefile
from medveil.keys.points import Curve, check_point

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

RECIPIENT_PREFIX = "age1pq"
SECRET_PREFIX = "age-secret-key-pq-"  # noqa: S105 - the name of a kind of key
_STANZA = "mlkem768x25519"
_INFO = b"age-encryption.org/mlkem768x25519"
_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_X25519_BYTES = 32
_ENCAPSULATED_BYTES = 1120


def public_bytes_of(secret: bytes) -> bytes:
    """Raw public key (1216 bytes) of a secret (32 bytes). Raises MissingDependencyError where there is no ML-KEM."""
    mlkem_key, x25519_key = _expanded(secret)
    return mlkem_key.public_key().public_bytes_raw() + x25519_key.public_key().public_bytes_raw()


def public_key(raw: bytes) -> hpke.MLKEM768X25519PublicKey:
    """The public key in `raw` (1216 bytes).

    Raises:
        ValueError: it is none, or its X25519 half is a point of small order.
        MissingDependencyError: the cryptography library was built without ML-KEM.
    """
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    if len(raw) != _MLKEM_PUBLIC_BYTES + _X25519_BYTES:
        raise ValueError(f"a hybrid key has {_MLKEM_PUBLIC_BYTES + _X25519_BYTES} bytes, not {len(raw)}")
    check_point(raw[_MLKEM_PUBLIC_BYTES:], Curve.X25519)
    with _mlkem_asked_for():
        mlkem_key = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES])
    return hpke.MLKEM768X25519PublicKey(mlkem_key, X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:]))


def seal(data: bytes, raw_public_key: bytes) -> bytes:
    """`data` as an age file with one `mlkem768x25519` stanza."""
    key = public_key(raw_public_key)

    def stanza_of(file_key: bytes) -> agefile.Stanza:
        sealed = _suite().encrypt(file_key, key, info=_INFO)
        encapsulated, body = sealed[:_ENCAPSULATED_BYTES], sealed[_ENCAPSULATED_BYTES:]
        return agefile.Stanza((_STANZA, agefile.encode_base64(encapsulated)), body)

    return agefile.seal(data, stanza_of)


def open_(data: bytes, secret: bytes) -> bytes:
    """Content of an age file with one `mlkem768x25519` stanza.

    Raises:
        ValueError: it is no such file, was changed, or is for another key.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hpke

    file = agefile.parse(data)
    if len(file.stanza.arguments) != 2 or file.stanza.arguments[0] != _STANZA:
        raise ValueError("another kind of age file")
    encapsulated = agefile.decode_base64(file.stanza.arguments[1])
    if len(encapsulated) != _ENCAPSULATED_BYTES:
        raise ValueError("an encapsulated key of another length")
    try:
        file_key = _suite().decrypt(
            encapsulated + file.stanza.body, hpke.MLKEM768X25519PrivateKey(*_expanded(secret)), info=_INFO
        )
    except InvalidTag:
        raise ValueError("for another key") from None
    return file.open(file_key)


@cache
def _suite() -> hpke.Suite:
    from cryptography.hazmat.primitives import hpke

    return hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


def _expanded(secret: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    seed = hashlib.shake_256(secret).digest(_MLKEM_SEED_BYTES + _X25519_BYTES)
    with _mlkem_asked_for():
        mlkem_key = MLKEM768PrivateKey.from_seed_bytes(seed[:_MLKEM_SEED_BYTES])
    return mlkem_key, X25519PrivateKey.from_private_bytes(seed[_MLKEM_SEED_BYTES:])


@contextmanager
def _mlkem_asked_for() -> Iterator[None]:
    """Says in words when the cryptography library was built without ML-KEM."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        yield
    except UnsupportedAlgorithm:
        raise MissingDependencyError(
            "post-quantum keys need ML-KEM, which this build of the cryptography library lacks",
            hint="install cryptography 48 or later from PyPI, or take keys of `medveil keygen --classical`",
        ) from None
