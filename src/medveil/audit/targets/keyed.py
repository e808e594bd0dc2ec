"""A keyed release as a target: which package is which image, who is in it, and which images are the attacker's own.

Only numbers leave this module: of images, patients and strata, in an order that says nothing. Names stay here. What
tasks need besides, such as labels, are names of classes and not of people.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np

from medveil.audit.annotations import Annotation, annotation_of
from medveil.audit.checks import form_checks
from medveil.audit.targets.target import ImageSet, Kind, Limits, SetKind, Stored, Target
from medveil.codecs.code import Bucket
from medveil.datasets.manifest import Record, read_manifest
from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError, UsageError
from medveil.experiments.sampling import drawn_by_patient, generator_of
from medveil.files.walk import Found, find_files
from medveil.images import read
from medveil.images.image import Image
from medveil.keys.openers import Opener
from medveil.keys.tiers import KeyRing, Section
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import code_of, mechanism_of, observe
from medveil.mechanisms.observation import Case, Published, Subject
from medveil.mechanisms.working_pictures import Window, working_picture
from medveil.releases.manifest import PackageEntry
from medveil.releases.origin import Origin
from medveil.releases.package_io import load_package
from medveil.releases.release import Release
from medveil.releases.unpacking import open_identity, sees_identity

_Row = TypeVar("_Row")
_TAILS = (0.5, 99.5)  # percentiles of deep images that become black and white
_SAMPLED = 4096  # pixels an image from which they are taken
_OPENED_WORDS = "what recipients of this tier open"


@dataclass(frozen=True)
class Holding:
    """A package of the release and its original.

    Attributes:
        entry: what the manifest says of it.
        place: 0 … 1, where it stands in the manifest.
        subject: its original.
    """

    entry: PackageEntry = field(repr=False)
    place: float
    subject: Subject


@dataclass(frozen=True)
class Material:
    """What an audit works with.

    Attributes:
        holdings: packages with a known original, in an order that says nothing.
        outside: images that are not in the release, of patients who are not in it either.
        window: range of the working pictures.
        patients_known: whether a manifest says who is who; else every image counts as a patient of its own.
        file_bytes: length of the original file of a subject, by its number.
        counts: what was found, for the report.
        digest: of all that went in, but for what only tasks see.
        tasked: packages for tasks, each with a row in the manifest; in part those of `holdings`.
        annotations: of their subjects, by number.
    """

    holdings: tuple[Holding, ...]
    outside: tuple[Subject, ...]
    window: Window
    patients_known: bool
    file_bytes: Mapping[int, int] = field(repr=False)
    counts: Mapping[str, int]
    digest: bytes = field(repr=False)
    tasked: tuple[Holding, ...] = ()
    annotations: Mapping[int, Annotation] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class _File:
    """A file among the originals, with its content's digest and its row of the manifest."""

    found: Found
    sha256: bytes
    bytes: int
    record: Record | None

    @property
    def patient(self) -> str:
        """A name of the patient: the manifest's, or that of the image itself."""
        return f"#{self.sha256.hex()}" if self.record is None else f"={self.record.patient}"

    @property
    def stratum(self) -> tuple[str, str]:
        return self.record.stratum if self.record is not None else ("", "")


@dataclass(frozen=True)
class _Match:
    """A package, its size class, and the file that it was made of, which may have changed since."""

    entry: PackageEntry
    place: float
    bucket: Bucket
    file: _File
    changed: bool


