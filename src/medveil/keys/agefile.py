"""The age v1 file (https://c2sp.org/age) with exactly one stanza: what wraps the file key is the caller's.

    age-encryption.org/v1
    -> type argument …            stanza: how the file key (16 bytes) is wrapped …
    body                          … and the wrapped file key: 32 bytes in base64
    --- mac                       HMAC-SHA256 of the lines above, up to and with ---
    nonce (16 bytes), then chunks of 64 KiB, each with ChaCha20-Poly1305

medveil writes one recipient a file, so this reads files of one stanza and refuses every other.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hmac import HMAC

_HEADER = re.compile(
    rb"(age-encryption\.org/v1\n"
    rb"-> ([!-~]+(?: [!-~]+){0,3})\n"
    rb"([A-Za-z0-9+/]{43})\n"
    rb"---) ([A-Za-z0-9+/]{43})\n"
)
_MAX_HEADER = 4096  # the longest that is read here, mlkem768x25519, has 1627 bytes
_FILE_KEY_BYTES = 16
_NONCE_BYTES = 16
_CHUNK = 64 * 1024
_TAG = 16


@dataclass(frozen=True)
class Stanza:
    """How the file key is wrapped.

    Attributes:
        arguments: the type of stanza, then what the type asks for.
        body: the wrapped file key (32 bytes).
    """

    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class AgeFile:
    """An age file taken apart; nothing of it is authentic before `open` returns."""

    stanza: Stanza
    authenticated: bytes
    mac: bytes
    payload: bytes

    def open(self, file_key: bytes) -> bytes:
        """Content of the file. Raises ValueError when the key does not fit or anything was changed."""
        from cryptography.exceptions import InvalidSignature, InvalidTag

        if len(file_key) != _FILE_KEY_BYTES:
            raise ValueError("a file key of another length")
        try:
            _hmac(file_key, self.authenticated).verify(self.mac)
            return _decrypted(file_key, self.payload)
        except (InvalidSignature, InvalidTag):
            raise ValueError("changed, or not opened to the end") from None


def seal(data: bytes, stanza_of: Callable[[bytes], Stanza]) -> bytes:
    """`data` as an age file; `stanza_of` wraps the new file key (16 bytes)."""
    file_key = secrets.token_bytes(_FILE_KEY_BYTES)
    stanza = stanza_of(file_key)
    lines = ["age-encryption.org/v1", f"-> {' '.join(stanza.arguments)}", encode_base64(stanza.body), "---"]
    authenticated = "\n".join(lines).encode()
    mac = encode_base64(_hmac(file_key, authenticated).finalize()).encode()
    return authenticated + b" " + mac + b"\n" + _encrypted(file_key, data)


def parse(data: bytes) -> AgeFile:
    """Take an age file apart. Raises ValueError unless it has the form above to the letter."""
    found = _HEADER.match(data[:_MAX_HEADER])
    if found is None:
        raise ValueError("not an age file of one stanza")
    authenticated, arguments, body, mac = found.groups()
    stanza = Stanza(tuple(arguments.decode().split(" ")), decode_base64(body.decode()))
    return AgeFile(stanza, authenticated, decode_base64(mac.decode()), data[found.end() :])


def encode_base64(raw: bytes) -> str:
    """Base64 without padding, as age writes it."""
    return base64.b64encode(raw).decode().rstrip("=")


def decode_base64(text: str) -> bytes:
    """Bytes of canonical base64 without padding. Raises ValueError for every other spelling of them."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if encode_base64(raw) != text:
        raise ValueError("base64 that is not canonical")
    return raw


def _encrypted(file_key: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce = secrets.token_bytes(_NONCE_BYTES)
    aead = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    chunks = [data[start : start + _CHUNK] for start in range(0, max(len(data), 1), _CHUNK)]
    sealed = (aead.encrypt(_chunk_nonce(i, len(chunks)), chunk, None) for i, chunk in enumerate(chunks))
    return nonce + b"".join(sealed)


def _decrypted(file_key: bytes, payload: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce, sealed = payload[:_NONCE_BYTES], payload[_NONCE_BYTES:]
    if len(nonce) != _NONCE_BYTES:
        raise ValueError("cut short")
    aead = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    step = _CHUNK + _TAG
    chunks = [sealed[start : start + step] for start in range(0, max(len(sealed), 1), step)]
    if len(chunks) > 1 and len(chunks[-1]) == _TAG:
        raise ValueError("an empty last chunk")
    return b"".join(aead.decrypt(_chunk_nonce(i, len(chunks)), chunk, None) for i, chunk in enumerate(chunks))


def _chunk_nonce(index: int, count: int) -> bytes:
    """11 bytes of counter, and one that says whether the chunk is the last."""
    return index.to_bytes(11, "big") + bytes([index == count - 1])


def _hmac(file_key: bytes, message: bytes) -> HMAC:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC

    mac = HMAC(_derived(file_key, b"", b"header"), SHA256())
    mac.update(message)
    return mac


def _derived(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(file_key)
