"""Identity (secret) and Recipient (public): age X25519 keys, with an Ed25519 signing key derived from the secret.

`x.key` is an age identity file and `x.pub` an age recipients file, so the `age` program reads both. The verify key and
a self-signature stand in `#` lines of `x.pub`; a recipients file without them can receive but cannot name an owner.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medveil.errors import KeyFileError, TargetExistsError
from medveil.files.atomic import write_bytes
from medveil.keys import bech32

_SIGN_INFO = b"medveil/v1/sign"
_SELF_CONTEXT = b"medveil/v1/recipient"
_MAX_KEY_FILE = 64 * 1024


@dataclass(frozen=True)
class Recipient:
    """The public half of a key.

    Attributes:
        age: the age recipient, "age1…".
        verify_key: raw Ed25519 public key (32 bytes), or empty when the file names none.
    """

    age: str
    verify_key: bytes = b""

    @property
    def fingerprint(self) -> str:
        """The key's short name on screen: 100 bits of SHA-256 over verify key and age recipient, in groups of four."""
        text = base64.b32encode(hashlib.sha256(self.verify_key + self.age.encode()).digest()).decode().lower()[:20]
        return "-".join(text[i : i + 4] for i in range(0, 20, 4))

    def to_text(self, self_signature: bytes) -> str:
        return (
            f"# medveil public key {self.fingerprint}\n"
            f"# verify-key: {base64.b64encode(self.verify_key).decode()}\n"
            f"# self-signature: {base64.b64encode(self_signature).decode()}\n"
            f"{self.age}\n"
        )

    @classmethod
    def load(cls, path: Path) -> Recipient:
        """Read an age recipients file with exactly one recipient.

        Raises:
            KeyFileError: unreadable, not such a file, or its self-signature does not fit.
        """
        lines = _read_key_file(path, secret=False).splitlines()
        recipients = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if len(recipients) != 1 or not recipients[0].startswith("age1"):
            raise KeyFileError(
                "this is not a public key file: it must hold exactly one line that begins with age1",
                hint="give the .pub file that `medveil keygen` wrote beside the .key file",
            )
        try:
            public = bech32.decode(recipients[0], "age")
        except ValueError as error:
            raise KeyFileError(f"the public key is damaged: {error}", hint="ask its owner for the file again") from None
        if len(public) != 32:
            raise KeyFileError("the public key is of another kind; X25519 keys (age1…, 62 characters) are taken")
        named = {k.strip("# "): v.strip() for k, _, v in (line.partition(":") for line in lines if line[:1] == "#")}
        if "verify-key" not in named:
            return cls(recipients[0])
        return cls(recipients[0], _checked_verify_key(recipients[0], named))


@dataclass(frozen=True)
class Identity:
    """The secret half of a key. Its secret shows in no repr, message or log.

    Attributes:
        secret: raw X25519 secret key (32 bytes).
        age_secret: the same as age writes it, "AGE-SECRET-KEY-1…".
    """

    secret: bytes = field(repr=False)
    age_secret: str = field(repr=False)

    @cached_property
    def recipient(self) -> Recipient:
        from pyrage import x25519

        public = str(x25519.Identity.from_str(self.age_secret).to_public())
        return Recipient(public, verify_key_of(self.signing_seed))

    @cached_property
    def signing_seed(self) -> bytes:
        """Ed25519 seed: HKDF-SHA256(secret, "medveil/v1/sign")."""
        from medveil.keys.tiers import hkdf

        return hkdf(self.secret, _SIGN_INFO)

    @property
    def fingerprint(self) -> str:
        return self.recipient.fingerprint

    def sign(self, context: bytes, message: bytes) -> bytes:
        """Ed25519 signature (64 bytes) over context, a zero byte and the message."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.signing_seed).sign(context + b"\x00" + message)

    @classmethod
    def from_age_secret(cls, text: str) -> Identity:
        """Identity of an age secret key string. Raises KeyFileError when it is damaged."""
        try:
            secret = bech32.decode(text, "age-secret-key-")
        except ValueError as error:
            raise KeyFileError(f"the secret key is damaged: {error}") from None
        if len(secret) != 32:
            raise KeyFileError("the secret key is of another kind; age X25519 keys (AGE-SECRET-KEY-1…) are taken")
        return cls(secret, text.upper())

    @classmethod
    def load(cls, path: Path) -> Identity:
        """Read an age identity file with exactly one secret key.

        Raises:
            KeyFileError: unreadable, readable by other users, not an age identity file, or damaged.
        """
        lines = [line.strip() for line in _read_key_file(path, secret=True).splitlines()]
        secrets = [line for line in lines if line and not line.startswith("#")]
        if len(secrets) != 1 or not secrets[0].upper().startswith("AGE-SECRET-KEY-1"):
            raise KeyFileError(
                "this is not a secret key file: it must hold exactly one line that begins with AGE-SECRET-KEY-1",
                hint="give the .key file that `medveil keygen` or `age-keygen` wrote",
            )
        return cls.from_age_secret(secrets[0])


def verify_key_of(signing_seed: bytes) -> bytes:
    """Raw Ed25519 public key (32 bytes) of a seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(signing_seed).public_key().public_bytes_raw()


