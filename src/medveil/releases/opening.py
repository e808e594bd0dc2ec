"""open: a release back to files of the kind that went in, in their own folders."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from medveil.codecs.code import Codec
from medveil.errors import FormatVersionError, IntegrityError, MedveilError, NoRoomError, TargetExistsError
from medveil.files.atomic import holds_files, sweep, write_bytes
from medveil.files.names import FreeNames
from medveil.images.record import PATIENT_COLUMN
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import Tier
from medveil.releases.access import Access
from medveil.releases.label_file import labels_csv
from medveil.releases.packages.package import PackageEntry, load_package
from medveil.releases.packages.unpacking import OpenedFile, file_of, most_bytes
from medveil.releases.records.manifest import Manifest
from medveil.releases.records.pins import Replaced, note_of
from medveil.releases.release import Release, open_package
from medveil.releases.weights import codec_of
from medveil.releases.workers import Failure, done_by_workers
from medveil.releases.writing.staging import refuse_inside_release

_RENAMED = "under another name than the owner's: programs may act upon hers, or it was not legal or taken"
_SAME_UID = (
    "a DICOM file with one SOP Instance UID and other content than another: a PACS keeps one of two, so store them "
    "apart; shared anew, the originals get two UIDs"
)


@dataclass
class OpenResult:
    """What `open` did.

    Attributes:
        done: files written.
        withheld: packages and attachments that this key was not granted.
        until: day that the owner means this key's access to end, or empty.
        tiers: how many images were opened at each tier.
        failed: one entry a package that could not be opened; its number counts packages in manifest order.
        bytes: length of the written files.
        signer_known: as in VerifyResult.
        signer: the verdict in words, as in VerifyResult.
        damaged: whether a failure was one of integrity.
        newer: whether a package is of a newer format.
        renamed: how many files have another name than the stored one: it was not safe, not harmless, or taken.
        warning: as in Access.
        same_uid: how many DICOM files share their SOP Instance UID with one of other content.
        pin_note: what is to be said where this machine can't remember the release; see `pins.note_of`.
        warned: what is to be said of files that were written, as (number, words), without names.
        written: path of each of those files, by number; for the user's own list, never for messages.
        replaced, replaced_since: whether another release lay at this path before; see `pins.Signer`.
        labels: name of the file with the images' labels, or empty where they have none.
        labelled: how many images have any.
    """

    done: int = 0
    withheld: int = 0
    until: str = ""
    tiers: dict[Tier, int] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    bytes: int = 0
    signer_known: bool = False
    signer: str = ""
    damaged: bool = False
    newer: bool = False
    renamed: int = 0
    warning: str = ""
    same_uid: int = 0
    pin_note: str = ""
    warned: list[tuple[int, str]] = field(default_factory=list)
    written: dict[int, str] = field(repr=False, default_factory=dict)
    replaced: Replaced = Replaced.NO
    replaced_since: str = ""
    labels: str = ""
    labelled: int = 0


@dataclass
class _Written:
    """What lies in the output folder so far: the names, numbers of the DICOM files of each UID and content, and what is
    known of labelled images, by column; and the folders that were rid of what a killed run left.
    """

    names: FreeNames = field(default_factory=FreeNames)
    contents: dict[str, dict[bytes, list[int]]] = field(default_factory=dict, repr=False)
    swept: set[Path] = field(default_factory=set)
    labelled: list[dict[str, str]] = field(default_factory=list, repr=False)

    @property
    def same_uid(self) -> list[int]:
        found = [files for files in self.contents.values() if len(files) > 1]
        return sorted(number for files in found for numbers in files.values() for number in numbers)


@dataclass(frozen=True)
class _Source:
    """What every worker needs; the manifest without its packages, which come one by one."""

    folder: Path
    manifest: Manifest
    access: Access

    @cached_property
    def codec(self) -> Codec:
        return codec_of(self.folder, self.manifest, self.access.ring)


def open_release(
    folder: str | Path, out: str | Path, *, identity: Opener, owner: Recipient | None = None, head: str = "",
    tier: Tier | None = None, force: bool = False, max_bytes: int | None = None, jobs: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> OpenResult:  # fmt: skip
    """Open every package that `identity` may open into the folder `out` (0700).

    A damaged package is reported in the result and the intact ones are opened all the same. Where at least one was
    opened, owner and state of the release are remembered for later looks.

    Args:
        folder: the release.
        out: where the files go; new or empty unless `force`.
        identity: who opens.
        owner, head: the owner and the state that are expected; see `Release`.
        tier: open at this tier; at the best that the identity may open where it is None.
        force: write into a folder that holds files, replacing those of the same name.
        max_bytes: how many bytes may be written at most, where that is less than what is free there.
        jobs: worker processes; 0 for one a core.
        progress: called as (done, total, text) after each package.

    Raises:
        NoFittingKeyError: the release was not granted to this identity, or not at that tier.
        RefusedError: a certificate's key, and a founder for whom nobody vouches; see `access.find_access`.
        IntegrityError, FormatVersionError, UsageError: as `verify`, for what concerns the whole release.
        TargetExistsError: `out` holds files and `force` is not set; what a killed run left of a file is none, and goes.
        MedveilError: more could be written than `max_bytes`, or than is free.

    >>> open_release(release, work / "opened", identity=alice, jobs=1).done
    2
    """
    release = Release(folder, owner=owner, head=head)
    access = release.access_of(identity, tier)
    release.codec(access.ring)  # a missing codec or weights file is one error, not one a package
    out = Path(os.path.abspath(out))
    refuse_inside_release(out / "opened")
    if not force and out.exists() and (not out.is_dir() or holds_files(out)):
        raise TargetExistsError("the output folder holds files", hint="name a new folder, or --force to write into it")
    room = _Room.of(out, max_bytes)
    room.check(to_be_written(release, access))
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not holds_files(out) and _is_own(out):
            out.chmod(0o700)
    except OSError as error:
        raise MedveilError(
            f"the output folder cannot be made: {error.strerror or type(error).__name__}", hint="name another with -o"
        ) from None
    result = OpenResult(
        signer_known=release.signer_known, signer=release.signer.words, until=access.until, warning=access.warning,
        replaced=release.signer.replaced, replaced_since=release.signer.replaced_since,
    )  # fmt: skip
    source = _Source(release.folder, replace(release.manifest, packages=()), access)
    written = _Written()
    entries = release.manifest.packages
    done = zip(entries, done_by_workers(_open_one, source, entries, jobs), strict=True)
    for number, (entry, opened) in enumerate(done, start=1):
        try:
            if isinstance(opened, MedveilError):
                raise opened
            room.check(result.bytes + (0 if opened is None else len(opened.data)))
            _write(number, opened, out, written, result, force=force)
        except NoRoomError:
            raise
        except MedveilError as error:
            result.damaged |= isinstance(error, IntegrityError)
            result.newer |= isinstance(error, FormatVersionError)
            place = str(release.folder / entry.path)
            result.failed.append(Failure(number, place, type(error).__name__, error.message))
        if progress is not None:
            progress(number, len(release), f"#{number}")
    _write_labels(out, written, result, force=force)
    result.same_uid = len(written.same_uid)
    result.warned += [(number, _SAME_UID) for number in written.same_uid]
    if result.done:
        release.pin()
        result.pin_note = note_of(release.ledger, release.folder)
    return result


def _is_own(folder: Path) -> bool:
    """Whether a folder is this user's, whose mode she may change."""
    return os.name == "posix" and folder.stat().st_uid == os.getuid()


