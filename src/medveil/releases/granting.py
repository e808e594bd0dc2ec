"""grant and revoke: who may open what, decided after a release was made. No package is touched."""

from __future__ import annotations

import datetime
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from medveil.errors import UsageError
from medveil.files.atomic import make_folder, write_bytes
from medveil.keys.grants import Grant, seal_grant
from medveil.keys.identity import Identity
from medveil.keys.recipients import Recipient, name_of
from medveil.keys.tiers import EpochKeys, Section, Tier, make_link
from medveil.releases.deputies import owned_state, read_book, standing_of
from medveil.releases.packages.package import PackageHeader, find_entry, load_package
from medveil.releases.records.ledger import Action, GrantFile
from medveil.releases.records.manifest import Manifest
from medveil.releases.records.owner_records import GrantNote, Notes, OwnerBook, Standing, today
from medveil.releases.records.pins import check_and_pin
from medveil.releases.records.state import State
from medveil.releases.settings import check_recipient
from medveil.releases.writing import staging as staged_files
from medveil.releases.writing.commit import Change, change
from medveil.releases.writing.staging import staging_of

Headers = Mapping[bytes, PackageHeader]


@dataclass(frozen=True)
class Request:
    """What the owner wants to grant.

    Attributes:
        to: recipients.
        at: the tier of a recipient, or its name; the release's best where it is not named.
        identity: those of them who see identity metadata.
        only: ids of packages, or their unambiguous beginnings; empty for the whole release.
        until: day that the grant is meant to end, YYYY-MM-DD, or empty.
        allow_classical, allow_certificates: see `ShareSettings`.

    >>> Request((bob.recipient,), {bob.recipient: "diagnostic"}).identity
    ()
    """

    to: tuple[Recipient, ...]
    at: Mapping[Recipient, Tier] = field(default_factory=dict)
    identity: tuple[Recipient, ...] = ()
    only: tuple[str, ...] = ()
    until: str = ""
    allow_classical: bool = False
    allow_certificates: bool = False

    def __post_init__(self) -> None:
        try:
            tiers = {recipient: Tier(tier) for recipient, tier in self.at.items()}
        except ValueError:
            names = ", ".join(tier.value for tier in Tier)
            raise UsageError(f"a recipient is granted a tier that is none; there are {names}") from None
        object.__setattr__(self, "at", tiers)


@dataclass(frozen=True)
class Granted:
    """What was done.

    Attributes:
        notes: grants that are new.
        unchanged: how many of those asked for were there already, or had been taken out already.
        epoch: the release's key epoch.
        withdrawn: number of grants that were taken out, without those that were made anew.
        revoked: number of recipients who were taken out.
        ended: number of grants that were taken out since their day is over.
        standing: what the release is now, and who may open it.
    """

    notes: tuple[GrantNote, ...] = ()
    unchanged: int = 0
    epoch: int = 0
    withdrawn: int = 0
    standing: Standing = field(default_factory=Standing)
    revoked: int = 0
    ended: int = 0

    @property
    def head(self) -> str:
        """The sha256 of the ledger's last entry in hexadecimal digits."""
        return self.standing.head


