"""Secret keys, and how each opens the file of a grant."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric import mlkem, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import pkcs7
from tests.reader import age, bech32
from tests.reader.refusal import RefusedError, require

_X25519_INFO = b"age-encryption.org/v1/X25519"
_ED25519_INFO = b"age-encryption.org/v1/ssh-ed25519"
_RSA_LABEL = b"age-encryption.org/v1/ssh-rsa"
_HYBRID_INFO = b"age-encryption.org/mlkem768x25519"
_HYBRID_SHARE = 1120
_CLASSICAL, _HYBRID = "age-secret-key-", "age-secret-key-pq-"


class Identity(Protocol):
    """A secret key: the kind of grant that it opens, and its public text."""

    wrap: str
    public_text: str

    def open(self, data: bytes) -> bytes | None:
        """The content of the file of a grant; None if it is for somebody else."""
        ...


def load(path: Path) -> Identity:
    """An age identity file, an OpenSSH key, or a PEM file of an RSA key and its certificate."""
    data = path.read_bytes()
    if b"-----BEGIN CERTIFICATE-----" in data:
        return CertificateIdentity(data)
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in data:
        key = serialization.load_ssh_private_key(data, None)
        if isinstance(key, Ed25519PrivateKey):
            return SshEd25519Identity(key)
        require(isinstance(key, rsa.RSAPrivateKey), "an SSH key of another kind")
        assert isinstance(key, rsa.RSAPrivateKey)
        return SshRsaIdentity(key)
    lines = [line.strip() for line in data.decode("utf-8").splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]
    require(len(words) == 1, "a key file of other than one key")
    prefix, secret = bech32.decode(words[0])
    require(prefix in (_CLASSICAL, _HYBRID) and len(secret) == 32, "no age key")
    return X25519Identity(secret) if prefix == _CLASSICAL else HybridIdentity(secret)


class X25519Identity:
    """AGE-SECRET-KEY-1…"""

    wrap = "X25519"

    def __init__(self, secret: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(secret)
        self._public = self._key.public_key().public_bytes_raw()
        self.public_text = bech32.encode("age", self._public)

    def open(self, data: bytes) -> bytes | None:
        """See Identity."""
        file = age.parse(data)
        stanza = file.stanza(self.wrap)
        (share,) = _arguments(stanza, 32)
        shared = _exchange(self._key, share)
        key = age.unwrap(age.hkdf(shared, share + self._public, _X25519_INFO), stanza.body)
        return None if key is None else file.decrypt(key)


class HybridIdentity:
    """AGE-SECRET-KEY-PQ-1…: X-Wing, whose seed gives 64 bytes to ML-KEM-768 and 32 to X25519."""

    wrap = "mlkem768x25519"

    def __init__(self, seed: bytes) -> None:
        both = hashlib.shake_256(seed).digest(96)
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(both[:64])
        curve = X25519PrivateKey.from_private_bytes(both[64:])
        self._key = hpke.MLKEM768X25519PrivateKey(lattice, curve)
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        self.public_text = bech32.encode("age1pq", public)

    def open(self, data: bytes) -> bytes | None:
        """See Identity."""
        file = age.parse(data)
        require(len(file.stanzas) == 1, "a post-quantum age file of several stanzas")
        stanza = file.stanza(self.wrap)
        (share,) = _arguments(stanza, _HYBRID_SHARE)
        require(len(stanza.body) == 32, "a stanza with a body of the wrong length")
        suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
        try:
            key = suite.decrypt(share + stanza.body, self._key, _HYBRID_INFO)
        except (InvalidTag, ValueError):
            return None
        return file.decrypt(key)


class SshEd25519Identity:
    """An OpenSSH Ed25519 key, used as an X25519 key with a tweak."""

    wrap = "ssh-ed25519"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._wire = _wire(key)
        self.public_text = f"{self.wrap} {base64.b64encode(self._wire).decode('ascii')}"
        self._key = X25519PrivateKey.from_private_bytes(hashlib.sha512(key.private_bytes_raw()).digest()[:32])

    def open(self, data: bytes) -> bytes | None:
        """See Identity."""
        file = age.parse(data)
        stanza = file.stanza(self.wrap)
        tag, share = _arguments(stanza, 4, 32)
        if tag != hashlib.sha256(self._wire).digest()[:4]:
            return None
        tweak = X25519PrivateKey.from_private_bytes(age.hkdf(b"", self._wire, _ED25519_INFO))
        shared = _exchange(tweak, _exchange(self._key, share))
        public = self._key.public_key().public_bytes_raw()
        key = age.unwrap(age.hkdf(shared, share + public, _ED25519_INFO), stanza.body)
        return None if key is None else file.decrypt(key)


class SshRsaIdentity:
    """An OpenSSH RSA key."""

    wrap = "ssh-rsa"

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key, self._wire = key, _wire(key)
        self.public_text = f"{self.wrap} {base64.b64encode(self._wire).decode('ascii')}"

    def open(self, data: bytes) -> bytes | None:
        """See Identity."""
        file = age.parse(data)
        stanza = file.stanza(self.wrap)
        (tag,) = _arguments(stanza, 4)
        if tag != hashlib.sha256(self._wire).digest()[:4]:
            return None
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), _RSA_LABEL)
        try:
            key = self._key.decrypt(stanza.body, oaep)
        except ValueError:
            return None
        return file.decrypt(key)


class CertificateIdentity:
    """An X.509 certificate of an RSA key, and the key."""

    wrap = "cms-rsa"

    def __init__(self, pem: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(pem)
        key = serialization.load_pem_private_key(pem, None)
        require(isinstance(key, rsa.RSAPrivateKey), "a certificate of another kind of key")
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        self.public_text = f"x509:{base64.b64encode(der).decode('ascii')}"

    def open(self, data: bytes) -> bytes | None:
        """See Identity."""
        try:
            return pkcs7.pkcs7_decrypt_der(data, self._certificate, self._key, [])
        except ValueError:
            return None


def _arguments(stanza: age.Stanza, *lengths: int) -> list[bytes]:
    """The arguments of a stanza, of these lengths."""
    require(len(stanza.arguments) == len(lengths), "a stanza of other arguments")
    found = [age.unbase64(each) for each in stanza.arguments]
    require([len(each) for each in found] == list(lengths), "an argument of the wrong length")
    return found


def _exchange(key: X25519PrivateKey, share: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise RefusedError("a share of low order") from None


def _wire(key: Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    """The public key as it stands in an SSH public key line."""
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return base64.b64decode(line.split(b" ")[1])
