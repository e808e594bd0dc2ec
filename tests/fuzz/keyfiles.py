"""Targets: key files, public keys, and age files as grants are wrapped in."""

from __future__ import annotations

import base64
import os
import re
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
from medveil.keys.keyfiles import MAX_KEY_FILE
from medveil.keys.openers import load_identity, load_opener
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
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    small, large = ed25519.Ed25519PrivateKey.from_private_bytes(cast.key("ssh")), _large()
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
    short = bech32.encode(b"x" * 31, hybrid.SECRET_PREFIX).upper().encode()
    costly = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n" + b"A" * 43 + b"\n--- " + b"A" * 43 + b"\n"
    spelled = armored.replace(b"=\n-----END", b"\n-----END").replace(b"-----BEGIN AGE", b"\n-----BEGIN AGE")
    without = _private_keys()[2].partition(b"-----BEGIN CERTIFICATE")[0]
    return [
        *texts,
        locked,
        armored,
        spelled,
        short,
        costly,
        without,
        b"x" * (MAX_KEY_FILE + 1),
        _rounds(),
        *_private_keys(),
    ]


def _rounds() -> bytes:
    """An ssh key under a passphrase that asks for more rounds of bcrypt than are allowed."""
    head, body, end = _private_keys()[3].partition(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")[2].partition(b"-----END")
    raw = bytearray(base64.b64decode(b"".join(head.split())))
    at = raw.index(b"bcrypt") + 6
    length = int.from_bytes(raw[at : at + 4], "big")
    raw[at + length : at + 4 + length] = (100_000).to_bytes(4, "big")
    lines = base64.encodebytes(bytes(raw))
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + lines + body + end


def _key_file(data: bytes, bound: Bound) -> None:
    """A secret key file. Scrypt itself is left out: the bound on its work is checked before."""
    _light_scrypt()
    handle, name = tempfile.mkstemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    try:
        os.write(handle, data)
        os.close(handle)
        opener = load_opener(Path(name), ask=lambda: _PASSPHRASE if data[-1:] != b"#" else "short")
        _ = opener.fingerprint, opener.recipient.digest
        load_identity(Path(name), ask=lambda: _PASSPHRASE)
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
    return [*signed, *ssh, pem, b"x509:" + der, pem + pem, b"x" * (MAX_KEY_FILE + 1), *_refused_keys()]


@cache
def _refused_keys() -> list[bytes]:
    """Public keys that are sound and not for this: of another kind, too short, for signing only, of another day."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve, short, good = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 1024), _large()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ada")])
    start = datetime.datetime(2026, 1, 1)

    def certificate(key: Any, year: int = 2026, *, signs_only: bool = False) -> bytes:
        begun = start.replace(year=year)
        made = x509.CertificateBuilder(name, name, key.public_key(), 7, begun, begun.replace(year=year + 10))
        if signs_only:
            bits = dict.fromkeys(
                ("key_encipherment", "content_commitment", "data_encipherment", "key_agreement", "key_cert_sign",
                 "crl_sign", "encipher_only", "decipher_only"), False,
            )  # fmt: skip
            made = made.add_extension(x509.KeyUsage(digital_signature=True, **bits), critical=True)
        return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    ssh = [key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) for key in (curve, short)]
    age = [bech32.encode(raw, prefix).encode() for raw, prefix in (
        (b"x" * 31, "age"), (b"x" * 32, "ag"), (b"x" * 10, hybrid.RECIPIENT_PREFIX), (b"x" * 30, "age"),
    )]  # fmt: skip
    spare = cast.READER.recipient.text.replace("age1", "age1q", 1).encode()
    signing = certificate(good, signs_only=True)
    verify = cast.READER.recipient.text.encode() + b"\n# medveil verify key: " + b"A" * 20
    return [*ssh, *age, spare, verify, certificate(curve), certificate(short), certificate(good, 1990),
            certificate(good, 2090), signing, cast.READER.to_text().encode()]  # fmt: skip


@cache
def _large() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 3072)


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
        [2, [["mlkem768x25519"], _FILE_KEY[:9], payload, b""]],
        [2, [["mlkem768x25519"], _FILE_KEY, nonce[:9], b""]],
    ]
    chunks = [[3, [nonce, [b"a" * 65536, b"b" * 10]]], [3, [nonce, [b""]]], [3, [nonce, [b"a" * 65536, b""]]]]
    files.append([0, files[0][1].replace(b"age-encryption.org/v1", b"age-encryption.org/v2")])
    files.append([1, re.sub(rb"(\n--- .{42}).", rb"\1B", files[1][1], count=1)])
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
