"""Manifest: the signed list of what a release consists of. Which manifest counts is what the ledger's last entry says.

`manifest.cbor` is canonical CBOR, `manifest.sig` an owner's Ed25519 signature over the stored bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from medveil.codecs.code import Profile
from medveil.errors import FormatVersionError, IntegrityError, UsageError
from medveil.files import canonical
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.protection.levels import LEVELS, Level, level_of
from medveil.releases.packages.package import FORMAT, SUITE, PackageEntry

RECORD, SIGNATURE = "manifest.cbor", "manifest.sig"
CONTEXT = b"medveil/v1/manifest"
MAX_MANIFEST = 1 << 27  # bytes; room for half a million packages
_BYTES_AN_ITEM = 12  # a manifest has fewer data items than one in so many bytes
_MAX_SPARSITY = 256  # channels of a code vector
_LINK_BYTES = 48
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CODEC = re.compile(r"[a-z0-9_-]{1,32}")
_SHARED = re.compile(r"(identity|weights/[0-9a-f]{64})\.([0-9]{1,10})\.(dict|sealed)")
_FIELDS = frozenset({
    "format", "suite", "release", "epoch", "sequence", "owner", "hybrid", "protection", "profile", "tiers",
    "grids", "created", "decoys", "weights", "shared", "links", "packages",
})  # fmt: skip


@dataclass(frozen=True, order=True)
class SharedFile:
    """A sealed file that the packages of a release have in common.

    Attributes:
        name: its path in the release: identity.<epoch>.dict, or weights/<sha256 of the weights>.<epoch>.sealed.
        epoch: the epoch whose keys seal it.
        sha256: digest of the file.
    """

    name: str
    epoch: int
    sha256: bytes


@dataclass(frozen=True)
class Manifest:
    """The public record of a release; nothing in it depends on what the images show.

    Attributes:
        release: id, 16 random bytes.
        epoch: key epoch of packages that come next.
        sequence: number of the ledger entry that introduced this manifest.
        owner: Ed25519 public key of the owner who founded the release.
        hybrid: whether the release was made with a post-quantum key, so that classical wraps need to be allowed.
        protection: sealed, encrypted or obfuscated.
        profile: coding settings, one for the whole release.
        tiers: which tiers its images have, best first.
        grids: (image, identity): those sections are padded to multiples of these bytes.
        created: day, YYYY-MM-DD.
        decoys: decoys a code vector or map where protection is obfuscated, else 0.
        weights: sha256 of each embedded weights file that is public.
        shared: sealed files that the packages have in common, sorted by name.
        links: for each epoch that has one, (epoch, the keys of the epoch before it under its own), in rising order.
        packages: entries sorted by id.
    """

    release: bytes
    epoch: int
    sequence: int
    owner: bytes
    hybrid: bool
    protection: str
    profile: Profile
    tiers: tuple[Tier, ...]
    grids: tuple[int, int]
    created: str
    decoys: int = 0
    weights: tuple[bytes, ...] = ()
    shared: tuple[SharedFile, ...] = ()
    links: tuple[tuple[int, tuple[bytes, ...]], ...] = ()
    packages: tuple[PackageEntry, ...] = ()

    def to_bytes(self) -> bytes:
        """Raises UsageError where it would be longer than a reader takes."""
        profile = self.profile
        record = canonical.dumps(
            {
                "format": FORMAT,
                "suite": SUITE,
                "release": self.release,
                "epoch": self.epoch,
                "sequence": self.sequence,
                "owner": self.owner,
                "hybrid": self.hybrid,
                "protection": self.protection,
                "profile": [profile.codec, profile.quality_centidb, profile.sparsity, profile.deep, profile.weights],
                "tiers": [tier.value for tier in self.tiers],
                "grids": list(self.grids),
                "created": self.created,
                "decoys": self.decoys,
                "weights": list(self.weights),
                "shared": [[file.name, file.epoch, file.sha256] for file in self.shared],
                "links": [[epoch, list(link)] for epoch, link in self.links],
                "packages": [[e.package, e.length, e.sha256, list(e.commitments)] for e in self.packages],
            }
        )
        if len(record) > MAX_MANIFEST:
            raise UsageError(
                f"{len(self.packages)} packages are more than one release can have", hint="share them as several"
            )
        return record

    @property
    def level(self) -> Level:
        """Its protection level."""
        return level_of(self.protection, self.decoys)

    @property
    def owner_fingerprint(self) -> str:
        """The founder's fingerprint, as `medveil keygen` showed it to her."""
        return Recipient("", self.owner).fingerprint

    def with_packages(self, entries: list[PackageEntry], sequence: int) -> Manifest:
        """The same release with these packages, introduced by the ledger entry of this number."""
        return replace(self, packages=tuple(sorted(entries)), sequence=sequence)

    def files(self) -> dict[str, tuple[bytes, str]]:
        """Files beside the packages that it names: path -> (sha256, what it is)."""
        named = {file.name: (file.sha256, "sealed file") for file in self.shared}
        return named | {f"weights/{d.hex()}.safetensors": (d, "weights file") for d in self.weights}


