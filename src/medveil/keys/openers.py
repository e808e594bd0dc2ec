"""Opener: whatever opens a grant. An identity, an ssh private key, or a certificate with its private key."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medveil.errors import KeyFileError
from medveil.keys import certificates, passphrases, sshkeys
from medveil.keys.identity import AskPassphrase, Identity, asked
from medveil.keys.keyfiles import read_secret
from medveil.keys.recipients import Recipient
from medveil.keys.wrapping import MAX_WRAPPED_BYTES, opened

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

_PRIVATE_MARK = b"PRIVATE KEY-----"


class Opener(Protocol):
    """The secret half of a key of any kind."""

    @property
    def recipient(self) -> Recipient: ...

    @property
    def fingerprint(self) -> str: ...

    def unwrap(self, data: bytes, *, limit: int = MAX_WRAPPED_BYTES) -> bytes:
        """What was wrapped for this key; the caller has checked the owner's signed digest of `data` before.

        Raises:
            NoFittingKeyError: it is longer than `limit`, damaged, or for somebody else; which is not told.
        """
        ...


@dataclass(frozen=True)
class SshOpener:
    """An ssh private key. `private` is its file in OpenSSH's form, without a passphrase."""

    recipient: Recipient
    private: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        return self.recipient.fingerprint

    def unwrap(self, data: bytes, *, limit: int = MAX_WRAPPED_BYTES) -> bytes:
        """Content of an age file; see Opener."""
        return opened(data, self._open, self.fingerprint, limit)

    def _open(self, data: bytes) -> bytes:
        import pyrage
        from pyrage import ssh

        return bytes(pyrage.decrypt(data, [ssh.Identity.from_buffer(self.private)]))


@dataclass(frozen=True)
class CertificateOpener:
    """A certificate and, in the same PEM text, its RSA private key.

    The private key is read where it is used first, which is after it was checked whose release it is to be used on: CMS
    files as the cryptography library writes them (PKCS #1 v1.5, CBC) would let a stranger's release ask it questions.

    Attributes:
        recipient, certificate: the public half.
        pem: the content of the key file.
        ask: called for the passphrase, if the key is under one.
    """

    recipient: Recipient
    certificate: Certificate = field(repr=False)
    pem: bytes = field(repr=False)
    ask: AskPassphrase | None = field(repr=False, default=None)

    @cached_property
    def private(self) -> RSAPrivateKey:
        """The private key. Raises KeyFileError as `load_opener` says."""
        return certificates.private_key_of_pem(self.pem, self.certificate, lambda: asked(self.ask))

    @property
    def fingerprint(self) -> str:
        return self.recipient.fingerprint

    def unwrap(self, data: bytes, *, limit: int = MAX_WRAPPED_BYTES) -> bytes:
        """Content of a CMS file; see Opener. Raises KeyFileError where the private key cannot be read."""
        private = self.private
        return opened(data, lambda file: certificates.open_(file, self.certificate, private), self.fingerprint, limit)


def load_opener(path: Path, *, ask: AskPassphrase | None = None) -> Opener:
    """Read a secret key file: a medveil or age one, an ssh private key, or a PEM file of private key and certificate.

    Args:
        path: the file; nobody else may read it.
        ask: called for the passphrase, if the key is under one.

    Raises:
        KeyFileError: unreadable, readable by other users, of no such kind, damaged, too weak, or the passphrase is
            wrong or there is nobody to ask for it. What is wrong with the private key beside a certificate is raised
            where it is used first.
        MissingDependencyError: an ssh key under a passphrase, and bcrypt is not installed.
    """
    data = read_secret(path)
    if sshkeys.PRIVATE_MARK in data:
        passphrase = asked(ask) if sshkeys.has_passphrase(data) else None
        private, text = sshkeys.canonical_private(data, passphrase)
        return SshOpener(Recipient.parse(text), private)
    if _PRIVATE_MARK in data and not passphrases.is_locked(data):
        return _certificate_opener(data, ask)
    return Identity.from_bytes(data, ask=ask)


def load_identity(path: Path, *, ask: AskPassphrase | None = None) -> Identity:
    """Read a medveil or age secret key file, which alone can own a release.

    Raises:
        KeyFileError: as `load_opener`; also for an ssh or certificate key.
    """
    opener = load_opener(path, ask=ask)
    if not isinstance(opener, Identity):
        raise KeyFileError(
            "an ssh key or a certificate opens what was shared with it, and cannot own a release",
            hint="medveil keygen makes a key that can",
        )
    return opener


def _certificate_opener(data: bytes, ask: AskPassphrase | None) -> CertificateOpener:
    if certificates.PEM_MARK not in data:
        raise KeyFileError(
            "the private key has no certificate with it",
            hint="put the certificate into the same file; an ssh key must have OpenSSH's form (ssh-keygen -p)",
        )
    certificate = certificates.of_pem(data)
    return CertificateOpener(Recipient.parse(certificates.text_of(certificate)), certificate, data, ask)
