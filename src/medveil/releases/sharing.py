"""share: originals to a release. Everything is staged in `<out>.partial` and becomes the release in one rename.

A killed run leaves the staging folder: finished packages in it are kept, an unfinished one does not exist (each is
written under a temporary name first), and the next run continues with fresh ids for what is missing. The staging
folder doubles as the progress journal: which original a package came from stands in its identity section, which only
the owner can read.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from medveil.errors import (
    IntegrityError,
    MedveilError,
    NoFittingKeyError,
    TargetExistsError,
    UnreadableInputError,
    UsageError,
)
from medveil.files.walk import Found, find_files
from medveil.keys.grants import Grant
from medveil.keys.identity import Identity, Recipient
from medveil.keys.tiers import ReleaseKeys
from medveil.releases import manifest as manifests
from medveil.releases.book import BOOK, GrantNote, OwnerBook, full_keys, write_grant
from medveil.releases.jobs import Failure, Outcome, Task, run_tasks
from medveil.releases.manifest import Manifest, PackageEntry
from medveil.releases.package import Package
from medveil.releases.packing import CODE_TIER, Fidelity, PackingPlan, entry_of, open_identity
from medveil.releases.pins import check_and_pin
from medveil.releases.settings import ShareSettings, choose_grids, choose_profile, survey
from medveil.releases.stored import load_package

Progress = Callable[[int, int, str], None]


@dataclass
class ShareResult:
    """What `share` did.

    Attributes:
        done: packages written in this run.
        unchanged: inputs that were in the release (or the staging folder) already.
        skipped: files that are not meant to be read (DICOMDIR, hidden files).
        failed: one entry an input that could not be used.
        warnings: generic notes, without values or names.
        bytes: length of the whole release on disk.
        pixels: number of pixels of the images of this run.
        fidelity: of each image of this run, by input number.
        low: (input number, PSNR) of images more than 3 dB below the release's target.
    """

    done: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    bytes: int = 0
    pixels: int = 0
    fidelity: dict[int, Fidelity] = field(default_factory=dict)
    low: list[tuple[int, float]] = field(default_factory=list)

    @property
    def mean_psnr(self) -> float | None:
        """Mean PSNR in dB over the images of this run that are not equal to their originals."""
        finite = [f.psnr for f in self.fidelity.values() if math.isfinite(f.psnr)]
        return sum(finite) / len(finite) if finite else None


def share(
    inputs: list[Path], out: Path, settings: ShareSettings, *, owner: Identity, progress: Progress | None = None
) -> ShareResult:
    """Share images and attachments as a release.

    Args:
        inputs: files and folders.
        out: the release folder to make, to continue, or with `settings.add` to extend.
        settings: protection, recipients, quality; see `ShareSettings`.
        owner: who signs, and who may always open everything.
        progress: called as (done, total, text) after each input.

    Raises:
        UsageError: nothing found, or settings that contradict each other.
        TargetExistsError: `out` holds something else, other images, or was made with other settings.
        NoFittingKeyError: `out` belongs to another owner.
        IntegrityError: `out` is damaged.
    """
    settings.check()
    result = ShareResult()
    tasks, result.skipped = _tasks(inputs, settings, result)
    existing = _existing(out, owner, dry_run=settings.dry_run)
    staging = _staging(out)
    if existing is None and settings.dry_run:
        _examine(tasks, settings, result, progress)
        return result
    book, keys = _book(out, staging, existing, settings, tasks, owner, result)
    known = _known(out, existing, keys) if existing else {}
    staged = _staged(staging, book, keys, known)
    todo = [task for task in tasks if task.identity not in {**known, **staged}]
    result.unchanged = len(tasks) - len(todo)
    if existing and todo and not settings.add:
        _refuse_other_images(todo, settings, result, progress)
        return result
    if settings.dry_run:
        _examine(todo, settings, result, progress)
        return result
    plan = PackingPlan(book.release, book.epoch, book.protection, book.profile, book.grids, book.decoys, keys)
    for outcome in run_tasks(todo, plan, settings, staging, progress):
        _record(outcome, staged, result)
    _finish(out, staging, existing, book, keys, staged, settings, owner, result)
    return result


def _tasks(inputs: list[Path], settings: ShareSettings, result: ShareResult) -> tuple[list[Task], int]:
    images, attachments = find_files(inputs), find_files(list(settings.attach))
    if not images.files:
        raise UsageError("nothing to share: the inputs hold no files", hint="name image files, or folders of them")
    marked = [(found, False) for found in images.files] + [(found, True) for found in attachments.files]
    tasks = []
    for number, (found, attached) in enumerate(marked, start=1):
        failure, digest = _digest(found)
        if failure is not None:
            result.failed.append(Failure(number, str(found.path), type(failure).__name__, failure.message))
            continue
        tasks.append(Task(number, found.path, found.relative.as_posix(), digest, attached))
    return tasks, images.skipped + attachments.skipped


def _digest(found: Found) -> tuple[MedveilError | None, bytes]:
    if found.problem:
        return UnreadableInputError(found.problem), b""
    try:
        with found.path.open("rb") as file:
            return None, hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return UnreadableInputError(f"it cannot be read: {error.strerror or type(error).__name__}"), b""


def _existing(out: Path, owner: Identity, *, dry_run: bool) -> Manifest | None:
    if not out.exists() and not out.is_symlink():
        return None
    if out.is_dir() and not any(out.iterdir()):
        return None
    if not (out / manifests.RECORD).exists():
        raise TargetExistsError(
            "the output folder is there and is not a release", hint="name a new folder with -o; nothing was touched"
        )
    stored = manifests.load(out)
    if stored.manifest.owner != owner.recipient.verify_key:
        raise NoFittingKeyError(
            f"the release there belongs to another owner than key {owner.fingerprint}", hint="name the owner with -i"
        )
    check_and_pin(stored.manifest, owner_key=owner.recipient.verify_key)
    if not dry_run:
        manifests.settle(out, stored)
        _take_back(out, stored)
    return stored.manifest


def _take_back(out: Path, stored: manifests.StoredManifest) -> None:
    """Packages that an interrupted --add had moved already go back to the staging folder, to be counted there."""
    named = {entry.path for entry in stored.manifest.packages}
    for entry in stored.pending:
        if entry.path not in named and (out / entry.path).is_file():
            back = _staging(out) / entry.path
            back.parent.mkdir(parents=True, exist_ok=True)
            os.replace(out / entry.path, back)


def _staging(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def _book(
    out: Path, staging: Path, existing: Manifest | None, settings: ShareSettings, tasks: list[Task], owner: Identity,
    result: ShareResult,
) -> tuple[OwnerBook, ReleaseKeys]:  # fmt: skip
    place = out if existing else staging
    if (place / BOOK).exists() or existing:
        book = OwnerBook.load(place, owner)
        if existing and (book.release, book.epoch) != (existing.release, existing.epoch):
            raise IntegrityError("owner.age is of another release", hint="restore it from a backup")
        settings.check_same(book, owner)
        return book, full_keys(place, owner, book.release)
    deep, dicom = survey([task.path for task in tasks if not task.attached])
    profile, grids = choose_profile(settings, deep=deep), choose_grids(dicom=dicom)
    keys = ReleaseKeys.fresh()
    staging.mkdir(parents=True, exist_ok=True)
    release, epoch = secrets.token_bytes(16), 0
    notes = [_grant(staging, release, epoch, keys, owner.recipient, True, owner)]
    seeing = {recipient.age for recipient in settings.identity}
    for recipient in settings.to:
        if recipient.age not in {note.age for note in notes}:
            allowed = keys.lowered(CODE_TIER)
            sees = recipient.age in seeing
            allowed = allowed if sees else allowed.without_identity()
            notes.append(_grant(staging, release, epoch, allowed, recipient, sees, owner))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    book = OwnerBook(
        release, epoch, settings.protection, profile, grids, settings.decoys, settings.embed, today, tuple(notes)
    )
    book.save(staging, owner)  # last: a staging folder without it is started anew
    return book, keys


def _grant(
    folder: Path, release: bytes, epoch: int, keys: ReleaseKeys, recipient: Recipient, sees: bool, owner: Identity
) -> GrantNote:
    grant = Grant(release, epoch, secrets.token_bytes(16), keys)
    write_grant(folder, grant, recipient, owner)
    return GrantNote(recipient.age, sees, grant.grant_id)


def _known(out: Path, existing: Manifest, keys: ReleaseKeys) -> dict[tuple[str, bytes], PackageEntry]:
    known = {}
    for entry in existing.packages:
        origin, _ = open_identity(load_package(out, entry, existing), keys)
        known[(origin.path, origin.sha256)] = entry
    return known


def _staged(
    staging: Path, book: OwnerBook, keys: ReleaseKeys, known: dict[tuple[str, bytes], PackageEntry]
) -> dict[tuple[str, bytes], PackageEntry]:
    """Sound packages of an interrupted run; whatever else lies in the staging folder's packages is removed."""
    staged: dict[tuple[str, bytes], PackageEntry] = {}
    for path in sorted((staging / "packages").rglob("*")):
        if path.is_dir():
            continue
        try:
            package = Package.from_bytes(path.read_bytes())
            origin, _ = open_identity(package, keys)
            sound = (package.header.release, package.header.epoch) == (book.release, book.epoch)
        except MedveilError:
            sound = False
        if sound and (origin.path, origin.sha256) not in {**known, **staged}:
            staged[(origin.path, origin.sha256)] = entry_of(package, keys)
        else:
            path.unlink()
    return staged


