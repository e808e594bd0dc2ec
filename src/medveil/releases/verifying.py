"""verify: what anybody can check without a key. It raises on the first thing that is wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from medveil.errors import IntegrityError
from medveil.keys.identity import Recipient, fingerprint
from medveil.releases import manifest as manifests
from medveil.releases.manifest import StoredManifest
from medveil.releases.pins import check_and_pin
from medveil.releases.stored import load_package, weights_path


@dataclass(frozen=True)
class VerifyResult:
    """What was found sound.

    Attributes:
        packages: number of packages, all of which fit the manifest.
        bytes: length of the whole release on disk.
        owner: fingerprint of the Ed25519 key that signed.
        signer_known: whether that key was named by the caller or pinned at an earlier look.
        sequence: of the manifest.
        words: the verdict as it is to be printed.
    """

    packages: int
    bytes: int
    owner: str
    signer_known: bool
    sequence: int
    words: str


def verify(folder: Path, *, owner: Recipient | None = None) -> VerifyResult:
    """Check every byte of a release against its signed manifest.

    Raises:
        IntegrityError: a file is changed, missing, added or foreign, another owner signed, or the state is older than
            one seen before; the message names which.
        FormatVersionError: written by a newer medveil.
        UsageError: not a release.
    """
    stored = manifests.load(folder)
    known = check_signer(stored, owner)
    for entry in stored.manifest.packages:
        load_package(folder, entry, stored.manifest)
    _check_nothing_added(folder, stored)
    for digest in stored.manifest.weights:
        _check_weights(folder, digest)
    words = "verified" if known else "consistent, signer unknown"
    return VerifyResult(
        packages=len(stored.manifest.packages),
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        owner=fingerprint(stored.manifest.owner),
        signer_known=known,
        sequence=stored.manifest.sequence,
        words=words,
    )


def check_signer(stored: StoredManifest, owner: Recipient | None) -> bool:
    """Compare the manifest's signer with the named or the pinned one; see `pins.check_and_pin`."""
    if owner is not None and not owner.verify_key:
        raise IntegrityError(
            "the named owner's public key file holds no verify key",
            hint="use the .pub file that medveil keygen wrote",
        )
    return check_and_pin(stored.manifest, owner_key=owner.verify_key if owner else b"")


def _check_nothing_added(folder: Path, stored: StoredManifest) -> None:
    expected = {entry.path for entry in (*stored.manifest.packages, *stored.pending)}
    packages = folder / "packages"
    for path in sorted(packages.rglob("*")) if packages.is_dir() else []:
        if path.is_symlink() or (path.is_file() and path.relative_to(folder).as_posix() not in expected):
            raise IntegrityError("a file was added to the packages that the manifest does not name")


def _check_weights(folder: Path, digest: bytes) -> None:
    path = weights_path(folder, digest)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
    except OSError:
        raise IntegrityError("the codec's weights are missing from the release") from None
    if found != digest:
        raise IntegrityError("the codec's weights in the release were changed")