def grant(
    folder: str | Path, request: Request, owner: Identity, *, founder: Recipient | None = None, head: str = "",
    first_look: bool = False,
) -> Granted:  # fmt: skip
    """Let recipients open a release that is there: one grant file each, and one entry of the ledger.

    On a machine that has not seen the release, name a head, or say that it is a first look; a deputy also names the
    founder. See `owned_state`.

    Raises:
        UsageError: a tier that the release does not have, a lower one than was granted before, a wrong day or package.
        NoFittingKeyError, RefusedError, IntegrityError: as `owned_state`.

    >>> len(grant(release, Request((bob.recipient,), {}), owner).notes)
    1
    """
    given, folder = Path(folder), Path(os.path.realpath(folder))
    with staged_files.held(staging_of(folder)):
        state = owned_state(given, owner, founder=founder, head=head, first_look=first_look)
        book = read_book(folder, state, owner)
        wanted = _wanted(folder, request, state.manifest, owner)
        new = [
            replace(note, recipient=book.named(note.recipient), uid_tier=book.uid_tier_of(note.recipient))
            for note in wanted
            if not any(_covers(former, note) for former in book.grants)
        ]
        if not new:
            return Granted((), len(wanted), state.manifest.epoch, 0, Standing.of(state.ledger, book.grants))
        replaced = [former for former in book.grants for note in new if _replaces(former, note)]
        headers = load_headers(folder, state.manifest, new)
        _check_opens_something(new, headers)
        files = [issue(staging_of(folder), note, book, headers, owner) for note in new]
        gone = [former.grant_id for former in replaced]
        what = Change(Action.GRANT, _marked(state, gone), files, gone, Notes(granted=tuple(new)))
        after = change(folder, state, what, book.owner_key, owner)
        check_and_pin(after.ledger, folder)
    made, now = tuple(replace(note, day=after.ledger.head.day) for note in new), standing_of(after, book, folder)
    return Granted(made, len(wanted) - len(new), after.manifest.epoch, len(gone), now)


def revoke(
    folder: str | Path, recipients: Iterable[Recipient | str], owner: Identity, *, founder: Recipient | None = None,
    head: str = "", first_look: bool = False,
) -> Granted:  # fmt: skip
    """Take out recipients, and begin a new epoch: packages that are added later use keys that they never had.

    What they could open before they can open still, from copies of the release and of their grants. Those who were
    taken out before stay so, and there is nothing to do. Where a new epoch begins, grants whose day is over are not
    made anew but taken out as well.

    Args:
        folder: the release.
        recipients: whom to take out: keys, or as words the names and fingerprints that `grants` prints, or ids of
            grants; of fingerprints and ids the beginning will do.
        owner: an owner of it.
        founder, head, first_look: see `owned_state`.

    Raises:
        UsageError: somebody who was granted nothing, or an owner, or a word that means none or several.
        RefusedError: as `owned_state`.

    >>> taken = revoke(release, [alice.recipient], owner)
    >>> taken.revoked, taken.epoch
    (1, 1)
    """
    given, folder = Path(folder), Path(os.path.realpath(folder))
    named = list(recipients)
    with staged_files.held(staging_of(folder)):
        state = owned_state(given, owner, founder=founder, head=head, first_look=first_look)
        book = read_book(folder, state, owner)
        leaving = {_text_of(each, book) if isinstance(each, str) else each.text for each in named}
        gone = [note for note in book.grants if note.recipient.text in leaving]
        _check_leaving(leaving, gone, book)
        if not gone:  # they were taken out before, perhaps by a run that was killed after that
            return Granted((), len(leaving), state.manifest.epoch, 0, Standing.of(state.ledger, book.grants))
        ended: list[GrantNote] = []
        if all(note.only for note in gone):  # keys of single packages open nothing that comes later
            withdrawn = [note.grant_id for note in gone]
            what = Change(Action.REVOKE, _marked(state, withdrawn), withdrawn=withdrawn)
        else:
            ended = [note for note in book.grants if note.has_ended() and note not in gone]
            what = _next_epoch(folder, state, book, [*gone, *ended], owner)
        after = change(folder, state, what, book.owner_key, owner)
        check_and_pin(after.ledger, folder)
    revoked = len({note.recipient.text for note in gone})
    taken, now = len(gone) + len(ended), standing_of(after, book, folder)
    return Granted((), len(leaving) - revoked, after.manifest.epoch, taken, now, revoked, len(ended))


