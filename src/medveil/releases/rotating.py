"""rotate: new keys for the packages of a release, without coding an image again.

Every package is opened and sealed again under a fresh id, salt and epoch; then the release switches to the new ones in
one step, and the old ones are removed. Who holds an old grant, or an old copy, opens the old copy and nothing newer.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError, MedveilError
from medveil.files.atomic import make_folder, write_bytes
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import SALT_BYTES, EpochKeys, KeyRing, Section
from medveil.releases.access import dictionary_name, read_shared, recipients, weights_name, write_shared
from medveil.releases.deputies import owned_state, read_book, refuse_unsafe, standing_of
from medveil.releases.granting import issue, load_headers
from medveil.releases.packages.package import Package, PackageEntry, PackageHeader, load_package
from medveil.releases.packages.packing import entry_of, opening_for, same_code
from medveil.releases.packages.unpacking import PackageReader, check_commitments, sees_identity
from medveil.releases.records.ledger import Action
from medveil.releases.records.manifest import Manifest, SharedFile
from medveil.releases.records.owner_records import GrantNote, Notes, Standing
from medveil.releases.records.pins import check_and_pin
from medveil.releases.weights import codec_of
from medveil.releases.workers import done_by_workers
from medveil.releases.writing import staging as staged_files
from medveil.releases.writing.commit import Change, change, size_of
from medveil.releases.writing.staging import staging_of

_ROOM = 1 << 20  # bytes beside the packages: manifest, ledger, grants


@dataclass(frozen=True)
class Rotated:
    """What `rotate` did, or would do.

    Attributes:
        packages: number of packages that were sealed anew.
        grants: number of grants that were made anew.
        epoch: the release's key epoch.
        bytes: length of the whole release on disk.
        protection: of the release; with `obfuscated` the public part stays as it was, and so does what it gives away.
        standing: what the release is now, and who may open it.
        ended: number of grants that were taken out since their day is over.
    """

    packages: int
    grants: int
    epoch: int
    bytes: int
    protection: str
    standing: Standing
    ended: int = 0

    @property
    def head(self) -> str:
        """The sha256 of the ledger's last entry in hexadecimal digits."""
        return self.standing.head


@dataclass(frozen=True)
class _Work:
    """What a worker needs: the manifest without its packages, and both rings."""

    folder: Path
    staging: Path
    manifest: Manifest
    epoch: int
    old: KeyRing = field(repr=False)
    new: KeyRing = field(repr=False)

    @cached_property
    def coding(self) -> Coding:
        return Coding(codec_of(self.folder, self.manifest, self.old), self.manifest.profile)