def _record(outcome: Outcome, staged: dict[tuple[str, bytes], PackageEntry], result: ShareResult) -> None:
    if outcome.failure is not None:
        result.failed.append(outcome.failure)
        return
    if outcome.entry is not None:
        staged[outcome.task.identity] = outcome.entry
        result.done += 1
    result.warnings.extend(f"#{outcome.task.number}: {text}" for text in outcome.warnings)
    if outcome.fidelity is not None:
        result.fidelity[outcome.task.number] = outcome.fidelity
        result.pixels += outcome.fidelity.pixels
        if outcome.low:
            result.low.append((outcome.task.number, outcome.fidelity.psnr))


def _finish(
    out: Path, staging: Path, existing: Manifest | None, book: OwnerBook, keys: ReleaseKeys,
    staged: dict[tuple[str, bytes], PackageEntry], settings: ShareSettings, owner: Identity, result: ShareResult,
) -> None:  # fmt: skip
    if not staged:
        shutil.rmtree(staging, ignore_errors=True)
        if existing:
            result.bytes = _size(out)
        return
    if existing:
        manifest = existing.with_packages([*existing.packages, *staged.values()])
        manifests.announce(out, manifest, owner)
        for entry in staged.values():
            (out / entry.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / entry.path, out / entry.path)
        manifests.save(out, manifest, owner)
        shutil.rmtree(staging, ignore_errors=True)
    else:
        digests = _embed(staging, book, settings.codec)
        manifest = Manifest(
            book.release, book.epoch, 0, owner.recipient.verify_key, book.protection, book.profile, book.grids,
            book.created, book.decoys, digests, tuple(sorted(staged.values())),
        )  # fmt: skip
        manifests.save(staging, manifest, owner)
        if out.exists():
            out.rmdir()  # empty, as _existing saw
        os.replace(staging, out)
    _level_times(out, book.created)
    check_and_pin(manifest, owner_key=owner.recipient.verify_key)
    result.bytes = _size(out)


