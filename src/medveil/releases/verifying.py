"""verify: what anybody can check without a key. It raises on the first thing that is wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from medveil.errors import IntegrityError
from medveil.keys.identity import Recipient
from medveil.releases import manifest as manifests
from medveil.releases.book import BOOK
from medveil.releases.identity import DICTIONARY
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
    for name, (digest, what) in _other_files(folder, stored).items():
        _check_digest(folder / name, digest, what)
    _check_nothing_added(folder, stored)
    words = "verified" if known else "consistent, signer unknown"
    return VerifyResult(
        packages=len(stored.manifest.packages),
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        owner=stored.manifest.owner_fingerprint,
        signer_known=known,
        sequence=stored.manifest.sequence,
        words=words,
    )


def check_signer(stored: StoredManifest, owner: Recipient | None, *, pin: bool = True) -> bool:
    """Compare the manifest's signer with the named or the pinned one; see `pins.check_and_pin`."""
    if owner is not None and not owner.verify_key:
        raise IntegrityError(
            "the named owner's public key file holds no verify key",
            hint="use the .pub file that medveil keygen wrote",
        )
    return check_and_pin(stored.manifest, owner_key=owner.verify_key if owner else b"", pin=pin)


def _other_files(folder: Path, stored: StoredManifest) -> dict[str, tuple[bytes, str]]:
    """Signed files beside the packages: name -> (sha256, what it is)."""
    manifest = stored.manifest
    files = {BOOK: (manifest.notes, "owner's notes")}
    if manifest.dictionary:
        files[DICTIONARY] = (manifest.dictionary, "identity dictionary")
    files |= {f"grants/{grant.hex()}.age": (digest, "grant") for grant, digest in manifest.grants}
    weights = {weights_path(folder, digest).relative_to(folder).as_posix(): digest for digest in manifest.weights}
    return files | {name: (digest, "weights file") for name, digest in weights.items()}


def _check_digest(path: Path, digest: bytes, what: str) -> None:
    try:
        if not path.is_file():
            raise IntegrityError(f"a {what} that the manifest names is missing or no file")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise IntegrityError(f"a {what} cannot be read: {error.strerror or type(error).__name__}") from None
    if found != digest:
        raise IntegrityError(f"a {what} was changed: its digest is not the signed one")


def _check_nothing_added(folder: Path, stored: StoredManifest) -> None:
    records = {name + end for name in (manifests.RECORD, manifests.SIGNATURE) for end in ("", ".next")}
    packages = {entry.path for entry in (*stored.manifest.packages, *stored.pending)}
    expected = records | packages | set(_other_files(folder, stored))
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or (not path.is_dir() and path.relative_to(folder).as_posix() not in expected):
            raise IntegrityError(
                "a file was added to the release that the manifest does not name",
                hint="take everything out of the release folder that share did not write",
            )
