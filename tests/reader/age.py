"""age v1 (age-encryption.org/v1): the file around a grant."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tests.reader.refusal import RefusedError, require

_VERSION = b"age-encryption.org/v1"
_COLUMNS = 64
_FILE_KEY = 16
_CHUNK = 1 << 16
_TAG = 16


@dataclass(frozen=True)
class Stanza:
    """What holds the file key for one recipient."""

    kind: str
    arguments: list[str]
    body: bytes


@dataclass(frozen=True)
class AgeFile:
    """An age file taken apart: its stanzas, the header under the MAC, the MAC, what follows."""

    stanzas: list[Stanza]
    header: bytes
    mac: bytes
    payload: bytes

    def stanza(self, kind: str) -> Stanza:
        """The one of this kind; those of other kinds are for nobody."""
        found = [each for each in self.stanzas if each.kind == kind]
        require(len(found) == 1, "an age file with another number of stanzas of its kind")
        return found[0]

    def decrypt(self, file_key: bytes) -> bytes:
        """The content under the file key that the stanza held."""
        require(len(file_key) == _FILE_KEY, "a file key of the wrong length")
        expected = hmac.new(hkdf(file_key, b"", b"header"), self.header, hashlib.sha256).digest()
        require(hmac.compare_digest(expected, self.mac), "the MAC of an age header does not fit")
        require(len(self.payload) >= 16, "an age file is cut off")
        cipher = ChaCha20Poly1305(hkdf(file_key, self.payload[:16], b"payload"))
        return _stream(cipher, self.payload[16:])


def parse(data: bytes) -> AgeFile:
    """An age file."""
    lines = _Lines(data)
    require(lines.next() == _VERSION, "no age file of version 1")
    stanzas = []
    while data.startswith(b"-> ", lines.at):
        stanzas.append(_stanza(lines))
    require(bool(stanzas) and data.startswith(b"--- ", lines.at), "an age file without stanza or MAC")
    header = data[: lines.at + 3]
    mac = unbase64(_ascii(lines.next()[4:]))
    require(len(mac) == 32, "a MAC of the wrong length")
    return AgeFile(stanzas, header, mac, data[lines.at :])


def _stanza(lines: _Lines) -> Stanza:
    words = _ascii(lines.next()[3:]).split(" ")
    require(all(words) and all("!" <= letter <= "~" for word in words for letter in word), "an impossible stanza")
    body = b""
    while True:
        line = lines.next()
        body += line
        require(len(line) <= _COLUMNS, "a stanza with a long line")
        if len(line) < _COLUMNS:
            return Stanza(words[0], words[1:], unbase64(_ascii(body)))


def unbase64(word: str) -> bytes:
    """Base64 without padding, in its one form."""
    try:
        found = base64.b64decode(word + "=" * (-len(word) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("base64 that is none") from None
    require(base64.b64encode(found).decode("ascii").rstrip("=") == word, "base64 in another form")
    return found


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of 32 bytes."""
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def unwrap(key: bytes, body: bytes) -> bytes | None:
    """The file key in the body of a stanza under the wrapping key; None if it is for somebody else."""
    require(len(body) == _FILE_KEY + _TAG, "a stanza with a body of the wrong length")
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(12), body, None)
    except InvalidTag:
        return None


class _Lines:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def next(self) -> bytes:
        stop = self.data.find(b"\n", self.at)
        require(stop >= 0, "an age header is cut off")
        line, self.at = self.data[self.at : stop], stop + 1
        return line


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise RefusedError("an age header is not ASCII") from None


def _stream(cipher: ChaCha20Poly1305, data: bytes) -> bytes:
    """Chunks of 64 KiB, the last of them marked; only an empty content has an empty chunk."""
    size = _CHUNK + _TAG
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    require(bool(chunks), "an age file without content")
    out = []
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        try:
            out.append(cipher.decrypt(number.to_bytes(11, "big") + bytes([last]), chunk, None))
        except InvalidTag:
            raise RefusedError("an age file does not authenticate") from None
    require(len(chunks) == 1 or bool(out[-1]), "an age file with an empty last chunk")
    return b"".join(out)