def _next_epoch(folder: Path, state: State, book: OwnerBook, gone: list[GrantNote], owner: Identity) -> Change:
    """New keys, linked to the former ones, and new grants of the whole release for those who stay."""
    epoch, keys = state.manifest.epoch + 1, EpochKeys.fresh()
    link = (epoch, make_link(keys, book.keys, state.manifest.release, epoch))
    manifest = replace(
        state.manifest, epoch=epoch, sequence=state.ledger.head.number + 1, links=(*state.manifest.links, link)
    )
    book = replace(book, manifest=manifest, epochs={**book.epochs, epoch: keys})
    leaving = {note.grant_id for note in gone}
    replaced = [note for note in book.grants if note.grant_id not in leaving and not note.only]
    fresh = [replace(note, grant_id=secrets.token_bytes(16)) for note in replaced]
    files = [issue(staging_of(folder), note, book, {}, owner) for note in fresh]
    withdrawn = leaving | {note.grant_id for note in replaced}
    return Change(Action.REVOKE, manifest, files, withdrawn, Notes(keys={epoch: keys}, granted=tuple(fresh)))


def _marked(state: State, withdrawn: list[bytes]) -> Manifest | None:
    """A new manifest where grants are taken out: while the old one is there, so may their files be, and not after."""
    return replace(state.manifest, sequence=state.ledger.head.number + 1) if withdrawn else None


def issue(folder: Path, note: GrantNote, book: OwnerBook, headers: Headers, owner: Identity) -> GrantFile:
    """Write the grant of a note below `folder`; `headers` are those of the packages that it is for."""
    manifest = book.manifest
    keys = book.keys.lowered(note.tier, identity=note.sees_identity)
    grant_of = Grant(
        manifest.release, manifest.epoch, note.grant_id, keys, book.uid_key(note),
        book.owner_key if note.is_owner else b"", note.until,
    )  # fmt: skip
    if note.only:
        grant_of = _limited(grant_of, note, book, headers)
    data = seal_grant(grant_of, note.recipient, owner)
    file = GrantFile(note.grant_id, note.recipient.wrap, hashlib.sha256(data).digest())
    make_folder((folder / file.path).parent)
    write_bytes(folder / file.path, data, overwrite=True)  # a run that was killed may have written it already
    return file


def _limited(whole: Grant, note: GrantNote, book: OwnerBook, headers: Headers) -> Grant:
    """The grant with keys of single sections in place of the epoch's."""
    ring = replace(book.ring.lowered(note.tier), dictionary=b"")
    if not note.sees_identity:
        ring = replace(ring, epochs={e: k.lowered(note.tier, identity=False) for e, k in ring.epochs.items()})
    sections: dict[tuple[bytes, Section], bytes] = {}
    for package in note.only:
        header = headers[package]
        found = {section: ring.find(header.place(section)) for section, _ in header.sections}
        sections |= {(package, section): key for section, key in found.items() if key is not None}
    manifest = book.manifest
    keys = {file.name: ring.shared_key(manifest.release, file.epoch, file.name) for file in manifest.shared}
    return replace(
        whole,
        keys=EpochKeys(note.tier, b""),
        sections=sections,
        shared={name: key for name, key in keys.items() if key is not None},
    )


def load_headers(folder: Path, manifest: Manifest, notes: Iterable[GrantNote]) -> Headers:
    """Headers of the packages that the notes name."""
    wanted = {package for note in notes for package in note.only}
    entries = [entry for entry in manifest.packages if entry.package in wanted]
    return {entry.package: load_package(folder, entry, manifest).header for entry in entries}


def _wanted(folder: Path, request: Request, manifest: Manifest, owner: Identity) -> list[GrantNote]:
    if not request.to:
        raise UsageError("nobody is named", hint="name the public key file of a recipient with --to")
    if any(recipient not in request.to for recipient in request.identity):
        raise UsageError(
            "--identity names a recipient who is not granted the images", hint="name the same file with --to too"
        )
    _check_day(request.until)
    only = tuple(sorted({find_entry(manifest, package).package for package in request.only}))
    notes = []
    for recipient in {each.text: each for each in request.to}.values():
        check_recipient(
            recipient,
            hybrid=manifest.hybrid,
            allow_classical=request.allow_classical,
            allow_certificates=request.allow_certificates,
        )
        tier = request.at.get(recipient, manifest.tiers[0])
        if tier not in manifest.tiers:
            names = ", ".join(each.value for each in manifest.tiers)
            raise UsageError(
                f"the release has no tier {tier.value}; it has {names}",
                hint="tiers are chosen when a release is made: medveil share --tiers",
            )
        sees = recipient in request.identity
        notes.append(GrantNote(secrets.token_bytes(16), recipient, tier, sees, only, request.until))
    return notes


