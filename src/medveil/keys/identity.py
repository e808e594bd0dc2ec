"""Identity: the secret half of a medveil or age key, which opens what was wrapped for it and signs what it owns.

`x.key` is an age identity file and `x.pub` an age recipients file, so the `age` program reads both (from 1.3 on for
post-quantum keys, which are the default). The verify key and a self-signature stand in `#` lines of `x.pub`; a
recipients file without them can receive but cannot name an owner.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medveil.errors import KeyFileError, MedveilError, TargetExistsError
from medveil.files.atomic import write_bytes
from medveil.keys import bech32, hybrid, passphrases, signatures
from medveil.keys.keyfiles import MAX_KEY_FILE, holds_secret, lines_of, read_secret, text_of
from medveil.keys.recipients import SELF_CONTEXT, Recipient
from medveil.keys.wrapping import MAX_WRAPPED_BYTES, opened

_SIGN_INFO = b"medveil/v1/sign"
_CLASSICAL_PREFIX = "age-secret-key-"
_SECRET_BYTES = 32

AskPassphrase = Callable[[], str]


@dataclass(frozen=True)
class Identity:
    """The secret half of a key. Its secret shows in no repr, message or log.

    Attributes:
        secret: 32 bytes: the seed of an X-Wing key pair, or a raw X25519 secret.
        hybrid: whether it is the first, which is post-quantum.

    >>> alice.recipient.text[:7]  # what others may know
    'age1pq1'
    """

    secret: bytes = field(repr=False)
    hybrid: bool = True

    def __post_init__(self) -> None:
        if len(self.secret) != _SECRET_BYTES:
            raise KeyFileError("the secret key is damaged: it must have 32 bytes")

    @classmethod
    def fresh(cls, *, classical: bool = False) -> Identity:
        """A new key from the operating system's randomness."""
        return cls(secrets.token_bytes(_SECRET_BYTES), hybrid=not classical)

    @classmethod
    def load(cls, path: str | Path, *, ask: AskPassphrase | None = None) -> Identity:
        """Read an age identity file with exactly one secret key.

        Args:
            path: the file.
            ask: called for the passphrase, if the file is under one.

        Raises:
            KeyFileError: unreadable, readable by other users, not an age identity file, damaged, or the passphrase
                is wrong or there is nobody to ask for it.
        """
        return cls.from_bytes(read_secret(Path(path)), ask=ask)

    @classmethod
    def from_bytes(cls, data: bytes, *, ask: AskPassphrase | None = None) -> Identity:
        """Identity of the content of a secret key file. Raises KeyFileError as `load` does."""
        if passphrases.is_locked(data):
            passphrases.check_locked(data)
            data = passphrases.unlock(data, asked(ask))
        return cls.from_text(text_of(data))

    @classmethod
    def from_text(cls, text: str) -> Identity:
        """Identity of the text of an age identity file. Raises KeyFileError when it is none or damaged."""
        lines = lines_of(text)
        if len(lines) != 1 or not lines[0].upper().startswith("AGE-SECRET-KEY-"):
            raise KeyFileError(
                "this is not a secret key file: it must hold exactly one line, which begins with AGE-SECRET-KEY-",
                hint="give the .key file that `medveil keygen` or `age-keygen` wrote",
            )
        is_hybrid = lines[0].lower().startswith(f"{hybrid.SECRET_PREFIX}1")
        try:
            return cls(bech32.decode(lines[0], hybrid.SECRET_PREFIX if is_hybrid else _CLASSICAL_PREFIX), is_hybrid)
        except ValueError as error:
            raise KeyFileError(f"the secret key is damaged: {error}") from None

    def to_text(self) -> str:
        """Content of the secret key file."""
        secret = bech32.encode(self.secret, hybrid.SECRET_PREFIX if self.hybrid else _CLASSICAL_PREFIX).upper()
        return f"# medveil secret key {self.fingerprint}\n# public key: {self.recipient.text}\n{secret}\n"

    @cached_property
    def recipient(self) -> Recipient:
        return Recipient(self._public_text(), signatures.verify_key_of(self.signing_seed))

    @property
    def fingerprint(self) -> str:
        return self.recipient.fingerprint

    @cached_property
    def signing_seed(self) -> bytes:
        """Ed25519 seed: HKDF-SHA256(secret, "medveil/v1/sign")."""
        from medveil.keys.tiers import hkdf

        return hkdf(self.secret, _SIGN_INFO)

    def sign(self, context: bytes, message: bytes) -> bytes:
        """Ed25519 signature (64 bytes) over context, a zero byte and the message."""
        return signatures.sign(self.signing_seed, context, message)

    def unwrap(self, data: bytes, *, limit: int = MAX_WRAPPED_BYTES) -> bytes:
        """Content of an age file; the caller has checked the owner's signed digest of it before.

        Raises:
            NoFittingKeyError: it is longer than `limit`, damaged, or for somebody else; which is not told.
        """
        return opened(data, self._open, self.fingerprint, limit)

    def _open(self, data: bytes) -> bytes:
        if self.hybrid:
            return hybrid.open_(data, self.secret)
        import pyrage
        from pyrage import x25519

        secret = bech32.encode(self.secret, _CLASSICAL_PREFIX).upper()
        return bytes(pyrage.decrypt(data, [x25519.Identity.from_str(secret)]))

    def _public_text(self) -> str:
        if self.hybrid:
            return bech32.encode(hybrid.public_bytes_of(self.secret), hybrid.RECIPIENT_PREFIX)
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return bech32.encode(X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw(), "age")


