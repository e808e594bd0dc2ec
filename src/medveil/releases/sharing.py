"""share: originals to a release. Everything is staged in `<out>.partial` and becomes the release in one rename.

A killed run leaves the staging folder: finished packages in it are kept, an unfinished one does not exist (each is
written under a temporary name first), and the next run of the same request continues with fresh ids for what is
missing. The staging folder doubles as the progress journal: which original a package came from stands in its identity
section, which only the owner can read.
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import hashlib
import math
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
from medveil.releases import staging as staged_files
from medveil.releases.book import GrantNote, OwnerBook, full_keys, write_grant
from medveil.releases.identity import write_dictionary
from medveil.releases.jobs import Failure, Outcome, Task, run_tasks
from medveil.releases.manifest import Manifest
from medveil.releases.packing import CODE_TIER, Fidelity, PackingPlan, open_identity
from medveil.releases.pins import check_and_pin
from medveil.releases.publishing import level_times, publish, size_of
from medveil.releases.settings import ShareSettings, choose_grids, choose_profile, survey
from medveil.releases.staging import Origins, staging_of
from medveil.releases.stored import load_package, weights_path

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
        TargetExistsError: `out` holds something else, other images, was made with other settings, or is being written.
        NoFittingKeyError: `out` belongs to another owner.
        IntegrityError: `out` is damaged.
    """
    settings.check()
    out = Path(os.path.abspath(out))
    staged_files.refuse_inside_release(out)
    _refuse_foreign(out)
    result = ShareResult()
    tasks = _tasks(inputs, out, settings, result)
    with contextlib.nullcontext() if settings.dry_run else staged_files.held(staging_of(out)):
        existing = _existing(out, owner, dry_run=settings.dry_run)
        if existing is None:
            _make(tasks, out, settings, owner, result, progress)
        else:
            _extend(tasks, out, existing, settings, owner, result, progress)
    return result


def _make(
    tasks: list[Task], out: Path, settings: ShareSettings, owner: Identity, result: ShareResult,
    progress: Progress | None,
) -> None:  # fmt: skip
    """A new release, or the rest of one that was begun."""
    if settings.dry_run:
        _examine(tasks, result, progress)
        return
    staging = staging_of(out)
    if staged_files.begun(staging):
        book = OwnerBook.load(staging, owner)
        settings.check_same(book, owner)
        settings.check_same_limits(book)
        keys = full_keys(staging, owner, book.release)
        staged = staged_files.finished_packages(staging, book, keys, {task.identity for task in tasks})
    else:
        staged_files.clear(staging)
        book, keys = _begin(staging, settings, tasks, owner)
        staged = {}
    todo = [task for task in tasks if task.identity not in staged]
    result.unchanged = len(tasks) - len(todo)
    _pack(todo, book, keys, settings, staging, None, staged, result, progress)
    if not staged:
        staged_files.clear(staging)
        return
    manifest = publish(out, None, book, staged, settings, owner)
    check_and_pin(manifest, owner_key=owner.recipient.verify_key)
    result.bytes = size_of(out)


