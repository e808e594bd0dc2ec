"""inspect: what anybody can see of a release or of one package, and the picture that decoding the public part gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket
from medveil.codecs.coding import Coding
from medveil.errors import UsageError
from medveil.files.atomic import write_bytes
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.tiers import Section
from medveil.releases.packages.package import Package, PackageEntry, find_entry, load_package
from medveil.releases.records.ledger import weakest
from medveil.releases.release import Release
from medveil.releases.writing.staging import refuse_inside_release


@dataclass(frozen=True)
class PublicView:
    """Everything that is visible without a key.

    Attributes:
        release, owner, protection, created: identity of the release; owner is the founder's fingerprint.
        owners: fingerprints of all who may sign for it, the founder's first.
        profile: coding settings by name.
        tiers: which tiers the images have, best first.
        packages, grants: how many.
        weakest_wrap: the weakest kind of key that a grant of the packages was ever wrapped for, also one that was taken
            out since; who breaks it, and has a copy of that grant, opens what it opened.
        sequence, head: number and sha256 of the ledger's last entry.
        epoch: key epoch of packages that come next.
        package: id, bucket, tier and section lengths of the package that was asked for, or None.
    """

    release: str
    owner: str
    owners: list[str]
    protection: str
    created: str
    profile: dict[str, object]
    tiers: list[str]
    packages: int
    grants: int
    weakest_wrap: str
    sequence: int
    epoch: int
    head: str
    package: dict[str, object] | None = None


def inspect(folder: Path, package: str | None = None) -> PublicView:
    """What anybody can see. `package` is an id in hexadecimal digits, or its unambiguous beginning."""
    release = Release(folder)
    manifest, profile = release.manifest, release.manifest.profile
    shown = None
    if package is not None:
        entry = find_entry(manifest, package)
        header = load_package(folder, entry, manifest).header
        shown = {
            "id": entry.package.hex(),
            "bytes": entry.length,
            "bucket": [header.bucket.height, header.bucket.width],
            "epoch": header.epoch,
            "sections": {section.value: length for section, length in header.sections},
        }
    return PublicView(
        manifest.release.hex(), manifest.owner_fingerprint,
        [Recipient("", key).fingerprint for key in release.ledger.owners], manifest.protection, manifest.created,
        {
            "codec": profile.codec, "quality_db": profile.quality_centidb / 100, "sparsity": profile.sparsity,
            "deep": bool(profile.deep), "weights": profile.weights.hex(),
        },
        [tier.value for tier in manifest.tiers], len(manifest.packages), len(release.ledger.grants),
        _words(weakest(grant.wrap for grant in release.ledger.grants_ever)), release.ledger.head.number,
        manifest.epoch, release.ledger.digests[-1].hex(), shown,
    )  # fmt: skip


def _words(wrap: Wrap | None) -> str:
    if wrap is None:
        return "none"
    return f"{wrap.value}, {'post-quantum' if wrap.post_quantum else 'classical'}"


def stranger_picture(folder: Path, package: str | None = None) -> NDArray[np.uint8]:
    """The picture (H, W) that somebody without a key gets from the public part, as 8-bit grey values.

    Sealed: the public code taken at face value. Obfuscated: the code with its decoys. Encrypted: the bytes of the
    section, row after row, since there is no code to decode.
    """
    release = Release(folder)
    if not release.manifest.packages:
        raise UsageError("the release holds no package")
    entry = find_entry(release.manifest, package) if package else _first_image(folder, release)
    return stranger_view(load_package(folder, entry, release.manifest), release)


def stranger_view(package: Package, release: Release) -> NDArray[np.uint8]:
    """As `stranger_picture`, of a package in memory."""
    data, bucket = package.sections.get(Section.CODE, b""), package.header.bucket
    if not data or bucket == Bucket(0, 0):
        raise UsageError("this package is an attachment; only images have a picture")
    manifest = release.manifest
    return manifest.level.public_view(data, Coding(release.codec(), manifest.profile), bucket)


def write_render(folder: Path, package: str | None, target: Path, *, force: bool = False) -> None:
    """Write `stranger_picture` as a PNG. Raises TargetExistsError where something is there, or inside a release."""
    import io

    refuse_inside_release(target)
    from PIL import Image as Picture

    buffer = io.BytesIO()
    Picture.fromarray(stranger_picture(folder, package)).save(buffer, format="PNG")
    write_bytes(target, buffer.getvalue(), overwrite=force)


def _first_image(folder: Path, release: Release) -> PackageEntry:
    for entry in release.manifest.packages:
        if load_package(folder, entry, release.manifest).header.bucket != Bucket(0, 0):
            return entry
    raise UsageError("the release holds attachments only")
