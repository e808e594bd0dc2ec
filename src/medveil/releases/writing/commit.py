"""Making what is staged the release: a new one in one rename, a change of one by a switch of its state."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medveil.errors import MedveilError, NoFittingKeyError, TargetExistsError
from medveil.files.atomic import (
    flush_folders,
    flush_tree,
    folders_below,
    make_folder,
    move_all,
    remove_all,
    remove_empty_folders,
    set_times,
    write_bytes,
)
from medveil.files.walk import is_junk
from medveil.keys.identity import Identity
from medveil.releases.records import state as states
from medveil.releases.records.ledger import NEXT, Action, GrantFile, LedgerEntry
from medveil.releases.records.manifest import CONTEXT, RECORD, SIGNATURE, Manifest
from medveil.releases.records.owner_records import DRAFT, Notes, OwnerBook, owners_of, today
from medveil.releases.records.pins import check_and_pin, check_can_follow, is_pinned_state
from medveil.releases.records.state import MARK, State
from medveil.releases.writing.staging import check_whole, refused, remove_stamps, staging_of, sweep


@dataclass(frozen=True)
class Change:
    """What is to become of a release.

    Attributes:
        action: how the ledger calls it.
        manifest: the new record, or None where it stays.
        granted: grants that are new; their files lie in the staging folder.
        withdrawn: ids of grants that are taken out.
        notes: what the owners' book gains.
        files: further new files that lie in the staging folder, by path.
    """

    action: Action
    manifest: Manifest | None
    granted: Sequence[GrantFile] = ()
    withdrawn: Iterable[bytes] = ()
    notes: Notes = field(default_factory=Notes)
    files: Sequence[str] = ()


def found(out: Path, book: OwnerBook, granted: Sequence[GrantFile], manifest: Manifest, owner: Identity) -> State:
    """Sign the staging folder of `out` as a new release, vouch for it on this machine, and give it its name.

    Raises:
        MedveilError: a file cannot be written or moved; there is no release then, and the staging folder is kept.
    """
    staging = staging_of(out)
    try:
        record = manifest.to_bytes()
        entry = LedgerEntry(
            manifest.release, 0, bytes(32), Action.SHARE, today(), manifest.epoch, hashlib.sha256(record).digest(),
            len(manifest.packages), tuple(sorted(granted)), owners=owners_of(book.grants),
        )  # fmt: skip
        entry = _with_notes(entry, book.notes(), book.owner_key)
        wanted = {e.path for e in manifest.packages} | {g.path for g in granted} | set(manifest.files())
        sweep(staging, wanted)
        check_whole(staging, list(manifest.packages))
        new = {entry.path: entry.to_bytes(owner), RECORD: record, SIGNATURE: owner.sign(CONTEXT, record)}
        for name, data in new.items():
            make_folder((staging / name).parent)
            write_bytes(staging / name, data, overwrite=True)
        flush_tree(staging)  # a killed run may have left folders that were not
        check_and_pin(states.load(staging).ledger, out, owner_key=owner.recipient.verify_key)
        remove_all([staging / DRAFT])  # from here on it is a release that only lacks its name
        remove_stamps(staging)
        level_times(staging, manifest.created)
        _name(staging, out)
        set_times([out], midnight(manifest.created))
    except OSError as error:
        raise refused(error) from None
    return states.load(out)


def finish(out: Path, owner: Identity, *, head: str = "") -> bool:
    """Give a release its name that a killed `found` had made whole already. Returns whether there was one.

    The owner's notes may still be beside it: then it is whole if this machine has vouched for this very state.

    Args:
        out: the release folder.
        owner: who founded it.
        head: sha256 of a ledger entry that it must contain, or empty.

    Raises:
        NoFittingKeyError: somebody else founded it; nothing is touched.
        IntegrityError: it is an older state than one seen before, or not of that head; nothing is touched.
    """
    staging = staging_of(out)
    if not (staging / SIGNATURE).exists():
        return False
    try:
        state = states.load(staging)
    except MedveilError:
        return False
    if owner.recipient.verify_key != state.ledger.owners[0]:
        raise NoFittingKeyError(
            f"the .partial folder holds a whole release of another owner than key {owner.fingerprint}",
            hint="name the owner with -i, or move that folder away; nothing was touched",
        )
    if (staging / DRAFT).exists() and not is_pinned_state(state.ledger):
        return False
    check_and_pin(state.ledger, out, owner_key=owner.recipient.verify_key, head=head, pin=False)
    remove_all([staging / DRAFT])
    remove_stamps(staging)
    _name(staging, out)
    return True


def _name(staging: Path, out: Path) -> None:
    if out.exists():
        remove_empty_folders(out)  # share looked before it began: it holds nothing
    move_all([(staging, out)])
    remove_all([out / MARK])  # last: a folder without it would be taken for somebody's own


def change(folder: Path, state: State, what: Change, owner_key: bytes, owner: Identity) -> State:
    """Switch a release to its next state; the files that are new lie in its staging folder.

    Raises:
        TargetExistsError: another command changed the release meanwhile.
        MedveilError: a file cannot be written or moved; the release is the old one or the new one. Where this machine
            could not remember the new one, it is the old one.
    """
    check_can_follow(state.ledger.head.release)
    manifest = what.manifest or state.manifest
    record = manifest.to_bytes()
    digest = state.ledger.head.manifest if what.manifest is None else hashlib.sha256(record).digest()
    head, staging = state.ledger.head, staging_of(folder)
    entry = LedgerEntry(
        manifest.release, head.number + 1, state.ledger.digests[-1], what.action, today(), manifest.epoch, digest,
        len(manifest.packages), tuple(sorted(what.granted)), tuple(sorted(what.withdrawn)),
    )  # fmt: skip
    entry = _with_notes(entry, what.notes, owner_key)
    new = [*(grant.path for grant in entry.granted), *what.files]
    try:
        states.announce(folder, staging, entry, what.manifest, owner)
        move_all([(staging / name, folder / name) for name in new])
        if what.manifest is not None:
            check_whole(folder, list(manifest.packages))
        flush_folders(_folders_of(folder, new))
        level_times(folder, manifest.created, [*new, *_state_files(entry)])
        try:
            states.switch(folder, entry)
        except TargetExistsError:
            _take_back(folder, [*new, f"{entry.path}{NEXT}"])
            raise
        current = states.settle(folder, states.load(folder))
        level_folders(folder, manifest.created)
    except OSError as error:
        raise refused(error) from None
    return current


def _take_back(folder: Path, names: Iterable[str]) -> None:
    """Remove files of a change that another command's took the place of."""
    state = states.load(folder)
    named = {*state.files(), *(entry.path for entry in state.manifest.packages)}
    remove_all(folder / name for name in names if name not in named)
    states.settle(folder, state)