def asked(ask: AskPassphrase | None) -> str:
    """The passphrase that `ask` gives. Raises KeyFileError when there is nobody to ask."""
    if ask is None:
        raise KeyFileError(
            "the key file is under a passphrase, and there is nobody to ask for it",
            hint="run it in a terminal, or name a file that holds the passphrase in MEDVEIL_PASSPHRASE_FILE",
        )
    return ask()


def generate(path: Path, *, classical: bool = False, passphrase: str | None = None, force: bool = False) -> Identity:
    """Make a new key: `path` (0600) and, beside it, the public file (alice.pub of alice.key, else the name and .pub).

    The secret file comes first, so that a kill leaves no public file of a key that nobody has; `with_public_again`
    makes the missing one.

    Args:
        path: the secret key file.
        classical: an X25519 key instead of a post-quantum one.
        passphrase: lock the secret key file with it.
        force: replace files that are there.

    Raises:
        TargetExistsError: either file is there already; a lost key is final, so --force is asked for.
        KeyFileError: a name that ends in .pub, or a passphrase that is too short.
    """
    public_path = check_targets(path, force=force)
    identity = Identity.fresh(classical=classical)
    content = identity.to_text().encode()
    locked = content if passphrase is None else passphrases.lock(content, passphrase)
    former = public_path.read_bytes() if os.path.isfile(public_path) else None
    _remove(public_path)  # only with `force` is there one: that of the key which is replaced
    try:
        write_bytes(path, locked, mode=0o600, overwrite=force)
    except BaseException:
        if former is not None:
            write_bytes(public_path, former)
        raise
    _write_public(identity, public_path)
    return identity


def with_public_again(path: Path, *, ask: AskPassphrase | None = None) -> Identity | None:
    """The key in the file `path`, whose missing public file is made again, as after a kill; else None.

    Raises:
        KeyFileError: as `Identity.load`, of a file that holds a secret key.
    """
    if not os.path.isfile(path) or os.path.lexists(public_path_of(path)) or path.suffix == ".pub":
        return None
    try:
        if path.stat().st_size > MAX_KEY_FILE or not holds_secret(path.read_bytes()):
            return None
    except OSError:
        return None
    identity = Identity.load(path, ask=ask)
    _write_public(identity, public_path_of(path))
    return identity


def _remove(public_path: Path) -> None:
    """Remove a public key file, if there is one. Raises MedveilError where it stays."""
    if os.path.lexists(public_path):
        try:
            public_path.unlink()
        except OSError as error:
            raise MedveilError(
                f"the former public key file cannot be removed: {error.strerror or type(error).__name__}",
                hint="see to it, or choose another name; nothing was changed",
            ) from None


def _write_public(identity: Identity, public_path: Path) -> None:
    """Write the public file of a key, where there is none. Raises TargetExistsError and MedveilError."""
    signature = identity.sign(SELF_CONTEXT, identity.recipient.text.encode())
    write_bytes(public_path, identity.recipient.to_text(signature).encode())


def public_path_of(path: Path) -> Path:
    """Where the public file of the secret key file `path` lies."""
    return path.with_suffix(".pub") if path.suffix == ".key" else path.with_name(f"{path.name}.pub")


def check_targets(path: Path, *, force: bool) -> Path:
    """Where the public file of a new secret key file `path` goes.

    Raises:
        TargetExistsError: either file is there already, and `force` is not set.
        KeyFileError: `path` ends in .pub.
    """
    if path.suffix == ".pub":
        raise KeyFileError("a secret key file cannot end in .pub", hint="name it like alice.key")
    public_path = public_path_of(path)
    for target in (path, public_path):
        if not force and os.path.lexists(target):
            raise TargetExistsError(
                "a key file of this name is there already, and what was shared with it opens with nothing else",
                hint="choose another name, or --force to replace it for good",
            )
    return public_path


def default_identity(*, create: bool = True, ask: AskPassphrase | None = None) -> tuple[Identity, Path, bool]:
    """The owner's key when none is named: (identity, its path, whether it was made just now).

    Raises:
        KeyFileError: there is none yet, and `create` is not set; or it cannot be loaded.
    """
    path = default_path()
    public_path = public_path_of(path)
    if path.exists():
        identity = Identity.load(path, ask=ask)
        if not os.path.lexists(public_path):  # a killed run made the key and no more
            with suppress(MedveilError):
                _write_public(identity, public_path)
        return identity, path, False
    if not create:
        raise KeyFileError("there is no key of your own yet", hint="name one with -i; medveil keygen makes one")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove(public_path)  # of a key that is not there
    return generate(path), path, True


def default_path() -> Path:
    """Where the owner's key is when none is named."""
    from platformdirs import user_config_path

    return user_config_path("medveil", appauthor=False) / "owner.key"
