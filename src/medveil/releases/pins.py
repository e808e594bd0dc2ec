"""Pins: what this machine has seen of a release before, so that another owner or an older state is noticed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from medveil.errors import IntegrityError, MedveilError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.releases.manifest import Manifest


def check_and_pin(manifest: Manifest, *, owner_key: bytes = b"", pin: bool = True) -> bool:
    """Compare a manifest with what was pinned for its release id, then pin it.

    An owner key that the caller names outranks a pin of another owner, which was only a first look.

    Args:
        manifest: a manifest whose signature fits the owner key that it names.
        owner_key: the Ed25519 key that the caller expects, or empty.
        pin: remember what was seen; off for a mere look.

    Returns:
        Whether the signer is known: named by the caller, or pinned at an earlier look.

    Raises:
        IntegrityError: another owner than expected, or an older state than seen before.
    """
    if owner_key and manifest.owner != owner_key:
        raise IntegrityError(
            "the release is signed by another owner than the one named",
            hint="compare fingerprints with the owner before you use it",
        )
    path = _folder() / f"{manifest.release.hex()}.cbor"
    known = _read(path)
    if known is not None and owner_key and known[0] != owner_key:
        known = None
    if known is not None:
        pinned_owner, pinned_sequence = known
        if pinned_owner != manifest.owner:
            raise IntegrityError(
                "the release is signed by another owner than at the first look",
                hint="ask the owner; this can be an attempt to pass off a changed release",
            )
        if manifest.sequence < pinned_sequence:
            raise IntegrityError(
                f"the release is an older state (sequence {manifest.sequence}) "
                f"than one seen before ({pinned_sequence})",
                hint="get the current release from its owner",
            )
    if not pin:
        return bool(owner_key) or known is not None
    with suppress(OSError, MedveilError):  # without a writable state folder nothing is remembered
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(path, canonical.dumps([manifest.owner, manifest.sequence]), mode=0o600, overwrite=True)
    return bool(owner_key) or known is not None


def _folder() -> Path:
    from platformdirs import user_state_path

    return user_state_path("medveil", appauthor=False) / "pins"


def _read(path: Path) -> tuple[bytes, int] | None:
    try:
        owner, sequence = canonical.loads(path.read_bytes(), what="pin")
    except (OSError, IntegrityError, ValueError, TypeError):
        return None
    if os.name == "posix" and path.stat().st_uid != os.getuid():
        return None
    return (owner, sequence) if isinstance(owner, bytes) and isinstance(sequence, int) else None
