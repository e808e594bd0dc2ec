"""Recipient: the public half of a key, in one canonical line of text, whatever kind of key it is.

What a wrapped file shows to everybody: an X25519 or hybrid one does not tell for whom it is; an ssh one carries the
first 4 bytes of SHA-256 of the public key, and a CMS one the issuer and the serial number of the certificate, so who
knows the key or certificate can tell that the file is for it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from medveil.errors import KeyFileError
from medveil.keys import bech32, certificates, hybrid, sshkeys
from medveil.keys.keyfiles import read_public, text_of, unbroken_lines
from medveil.keys.points import Curve, check_point
from medveil.keys.signatures import signature_fits

SELF_CONTEXT = b"medveil/v1/recipient"
NAME_BYTES = 64  # of a recipient's name in UTF-8
_X25519_BYTES = 32
_VERIFY_KEY_BYTES = 32
_TITLE = re.compile(r"#\s*medveil\s+public\s+key\b[\s:]*(.*)", re.IGNORECASE)


class Wrap(StrEnum):
    """How a file is wrapped for a recipient: the name of the age stanza, or "cms-rsa"."""

    X25519 = "X25519"
    HYBRID = "mlkem768x25519"
    SSH_ED25519 = "ssh-ed25519"
    SSH_RSA = "ssh-rsa"
    CMS_RSA = "cms-rsa"

    @property
    def post_quantum(self) -> bool:
        """Whether it withstands who records today and has a quantum computer later."""
        return self is Wrap.HYBRID

    @property
    def suffix(self) -> str:
        """Suffix of the wrapped file."""
        return {Wrap.HYBRID: ".pqage", Wrap.CMS_RSA: ".cms"}.get(self, ".age")


@dataclass(frozen=True)
class Recipient:
    """The public half of a key.

    Attributes:
        text: canonical public text: "age1…", "age1pq1…", "ssh-ed25519 AAAA…" or "ssh-rsa AAAA…" without a comment,
            "x509:" and the base64 of a DER certificate.
        verify_key: raw Ed25519 public key (32 bytes) that checks what this key signs, or empty when none is named.
        name: what she is called here, in general the name of the file that she was loaded from without its suffix; see
            `name_of`. It is for the owners alone: of a release, only their notes hold it.

    >>> alice.recipient.wrap.post_quantum
    True
    >>> Recipient.parse(alice.recipient.text).digest == alice.recipient.digest
    True
    """

    text: str
    verify_key: bytes = b""
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.verify_key:
            return
        try:
            check_point(self.verify_key, Curve.ED25519)
        except ValueError as error:
            raise KeyFileError(f"the verify key is refused: {error}", hint="ask its owner for another key") from None

    @property
    def wrap(self) -> Wrap:
        if self.text.startswith(certificates.PREFIX):
            return Wrap.CMS_RSA
        if self.text.startswith("age1"):
            return Wrap.HYBRID if self.text.startswith(f"{hybrid.RECIPIENT_PREFIX}1") else Wrap.X25519
        return Wrap(self.text.partition(" ")[0])

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text (32 bytes)."""
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def fingerprint(self) -> str:
        """The key's short name on screen: the first 100 bits of a SHA-256 in base32, in groups of four.

        It is taken over the verify key, which signs the text; over the text itself where there is none.
        """
        digest = hashlib.sha256(self.verify_key).digest() if self.verify_key else self.digest
        short = base64.b32encode(digest).decode().lower()[:20]
        return "-".join(short[i : i + 4] for i in range(0, 20, 4))

    def to_text(self, self_signature: bytes) -> str:
        """Content of the public key file: an age recipients file with the verify key in comments."""
        return (
            f"# medveil public key {self.fingerprint}\n"
            f"# verify-key: {base64.b64encode(self.verify_key).decode()}\n"
            f"# self-signature: {base64.b64encode(self_signature).decode()}\n"
            f"{self.text}\n"
        )

    @classmethod
    def parse(cls, text: str, verify_key: bytes = b"") -> Recipient:
        """The recipient that a line of public text names. The dates of a certificate are not looked at.

        Raises:
            KeyFileError: it is of no known kind, damaged, or too weak.
        """
        text = text.strip()
        if text.startswith("age1"):
            return cls(_checked_age(text), verify_key)
        if text.startswith(("ssh-ed25519 ", "ssh-rsa ")):
            return cls(sshkeys.canonical_public(text), verify_key)
        if text.startswith(certificates.PREFIX):
            return cls(certificates.canonical(text), verify_key)
        raise KeyFileError(
            "this is not a public key that medveil knows: age1…, age1pq1…, ssh-ed25519 …, ssh-rsa … "
            "or an RSA certificate in PEM",
            hint="give the .pub file that `medveil keygen` wrote beside the .key file",
        )

    @classmethod
    def load(cls, path: str | Path, *, checked: bool = True) -> Recipient:
        """Read an age recipients file with exactly one recipient, an ssh .pub file, or a PEM certificate.

        Args:
            path: the file.
            checked: a certificate has to be valid today, and every other key sound; off for who is to receive nothing
                more, of whose key only the text is read then.

        Raises:
            KeyFileError: unreadable, a secret key, no such file, too weak, its self-signature does not fit, its title
                line names the fingerprint of another key, or a certificate that is not valid today.
        """
        return replace(cls._read(Path(path), checked=checked), name=name_of(Path(path).stem))

    @classmethod
    def _read(cls, path: Path, *, checked: bool) -> Recipient:
        data = read_public(path)
        if certificates.PEM_MARK in data:
            text = certificates.text_of_pem(data) if checked else certificates.text_of(certificates.of_pem(data))
            lines = data.decode("utf-8", "replace").splitlines()
            return _under_its_title(cls(text), lines) if checked else cls(text)
        lines = unbroken_lines(text_of(data))
        recipients = [line for line in lines if not line.startswith("#")]
        if len(recipients) != 1:
            raise KeyFileError(
                f"this is not a public key file: it holds {len(recipients)} keys, and exactly one is asked for",
                hint="give the .pub file that `medveil keygen` wrote beside the .key file",
            )
        if not checked and recipients[0].startswith(("age1", "ssh-ed25519 ", "ssh-rsa ")):
            return cls(" ".join(recipients[0].split()[:2]))  # an ssh key without its comment
        recipient = cls.parse(recipients[0])
        comments = [line.strip("# ").partition(":") for line in lines if line.startswith("#")]
        named = {name: value.strip() for name, _, value in comments}
        if "verify-key" in named:
            recipient = cls(recipient.text, _checked_verify_key(recipient.text, named))
        return _under_its_title(recipient, lines)