def _check_opens_something(notes: Iterable[GrantNote], headers: Headers) -> None:
    """Raises UsageError for a grant of attachments alone that is without identity."""
    for note in notes:
        if note.only and not note.sees_identity and not any(headers[package].bucket.height for package in note.only):
            raise UsageError(
                "the named packages are attachments, which only those who see identity open",
                hint="name the recipient with --identity too",
            )


def _check_day(until: str) -> None:
    if not until:
        return
    try:
        day = datetime.date.fromisoformat(until)
    except ValueError:
        raise UsageError("--until takes a day such as 2027-01-31") from None
    if day.isoformat() != until or until < today():
        raise UsageError(f"--until {day.isoformat()} is over, or not written as YYYY-MM-DD")


def _covers(former: GrantNote, note: GrantNote) -> bool:
    """Whether a grant that is there is what is asked for, or more. Raises UsageError where it is in the way."""
    if former.recipient.text != note.recipient.text:
        return False
    if former.is_owner:
        return True
    if former.only != note.only:
        return not former.only and _gives(former, note)
    if not _gives(note, former):
        raise UsageError(
            f"key {note.recipient.fingerprint} was granted more than that already; a grant cannot be made smaller",
            hint="medveil revoke takes it out, and begins a new epoch; then grant what is meant",
        )
    return _gives(former, note) and former.until == note.until


def _gives(one: GrantNote, other: GrantNote) -> bool:
    """Whether the first grant opens all that the second opens, in the packages of both."""
    return one.tier.rank <= other.tier.rank and (one.sees_identity or not other.sees_identity)


def _replaces(former: GrantNote, note: GrantNote) -> bool:
    """Whether a new grant makes one that is there superfluous."""
    if former.recipient.text != note.recipient.text or former.is_owner:
        return False
    return former.only == note.only or (not note.only and _gives(note, former))


def _text_of(word: str, book: OwnerBook) -> str:
    """Public text of the recipient who has this name, or whose fingerprint or grant has an id that begins so.

    A whole fingerprint means that key, whoever has it for a name. A name means those who may open the release now, and
    where none of them has it, those who might before.
    """
    name, start = name_of(word), word.strip().lower()
    whole = {note.recipient.text for note in (*book.grants, *book.ended) if note.recipient.fingerprint == start}
    if len(whole) == 1:
        return whole.pop()
    fitting = {
        note.recipient.text
        for note in (*book.grants, *book.ended)
        if note.recipient.fingerprint.startswith(start) or note.grant_id.hex().startswith(start)
    }
    now, before = (
        {note.recipient.text for note in notes if name and note.recipient.name == name}
        for notes in (book.grants, book.ended)
    )
    fitting |= now or before
    if len(fitting) != 1 or not start:
        raise UsageError(
            f"{len(fitting)} of those who were granted anything have that name, or a fingerprint or a grant that "
            "begins so; exactly one is wanted",
            hint="name a .pub file, or a fingerprint or a grant that medveil grants prints",
        )
    return fitting.pop()


def _check_leaving(leaving: set[str], gone: list[GrantNote], book: OwnerBook) -> None:
    unknown = leaving - {note.recipient.text for note in (*gone, *book.ended)}
    if unknown:
        raise UsageError(
            f"{len(unknown)} of the named keys were granted nothing in this release",
            hint="medveil grants lists who may open what",
        )
    if any(note.is_owner for note in gone):
        raise UsageError(
            "an owner cannot be taken out: she holds the keys to the owners' notes and may sign for the release",
            hint="share the images as a new release without her",
        )
