"""share: originals to a release. Everything is staged in `<out>.partial` and becomes the release in one rename.

A killed run leaves the staging folder: finished packages in it are kept, an unfinished one does not exist (each is
written under a temporary name first), and the next run of the same request continues with fresh ids for what is
missing. The staging folder doubles as the progress journal: which original a package came from stands in its identity
section, which only the owner can read.
"""

from __future__ import annotations

import contextlib
import glob
import math
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medveil.codecs.code import Profile
from medveil.errors import IntegrityError, MedveilError, TargetExistsError, UsageError
from medveil.images import Instance
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import KEY_BYTES, EpochKeys, Section, Tier
from medveil.releases.access import dictionary_name, write_shared
from medveil.releases.deputies import owned_state, read_book, refuse_unsafe, standing_of
from medveil.releases.granting import issue
from medveil.releases.label_file import GivenLabels, labels_to_share, told
from medveil.releases.packages.package import load_package
from medveil.releases.packages.packing import Fidelity, PackingPlan
from medveil.releases.records.ledger import Action
from medveil.releases.records.manifest import RECORD, Manifest
from medveil.releases.records.owner_records import GrantNote, OwnerBook, Standing, today
from medveil.releases.records.pins import check_and_pin, was_published
from medveil.releases.records.state import State
from medveil.releases.settings import (
    ShareSettings,
    Survey,
    check_recipient,
    choose_grids,
    choose_profile,
    padding_of,
    survey,
)
from medveil.releases.weights import embed_weights, weights_of
from medveil.releases.workers import Failure, done_by_workers
from medveil.releases.writing import staging as staged_files
from medveil.releases.writing.commit import Change, change, finish, found, level_times, size_of
from medveil.releases.writing.depth import QUALITY_CLASSES
from medveil.releases.writing.inputs import (
    REPEATS,
    Input,
    Packed,
    Packer,
    check_text,
    list_inputs,
    mark_repeats,
    pack_input,
)
from medveil.releases.writing.staging import Instances, Labels, OriginKey, Origins, staging_of

Progress = Callable[[int, int, str], None]
Announce = Callable[[str, bool], None]
"""Says something before anything is coded; the second argument is whether it is a warning."""
_THREE_DB = 2**0.5