def to_be_written(release: Release, access: Access) -> int:
    """At most how many bytes `open` writes of a release; a package that does not open counts for none.

    Every package is read, and nothing is decoded.
    """
    total, granted = 0, access.ring.packages
    for entry in release.manifest.packages:
        if granted is not None and entry.package not in granted:
            continue
        with contextlib.suppress(MedveilError, ArithmeticError, ValueError, TypeError, LookupError):
            package = load_package(release.folder, entry, release.manifest)
            total += most_bytes(package, entry, release.manifest.level, access.ring)
    return total


@dataclass(frozen=True)
class _Room:
    """How much may be written.

    Attributes:
        bytes: so many.
        asked: whether the user said so; else that much is free.
    """

    bytes: int
    asked: bool

    @classmethod
    def of(cls, out: Path, max_bytes: int | None) -> _Room:
        place = next(each for each in (out, *out.parents) if each.exists())
        free = shutil.disk_usage(place).free
        return cls(free, False) if max_bytes is None or free < max_bytes else cls(max_bytes, True)

    def check(self, needed: int) -> None:
        """Raise NoRoomError where more is needed than there is."""
        if needed > self.bytes:
            allowed = f"--max-bytes allows {self.bytes}" if self.asked else f"{self.bytes} are free there"
            raise NoRoomError(
                f"the files take up to {needed} bytes, and {allowed}",
                hint="open at a lesser --tier, or name a folder with more room; medveil open --dry-run tells the bytes",
            )