def parse(record: bytes) -> Manifest:
    """The manifest of stored bytes.

    Raises:
        FormatVersionError: written by a newer medveil.
        IntegrityError: not a manifest of format 1.
    """
    items = 1024 + len(record) // _BYTES_AN_ITEM
    value: Any = canonical.loads(record, what="manifest", limit=MAX_MANIFEST, max_items=items)
    if not isinstance(value, dict) or type(value.get("format")) is not int or type(value.get("suite")) in (bool, float):
        raise IntegrityError("the manifest does not say which format it has")
    if (value["format"], value.get("suite")) != (FORMAT, SUITE):
        raise FormatVersionError(
            f"the release has format {value['format']}, suite {value.get('suite')}; "
            f"this medveil reads format {FORMAT}, suite {SUITE}",
            hint="update medveil to open it",
        )
    try:
        return _manifest_of(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError("the manifest does not have the fields of format 1") from None


def _manifest_of(value: dict[str, Any]) -> Manifest:
    if set(value) != _FIELDS or type(value["hybrid"]) is not bool:
        raise ValueError("fields")
    if not all(type(value[name]) is list for name in ("tiers", "grids", "weights", "shared", "links", "packages")):
        raise TypeError("lists")
    profile = _profile_of(value["profile"])
    packages = tuple(PackageEntry(i, n, digest, tuple(commits)) for i, n, digest, commits in value["packages"])
    ids = [entry.package for entry in packages]
    shared = tuple(SharedFile(name, epoch, digest) for name, epoch, digest in value["shared"])
    integers = [value["epoch"], value["sequence"], value["decoys"], *value["grids"]]
    integers += [entry.length for entry in packages] + [file.epoch for file in shared]
    if not all(type(n) is int and 0 <= n < 1 << 32 for n in integers) or len(value["grids"]) != 2:
        raise ValueError("integers")
    if ids != sorted(set(ids)) or not all(type(i) is bytes and len(i) == 16 for i in [*ids, value["release"]]):
        raise ValueError("ids")
    names = [file.name for file in shared]
    matches = [_SHARED.fullmatch(file.name) for file in shared]
    if names != sorted(set(names)) or any(
        m is None or m[2] != str(f.epoch) for m, f in zip(matches, shared, strict=True)
    ):
        raise ValueError("shared")
    digests = [entry.sha256 for entry in packages] + [c for entry in packages for c in entry.commitments]
    digests += [*value["weights"], *(file.sha256 for file in shared), value["owner"]]
    if not all(type(d) is bytes and len(d) == 32 for d in digests):
        raise ValueError("digests")
    if not _DAY.fullmatch(value["created"]) or value["protection"] not in LEVELS:
        raise ValueError("texts")
    tiers = tuple(Tier(name) for name in value["tiers"])
    if tiers != tuple(tier for tier in Tier if tier in tiers) or Tier.DIAGNOSTIC not in tiers:
        raise ValueError("tiers")
    return Manifest(
        value["release"], value["epoch"], value["sequence"], value["owner"], value["hybrid"], value["protection"],
        profile, tiers, (value["grids"][0], value["grids"][1]), value["created"], value["decoys"],
        tuple(value["weights"]), shared, _links_of(value["links"], value["epoch"]), packages,
    )  # fmt: skip


def _profile_of(value: Any) -> Profile:
    codec, quality, sparsity, deep, weights = value
    if not all(type(n) is int and 0 <= n < 1 << 32 for n in (quality, sparsity, deep)):
        raise ValueError("profile")
    if not _CODEC.fullmatch(codec) or type(weights) is not bytes or len(weights) not in (0, 32):
        raise ValueError("profile")
    if sparsity > _MAX_SPARSITY or deep > 1:
        raise ValueError("profile")
    return Profile(codec, quality, sparsity, deep, weights)


def _links_of(value: Any, epoch: int) -> tuple[tuple[int, tuple[bytes, ...]], ...]:
    """Links of consecutive epochs that end with the current one."""
    links = tuple((number, tuple(parts)) for number, parts in value)
    if [number for number, _ in links] != list(range(epoch - len(links) + 1, epoch + 1)) or len(links) > epoch:
        raise ValueError("links")
    for _, parts in links:
        if len(parts) != len(Tier) + 1 or not all(type(p) is bytes and len(p) == _LINK_BYTES for p in parts):
            raise ValueError("link")
    return links