def signature_fits(verify_key: bytes, signature: bytes, context: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature made by `Identity.sign` fits."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(verify_key).verify(signature, context + b"\x00" + message)
    except (InvalidSignature, ValueError):
        return False
    return True


def generate(path: Path, *, force: bool = False) -> Identity:
    """Make a new key: `path` (0600) and, beside it, the public file (alice.pub of alice.key, else the name and .pub).

    Raises:
        TargetExistsError: either file is there already; a lost key is final, so --force is asked for.
    """
    from pyrage import x25519

    public_path = path.with_suffix(".pub") if path.suffix == ".key" else path.with_name(f"{path.name}.pub")
    if path.suffix == ".pub":
        raise KeyFileError("a secret key file cannot end in .pub", hint="name it like alice.key")
    for target in (path, public_path):
        if not force and (target.exists() or target.is_symlink()):
            raise TargetExistsError(
                "a key file of this name is there already, and what was shared with it opens with nothing else",
                hint="choose another name, or --force to replace it for good",
            )
    identity = Identity.from_age_secret(str(x25519.Identity.generate()))
    text = f"# medveil secret key {identity.fingerprint}\n# public key: {identity.recipient.age}\n"
    write_bytes(path, f"{text}{identity.age_secret}\n".encode(), mode=0o600, overwrite=force)
    signature = identity.sign(_SELF_CONTEXT, identity.recipient.age.encode())
    write_bytes(public_path, identity.recipient.to_text(signature).encode(), overwrite=force)
    return identity


def default_identity(*, create: bool = True) -> tuple[Identity, Path, bool]:
    """The owner's key when none is named: (identity, its path, whether it was made just now).

    Raises:
        KeyFileError: there is none yet, and `create` is not set.
    """
    from platformdirs import user_config_path

    path = user_config_path("medveil", appauthor=False) / "owner.key"
    if path.exists():
        return Identity.load(path), path, False
    if not create:
        raise KeyFileError("there is no key of your own yet", hint="name one with -i; medveil keygen makes one")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return generate(path), path, True


def _checked_verify_key(age: str, named: dict[str, str]) -> bytes:
    try:
        verify_key = base64.b64decode(named["verify-key"], validate=True)
        signature = base64.b64decode(named.get("self-signature", ""), validate=True)
    except ValueError:
        verify_key, signature = b"", b""
    if len(verify_key) != 32 or not signature_fits(verify_key, signature, _SELF_CONTEXT, age.encode()):
        raise KeyFileError(
            "the public key file was changed: its self-signature does not fit",
            hint="ask its owner for the file again, and compare the fingerprint by telephone",
        )
    return verify_key


def _read_key_file(path: Path, *, secret: bool) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(
            f"the key file cannot be read: {error.strerror or type(error).__name__}", hint="check its name"
        ) from None
    if secret and os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyFileError(
            f"the secret key file is open to other users (mode {stat.S_IMODE(status.st_mode):04o}; 0600 is asked for)",
            hint="chmod 600 on it, and think about who may have read it",
        )
    if len(data) > _MAX_KEY_FILE:
        raise KeyFileError("this is not a key file: it is larger than 64 KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyFileError("this is not a key file: it is not text") from None
