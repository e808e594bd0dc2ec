"""A keyed release as a target: which package is which image, and what the owner's key opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from medveil.audit.checks.form_checks import form_checks
from medveil.audit.checks.public_values import MadeOf
from medveil.audit.targets.originals import Match, OriginalFile, find_originals, gather
from medveil.audit.targets.target import ImageSet, Kind, Limits, SetKind, Stored, Target
from medveil.codecs.code import Bucket, Codec
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError, UsageError
from medveil.images.formats import read_bytes
from medveil.images.image import Image
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import KeyRing, Section
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import EncryptedInSteps, code_of, mechanism_of, observe
from medveil.mechanisms.observation import Case, Subject
from medveil.releases.packages.origin import Origin
from medveil.releases.packages.package import PackageEntry, load_package
from medveil.releases.packages.packing import bucket_room
from medveil.releases.packages.unpacking import open_identity, sees_identity
from medveil.releases.records.manifest import Manifest
from medveil.releases.records.owner_records import OwnerBook
from medveil.releases.release import Release


@dataclass(frozen=True)
class _Held:
    """A package, where in the manifest it stands (0 … 1), its size class, lengths of its sections, and whether its file
    has changed since."""

    entry: PackageEntry
    place: float
    bucket: Bucket
    lengths: Mapping[Section, int]
    changed: bool


def keyed_target(
    release: Release, identity: Opener, originals: Path, manifest: Path | None, *,
    limits: Limits, working: int, seed: int, skip: Sequence[Path] = (), tick: Callable[[], None] = lambda: None,
) -> Target:  # fmt: skip
    """A release whose images are under keys.

    Args:
        release: nothing is written to it.
        identity: a key that sees which package is which original, in general the owner's.
        originals, manifest: as of `medveil.audit.targets.originals.find_originals`.
        Others: as of `medveil.audit.targets.target.ReadTarget`.

    Raises:
        NoFittingKeyError: the key does not open the release, or not whose the images are.
        UsageError: no package has its original among the files, or the manifest cannot be read or lists none of them.
        IntegrityError: the release is damaged.
    """
    ring = owner_ring(release, identity)
    codec = release.codec(ring)

    def image_of(entry: PackageEntry, opener: KeyRing) -> Image | None:
        opened = release.open_package(entry, opener, codec)
        return opened.content if opened is not None and isinstance(opened.content, Image) else None

    def alike(held: _Held, image: Image) -> bool:
        """Whether a package holds an image of this size; only of a file that has changed since it is opened for it."""
        if Bucket.of(*image.pixels.shape) != held.bucket:
            return False
        opened = image_of(held.entry, ring) if held.changed else image
        return opened is not None and opened.pixels.shape == image.pixels.shape

    counts: Counter[str] = Counter()
    files = find_originals(originals, manifest, (release.folder, *skip), counts, tick)
    matched = _matched(release, ring, files, counts, tick)
    if not matched:
        raise UsageError(
            f"none of the {len(release)} packages has its original among the {len(files)} files of --originals",
            hint="name the folder that was shared",
        )
    if manifest is not None:
        unlisted = counts["packages_unlisted_in_manifest"] = sum(match.file.record is None for match in matched)
        if unlisted == len(matched):
            raise UsageError(
                f"the manifest lists none of the {len(matched)} images of the release, only other files of --originals",
                hint="give the manifest that names the patients of the images that were shared",
            )
    material = gather(
        matched, files, originals, listed=manifest is not None, alike=alike, limits=limits, working=working, seed=seed,
        release=release.manifest.to_bytes(), counts=counts, tick=tick,
    )  # fmt: skip
    held, made_of, codes = material.things, material.files, CodeCache()
    mechanism = mechanism_of(
        release.manifest, codec, window=material.window, working=working, cache=codes,
        file_bytes=(
            (lambda subject: made_of[subject.number].bytes) if Section.FILE in matched[0].thing.lengths else None
        ),
        **_lengths_seen(release.manifest, codec, [match.thing for match in matched]),
    )  # fmt: skip

    def case_of(subject: Subject) -> Case:
        one = held[subject.number]
        package = load_package(release.folder, one.entry, release.manifest)
        seen = observe(package, one.entry, one.place, mechanism)
        return Case(subject, seen, code_of(package, ring, mechanism))

    def opened(lowered: KeyRing, subject: Subject) -> Stored:
        found = image_of(held[subject.number].entry, lowered)
        if found is None:
            raise IntegrityError("a package does not open to an image")
        if found.pixels.shape != subject.image.pixels.shape:
            raise IntegrityError("a package opens to an image of another size than its original")
        return found.pixels

    return Target(
        Kind.KEYED, mechanism, material.subjects, material.outside, case_of,
        tuple(
            ImageSet(tier.value, SetKind.TIER, "what recipients of this tier open", partial(opened, ring.lowered(tier)))
            for tier in release.manifest.tiers
        ),
        public_facts(release) | standing_facts(release, identity),
        partial(form_checks, release, identity, list(map(_made_of, matched))),
        material.window, manifest is not None, dict(counts), material.digest, codes, material.tasked,
        material.annotations,
    )  # fmt: skip


def public_facts(release: Release) -> dict[str, Any]:
    """What everybody can read of a release."""
    manifest = release.manifest
    return {
        "id": manifest.release.hex(),
        "protection": manifest.protection,
        "codec": manifest.profile.codec,
        "quality": manifest.profile.quality_centidb / 100 or None,
        "sparsity": manifest.profile.sparsity or None,
        "decoys": manifest.decoys or None,
        "deep": bool(manifest.profile.deep),
        "tiers": [tier.value for tier in manifest.tiers],
        "created": manifest.created,
        "epoch": manifest.epoch,
        "packages": len(manifest.packages),
        "bytes": sum(entry.length for entry in manifest.packages),
    }


def standing_facts(release: Release, identity: Opener) -> dict[str, Any]:
    """Where a release stands, for whoever answers for it: its ledger, its owners and, where an owner audits, who may
    open what: by the names in the owners' notes, and by the fingerprints of their keys.
    """
    ledger, owner_key = release.ledger, release.access_of(identity).owner_key
    notes = OwnerBook.read(ledger, release.manifest, owner_key).grants if owner_key else None
    return {
        "head": ledger.digests[-1].hex(),
        "entry": ledger.head.number,
        "day": ledger.head.day,
        "owners": [Recipient("", key).fingerprint for key in ledger.owners],
        "owner_known": release.signer_known or identity.recipient.verify_key == ledger.owners[0],
        "grants": len(ledger.grants),
        "recipients": None if notes is None else [
            {
                "name": note.recipient.name, "fingerprint": note.recipient.fingerprint, "tier": note.tier.value,
                "identity": note.sees_identity, "packages": len(note.only) or None, "until": note.until,
                "owner": note.is_owner,
            }
            for note in notes
        ],
    }  # fmt: skip


def owner_ring(release: Release, identity: Opener) -> KeyRing:
    """The keys of somebody who sees which package is which original.

    Raises:
        NoFittingKeyError: the identity opens nothing, or not whose the images are.
    """
    ring = release.access_of(identity).ring
    if not ring.sees_identity:
        raise NoFittingKeyError(
            f"key {identity.fingerprint} opens the images of this release and not whose they are; "
            "an audit has to compare packages with their originals",
            hint="the owner's key does, and the keys that --identity named",
        )
    return ring


def _made_of(match: Match[_Held]) -> MadeOf:
    """What a package was made of, for checks of its form: nothing of it leaves them."""
    file = match.file
    relative, record = file.found.relative, file.record
    paths = {relative.as_posix(), PurePosixPath(*relative.parts[1:]).as_posix(), relative.name, relative.stem}
    written = (record.written, record.patient) if record is not None else ()

    def read_again() -> tuple[bytes, Image | None]:
        data = b""
        with suppress(MedveilError, OSError):
            data = file.found.path.read_bytes()
            return data, read_bytes(data)
        return data, None

    return MadeOf(match.thing.entry.package, file.patient, (relative.as_posix(), *sorted(paths), *written), read_again)


def _matched(
    release: Release, ring: KeyRing, files: Sequence[OriginalFile], counts: Counter[str], tick: Callable[[], None]
) -> list[Match[_Held]]:
    """Packages of images with the files that they were made of."""
    by_digest: dict[bytes, list[OriginalFile]] = {}
    for file in files:
        by_digest.setdefault(file.sha256, []).append(file)
    by_path = _paths(files)
    found = []
    entries = release.manifest.packages
    for number, entry in enumerate(entries):
        package = load_package(release.folder, entry, release.manifest)
        tick()
        if Section.ATTACHMENT in package.sections:
            counts["attachments"] += 1
            continue
        counts["packages"] += 1
        if not sees_identity(package, ring):
            counts["packages_closed_to_key"] += 1
            continue
        origin, _ = open_identity(package, ring)
        original = _original(origin, by_digest, by_path)
        if original is None:
            counts["packages_without_original"] += 1
            continue
        changed = original.sha256 != origin.sha256
        counts["matched_by_path_only"] += changed
        counts["packages_matched"] += 1
        place = number / max(len(entries) - 1, 1)
        found.append(
            Match(_Held(entry, place, package.header.bucket, dict(package.header.sections), changed), original)
        )
    return found


def _lengths_seen(manifest: Manifest, codec: Codec, packages: Sequence[_Held]) -> dict[str, Any]:
    """How the sections of these packages were padded, which no record says, for `mechanism_of`.

    An encrypted release of an early version, or a part of one, has codes of many lengths; an attacker is to train on
    such.
    """
    level, coding, profile = manifest.level, Coding(codec, manifest.profile), manifest.profile
    stated = (
        (level.length(section, coding, each.bucket), length)
        for each in packages for section, length in each.lengths.items()
    )  # fmt: skip
    steps = level.packed and any(one is not None and one != length for one, length in stated)
    even = (
        each.lengths.get(section, 1) % bucket_room(profile, each.bucket) == 0
        for each in packages for section in (Section.EXACT, Section.FILE)
    )  # fmt: skip
    return {"level": EncryptedInSteps() if steps else None, "even": any(even)}


def _original(
    origin: Origin,
    by_digest: Mapping[bytes, Sequence[OriginalFile]],
    by_path: Mapping[PurePosixPath, OriginalFile | None],
) -> OriginalFile | None:
    """The file of this content, and of several the one of this path; else the one of this path alone."""
    path = PurePosixPath(origin.path)
    same = by_digest.get(origin.sha256, ())
    if same:
        return next((file for file in same if file.found.relative == path), same[0])
    return by_path.get(path) or by_path.get(PurePosixPath(*path.parts[1:]))


def _paths(files: Iterable[OriginalFile]) -> dict[PurePosixPath, OriginalFile | None]:
    """Files by their path with and without the name of the folder that was given; None where two would have one."""
    found: dict[PurePosixPath, OriginalFile | None] = {}
    for file in files:
        for path in {file.found.relative, PurePosixPath(*file.found.relative.parts[1:])}:
            found[path] = None if path in found else file
    return found
