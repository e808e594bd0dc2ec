"""Pins: what this machine has seen of a release before, so that another owner or an older state is noticed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from medveil.errors import IntegrityError, MedveilError, UsageError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.releases.ledger import Ledger

_HEX_DIGITS = 64


def check_and_pin(ledger: Ledger, *, owner_key: bytes = b"", head: str = "", pin: bool = True) -> bool:
    """Compare a ledger with what was pinned for its release id, then pin it unless it is a mere look.

    An owner key or a head that the caller names outranks a pin of another owner, which was only a first look.

    Args:
        ledger: a chain whose signatures fit the owners that it names.
        owner_key: the Ed25519 key that the caller expects, or empty.
        head: sha256 of a ledger entry in hexadecimal digits, or empty: the release must be that state or a later one.
        pin: remember what was seen; off for a mere look.

    Returns:
        Whether the signer is known: named by the caller, or pinned at an earlier look.

    Raises:
        IntegrityError: another owner than expected, an older state than seen before, or one that forked off it.
        UsageError: `head` is no such digest.
    """
    founder = ledger.owners[0]
    if owner_key and owner_key != founder:  # a deputy's key would not do: a founder names her without asking her
        raise IntegrityError(
            "the release is signed by another owner than the one named",
            hint="compare fingerprints with the owner before you use it",
        )
    _check_head(ledger, head)
    path = _path(ledger.head.release)
    known = _read(path)
    if known is not None and (owner_key or head) and known[0] != founder:
        known = None
    if known is not None:
        _compare(ledger, known)
    if pin:
        with suppress(OSError, MedveilError):  # without a writable state folder nothing is remembered
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            record = canonical.dumps([founder, ledger.head.number, ledger.digests[-1]])
            write_bytes(path, record, mode=0o600, overwrite=True)
    return bool(owner_key) or bool(head) or known is not None


def is_pinned(ledger: Ledger) -> bool:
    """Whether this machine has pinned the release as one of this founder."""
    known = _read(_path(ledger.head.release))
    return known is not None and known[0] == ledger.owners[0]


def was_published(release: bytes, founder: bytes) -> bool:
    """Whether this machine has pinned a release of that id as one of this founder."""
    known = _read(_path(release))
    return known is not None and known[0] == founder


def _check_head(ledger: Ledger, head: str) -> None:
    if not head:
        return
    try:
        digest = bytes.fromhex(head)
    except ValueError:
        digest = b""
    if len(head) != _HEX_DIGITS or len(digest) != _HEX_DIGITS // 2:
        raise UsageError("--head takes the 64 hexadecimal digits that medveil ledger prints as the head")
    if digest not in ledger.digests:
        raise IntegrityError(
            "the named head is not in the ledger: the release is of an older state, or of another history",
            hint="get the current release from its owner",
        )


def _compare(ledger: Ledger, known: tuple[bytes, int, bytes]) -> None:
    founder, number, digest = known
    if founder != ledger.owners[0]:
        raise IntegrityError(
            "the release is signed by another owner than at the first look",
            hint="it may be another release that is passed off as yours; ask the owner, and name her with --owner",
        )
    if ledger.head.number < number:
        raise IntegrityError(
            f"the release is an older state (entry {ledger.head.number} of its ledger) than one seen before ({number})",
            hint="get the current release from its owner",
        )
    if ledger.digests[number] != digest:
        raise IntegrityError(
            f"the ledger has another entry {number} than at an earlier look: its owner signed two histories",
            hint="ask the owner which of them is true",
        )


def _path(release: bytes) -> Path:
    from platformdirs import user_state_path

    return user_state_path("medveil", appauthor=False) / "pins" / f"{release.hex()}.cbor"


def _read(path: Path) -> tuple[bytes, int, bytes] | None:
    try:
        founder, number, digest = canonical.loads(path.read_bytes(), what="pin")
    except (OSError, IntegrityError, ValueError, TypeError):
        return None
    if os.name == "posix" and path.stat().st_uid != os.getuid():
        return None
    sound = isinstance(founder, bytes) and type(number) is int and number >= 0 and isinstance(digest, bytes)
    return (founder, number, digest) if sound else None