def _under_its_title(recipient: Recipient, lines: Sequence[str]) -> Recipient:
    """The recipient, where each title line among `lines` ("# medveil public key …") names her own fingerprint.

    People compare that line, so a file with the line of one key and the text of another one is not taken.

    Raises:
        KeyFileError: it names another fingerprint.
    """
    titles = [found[1].strip().lower() for line in lines if (found := _TITLE.match(line.strip()))]
    if any(title != recipient.fingerprint for title in titles):
        raise KeyFileError(
            "the public key file was changed: its first line names another fingerprint than its key has, which is "
            f"{recipient.fingerprint}",
            hint="ask its owner for the file again, and compare the fingerprint by telephone",
        )
    return recipient


def name_of(text: str) -> str:
    """The text as a recipient's name: on one line, with "_" for what does not print, at most NAME_BYTES long."""
    plain = "".join(sign if sign.isprintable() else "_" for sign in unicodedata.normalize("NFC", text)).strip()
    return plain.encode()[:NAME_BYTES].decode(errors="ignore").strip()


def _checked_age(text: str) -> str:
    try:
        if text.startswith(f"{hybrid.RECIPIENT_PREFIX}1"):
            hybrid.public_key(bech32.decode(text, hybrid.RECIPIENT_PREFIX))
        else:
            _check_x25519(bech32.decode(text, "age"))
    except ValueError as error:
        raise KeyFileError(
            f"the public key is damaged or unsafe: {error}", hint="ask its owner for the file again"
        ) from None
    return text


def _check_x25519(raw: bytes) -> None:
    """Raises ValueError for what is no X25519 key, or one of the few that give everybody the same secret."""
    if len(raw) != _X25519_BYTES:
        raise ValueError("another kind of age key; X25519 (age1…) and hybrid (age1pq1…) ones are taken")
    check_point(raw, Curve.X25519)


def _checked_verify_key(text: str, named: dict[str, str]) -> bytes:
    try:
        verify_key = base64.b64decode(named["verify-key"], validate=True)
        signature = base64.b64decode(named.get("self-signature", ""), validate=True)
    except ValueError:
        verify_key, signature = b"", b""
    if len(verify_key) == _VERIFY_KEY_BYTES:
        Recipient(text, verify_key)  # a key that anybody can sign with is called so
    if not signature_fits(verify_key, signature, SELF_CONTEXT, text.encode()):
        raise KeyFileError(
            "the public key file was changed: its self-signature does not fit",
            hint="ask its owner for the file again, and compare the fingerprint by telephone",
        )
    return verify_key
