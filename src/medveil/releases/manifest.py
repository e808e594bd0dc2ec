"""Manifest: the signed list of what a release consists of, and the crash-safe switch from one to the next.

`manifest.cbor` (canonical CBOR) and `manifest.sig` (Ed25519 over the stored bytes) are two files. The next pair is
written beside them first (`*.next`); then the signature is renamed, then the record. A reader takes whichever record
the signature fits, so that at every moment the release is the old one or the new one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medveil.codecs.code import Profile
from medveil.errors import FormatVersionError, IntegrityError, UsageError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.files.reading import read_regular
from medveil.keys.identity import Identity, Recipient, signature_fits
from medveil.releases.package import FORMAT, SUITE

RECORD, SIGNATURE = "manifest.cbor", "manifest.sig"
_CONTEXT = b"medveil/v1/manifest"
PROTECTIONS = ("sealed", "encrypted", "obfuscated")
_MAX_MANIFEST = 1 << 27  # room for half a million packages
_BYTES_AN_ITEM = 12  # a manifest has fewer data items than one in so many bytes
_MAX_SIGNATURE = 64
_MAX_SPARSITY = 256  # channels of a code vector
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CODEC = re.compile(r"[a-z0-9_-]{1,32}")
_AGE = re.compile(r"age1[02-9ac-hj-np-z]{58}")


@dataclass(frozen=True, order=True)
class PackageEntry:
    """What the manifest says of one package.

    Attributes:
        package: its id (16 bytes); entries are sorted by it.
        length: bytes of the file.
        sha256: digest of the file.
        commitments: HKDF(section key, "commit") of each section, in file order.
    """

    package: bytes
    length: int
    sha256: bytes
    commitments: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """Path inside the release, with forward slashes."""
        return f"packages/{self.package.hex()[:2]}/{self.package.hex()}.mveil"


@dataclass(frozen=True)
class Manifest:
    """The public record of a release; nothing in it depends on what the images show.

    Attributes:
        release: id, 16 random bytes.
        epoch: key epoch.
        sequence: 0 for the first manifest of a release, one more each time it is signed anew.
        owner: the owner's Ed25519 public key.
        recipient: the owner's age recipient, so that her fingerprint can be shown.
        protection: sealed, encrypted or obfuscated.
        profile: coding settings, one for the whole release.
        grids: (image, identity): those sections are padded to multiples of these bytes.
        created: day, YYYY-MM-DD.
        decoys: decoys a code vector or map where protection is obfuscated, else 0.
        weights: sha256 of each embedded weights file.
        grants: (id, sha256) of each grant file, sorted.
        notes: sha256 of owner.age.
        dictionary: sha256 of identity.dict, or empty where there is none.
        packages: entries sorted by id.
    """

    release: bytes
    epoch: int
    sequence: int
    owner: bytes
    recipient: str
    protection: str
    profile: Profile
    grids: tuple[int, int]
    created: str
    decoys: int = 0
    weights: tuple[bytes, ...] = ()
    grants: tuple[tuple[bytes, bytes], ...] = ()
    notes: bytes = bytes(32)
    dictionary: bytes = b""
    packages: tuple[PackageEntry, ...] = ()

    def to_bytes(self) -> bytes:
        profile = self.profile
        return canonical.dumps(
            {
                "format": FORMAT,
                "suite": SUITE,
                "release": self.release,
                "epoch": self.epoch,
                "sequence": self.sequence,
                "owner": self.owner,
                "recipient": self.recipient,
                "protection": self.protection,
                "profile": [profile.codec, profile.quality_centidb, profile.sparsity, profile.deep, profile.weights],
                "grids": list(self.grids),
                "created": self.created,
                "decoys": self.decoys,
                "weights": list(self.weights),
                "grants": [list(grant) for grant in self.grants],
                "notes": self.notes,
                "dictionary": self.dictionary,
                "packages": [[e.package, e.length, e.sha256, list(e.commitments)] for e in self.packages],
            }
        )

    @property
    def owner_fingerprint(self) -> str:
        """The owner's fingerprint, as `medveil keygen` showed it to her."""
        return Recipient(self.recipient, self.owner).fingerprint

    def with_packages(self, entries: list[PackageEntry]) -> Manifest:
        """The same release with these packages, one sequence number further."""
        return replace(self, packages=tuple(sorted(entries)), sequence=self.sequence + 1)


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as found on disk.

    Attributes:
        manifest: the record whose signature fits.
        pending: packages named by a validly signed next manifest that was not switched to yet.
        half_switched: whether the record still stands under its `.next` name.
    """

    manifest: Manifest
    pending: tuple[PackageEntry, ...] = ()
    half_switched: bool = False


def save(folder: Path, manifest: Manifest, owner: Identity, *, via: Path | None = None) -> None:
    """Sign the manifest and make it the release's current one."""
    announce(folder, manifest, owner, via=via)
    os.replace(folder / f"{SIGNATURE}.next", folder / SIGNATURE)
    os.replace(folder / f"{RECORD}.next", folder / RECORD)


def settle(folder: Path, stored: StoredManifest) -> None:
    """Finish a switch that was cut between its two renames; the owner does so before she writes anything else."""
    if stored.half_switched:
        os.replace(folder / f"{RECORD}.next", folder / RECORD)