def _embed(staging: Path, book: OwnerBook, codec: str) -> tuple[bytes, ...]:
    from medveil.codecs.registry import get_codec
    from medveil.files.atomic import write_bytes
    from medveil.releases.stored import weights_path

    if not (book.embed and book.profile.weights):
        return ()
    weights = get_codec(codec).weights_bytes()
    if hashlib.sha256(weights).digest() != book.profile.weights:
        raise TargetExistsError("it was begun with other weights of the codec", hint="share into a new folder")
    path = weights_path(staging, book.profile.weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, weights, overwrite=True)
    return (book.profile.weights,)


def _refuse_other_images(
    todo: list[Task], settings: ShareSettings, result: ShareResult, progress: Progress | None
) -> None:
    """Without --add: inputs that failed before may fail again; an input that could be shared is refused."""
    _examine(todo, settings, result, progress)
    if result.done:
        raise TargetExistsError(
            f"the release is there, and {len(todo)} of the inputs are not in it",
            hint="--add adds them; nothing was touched",
        )


def _examine(tasks: list[Task], settings: ShareSettings, result: ShareResult, progress: Progress | None) -> None:
    """Read every image and write nothing."""
    from medveil import images

    for count, task in enumerate(tasks, start=1):
        try:
            if not task.attached:
                result.pixels += images.read(task.path).pixels.size
            result.done += 1
        except MedveilError as error:
            result.failed.append(Failure(task.number, str(task.path), type(error).__name__, error.message))
        if progress is not None:
            progress(count, len(tasks), "examined")


def _level_times(out: Path, day: str) -> None:
    """Give every file and folder of the release the same time: midnight UTC of the day it was made."""
    moment = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()
    for path in [*out.rglob("*"), out]:
        os.utime(path, (moment, moment))


def _size(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
