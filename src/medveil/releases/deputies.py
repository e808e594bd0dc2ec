"""What an owner or a deputy may do: who may change a release, on which state, and where it stands afterwards.

A deputy (`--also-owner`) may do all that the founder may: open everything, grant, revoke, add, rotate, read the owners'
notes. But she goes on only with a release for whose founder somebody vouches. An owner cannot be taken out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from medveil.errors import KeyFileError, MedveilError, NoFittingKeyError, RefusedError
from medveil.files.atomic import move_all
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient
from medveil.keys.wrapping import wrap
from medveil.releases.access import find_access, read_dictionary
from medveil.releases.records import state as states
from medveil.releases.records.owner_records import GrantNote, OwnerBook, Standing
from medveil.releases.records.pins import check_can_follow, check_extension, is_known_state, note_of
from medveil.releases.records.state import State
from medveil.releases.verifying import check_signer
from medveil.releases.writing import staging as staged_files
from medveil.releases.writing.commit import level_folders
from medveil.releases.writing.staging import staging_of


def owned_state(
    folder: Path, owner: Identity, *, founder: Recipient | None = None, head: str = "", first_look: bool = False,
    extends: bool = True, repair: bool = True,
) -> State:  # fmt: skip
    """State of a release that this identity owns; what a killed run left behind is put in order unless it is a look.

    Anybody can found a release and call somebody else a deputy of it, whose own release it then replaces. So somebody
    has to vouch for the founder before a deputy goes on: the deputy, who names her or a head, or the pin. And anybody
    who holds the storage can show an older state: what is to be extended has to be known by more than a look, or
    vouched for by a head.

    Args:
        folder: the release, by the path that was named: a link that was turned elsewhere is noticed.
        owner: the founder or a deputy.
        founder: the founder that a deputy expects.
        head: sha256 of a ledger entry that the release must contain, in hexadecimal digits, or empty.
        first_look: take the state that is shown for the newest.
        extends: the release is about to be changed.
        repair: off for a mere look. A state of which nothing says that it is the newest is left alone in any case.

    Raises:
        NoFittingKeyError: it belongs to somebody else.
        RefusedError: a deputy, and nobody vouches for the founder; or see `pins.check_extension`.
        MedveilError: see `pins.check_can_follow`.
        IntegrityError, FormatVersionError, UsageError: as `states.load` and `check_and_pin`.
    """
    named, folder = folder, Path(os.path.realpath(folder))
    state = states.load(folder)
    if owner.recipient.verify_key not in state.ledger.owners:
        raise NoFittingKeyError(
            f"the release there belongs to another owner than key {owner.fingerprint}", hint="name the owner with -i"
        )
    if founder is None and owner.recipient.verify_key == state.ledger.owners[0]:
        founder = owner.recipient
    signer = check_signer(state.ledger, named, founder, head=head, pin=False)
    if not signer.vouched:
        raise RefusedError(
            f"the release was founded by {state.manifest.owner_fingerprint}, for whom nobody vouches here; "
            f"key {owner.fingerprint} is a deputy",
            hint="compare that fingerprint with the founder's, and name her .pub file with --owner",
        )
    if extends:
        check_extension(state.ledger, named, head=head, first_look=first_look)
        if repair:
            check_can_follow(state.ledger.head.release)
    if not repair or not (head or first_look or is_known_state(state.ledger, named)):
        return state
    states.make_durable(folder)
    check_signer(state.ledger, named, founder, head=head, pin=True)
    staging = staging_of(folder)  # packages that an interrupted --add had moved already count there
    moved = [entry.path for entry in state.pending if (folder / entry.path).is_file()]
    move_all([(folder / path, staging / path) for path in moved])
    staged_files.sweep_changes(staging)
    state = states.settle(folder, state)
    level_folders(folder, state.manifest.created)
    return state


def read_book(folder: Path, state: State, owner: Identity) -> OwnerBook:
    """The owners' book of a release, of whose founder `owned_state` made sure.

    Raises:
        NoFittingKeyError: this identity is no owner.
    """
    access = find_access(folder, state.ledger, state.manifest, owner, vouched=True)
    if not access.owner_key:
        raise NoFittingKeyError(f"key {owner.fingerprint} does not own this release", hint="name the owner with -i")
    book = OwnerBook.read(state.ledger, state.manifest, access.owner_key)
    return replace(book, dictionary=read_dictionary(folder, state.manifest, book.ring))


def refuse_unsafe(notes: Iterable[GrantNote]) -> None:
    """Raise RefusedError for a grant whose key is damaged, or such that everybody has the secret of it.

    Releases of former versions may have one. Whatever is sealed with the release's keys is open to everybody then.
    """
    for note in notes:
        try:
            wrap(b"", note.recipient)
        except KeyFileError as error:
            raise RefusedError(
                error.message,
                hint=f"medveil revoke --to {note.recipient.fingerprint} takes it out, and medveil rotate then gives "
                "what is there new keys; an unfinished share is dropped by deleting the .partial folder",
            ) from None


def founder_of(folder: Path, identity: Identity) -> str:
    """Fingerprint of a release's founder where this identity is a deputy of hers; else empty."""
    try:
        ledger = states.load(folder).ledger
    except (MedveilError, OSError):
        return ""  # whoever goes on with it says so
    is_deputy = identity.recipient.verify_key in ledger.owners[1:]
    return Recipient("", ledger.owners[0]).fingerprint if is_deputy else ""


def standing_of(state: State, book: OwnerBook, folder: Path) -> Standing:
    """What a release is after a change that was made with this book."""
    grants = OwnerBook.read(state.ledger, state.manifest, book.owner_key).grants
    return replace(Standing.of(state.ledger, grants), pin_note=note_of(state.ledger, folder))
