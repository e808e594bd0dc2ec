"""Encrypted sections: an AEAD under a key that is used once.

ChaCha20-Poly1305 (RFC 8439) with the nonce zero, under HKDF(section key, "medveil/v1/aead"): a section key is derived
for one section of one package, with a salt that is fresh at every write, so a nonce never repeats under a key. The
AEAD doesn't commit to its key; the signed manifest does (`commit`), and that is checked before a section is opened.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from medveil.errors import IntegrityError
from medveil.protection.keystream import commit, derive

__all__ = ["TAG_BYTES", "commit", "decrypt", "encrypt"]

TAG_BYTES = 16

_NONCE = bytes(12)
_INFO = b"medveil/v1/aead"


def encrypt(plain: bytes, key: bytes, aad: bytes) -> bytes:
    """Encrypt and authenticate.

    Args:
        plain: what is to be secret; its length isn't, so pad it first.
        key: 32 bytes, the key of this one section. Never encrypt twice with one key.
        aad: what the reader must agree on: version, suite, release, epoch, package, tier, section, header hash.

    Returns:
        The ciphertext, TAG_BYTES longer than `plain`.
    """
    return ChaCha20Poly1305(derive(key, _INFO)).encrypt(_NONCE, plain, aad)


def decrypt(data: bytes, key: bytes, aad: bytes) -> bytes:
    """What `encrypt` encrypted.

    Raises:
        IntegrityError: the bytes, the key or the associated data are not those of encryption.
    """
    try:
        return ChaCha20Poly1305(derive(key, _INFO)).decrypt(_NONCE, data, aad)
    except InvalidTag:
        raise IntegrityError("an encrypted section is damaged, foreign, or sealed with another key") from None