def keyed_target(
    release: Release, identity: Opener, originals: Path, manifest: Path | None, *,
    limits: Limits, working: int, seed: int, skip: Sequence[Path] = (), tick: Callable[[], None] = lambda: None,
) -> Target:  # fmt: skip
    """A release whose images are under keys.

    Args:
        release: nothing is written to it.
        identity: a key that sees which package is which original, in general the owner's.
        originals, manifest: as of `gather`.
        Others: as of `medveil.audit.targets.target.ReadTarget`.

    Raises:
        NoFittingKeyError: the key does not open the release, or not whose the images are.
        UsageError, IntegrityError: as `gather`.
    """
    ring = owner_ring(release, identity)
    codec = release.codec(ring)
    material = gather(
        release, ring, originals, manifest, skip=(release.folder, *skip), limits=limits, working=working, seed=seed,
        tick=tick,
    )  # fmt: skip
    codes = CodeCache()
    first = load_package(release.folder, material.holdings[0].entry, release.manifest)
    lengths = material.file_bytes
    mechanism = mechanism_of(
        release.manifest, codec, window=material.window, working=working, shelf=codes,
        file_bytes=(lambda subject: lengths[subject.number]) if Section.FILE in first.sections else None,
    )  # fmt: skip
    holdings = {holding.subject.number: holding for holding in (*material.holdings, *material.tasked)}

    def case_of(subject: Subject) -> Case:
        holding = holdings[subject.number]
        package = load_package(release.folder, holding.entry, release.manifest)
        seen = observe(package, holding.entry, holding.place, mechanism)
        return Case(subject, Published(seen, code_of(package, ring, mechanism)))

    def opened(lowered: KeyRing, subject: Subject) -> Stored:
        found = release.open_package(holdings[subject.number].entry, lowered, codec)
        if found is None or not isinstance(found.content, Image):
            raise IntegrityError("a package does not open to an image")
        if found.content.pixels.shape != subject.image.pixels.shape:
            raise IntegrityError("a package opens to an image of another size than its original")
        return found.content.pixels

    return Target(
        Kind.KEYED, mechanism, tuple(holding.subject for holding in material.holdings), material.outside, case_of,
        tuple(
            ImageSet(tier.value, SetKind.TIER, _OPENED_WORDS, partial(opened, ring.lowered(tier)))
            for tier in release.manifest.tiers
        ),
        public_facts(release), partial(form_checks, release, identity), material.window, material.patients_known,
        material.counts, material.digest, codes, tuple(holding.subject for holding in material.tasked),
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


def gather(
    release: Release, ring: KeyRing, originals: Path, manifest: Path | None, *,
    skip: Sequence[Path], limits: Limits, working: int, seed: int, tick: Callable[[], None] = lambda: None,
) -> Material:  # fmt: skip
    """Match packages with originals, and read the images that the audit needs.

    Args:
        release: the release under audit.
        ring: of `owner_ring`.
        originals: a folder with the originals, and maybe images of other patients.
        manifest: CSV with a path column and patient_id, and maybe source and view.
        skip: folders to pass over.
        limits: how many images are read at most; which ones is drawn by patient.
        working: side of the working pictures.
        seed: of what is drawn.
        tick: called now and then, to tell that it goes on.

    Raises:
        UsageError: no package has its original among the files, or the manifest cannot be read.
        IntegrityError: the release is damaged.
    """
    counts: Counter[str] = Counter()
    rows = read_manifest(manifest) if manifest is not None else ()
    files = _files(originals, skip, rows, counts, tick)
    matched = _matched(release, ring, files, counts, tick)
    if not matched:
        raise UsageError(
            f"none of the {len(release)} packages has its original among the {len(files)} files of --originals",
            hint="name the folder that was shared",
        )
    if manifest is not None:
        counts["packages_unlisted_in_manifest"] = sum(match.file.record is None for match in matched)
    others = _outside(files, matched, listed=manifest is not None, counts=counts)
    every = matched
    matched = _drawn(every, lambda match: match.file.patient, limits.shared, seed, "shared")
    others = _drawn(others, lambda file: file.patient, limits.outside, seed, "outside")
    tasked = _for_tasks(every, matched, limits.tasks, seed)
    attacked_packages = {match.entry.package for match in matched}
    further = [match for match in tasked if match.entry.package not in attacked_packages]
    chosen = [match.file for match in matched] + others
    attacked = len(chosen)
    chosen += [match.file for match in further]
    images = _read_all(chosen, counts, tick)
    for index, match in [*enumerate(matched), *enumerate(further, attacked)]:
        image = images[index]
        if image is not None and not _of_one_size(release, ring, match, image):  # a file of that name, and no more
            images[index] = None
            counts["originals_of_another_size"] += 1
    window = _window([image for image in images[:attacked] if image is not None])
    subjects = _subjects(chosen, images, window, working)
    every_holding = _holdings([*matched, *further], [*subjects[: len(matched)], *subjects[attacked:]])
    holdings = [holding for holding in every_holding if holding.subject.number < attacked]
    if not holdings:
        raise UsageError("none of the originals can be read as an image")
    outside = [subject for subject in subjects[len(matched) : attacked] if subject is not None]
    counts["mixed_depths"] = int(len({image.bits_stored > 8 for image in images[:attacked] if image is not None}) > 1)
    lengths = {subject.number: chosen[subject.number].bytes for subject in subjects if subject is not None}
    packages = {match.entry.package for match in tasked}
    named = {number: file.record for number, file in enumerate(chosen) if file.record is not None}
    return Material(
        tuple(holdings), tuple(outside), window, manifest is not None, lengths, dict(counts),
        _digest(release, chosen[:attacked], subjects[:attacked]),
        tuple(holding for holding in every_holding if holding.entry.package in packages),
        {number: annotation_of(record, originals) for number, record in named.items()},
    )  # fmt: skip


def _for_tasks(every: Sequence[_Match], attacked: Sequence[_Match], limit: int, seed: int) -> list[_Match]:
    """Packages for tasks: of those with a row in the manifest first the ones that are attacked, then others."""
    if not limit:
        return []
    packages = {match.entry.package for match in attacked}
    found: list[_Match] = []
    for there, purpose in ((True, "tasks"), (False, "further")):
        part = [m for m in every if m.file.record is not None and (m.entry.package in packages) is there]
        room = limit - len(found)
        found += _drawn(part, lambda match: match.file.patient, room, seed, purpose) if room > 0 else []
    return found


def _holdings(matched: Sequence[_Match], subjects: Sequence[Subject | None]) -> list[Holding]:
    return [
        Holding(match.entry, match.place, subject)
        for match, subject in zip(matched, subjects, strict=True)
        if subject is not None
    ]


def _of_one_size(release: Release, ring: KeyRing, match: _Match, image: Image) -> bool:
    """Whether a package holds an image of this size. Only a file that has changed since is compared to the pixel."""
    if Bucket.of(*image.pixels.shape) != match.bucket:
        return False
    if not match.changed:
        return True
    opened = release.open_package(match.entry, ring, release.codec(ring))
    return (
        opened is not None and isinstance(opened.content, Image) and opened.content.pixels.shape == image.pixels.shape
    )


def _files(
    originals: Path, skip: Sequence[Path], rows: Sequence[Record], counts: Counter[str], tick: Callable[[], None]
) -> list[_File]:
    listing = find_files([originals], skip=skip)
    by_path = {record.path: record for record in rows}
    # A manifest may have been moved away from its images; then its paths are taken as those below the originals.
    below = {(originals / record.written).resolve(): record for record in rows if record.written}
    files = []
    for found in listing:
        content = None if found.problem else _digest_of(found.path)
        if content is None:
            counts["unreadable_files"] += 1
            continue
        place = found.path.resolve()
        files.append(_File(found, content[0], content[1], by_path.get(place) or below.get(place)))
        tick()
    counts["files"] = len(listing)
    return files


def _digest_of(path: Path) -> tuple[bytes, int] | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest(), file.tell()
    except OSError:
        return None


def _matched(
    release: Release, ring: KeyRing, files: Sequence[_File], counts: Counter[str], tick: Callable[[], None]
) -> list[_Match]:
    """Packages of images with the files that they were made of."""
    by_digest: dict[bytes, list[_File]] = {}
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
        found.append(_Match(entry, number / max(len(entries) - 1, 1), package.header.bucket, original, changed))
    return found


def _original(
    origin: Origin, by_digest: Mapping[bytes, Sequence[_File]], by_path: Mapping[PurePosixPath, _File | None]
) -> _File | None:
    """The file of this content, and of several the one of this path; else the one of this path alone."""
    path = PurePosixPath(origin.path)
    same = by_digest.get(origin.sha256, ())
    if same:
        return next((file for file in same if file.found.relative == path), same[0])
    return by_path.get(path) or by_path.get(PurePosixPath(*path.parts[1:]))


def _paths(files: Iterable[_File]) -> dict[PurePosixPath, _File | None]:
    """Files by their path with and without the name of the folder that was given; None where two would have one."""
    found: dict[PurePosixPath, _File | None] = {}
    for file in files:
        for path in {file.found.relative, PurePosixPath(*file.found.relative.parts[1:])}:
            found[path] = None if path in found else file
    return found


def _outside(files: Sequence[_File], matched: Sequence[_Match], *, listed: bool, counts: Counter[str]) -> list[_File]:
    """Files of patients who are not in the release, each content once. Whoever may be in it is left out."""
    contents = {match.file.sha256 for match in matched}
    patients = {match.file.patient for match in matched}
    kept = []
    for file in files:
        if file.sha256 in contents:
            continue
        contents.add(file.sha256)
        if listed and file.record is None:
            counts["files_unlisted_in_manifest"] += 1
        elif file.patient in patients:
            counts["files_of_patients_in_release"] += 1
        else:
            kept.append(file)
    return kept


def _drawn(rows: Sequence[_Row], patient: Callable[[_Row], str], limit: int, seed: int, purpose: str) -> list[_Row]:
    names = [patient(row) for row in rows]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    kept = drawn_by_patient([numbers[name] for name in names], limit, generator_of(seed, "read", purpose))
    return [rows[index] for index in kept]


def _read_all(files: Sequence[_File], counts: Counter[str], tick: Callable[[], None]) -> list[Image | None]:
    images: list[Image | None] = []
    for file in files:
        try:
            images.append(read(file.found.path))
        except MedveilError:
            images.append(None)
            counts["files_not_images"] += 1
        tick()
    return images


def _window(images: Sequence[Image]) -> Window:
    """0 … 255 for images of 8 bits; else what lies between the tails of the stored values of all deep images."""
    deep = [image for image in images if image.bits_stored > 8]
    if not deep:
        return Window()
    values = []
    for image in deep:
        flat = image.pixels.ravel()
        values.append(flat[:: max(1, flat.size // _SAMPLED)].astype(np.float64))
    low, high = np.percentile(np.concatenate(values), _TAILS)
    return Window(float(low), float(max(high, low + 1.0)))


def _subjects(
    files: Sequence[_File], images: Sequence[Image | None], window: Window, working: int
) -> list[Subject | None]:
    """Numbered as they come: patients by first appearance, and so are strata, those of the release first."""
    patients: dict[str, int] = {}
    strata: dict[tuple[str, str], int] = {}
    found: list[Subject | None] = []
    for number, (file, image) in enumerate(zip(files, images, strict=True)):
        if image is None:
            found.append(None)
            continue
        patient = patients.setdefault(file.patient, len(patients))
        stratum = strata.setdefault(file.stratum, len(strata))
        bucket = Bucket.of(*image.pixels.shape)
        picture = working_picture(image.pixels, bucket, window, working)
        found.append(Subject(number, patient, stratum, image, picture))
    return found


def _digest(release: Release, files: Sequence[_File], subjects: Sequence[Subject | None]) -> bytes:
    whole = hashlib.sha256(release.manifest.to_bytes())
    for file, subject in zip(files, subjects, strict=True):
        who = (subject.number, subject.patient, subject.stratum) if subject is not None else ()
        whole.update(repr((file.sha256, who)).encode())
    return whole.digest()
