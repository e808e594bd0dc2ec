"""Targets: key files, public keys, and age files as grants are wrapped in."""

from __future__ import annotations

import base64
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz import cast
from tests.fuzz.containers import split
from tests.fuzz.target import Bound, Target

from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.keys import agefile, bech32, hybrid, passphrases
from medveil.keys.openers import load_opener
from medveil.keys.recipients import SELF_CONTEXT, Recipient
from medveil.keys.wrapping import wrap

_PASSPHRASE = "correct horse battery"
_FILE_KEY = b"k" * 16


@cache
def _private_keys() -> list[bytes]:
    """Private keys of other programs: ssh-ed25519, ssh-rsa, RSA with a certificate; each also under a passphrase."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    small, large = ed25519.Ed25519PrivateKey.from_private_bytes(cast.key("ssh")), rsa.generate_private_key(65537, 3072)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ada")])
    start = datetime.datetime(2026, 1, 1)
    certificate = x509.CertificateBuilder(name, name, large.public_key(), 7, start, start.replace(year=2040))
    pem = certificate.sign(large, hashes.SHA256()).public_bytes(Encoding.PEM)
    found = []
    for lock in (NoEncryption(), BestAvailableEncryption(_PASSPHRASE.encode())):
        found += [each.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock) for each in (small, large)]
        found.append(large.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock) + pem)
    return [*found, pem]


@cache
def _light_scrypt() -> None:
    """Scrypt of 16 steps in place of what a key file asks for."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    def aead(passphrase: str, salt: bytes, work_factor: int) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(Scrypt(salt=salt, length=32, n=16, r=8, p=1).derive(passphrases.as_bytes(passphrase)))

    passphrases._aead = aead


def _key_file_seeds() -> list[bytes]:
    _light_scrypt()
    texts = [each.to_text().encode() for each in (cast.READER, cast.HYBRID)]
    locked = passphrases.lock(texts[0], _PASSPHRASE)
    armor = base64.encodebytes(locked).decode().replace("\n", "")
    lines = "\n".join(armor[i : i + 64] for i in range(0, len(armor), 64))
    armored = f"-----BEGIN AGE ENCRYPTED FILE-----\n{lines}\n-----END AGE ENCRYPTED FILE-----\n".encode()
    return [*texts, locked, armored, *_private_keys()]


def _key_file(data: bytes, bound: Bound) -> None:
    """A secret key file. Scrypt itself is left out: the bound on its work is checked before."""
    _light_scrypt()
    handle, name = tempfile.mkstemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    try:
        os.write(handle, data)
        os.close(handle)
        opener = load_opener(Path(name), ask=lambda: _PASSPHRASE)
        _ = opener.fingerprint, opener.recipient.digest
    finally:
        os.unlink(name)


def _public_seeds() -> list[bytes]:
    signed = [
        each.recipient.to_text(each.sign(SELF_CONTEXT, each.recipient.text.encode())).encode()
        for each in (cast.READER, cast.HYBRID)
    ]
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    ssh = [
        load_ssh_private_key(data, None).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        + b" ada@there"
        for data in _private_keys()[:2]
    ]
    pem = _private_keys()[-1]
    der = base64.b64encode(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    return [*signed, *ssh, pem, b"x509:" + der]


def _public(data: bytes, bound: Bound) -> None:
    """A public key file, and its text on its own."""
    handle, name = tempfile.mkstemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    try:
        os.write(handle, data)
        os.close(handle)
        found = Recipient.load(Path(name))
        again = Recipient.parse(found.text, found.verify_key)
        if again != found:
            raise AssertionError("the text of a recipient is not canonical")
        _ = found.fingerprint, found.digest, found.wrap
    finally:
        os.unlink(name)
    Recipient.parse(data.decode("utf-8", "replace"))


def _wrapped_seeds() -> list[bytes]:
    content = canonical.dumps([b"payload" * 30, bytes(64), bytes(9)])
    files = [[0, wrap(content, cast.READER.recipient)], [1, wrap(content, cast.HYBRID.recipient)]]
    nonce = b"n" * 16
    payload = agefile._encrypted(_FILE_KEY, content)
    parts = [
        [2, [["mlkem768x25519"], _FILE_KEY, payload, b""]],
        [2, [["mlkem768x25519"], _FILE_KEY, nonce + b"x", b"more"]],
    ]
    chunks = [[3, [nonce, [b"a" * 65536, b"b" * 10]]], [3, [nonce, [b""]]]]
    return [canonical.dumps(each) for each in (*files, *parts, *chunks)]


def _wrapped(data: bytes, bound: Bound) -> None:
    """An age file as it is, or one whose parts the fuzzer chose and whose header and chunks are authentic."""
    kind, content = split(data, 2)
    if kind in (0, 1):
        if not isinstance(content, bytes):
            raise IntegrityError("an input of another form")
        (cast.HYBRID if kind else cast.READER).unwrap(content)
        return
    if kind == 2:
        arguments, file_key, payload, more = _fields(content, 4)
    else:
        nonce, chunks = _fields(content, 2)
        if not isinstance(chunks, list) or not all(isinstance(chunk, bytes) for chunk in [nonce, *chunks]):
            raise IntegrityError("an input of another form")
        arguments, file_key, payload, more = ["mlkem768x25519"], _FILE_KEY, _sealed(nonce, chunks), b""
    if not all(isinstance(part, bytes) for part in (file_key, payload, more)) or not isinstance(arguments, list):
        raise IntegrityError("an input of another form")
    cast.HYBRID.unwrap(_age_file(arguments, file_key, more) + payload)


def _fields(value: Any, count: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != count:
        raise IntegrityError("an input of another form")
    return value


def _sealed(nonce: bytes, chunks: list[bytes]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    aead = ChaCha20Poly1305(agefile._derived(_FILE_KEY, nonce, b"payload"))
    return nonce + b"".join(
        aead.encrypt(agefile._chunk_nonce(number, len(chunks)), chunk, None) for number, chunk in enumerate(chunks)
    )


def _age_file(arguments: list[Any], file_key: bytes, more: bytes) -> bytes:
    """A header with the file key encapsulated for HYBRID, whatever length it has, and a fitting HMAC."""
    public = hybrid.public_key(bech32.decode(cast.HYBRID.recipient.text, hybrid.RECIPIENT_PREFIX))
    sealed = hybrid._suite().encrypt(file_key, public, info=hybrid._INFO)
    words = [str(each) for each in arguments] + [agefile.encode_base64(sealed[:1120])]
    lines = ["age-encryption.org/v1", f"-> {' '.join(words)}", agefile.encode_base64(sealed[1120:] + more), "---"]
    head = "\n".join(lines).encode("utf-8", "replace")
    return head + b" " + agefile.encode_base64(agefile._hmac(file_key, head).finalize()).encode() + b"\n"


TARGETS = (
    Target("key file", _key_file, _key_file_seeds, is_record=False, share=1.5),
    Target("public key", _public, _public_seeds, is_record=False),
    Target("wrapped file", _wrapped, _wrapped_seeds, longest=1 << 18),
)
