"""Reading the packages of a release folder: bytes are compared with the manifest before anything else happens."""

from __future__ import annotations

import hashlib
from pathlib import Path

from medveil.errors import IntegrityError, UsageError
from medveil.files.reading import read_regular
from medveil.releases.packages.package import Package
from medveil.releases.records.manifest import Manifest, PackageEntry


def load_package(folder: Path, entry: PackageEntry, manifest: Manifest) -> Package:
    """The package of one manifest entry.

    Raises:
        IntegrityError: missing, of another length or digest, or swapped in from another release or entry.
    """
    name = f"package {entry.package.hex()}"
    path = folder / entry.path
    try:
        data = read_regular(path, limit=entry.length, what=name)
    except FileNotFoundError:
        raise IntegrityError(f"{name} is missing") from None
    if len(data) != entry.length:
        raise IntegrityError(f"{name} was changed: it is {len(data)} bytes long where the manifest says {entry.length}")
    if hashlib.sha256(data).digest() != entry.sha256:
        raise IntegrityError(f"{name} was changed: its digest is not the signed one")
    package = Package.from_bytes(data)
    header = package.header
    if (header.package, header.release) != (entry.package, manifest.release) or header.epoch > manifest.epoch:
        raise IntegrityError(f"{name} belongs to another release or entry")
    return package


def find_entry(manifest: Manifest, package: str) -> PackageEntry:
    """The entry whose id begins with these hexadecimal digits. Raises UsageError for none or several."""
    fitting = [entry for entry in manifest.packages if entry.package.hex().startswith(package.lower())]
    if len(fitting) != 1 or not package:
        raise UsageError(
            f"{len(fitting)} packages have an id that begins so; exactly one is wanted",
            hint="medveil list shows the ids to the owner; the file names under packages/ are the ids",
        )
    return fitting[0]
