"""list: which package is which original. Needs identity, so in general the owner's key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medveil.errors import NoFittingKeyError
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.releases.packages.package import load_package
from medveil.releases.packages.unpacking import open_identity, sees_identity
from medveil.releases.release import Release


@dataclass(frozen=True)
class Listed:
    """One package and its original.

    Attributes:
        package: id in hexadecimal digits, as in the file's name.
        path: relative path of the original.
        sha256: digest of the original in hexadecimal digits.
        bytes: length of the package.
    """

    package: str
    path: str
    sha256: str
    bytes: int


def list_originals(folder: Path, identity: Opener, *, owner: Recipient | None = None) -> list[Listed]:
    """Package and original, sorted by the original's path; `owner` as of `Release`.

    Raises:
        NoFittingKeyError: without an identity grant.
        RefusedError: as `Release.access_of`.
    """
    release = Release(folder, owner=owner)
    ring = release.access_of(identity).ring
    if not ring.sees_identity:
        raise NoFittingKeyError(
            f"key {identity.fingerprint} opens the images of this release and not whose they are",
            hint="the owner's key lists the originals, and the keys that --identity named",
        )
    rows = []
    for entry in release.manifest.packages:
        package = load_package(folder, entry, release.manifest)
        if not sees_identity(package, ring):
            continue
        origin, _ = open_identity(package, ring)
        rows.append(Listed(entry.package.hex(), origin.path, origin.sha256.hex(), entry.length))
    return sorted(rows, key=lambda row: (row.path, row.package))
