"""list: which package is which original. Needs identity, so in general the owner's key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medveil.errors import NoFittingKeyError
from medveil.keys.identity import Identity
from medveil.releases.packing import open_identity
from medveil.releases.release import Release
from medveil.releases.stored import load_package


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


def list_originals(folder: Path, identity: Identity) -> list[Listed]:
    """Package and original, sorted by the original's path. Raises NoFittingKeyError without an identity grant."""
    release = Release(folder)
    keys = release.grant_of(identity).keys
    if not keys.identity_key:
        raise NoFittingKeyError(
            f"key {identity.fingerprint} opens the images of this release and not whose they are",
            hint="the owner's key lists the originals, and the keys that --identity named",
        )
    rows = []
    for entry in release.manifest.packages:
        origin, _ = open_identity(load_package(folder, entry, release.manifest), keys)
        rows.append(Listed(entry.package.hex(), origin.path, origin.sha256.hex(), entry.length))
    return sorted(rows, key=lambda row: (row.path, row.package))
