"""list: which package is which original. Needs identity, so in general the owner's key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medveil.errors import NoFittingKeyError
from medveil.files.names import safe_relative
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
        path: relative path of the original, made safe and harmless as `open` makes it: the owner's, or a hostile
            owner's, may be one that leaves a folder or that programs act upon.
        sha256: digest of the original in hexadecimal digits.
        bytes: length of the package.
        renamed: whether the path is another than the stored one.
    """

    package: str
    path: str
    sha256: str
    bytes: int
    renamed: bool = False


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
        path = str(safe_relative(origin.path))
        rows.append(Listed(entry.package.hex(), path, origin.sha256.hex(), entry.length, path != origin.path))
    return sorted(rows, key=lambda row: (row.path, row.package))