def rotate(
    folder: str | Path, owner: Identity, *, founder: Recipient | None = None, head: str = "",
    first_look: bool = False, jobs: int = 0, dry_run: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Rotated:  # fmt: skip
    """Seal every package of a release anew. Grants whose day is over are not made anew.

    Args:
        folder: the release. Free space of its whole length is needed meanwhile.
        owner: an owner of it.
        founder, head, first_look: see `deputies.owned_state`.
        jobs: worker processes; 0 for one a core.
        dry_run: say what would be done; no package is opened, and nothing is written.
        progress: called as (done, total, text) after each package.

    Raises:
        MedveilError: there is not enough free space.
        NoFittingKeyError, RefusedError, IntegrityError: as `deputies.owned_state`; a damaged package stops it, and
            nothing was changed.

    >>> rotate(release, owner, jobs=1).epoch
    1
    """
    given, folder = Path(folder), Path(os.path.realpath(folder))  # one release has one lock, however it is reached
    staging = staging_of(folder)
    with contextlib.nullcontext() if dry_run else staged_files.held(staging):
        state = owned_state(given, owner, founder=founder, head=head, first_look=first_look, repair=not dry_run)
        book = read_book(folder, state, owner)
        kept = tuple(note for note in book.grants if not note.has_ended())
        ended = len(book.grants) - len(kept)
        refuse_unsafe(kept)
        _check_room(folder)
        if dry_run:
            count, epoch, now = len(state.manifest.packages), state.manifest.epoch + 1, Standing.of(state.ledger, kept)
            return Rotated(count, len(kept), epoch, size_of(folder), state.manifest.protection, now, ended)
        staged_files.clear(staging)  # what a killed run left there was sealed with keys that nobody has
        epoch, keys = state.manifest.epoch + 1, EpochKeys.fresh()
        ring = replace(KeyRing.whole({epoch: keys}), dictionary=book.dictionary)
        work = _Work(folder, staging, replace(state.manifest, packages=()), epoch, book.ring, ring)
        ids, entries = _reseal_all(work, state.manifest.packages, jobs, progress)
        manifest = replace(
            state.manifest, epoch=epoch, sequence=state.ledger.head.number + 1, links=(), shared=_reshare(work),
            packages=tuple(sorted(entries)),
        )  # fmt: skip
        book = replace(book, manifest=manifest, epochs={epoch: keys})
        notes = tuple(_renewed(note, ids) for note in kept)
        headers = load_headers(staging, manifest, notes)
        granted = [issue(staging, note, book, headers, owner) for note in notes]
        new = [entry.path for entry in manifest.packages] + [file.name for file in manifest.shared]
        old = [grant.grant_id for grant in state.ledger.grants]
        what = Change(Action.ROTATE, manifest, granted, old, Notes(keys={epoch: keys}, granted=notes), new)
        after = change(folder, state, what, book.owner_key, owner)
        check_and_pin(after.ledger, folder)
        staged_files.clear(staging)
    now = standing_of(after, book, folder)
    return Rotated(len(entries), len(granted), epoch, size_of(folder), manifest.protection, now, ended)


def _check_room(folder: Path) -> None:
    needed, free = size_of(folder) + _ROOM, shutil.disk_usage(folder.parent).free
    if free < needed:
        raise MedveilError(
            f"rotating needs {needed} bytes of free space, for the new packages beside the old; {free} are free",
            hint="free some space; nothing was changed",
        )


def _reseal_all(
    work: _Work, packages: tuple[PackageEntry, ...], jobs: int, progress: Callable[[int, int, str], None] | None
) -> tuple[dict[bytes, bytes], list[PackageEntry]]:
    """New id by old id, and the new entries."""
    ids: dict[bytes, bytes] = {}
    entries: list[PackageEntry] = []
    done = zip(packages, done_by_workers(_reseal_one, work, packages, jobs), strict=True)
    for number, (old, new) in enumerate(done, start=1):
        ids[old.package] = new.package
        entries.append(new)
        if progress is not None:
            progress(number, len(packages), f"#{number}")
    return ids, entries


def _reseal_one(work: _Work, entry: PackageEntry) -> PackageEntry:
    package = load_package(work.folder, entry, work.manifest)
    check_commitments(package, entry, work.old)
    new = Package.from_bytes(reseal(package, work).to_bytes())
    written = entry_of(new, work.new)
    _check_resealed(package, new, written, work)
    try:
        make_folder((work.staging / written.path).parent)
        write_bytes(work.staging / written.path, new.to_bytes())
    except (OSError, MedveilError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MedveilError(
            f"the release cannot be written: {reason}", hint="free some space; the release is as it was"
        ) from None
    return written


def reseal(package: Package, work: _Work) -> Package:
    """The same content under a fresh id, a fresh salt and the keys of the new epoch."""
    from medveil.protection.encrypting import decrypt, encrypt

    old = package.header
    header = PackageHeader(
        old.release, work.epoch, secrets.token_bytes(16), secrets.token_bytes(SALT_BYTES), old.bucket, old.sections
    )
    level = work.manifest.level
    sections: dict[Section, bytes] = {}
    for section, data in package.sections.items():
        key, new_key = work.old.key(old.place(section)), work.new.key(header.place(section))
        if section in level.shown:
            sections[section] = level.reseal(section, data, work.coding, old.bucket, key, new_key)
        else:
            plain = decrypt(data, key, old.associated_data(section))
            sections[section] = encrypt(plain, new_key, header.associated_data(section))
    return Package(header, sections)


def _check_resealed(old: Package, new: Package, entry: PackageEntry, work: _Work) -> None:
    """Raise IntegrityError unless recipients of every tier find in the new package what the old one holds.

    The sections' contents are compared. Pictures are made of them alone, and were compared when the image was shared.
    """
    manifest, coding = work.manifest, work.coding if old.header.bucket.height else None
    before, after = (PackageReader(each, manifest.level, coding) for each in (old, new))
    for access in recipients(work.new, manifest.release, work.epoch, manifest.tiers):
        ring, tier, sees = access.ring, access.ring.tier, access.ring.sees_identity
        lowered = {epoch: keys.lowered(tier, identity=sees) for epoch, keys in work.old.epochs.items()}
        with opening_for(ring):
            check_commitments(new, entry, ring)
            found, wanted = after.codes(ring), before.codes(replace(work.old, epochs=lowered))
            same = same_code(found.main, wanted.main) and same_code(found.preview, wanted.preview)
            same = same and found.records == wanted.records and sees_identity(new, ring) == sees
            if not same or (sees and after.identity(ring) != before.identity(work.old)):
                raise IntegrityError("its content is another")


def _reshare(work: _Work) -> tuple[SharedFile, ...]:
    """The sealed files that the packages have in common, sealed anew in the staging folder."""
    shared, manifest = [], work.manifest
    for file in manifest.shared:
        plain = read_shared(work.folder, file, manifest, work.old)
        if file.name.startswith("identity."):
            name = dictionary_name(work.epoch)
        else:
            name = weights_name(manifest.profile.weights, work.epoch)
        shared.append(write_shared(work.staging, name, plain or b"", manifest.release, work.epoch, work.new))
    return tuple(sorted(shared))


def _renewed(note: GrantNote, ids: dict[bytes, bytes]) -> GrantNote:
    only = tuple(sorted(ids[package] for package in note.only))  # a missing one is an error: none means all of them
    return replace(note, grant_id=secrets.token_bytes(16), only=only)
