"""Chapter 2: keys, keystreams and what is drawn from them. Chapter 5: the AEAD and its padding."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from tests.reader.refusal import RefusedError, require


def derive(key: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 without salt, 32 bytes: both steps, extract and expand."""
    extracted = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def commit(key: bytes) -> bytes:
    """The commitment to a section key."""
    return derive(key, b"commit")


class Keystream:
    """The ChaCha20 stream of a section key under a label."""

    def __init__(self, key: bytes, label: str) -> None:
        stream_key = derive(key, b"medveil/v1/keystream/" + label.encode("ascii"))
        self._cipher = Cipher(ChaCha20(stream_key, bytes(16)), mode=None).encryptor()

    def take(self, count: int) -> bytes:
        """The next bytes."""
        return self._cipher.update(bytes(count))

    def bits(self, count: int) -> list[int]:
        """The next `count` bits, of whole bytes, highest first."""
        return unpacked(self.take(-(-count // 8)), count)

    def permutation(self, cells: int) -> list[int]:
        """order[i] is where cell i goes: the index of the i-th least of `cells` words."""
        while True:
            drawn = self.take(8 * cells)
            words = [int.from_bytes(drawn[at : at + 8], "little") for at in range(0, len(drawn), 8)]
            if len(set(words)) == cells:
                return sorted(range(cells), key=words.__getitem__)


def unpacked(data: bytes, count: int) -> list[int]:
    """The first `count` bits of bytes, highest first."""
    return [data[index >> 3] >> (7 - (index & 7)) & 1 for index in range(count)]


def xor(data: bytes, mask: bytes) -> bytes:
    """Bytewise exclusive or."""
    return bytes(one ^ two for one, two in zip(data, mask, strict=True))


def decrypt(data: bytes, key: bytes, associated: bytes) -> bytes:
    """An encrypted section opened, padding still on."""
    try:
        return ChaCha20Poly1305(derive(key, b"medveil/v1/aead")).decrypt(bytes(12), data, associated)
    except InvalidTag:
        raise RefusedError("an encrypted section does not authenticate") from None


def unpadded(padded: bytes) -> bytes:
    """Bytes before the padding: a mark 80 and zeros."""
    bare = padded.rstrip(b"\x00")
    require(bare.endswith(b"\x80"), "a padding has no mark")
    return bare[:-1]