def _state_files(entry: LedgerEntry) -> list[str]:
    names = [entry.path, RECORD, SIGNATURE]
    return names + [f"{name}.next" for name in names]


def _with_notes(entry: LedgerEntry, notes: Notes, owner_key: bytes) -> LedgerEntry:
    salt = secrets.token_bytes(16)
    return replace(entry, salt=salt, notes=notes.seal(owner_key, entry.release, salt))


def level_times(out: Path, day: str, names: Sequence[str] | None = None) -> None:
    """Give files of the release, all of them unless named, and its folders the same time: midnight UTC of its day."""
    if names is None:
        paths = {out, *out.rglob("*")}
    else:
        paths = {out / name for name in names if (out / name).exists()} | _folders_of(out, names)
        paths -= {path for path in paths if any(p.is_symlink() for p in path.parents if out in p.parents)}
    set_times(sorted(paths), midnight(day))


def level_folders(out: Path, day: str) -> None:
    """Give the folders of a release that time; files had it before the switch, and a killed run may leave folders."""
    set_times([*folders_below(out), out], midnight(day))


def midnight(day: str) -> float:
    return datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()


def _folders_of(out: Path, names: Iterable[str]) -> set[Path]:
    """The release folder and those below it that files of these names lie in."""
    parents = {parent for name in names for parent in (out / name).parents if out in parent.parents}
    return {out, *(parent for parent in parents if parent.exists())}


def size_of(out: Path) -> int:
    """Length in bytes of all files of a release; of what Finder or Explorer left in its folder nothing."""
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file() and not is_junk(path))