@dataclass
class ShareResult:
    """What `share` did.

    Attributes:
        done: packages written in this run.
        unchanged: inputs that were in the release (or the staging folder) already.
        skipped: files that are not meant to be read (DICOMDIR, hidden files).
        failed: one entry an input that could not be used.
        warnings: notes of no one input, without values or names.
        warned: what is to be said of inputs that were used, as (number, words), without values or names.
        inputs: path of each input, by number; for the user's own list, never for messages.
        bytes: length of the whole release on disk.
        pixels: number of pixels of the images of this run.
        fidelity: of each image of this run, by input number.
        low: (input number, PSNR) of images more than 3 dB below the release's target.
        told: what was said of the images before any was coded, in words without values or names.
        announce: who it was said to, where somebody listens.
        other_depth: images that were left out, since they are not of the depth that was asked for.
        error: RMSE in modality units that images above 8 bits were to have about; None where none was chosen.
        quality: that of the release's profile in dB; None where sparsity rules, or nothing was coded.
        varying: sections, of the packages of this run, whose length tells something of the image.
        labels: the labels that the images were to have.
        standing: what the release is now, and who may open it; nothing where there is none.
    """

    done: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    warned: list[tuple[int, str]] = field(default_factory=list)
    inputs: dict[int, str] = field(repr=False, default_factory=dict)
    bytes: int = 0
    pixels: int = 0
    fidelity: dict[int, Fidelity] = field(default_factory=dict)
    low: list[tuple[int, float]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    announce: Announce | None = field(repr=False, default=None)
    other_depth: int = 0
    error: float | None = None
    quality: float | None = None
    varying: set[Section] = field(default_factory=set)
    labels: GivenLabels = field(repr=False, default_factory=GivenLabels)
    standing: Standing = field(default_factory=Standing)

    def tell(self, text: str, *, grave: bool) -> None:
        """Note what is to be said before anything is coded, and say it."""
        self.told.append(text)
        if self.announce is not None:
            self.announce(text, grave)

    @property
    def coarse(self) -> list[tuple[int, float]]:
        """(input number, RMSE in modality units) of images above 8 bits that are 3 dB or more worse than aimed at."""
        if self.error is None:
            return []
        deep = [(number, each.rmse_modality) for number, each in self.fidelity.items() if each.bits_stored > 8]
        return [(number, rmse) for number, rmse in deep if rmse > self.error * _THREE_DB]

    @property
    def mean_psnr(self) -> float | None:
        """Mean PSNR in dB over the images of this run that are not equal to their originals."""
        finite = [f.psnr for f in self.fidelity.values() if math.isfinite(f.psnr)]
        return sum(finite) / len(finite) if finite else None


def share(
    inputs: str | Path | Sequence[str | Path], out: str | Path, settings: ShareSettings, *, owner: Identity,
    founder: Recipient | None = None, head: str = "", first_look: bool = False, progress: Progress | None = None,
    announce: Announce | None = None,
) -> ShareResult:  # fmt: skip
    """Share images and attachments as a release.

    Args:
        inputs: files and folders, or one of these.
        out: the release folder to make, to continue, or with `settings.add` to extend.
        settings: protection, recipients, quality; see `ShareSettings`.
        owner: who signs, and who may always open everything.
        founder: who founded the release that is there, where it is somebody else; see `deputies.owned_state`.
        head, first_look: why the release that `settings.add` extends may be taken for the newest; see there too.
        progress: called as (done, total, text) after each input.
        announce: called with what is to be said before anything is coded, and whether it is a warning.

    Raises:
        UsageError: nothing found, settings that contradict each other, images of 8 bits and of more, or labels that may
            not travel.
        TargetExistsError: `out` holds something else, other images, was made with other settings, or is being written.
        NoFittingKeyError: `out` belongs to another owner.
        RefusedError: `settings.add`, and nothing says that `out` is the newest state; or see `deputies.owned_state`
            and `deputies.refuse_unsafe`.
        IntegrityError: `out` is damaged.

    >>> share([images], work / "shared", ShareSettings(to=(alice.recipient,), jobs=1), owner=owner).done
    2
    """
    settings.check()
    paths = [Path(each) for each in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    named = Path(os.path.abspath(out))
    _refuse_foreign(named)
    out = Path(os.path.realpath(out))  # one release has one lock, by whatever name it is reached
    staged_files.refuse_inside_release(out)
    result = ShareResult(announce=announce)
    staging = staging_of(out)
    lists = out.parent.glob(f"{glob.escape(out.name)}.failed*.csv")
    own = [out, staging, staged_files.lock_of(staging), *lists]
    tasks, result.failed, result.skipped = list_inputs(paths, [Path(each) for each in settings.attach], own)
    result.inputs = {task.number: str(task.path) for task in tasks}
    tasks, result.labels = _labelled(tasks, paths, settings)
    for text, grave in told(result.labels, "everybody who opens an image at any tier"):
        result.tell(text, grave=grave)
    with contextlib.nullcontext() if settings.dry_run else staged_files.held(staging):
        existing = None
        if _is_there(out, owner, head=head, dry_run=settings.dry_run):
            existing = owned_state(
                named, owner, founder=founder, head=head, first_look=first_look, extends=settings.add,
                repair=not settings.dry_run,
            )  # fmt: skip
        elif head or founder not in (None, owner.recipient):
            raise UsageError(
                "no release of the named owner or head is there", hint="without --owner and --head you found a new one"
            )
        if existing is None:
            _make(tasks, out, settings, owner, result, progress)
        else:
            _extend(tasks, out, existing, settings, owner, result, progress)
    return result


def _make(
    tasks: list[Input], out: Path, settings: ShareSettings, owner: Identity, result: ShareResult,
    progress: Progress | None,
) -> None:  # fmt: skip
    """A new release, or the rest of one that was begun."""
    if settings.dry_run:
        surveyed = _survey(tasks, settings, result)
        _tell_error(*choose_profile(settings, surveyed.forms), surveyed, result)
        _examine(_of_depth(tasks, surveyed, result), settings, result, progress, {}, bytes(KEY_BYTES))
        return
    staging = staging_of(out)
    if staged_files.begun(staging):
        book = OwnerBook.load_draft(staging, owner)
        _refuse_used_keys(book, owner)
        settings.check_same(book, owner, result.labels.digest)
        settings.check_same_limits(book)
        refuse_unsafe(book.grants)
        staged, instances = staged_files.finished_packages(staging, book, _wanted(tasks))
        todo = [task for task in tasks if task.identity not in staged]
        surveyed = _survey(todo, settings, result)
        todo, found_in = _of_depth(todo, surveyed, result), surveyed.instances
    else:
        staged_files.clear(staging)
        surveyed = _survey(tasks, settings, result)
        todo = _of_depth(tasks, surveyed, result)
        book, found_in = _begin(staging, settings, surveyed, owner, result), surveyed.instances
        staged, instances = {}, {}
    todo = mark_repeats(todo, found_in, instances, book.tag_key)
    result.unchanged = len(tasks) - len(todo) - result.other_depth
    _pack(todo, book, settings, staging, None, staged, result, progress)
    if not staged:
        staged_files.clear(staging)
        return
    state = _found(out, book, staged, settings, owner)
    result.standing = standing_of(state, book, out)
    result.bytes = size_of(out)


def _refuse_used_keys(book: OwnerBook, owner: Identity) -> None:
    """Raise IntegrityError for the notes of a release that is finished: put here again, they would serve for two."""
    if was_published(book.manifest.release, owner.recipient.verify_key):
        raise IntegrityError(
            "the notes in the .partial folder are those of a release that was finished already",
            hint="delete the .partial folder to begin anew",
        )


def _found(out: Path, book: OwnerBook, staged: Origins, settings: ShareSettings, owner: Identity) -> State:
    """Grants, shared files and manifest of a new release, and the release itself."""
    staging, manifest, shared = staging_of(out), book.manifest, []
    if book.dictionary:
        epoch = manifest.epoch
        name = dictionary_name(epoch)
        shared.append(write_shared(staging, name, book.dictionary, manifest.release, epoch, book.ring))
    public, sealed = embed_weights(staging, book, settings)
    manifest = replace(
        manifest, weights=public, shared=tuple(sorted([*shared, *sealed])), packages=tuple(sorted(staged.values()))
    )
    granted = [issue(staging, note, book, {}, owner) for note in book.grants]
    return found(out, book, granted, manifest, owner)


def _extend(
    tasks: list[Input], out: Path, existing: State, settings: ShareSettings, owner: Identity, result: ShareResult,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Add to a release, or see that there is nothing to do."""
    book = read_book(out, existing, owner)
    result.standing = Standing.of(existing.ledger, book.grants)
    settings.check_same(book, owner, result.labels.digest, there=True)
    if not settings.add:
        settings.check_same_limits(book, there=True)
    if settings.add:
        refuse_unsafe(book.grants)
    lost = {recipient.text for recipient in settings.to} - {note.recipient.text for note in book.grants}
    if lost:
        result.warnings.append(f"{len(lost)} of those named by --to were taken out and may not open it any more")
    known, instances = _known(out, existing.manifest, book)
    todo = [task for task in tasks if task.identity not in known]
    staged: Origins = {}
    surveyed = _survey(todo, settings, result) if settings.add or settings.depth is not None else Survey()
    todo = _of_depth(todo, surveyed, result)
    if settings.add and not settings.mixed_depth:
        surveyed.forms.refuse_other(deep=bool(existing.manifest.profile.deep))
    if settings.add and not settings.dry_run:
        wanted = {} if settings.has_limits else _wanted(todo)
        staged, staged_instances = staged_files.finished_packages(staging_of(out), book, wanted)
        todo = [task for task in todo if task.identity not in staged]
        todo = mark_repeats(todo, surveyed.instances, staged_instances | instances, book.tag_key)
    result.unchanged = len(tasks) - len(todo) - result.other_depth
    if settings.dry_run or not settings.add:
        _examine(todo, settings, result, progress, instances, book.tag_key)
        if result.done and not settings.add:
            raise TargetExistsError(
                f"the release is there, and {len(todo)} of the inputs are not in it",
                hint="--add adds them; nothing was touched",
            )
    else:
        _pack(todo, book, settings, staging_of(out), out, staged, result, progress)
    if staged:
        entries = [*existing.manifest.packages, *staged.values()]
        manifest = existing.manifest.with_packages(entries, existing.ledger.head.number + 1)
        what = Change(Action.ADD, manifest, files=[entry.path for entry in staged.values()])
        state = change(out, existing, what, book.owner_key, owner)
        check_and_pin(state.ledger, out)
        result.standing = standing_of(state, book, out)
        staged_files.clear(staging_of(out))
    elif not settings.dry_run:
        level_times(out, existing.manifest.created)  # a run that was killed at its very end may have left them uneven
    result.bytes = size_of(out)


def _pack(
    todo: list[Input], book: OwnerBook, settings: ShareSettings, staging: Path,
    release: Path | None, staged: Origins, result: ShareResult, progress: Progress | None,
) -> None:  # fmt: skip
    manifest = book.manifest
    plan = PackingPlan(
        manifest.release, manifest.epoch, manifest.level, manifest.profile, manifest.tiers, manifest.grids,
        bool(book.settings.get("keep_file")), book.tag_key, book.ring,
        book.stamp_key, bool(book.settings.get("pseudonyms")), padding_of(book) == "bucket",
    )  # fmt: skip
    weights = weights_of(release, manifest, book.ring) if release is not None else None
    packer = Packer(plan, staging, settings.codec, weights, settings.min_quality, settings.max_rmse, settings.burned_in)
    result.error = float(book.settings["rmse"]) if "rmse" in book.settings else None
    result.quality = manifest.profile.quality_centidb / 100 or None
    for count, packed in enumerate(done_by_workers(pack_input, packer, todo, settings.jobs), start=1):
        if progress is not None:
            progress(count, len(todo), f"#{packed.input.number}")
        _record(packed, staged, result)


def _labelled(
    tasks: list[Input], inputs: list[Path], settings: ShareSettings
) -> tuple[list[Input], GivenLabels]:  # fmt: skip
    """The inputs with the labels that the labels file gives to the images among them."""
    if settings.labels is None:
        return tasks, GivenLabels()
    files = [task.path for task in tasks if not task.attached]
    folders = [path for path in inputs if path.is_dir()]
    given = labels_to_share(Path(settings.labels), settings.label_columns, files, folders)
    given = given if settings.pseudonyms else replace(given, patients={})
    marked = [
        task if task.attached
        else replace(task, labels=given.of.get(task.path, ()), patient=given.patients.get(task.path, ""))
        for task in tasks
    ]  # fmt: skip
    return marked, given


def _wanted(tasks: list[Input]) -> dict[OriginKey, Labels]:
    return {task.identity: task.labels for task in tasks}


def _refuse_foreign(out: Path) -> None:
    """Raise TargetExistsError where something of the user's own stands at the output."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise TargetExistsError("the output is there and is not a folder", hint="name a new folder with -o")
    records = (out / RECORD, out / f"{RECORD}.next", out / "ledger")
    if out.exists() and any(out.iterdir()) and not any(record.exists() for record in records):
        raise TargetExistsError(
            "the output folder is there and is not a release", hint="name a new folder with -o; nothing was touched"
        )


def _is_there(out: Path, owner: Identity, *, head: str, dry_run: bool) -> bool:
    """Whether there is a release; one that lacked only its name gets it."""
    return (out.exists() and any(out.iterdir())) or (not dry_run and finish(out, owner, head=head))


def _survey(tasks: list[Input], settings: ShareSettings, result: ShareResult) -> Survey:
    return survey([(task.path, task.relative) for task in tasks if not task.attached], settings.depth, result.labels)


def _of_depth(tasks: list[Input], surveyed: Survey, result: ShareResult) -> list[Input]:
    """The inputs without the images of another depth than was asked for."""
    meant = [task for task in tasks if task.attached or task.path not in surveyed.other]
    result.other_depth = len(tasks) - len(meant)
    return meant


def _begin(
    staging: Path, settings: ShareSettings, surveyed: Survey, owner: Identity, result: ShareResult
) -> OwnerBook:  # fmt: skip
    """The book of a new release: settings, keys, and who will be granted what."""
    notes = _first_grants(settings, owner)
    (profile, error), grids = choose_profile(settings, surveyed.forms), choose_grids(surveyed)
    _tell_error(profile, error, surveyed, result)
    manifest = Manifest(
        secrets.token_bytes(16), 0, 0, owner.recipient.verify_key, owner.hybrid, settings.protection, profile,
        settings.release_tiers, grids, today(), settings.decoys,
    )  # fmt: skip
    kept = {"limits": settings.limits, "embed": settings.embed, "keep_file": settings.keep_file}
    kept["pseudonyms"] = settings.pseudonyms
    kept |= {"labels": result.labels.digest} if result.labels.counts else {}
    kept |= {} if settings.padding is None else {"padding": settings.padding}
    kept |= {} if error is None else {"rmse": f"{error:g}"}
    keys, owner_key = {0: EpochKeys.fresh()}, secrets.token_bytes(KEY_BYTES)
    book = OwnerBook(manifest, owner_key, kept, keys, tuple(notes), surveyed.dictionary)
    book.save_draft(staging, owner)
    return book


def _tell_error(profile: Profile, error: float | None, surveyed: Survey, result: ShareResult) -> None:
    """Say, before anything is coded, what images of more than 8 bits will be like."""
    if not surveyed.forms.deep:
        return
    if not profile.quality_centidb:
        result.tell(
            f"codec {profile.codec} chooses no error above 8 bits: primis gave a head CT back with an RMSE of "
            "24 HU, where lapped chooses 3 by default; the error of each image is measured",
            grave=True,
        )
    elif error is not None:
        result.tell(
            f"the budget is that of {profile.quality_centidb / 100:g} dB, one of {len(QUALITY_CLASSES)} for images of "
            f"more than 8 bits, for an error of about {error:g} {surveyed.forms.unit} (--rmse)",
            grave=False,
        )


def _first_grants(settings: ShareSettings, owner: Identity) -> list[GrantNote]:
    owners = dict.fromkeys((owner.recipient, *settings.also_owners))
    notes = [_note(recipient, Tier.EXACT, sees=True, owns=True) for recipient in owners]
    for recipient in settings.to:
        if recipient.text not in {note.recipient.text for note in notes}:
            sees = recipient.text in {each.text for each in settings.identity}
            notes.append(_note(recipient, settings.tier_of(recipient), sees=sees, owns=False))
    for note in notes:
        check_recipient(
            note.recipient,
            hybrid=owner.hybrid,
            allow_classical=settings.allow_classical,
            allow_certificates=settings.allow_certificates,
        )
    return notes


def _note(recipient: Recipient, tier: Tier, *, sees: bool, owns: bool) -> GrantNote:
    return GrantNote(secrets.token_bytes(16), recipient, tier, sees, is_owner=owns)


def _known(out: Path, existing: Manifest, book: OwnerBook) -> tuple[Origins, Instances]:
    known: Origins = {}
    instances: Instances = {}
    for entry in existing.packages:
        key, objects, _ = staged_files.contents_of(load_package(out, entry, existing), book)
        known[key] = entry
        instances |= objects
    return known, instances


def _record(packed: Packed, staged: Origins, result: ShareResult) -> None:
    if packed.failure is not None:
        result.failed.append(packed.failure)
        return
    number = packed.input.number
    if packed.entry is not None:
        staged[packed.input.identity] = packed.entry
        result.done += 1
    result.varying.update(packed.varying)
    result.warned.extend((number, text) for text in packed.warnings)
    if packed.fidelity is not None:
        result.fidelity[number] = packed.fidelity
        result.pixels += packed.fidelity.pixels
        if packed.low:
            result.low.append((number, packed.fidelity.psnr))


def _examine(
    tasks: list[Input], settings: ShareSettings, result: ShareResult, progress: Progress | None, there: Instances,
    tag_key: bytes,
) -> None:  # fmt: skip
    """Read every image and write nothing."""
    from medveil import images

    found: dict[Path, Instance] = {}
    for count, task in enumerate(tasks, start=1):
        try:
            if not task.attached:
                image = images.read_apart(task.path)
                check_text(image, settings.burned_in)
                result.warned.extend((task.number, text) for text in images.warnings(image))
                instance = images.instance(image)
                if instance is not None:
                    found[task.path] = instance
                result.pixels += image.pixels.size
            result.done += 1
        except MedveilError as error:
            result.failed.append(Failure.of(task.number, task.path, error))
        if progress is not None:
            progress(count, len(tasks), "examined")
    marked = mark_repeats(tasks, found, there, tag_key)
    result.warned.extend((task.number, REPEATS) for task in marked if task.repeats)