def _extend(
    tasks: list[Task], out: Path, existing: Manifest, settings: ShareSettings, owner: Identity, result: ShareResult,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Add to a release, or see that there is nothing to do."""
    book = OwnerBook.load(out, owner)
    if (book.release, book.epoch) != (existing.release, existing.epoch):
        raise IntegrityError("owner.age is of another release", hint="restore it from a backup")
    settings.check_same(book, owner)
    keys = full_keys(out, owner, book.release)
    known = _known(out, existing, keys)
    todo = [task for task in tasks if task.identity not in known]
    staged: Origins = {}
    if settings.add and not settings.dry_run:
        wanted = set() if settings.has_limits else {task.identity for task in todo}
        staged = staged_files.finished_packages(staging_of(out), book, keys, wanted)
        todo = [task for task in todo if task.identity not in staged]
    result.unchanged = len(tasks) - len(todo)
    if settings.dry_run or not settings.add:
        _examine(todo, result, progress)
        if result.done and not settings.add:
            raise TargetExistsError(
                f"the release is there, and {len(todo)} of the inputs are not in it",
                hint="--add adds them; nothing was touched",
            )
    else:
        _pack(todo, book, keys, settings, staging_of(out), out, staged, result, progress)
    if staged:
        manifest = publish(out, existing, book, staged, settings, owner)
        check_and_pin(manifest, owner_key=owner.recipient.verify_key)
        staged_files.clear(staging_of(out))
    elif not settings.dry_run:
        level_times(out, book.created)  # a run that was killed after its last rename may have left them uneven
    result.bytes = size_of(out)


def _pack(
    todo: list[Task], book: OwnerBook, keys: ReleaseKeys, settings: ShareSettings, staging: Path,
    release: Path | None, staged: Origins, result: ShareResult, progress: Progress | None,
) -> None:  # fmt: skip
    plan = PackingPlan(book.release, book.epoch, book.protection, book.profile, book.grids, book.decoys, keys)
    digest = book.profile.weights
    weights = weights_path(release, digest) if digest and release is not None else None
    for outcome in run_tasks(todo, plan, settings, staging, weights, progress):
        _record(outcome, staged, result)


def _tasks(inputs: list[Path], out: Path, settings: ShareSettings, result: ShareResult) -> list[Task]:
    own = [out, staging_of(out), *out.parent.glob(f"{glob.escape(out.name)}.failed*.csv")]
    images, attachments = find_files(inputs, skip=own), find_files(list(settings.attach), skip=own)
    if not images.files:
        raise UsageError("nothing to share: the inputs hold no files", hint="name image files, or folders of them")
    marked = [(found, False) for found in images.files] + [(found, True) for found in attachments.files]
    result.skipped = images.skipped + attachments.skipped
    tasks = []
    for number, (found, attached) in enumerate(marked, start=1):
        failure, digest = _digest(found)
        if failure is not None:
            result.failed.append(Failure(number, str(found.path), type(failure).__name__, failure.message))
            continue
        tasks.append(Task(number, found.path, found.relative.as_posix(), digest, attached))
    return tasks


def _digest(found: Found) -> tuple[MedveilError | None, bytes]:
    if found.problem:
        return UnreadableInputError(found.problem), b""
    try:
        with found.path.open("rb") as file:
            return None, hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return UnreadableInputError(f"it cannot be read: {error.strerror or type(error).__name__}"), b""


def _refuse_foreign(out: Path) -> None:
    """Raise TargetExistsError where something of the user's own stands at the output."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise TargetExistsError("the output is there and is not a folder", hint="name a new folder with -o")
    records = (out / manifests.RECORD, out / f"{manifests.RECORD}.next")
    if out.exists() and any(out.iterdir()) and not any(record.exists() for record in records):
        raise TargetExistsError(
            "the output folder is there and is not a release", hint="name a new folder with -o; nothing was touched"
        )


def _existing(out: Path, owner: Identity, *, dry_run: bool) -> Manifest | None:
    if not out.exists() or not any(out.iterdir()):
        return None
    stored = manifests.load(out)
    if stored.manifest.owner != owner.recipient.verify_key:
        raise NoFittingKeyError(
            f"the release there belongs to another owner than key {owner.fingerprint}", hint="name the owner with -i"
        )
    check_and_pin(stored.manifest, owner_key=owner.recipient.verify_key, pin=not dry_run)
    if not dry_run:
        manifests.settle(out, stored)
        _take_back(out, stored)
    return stored.manifest


def _take_back(out: Path, stored: manifests.StoredManifest) -> None:
    """Packages that an interrupted --add had moved already go back to the staging folder, to be counted there."""
    named = {entry.path for entry in stored.manifest.packages}
    for entry in stored.pending:
        if entry.path not in named and (out / entry.path).is_file():
            back = staging_of(out) / entry.path
            back.parent.mkdir(parents=True, exist_ok=True)
            os.replace(out / entry.path, back)


def _begin(staging: Path, settings: ShareSettings, tasks: list[Task], owner: Identity) -> tuple[OwnerBook, ReleaseKeys]:
    """Keys, grants and the owner's notes of a new release; the notes come last, so that they mark a whole beginning."""
    found = survey([(task.path, task.relative) for task in tasks if not task.attached])
    profile, grids = choose_profile(settings, deep=found.deep), choose_grids(found)
    keys, release, epoch = replace(ReleaseKeys.fresh(), dictionary=found.dictionary), secrets.token_bytes(16), 0
    write_dictionary(staging, release, keys)
    notes = [_grant(staging, release, epoch, keys, owner.recipient, True, owner)]
    seeing = {recipient.age for recipient in settings.identity}
    for recipient in settings.to:
        if recipient.age not in {note.age for note in notes}:
            sees = recipient.age in seeing
            allowed = keys.lowered(CODE_TIER)
            allowed = allowed if sees else allowed.without_identity()
            notes.append(_grant(staging, release, epoch, allowed, recipient, sees, owner))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    book = OwnerBook(
        release, epoch, settings.protection, profile, grids, settings.decoys, settings.embed, today, settings.limits,
        tuple(notes),
    )  # fmt: skip
    book.save(staging, owner)
    return book, keys


def _grant(
    folder: Path, release: bytes, epoch: int, keys: ReleaseKeys, recipient: Recipient, sees: bool, owner: Identity
) -> GrantNote:
    grant = Grant(release, epoch, secrets.token_bytes(16), keys)
    write_grant(folder, grant, recipient, owner)
    return GrantNote(recipient.age, sees, grant.grant_id)


def _known(out: Path, existing: Manifest, keys: ReleaseKeys) -> Origins:
    known = {}
    for entry in existing.packages:
        origin, _ = open_identity(load_package(out, entry, existing), keys)
        known[(origin.path, origin.sha256)] = entry
    return known


def _record(outcome: Outcome, staged: Origins, result: ShareResult) -> None:
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


def _examine(tasks: list[Task], result: ShareResult, progress: Progress | None) -> None:
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
