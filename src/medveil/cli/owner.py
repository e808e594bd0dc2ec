"""Which key a command works with: the one named by -i, or the default one in the user's configuration folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medveil.cli.session import Session
from medveil.errors import NoFittingKeyError

if TYPE_CHECKING:
    from medveil.keys.identity import Identity, Recipient


def identity_of(run: Session, key: Path | None, *, create: bool = False) -> Identity:
    """Load the key file, or the default identity; say so when that one was made just now.

    Args:
        run: where to say it.
        key: the file that the user named.
        create: make the default identity where there is none.

    Raises:
        NoFittingKeyError: no key is named, there is no default one, and none is to be made.
    """
    from medveil.keys.identity import Identity, default_identity

    if key is not None:
        return Identity.load(key)
    identity, path, created = default_identity(create=create)
    if created:
        made = f"Your key was made now: {path}, fingerprint {identity.fingerprint}."
        run.warn(f"{made} Keep a copy in a safe place: losing it is final.")
    else:
        run.say(f"Using your key {identity.fingerprint} ({path}).")
    return identity


def identity_for_trial(run: Session, key: Path | None) -> Identity:
    """As `identity_of`; where a key would be made, one that is kept nowhere."""
    from platformdirs import user_config_path

    from medveil.keys.identity import Identity

    try:
        return identity_of(run, key)
    except NoFittingKeyError:
        if key is not None or (user_config_path("medveil", appauthor=False) / "owner.key").exists():
            raise
        from pyrage import x25519

        run.say("You have no key yet; without --dry-run one would be made.")
        return Identity.from_age_secret(str(x25519.Identity.generate()))


def recipient_of(path: Path | None) -> Recipient | None:
    """Load a .pub file, where one is named."""
    from medveil.keys.identity import Recipient

    return None if path is None else Recipient.load(path)


def recipients_of(paths: list[Path] | None) -> tuple[Recipient, ...]:
    """Load .pub files."""
    from medveil.keys.identity import Recipient

    return tuple(Recipient.load(path) for path in paths or ())
