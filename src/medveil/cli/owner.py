"""Whose keys a command works with: the one named by -i or the default one, and those that it shares with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from medveil.cli.passphrase import ask_passphrase
from medveil.cli.session import Session
from medveil.errors import NoFittingKeyError, UsageError

if TYPE_CHECKING:
    from medveil.keys.identity import Identity
    from medveil.keys.openers import Opener
    from medveil.keys.recipients import Recipient
    from medveil.keys.tiers import Tier


def identity_of(run: Session, key: Path | None, *, create: bool = False) -> Identity:
    """The owner's key: the key file, or the default identity; says so when that one was made just now.

    Args:
        run: where to say it.
        key: the file that the user named.
        create: make the default identity where there is none.

    Raises:
        KeyFileError: the file is no key that can own a release; or no key is named, there is no default one, and
            none is to be made.
    """
    from medveil.keys.identity import default_identity
    from medveil.keys.openers import load_identity

    if key is not None:
        return load_identity(key, ask=ask_passphrase)
    identity, path, created = default_identity(create=create, ask=ask_passphrase)
    if created:
        made = f"Your key was made now: {path}, fingerprint {identity.fingerprint}."
        run.warn(f"{made} Keep a copy in a safe place: losing it is final.")
    else:
        run.say(f"Using your key {identity.fingerprint} ({path}).")
    return identity


def opener_of(run: Session, key: Path | None) -> Opener:
    """What opens a grant: the key file, of any kind, or the default identity.

    Raises:
        KeyFileError: as `identity_of`.
    """
    from medveil.keys.openers import load_opener

    return identity_of(run, None) if key is None else load_opener(key, ask=ask_passphrase)


def identity_for_trial(run: Session, key: Path | None) -> Identity:
    """As `identity_of`; where a key would be made, one that is kept nowhere."""
    from medveil.keys.identity import Identity, default_path

    try:
        return identity_of(run, key)
    except NoFittingKeyError:
        if key is not None or default_path().exists():
            raise
        run.say("You have no key yet; without --dry-run one would be made.")
        return Identity.fresh()


def owner_of(run: Session, key: Path | None, release: Path) -> Identity:
    """As `identity_of`, of a release that is there; says who founded it, where this identity is a deputy of hers."""
    identity = identity_of(run, key)
    tell_deputy(run, release, identity)
    return identity


def tell_deputy(run: Session, release: Path, identity: Identity) -> None:
    """Say who founded a release, where this identity is a deputy of hers."""
    from medveil.releases.deputies import founder_of

    founder = founder_of(release, identity)
    if founder:
        run.warn(f"this release was founded by {founder}; you are a deputy")


def recipient_of(path: Path | None) -> Recipient | None:
    """Load a public key file, where one is named."""
    from medveil.keys.recipients import Recipient

    return None if path is None else Recipient.load(path)


def recipients_of(paths: list[Path] | None) -> tuple[Recipient, ...]:
    """Load public key files."""
    from medveil.keys.recipients import Recipient

    return tuple(Recipient.load(path) for path in paths or ())


def granted_of(values: list[str]) -> tuple[Recipient | str, ...]:
    """Whom `revoke --to` names: public key files, however weak or old; else a name, a fingerprint or a grant."""
    from medveil.keys.recipients import Recipient

    return tuple(
        value
        if not re.search(r"[/\\]|\.(pub|pem|crt|cer|key)$", value) and not Path(value).exists()
        else Recipient.load(Path(value), checked=False)
        for value in values
    )


def tiered_recipients_of(values: list[str] | None) -> tuple[tuple[Recipient, str | None], ...]:
    """Load what `--to PUB` and `--to PUB=TIER` name: (recipient, tier or None) each.

    A file whose name holds "=" is taken as it is, if it is there.

    Raises:
        UsageError: the word after "=" is no tier.
        KeyFileError: as `Recipient.load`.
    """
    from medveil.keys.recipients import Recipient

    split = [_path_and_tier(value) for value in values or ()]
    named = dict.fromkeys((Recipient.load(path), tier) for path, tier in split)
    if len({recipient.text for recipient, _ in named}) < len(named):
        raise UsageError("--to names one key with two tiers", hint="name it once, with the better one")
    return tuple(named)


def _path_and_tier(value: str) -> tuple[Path, str | None]:
    name, equals, tier = value.rpartition("=")
    if not equals or re.search(r"[^A-Za-z]", tier) or Path(value).exists():  # no tier has a dot or a slash in it
        return Path(value), None
    return Path(name), tier_named(tier).value


def tier_named(name: str) -> Tier:
    """The tier of this name. Raises UsageError for another word."""
    from medveil.keys.tiers import Tier
    from medveil.registry import unknown

    tiers = [known.value for known in Tier]
    if name not in tiers:
        raise unknown("tier", name.lower(), tiers)
    return Tier(name)