def announce(folder: Path, manifest: Manifest, owner: Identity, *, via: Path | None = None) -> None:
    """Write the signed next manifest beside the current one, without switching to it.

    The files are written in the folder `via` of the same file system first, so that no temporary file of a killed run
    is ever left in the release.
    """
    record = manifest.to_bytes()
    if len(record) > _MAX_MANIFEST:
        raise UsageError(
            f"{len(manifest.packages)} packages are more than one release can have", hint="share them as several"
        )
    for name, data in ((RECORD, record), (SIGNATURE, owner.sign(_CONTEXT, record))):
        write_bytes((via or folder) / f"{name}.next", data, overwrite=True)
        if via is not None:
            os.replace(via / f"{name}.next", folder / f"{name}.next")


def load(folder: Path) -> StoredManifest:
    """Read and check the manifest of a release folder against the owner key that it names.

    Raises:
        UsageError: the folder is not a release.
        IntegrityError: a file is missing, damaged, or no signature fits.
        FormatVersionError: written by a newer medveil.
    """
    records = [_read(folder / name, _MAX_MANIFEST) for name in (RECORD, f"{RECORD}.next")]
    signatures = [_read(folder / name, _MAX_SIGNATURE) for name in (SIGNATURE, f"{SIGNATURE}.next")]
    if records[0] is None and signatures[0] is None:
        raise UsageError("this folder is not a release: it has no manifest.cbor", hint="check the folder's name")
    for number, record in enumerate(records):
        if record is None or signatures[0] is None:
            continue
        manifest = _parse(record) if number == 0 else _parse_or_none(record)
        if manifest and signature_fits(manifest.owner, signatures[0], _CONTEXT, record):
            following = _signed_next(records[1], signatures[1], manifest)
            return StoredManifest(manifest, following, half_switched=number == 1)
    raise IntegrityError(
        "the manifest was changed, or its signature is missing or of another manifest",
        hint="get the release again from its owner",
    )


def _signed_next(record: bytes | None, signature: bytes | None, current: Manifest) -> tuple[PackageEntry, ...]:
    following = _parse_or_none(record) if record is not None else None
    if following is None or signature is None or record is None:
        return ()
    same = following.owner == current.owner and following.release == current.release
    return following.packages if same and signature_fits(current.owner, signature, _CONTEXT, record) else ()


def _read(path: Path, limit: int) -> bytes | None:
    try:
        return read_regular(path, limit=limit, what=f"file {path.name}")
    except FileNotFoundError:
        return None


def _parse_or_none(record: bytes) -> Manifest | None:
    try:
        return _parse(record)
    except (IntegrityError, FormatVersionError):
        return None


def _parse(record: bytes) -> Manifest:
    items = 1024 + len(record) // _BYTES_AN_ITEM
    value: Any = canonical.loads(record, what="manifest", limit=_MAX_MANIFEST, max_items=items)
    if not isinstance(value, dict) or not isinstance(value.get("format"), int):
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
    codec, quality, sparsity, deep, weights = value["profile"]
    profile = Profile(codec, quality, sparsity, deep, weights)
    packages = tuple(PackageEntry(i, n, digest, tuple(commits)) for i, n, digest, commits in value["packages"])
    ids = [entry.package for entry in packages]
    names = {"format", "suite", "release", "epoch", "sequence", "owner", "protection", "profile", "grids", "created"}
    if set(value) != names | {"decoys", "weights", "packages", "recipient", "grants", "notes", "dictionary"}:
        raise ValueError("fields")
    integers = [value["epoch"], value["sequence"], value["decoys"], *value["grids"], quality, sparsity, deep]
    integers += [entry.length for entry in packages]
    if not all(type(n) is int and 0 <= n < 1 << 32 for n in integers) or len(value["grids"]) != 2:
        raise ValueError("integers")
    if ids != sorted(set(ids)) or not all(type(i) is bytes and len(i) == 16 for i in [*ids, value["release"]]):
        raise ValueError("ids")
    grants = tuple((grant_id, digest) for grant_id, digest in value["grants"])
    if list(grants) != sorted(set(grants)) or not all(type(i) is bytes and len(i) == 16 for i, _ in grants):
        raise ValueError("grants")
    digests = [entry.sha256 for entry in packages] + [c for entry in packages for c in entry.commitments]
    digests += [*value["weights"], *(digest for _, digest in grants), value["notes"], value["owner"]]
    digests += [value["dictionary"]] if value["dictionary"] else []
    if not all(type(d) is bytes and len(d) == 32 for d in digests):
        raise ValueError("digests")
    texts = [_DAY.fullmatch(value["created"]), _CODEC.fullmatch(codec), _AGE.fullmatch(value["recipient"])]
    if not all(texts) or value["protection"] not in PROTECTIONS:
        raise ValueError("texts")
    if type(weights) is not bytes or len(weights) not in (0, 32) or sparsity > _MAX_SPARSITY or deep > 1:
        raise ValueError("profile")
    return Manifest(
        value["release"], value["epoch"], value["sequence"], value["owner"], value["recipient"], value["protection"],
        profile, (value["grids"][0], value["grids"][1]), value["created"], value["decoys"], tuple(value["weights"]),
        grants, value["notes"], value["dictionary"], packages,
    )  # fmt: skip
