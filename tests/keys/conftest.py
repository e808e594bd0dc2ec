"""Keys of every kind, each made once a session: RSA ones take seconds."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PASSPHRASE = "four words with nothing"
NOW = datetime.datetime.now(datetime.UTC)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def certificate_of(
    key: PrivateKey, *, days: tuple[int, int] = (-1, 30), usage: dict[str, bool] | None = None, serial: int = 7
) -> bytes:
    """A self-signed certificate in PEM, valid between `days` from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Dr Test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(serial)
    builder = builder.public_key(key.public_key())
    builder = builder.not_valid_before(NOW + datetime.timedelta(days=days[0]))
    builder = builder.not_valid_after(NOW + datetime.timedelta(days=days[1]))
    if usage is not None:
        none = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(**(none | usage)), critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def pem_of(key: PrivateKey, passphrase: str | None = None) -> bytes:
    """A private key in PEM (PKCS #8)."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _lock(passphrase))


def ssh_of(key: PrivateKey, passphrase: str | None = None) -> bytes:
    """A private key as ssh-keygen writes it."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, _lock(passphrase))


def ssh_public_of(key: PrivateKey) -> str:
    """A public key line as ssh-keygen writes it."""
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} alice@hospital\n"


def _lock(passphrase: str | None) -> serialization.KeySerializationEncryption:
    if passphrase is None:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(passphrase.encode())


@pytest.fixture(scope="session")
def rsa_2048() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def rsa_3072() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


@pytest.fixture(scope="session")
def other_rsa_3072() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


@pytest.fixture(scope="session")
def ssh_ed25519() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(name, content)` makes a file of mode 0600 (or `mode=`) and gives its path."""

    def written(name: str, content: bytes | str, mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    return written