def _open_one(source: _Source, entry: PackageEntry) -> OpenedFile | MedveilError | None:
    """The file of one package, or the error that it gives; None where the grant does not open it."""
    try:
        opened = open_package(source.folder, source.manifest, entry, source.access.ring, source.codec)
        return file_of(opened, source.manifest.profile, source.access.uid_key) if opened is not None else None
    except MedveilError as error:
        return error
    except (MemoryError, ArithmeticError, ValueError, TypeError, LookupError, RecursionError) as error:
        return IntegrityError(f"a package makes no sense ({type(error).__name__})")


def _write(
    number: int, file: OpenedFile | None, out: Path, written: _Written, result: OpenResult, *, force: bool
) -> None:  # fmt: skip
    if file is None:
        result.withheld += 1
        return
    name = written.names.take(file.name)
    path = out / name
    try:
        for folder in reversed(path.relative_to(out).parents):
            if folder.parts and (out / folder).is_symlink():
                raise MedveilError(
                    "the opened file is not written: a folder of the output is a link, which leads elsewhere",
                    hint="take the link away, or name another folder with -o",
                )
            (out / folder).mkdir(mode=0o700, exist_ok=True)
            if out / folder not in written.swept:
                sweep(out / folder)
                written.swept.add(out / folder)
        write_bytes(path, file.data, mode=0o600, overwrite=force, unnamed=True)
    except OSError as error:
        raise MedveilError(
            f"the opened file cannot be written: {error.strerror or type(error).__name__}", hint="free some space"
        ) from None
    result.done += 1
    result.written[number] = str(path)
    if file.labels:
        written.labelled.append({**file.labels, "image": str(name), PATIENT_COLUMN: file.patient})
    if file.renamed or name != file.name:
        result.renamed += 1
        result.warned.append((number, _RENAMED))
    result.bytes += len(file.data)
    if file.instance is not None and file.instance.uid:
        files = written.contents.setdefault(file.instance.uid, {})
        files.setdefault(file.instance.content, []).append(number)
    if file.tier is not None:
        result.tiers[file.tier] = result.tiers.get(file.tier, 0) + 1


def _write_labels(out: Path, written: _Written, result: OpenResult, *, force: bool) -> None:
    """Write the labels of the images that have any, one row each, beside them."""
    if not written.labelled:
        return
    name, data = written.names.take(PurePosixPath("labels.csv")), labels_csv(written.labelled)
    try:
        write_bytes(out / name, data, mode=0o600, overwrite=force, unnamed=True)
    except MedveilError as error:
        raise MedveilError(f"the labels of the opened images cannot be written: {error.message}") from None
    result.bytes += len(data)
    result.labels, result.labelled = str(name), len(written.labelled)
