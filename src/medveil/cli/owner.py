"""Whose keys a command works with: the one named by -i or the default one, and those that it shares with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from medveil.cli.passphrase import ask_passphrase
from medveil.cli.session import Session
from medveil.errors import KeyFileError, NoFittingKeyError, UsageError

if TYPE_CHECKING:
    from medveil.keys.identity import Identity
    from medveil.keys.openers import Opener
    from medveil.keys.recipients import Recipient
    from medveil.keys.tiers import Tier
    from medveil.releases.writing.depth import Depth


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
        with _named("-i", key):
            identity = load_identity(key, ask=ask_passphrase)
        tell_open_key(run, key)
        return identity
    identity, path, created = default_identity(create=create, ask=ask_passphrase)
    tell_open_key(run, path)
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

    if key is None:
        return identity_of(run, None)
    with _named("-i", key):
        opener = load_opener(key, ask=ask_passphrase)
    tell_open_key(run, key)
    return opener


@contextmanager
def _named(option: str, path: Path, number: int = 1, of: int = 1) -> Iterator[None]:
    """Say of a key file that cannot be used which option named it, and the how manieth of these it is."""
    try:
        yield
    except KeyFileError as error:
        which = (
            f"{option} {path.name or path}" if of == 1 else f"{option} {path.name or path} (number {number} of {of})"
        )
        raise KeyFileError(f"{which}: {error.message}", hint=error.hint) from None


def tell_open_key(run: Session, path: Path) -> None:
    """Say of a secret key file that is there that other users may read it, as on a volume without permissions."""
    from medveil.keys.keyfiles import ALLOW_OPEN_KEYS, mode_for_others

    mode = mode_for_others(path)
    if mode:
        run.warn(
            f"warning: other users may read {path.name} (mode {mode}); if its volume keeps no permissions (exFAT, "
            f"WSL), move it to one that does. It is read only with {ALLOW_OPEN_KEYS}=1, and then a passphrase "
            "keeps it closed"
        )


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
    """Load the public key file that --owner names, if it does."""
    return None if path is None else _loaded("--owner", [path])[0]


def recipients_of(paths: list[Path] | None, option: str) -> tuple[Recipient, ...]:
    """Load the public key files that an option names."""
    return tuple(_loaded(option, paths or []))


def _loaded(option: str, paths: Sequence[Path]) -> list[Recipient]:
    from medveil.keys.recipients import Recipient

    found = []
    for number, path in enumerate(paths, start=1):
        with _named(option, path, number, len(paths)):
            found.append(Recipient.load(path))
    return found


def granted_of(values: list[str]) -> tuple[Recipient | str, ...]:
    """Whom `revoke --to` names: public key files, however weak or old; else a name, a fingerprint or a grant."""
    from medveil.keys.recipients import Recipient

    found: list[Recipient | str] = []
    for number, value in enumerate(values, start=1):
        if not re.search(r"[/\\]|\.(pub|pem|crt|cer|key)$", value) and not Path(value).exists():
            found.append(value)
            continue
        with _named("--to", Path(value), number, len(values)):
            found.append(Recipient.load(Path(value), checked=False))
    return tuple(found)


def tiered_recipients_of(values: list[str] | None) -> tuple[tuple[Recipient, str | None], ...]:
    """Load what `--to PUB` and `--to PUB=TIER` name: (recipient, tier or None) each.

    A file whose name holds "=" is taken as it is, if it is there.

    Raises:
        UsageError: the word after "=" is no tier.
        KeyFileError: as `Recipient.load`.
    """
    split = [_path_and_tier(value) for value in values or ()]
    loaded = _loaded("--to", [path for path, _ in split])
    named = dict.fromkeys(zip(loaded, (tier for _, tier in split), strict=True))
    if len({recipient.text for recipient, _ in named}) < len(named):
        raise UsageError("--to names one key with two tiers", hint="name it once, with the better one")
    return tuple(named)


def _path_and_tier(value: str) -> tuple[Path, str | None]:
    name, equals, tier = value.rpartition("=")
    if not equals or re.search(r"[^A-Za-z]", tier) or Path(value).exists():  # no tier has a dot or a slash in it
        return Path(value), None
    return Path(name), tier_named(tier).value


def depth_named(name: str | None) -> Depth | None:
    """The depth of this name; None where none is asked for. Raises UsageError for another word."""
    from medveil.registry import unknown
    from medveil.releases.writing.depth import Depth

    depths = [known.value for known in Depth]
    if name is not None and name not in depths:
        raise unknown("depth", name.lower(), depths)
    return None if name is None else Depth(name)


def tier_named(name: str) -> Tier:
    """The tier of this name. Raises UsageError for another word."""
    from medveil.keys.tiers import Tier
    from medveil.registry import unknown

    tiers = [known.value for known in Tier]
    if name not in tiers:
        raise unknown("tier", name.lower(), tiers)
    return Tier(name)
