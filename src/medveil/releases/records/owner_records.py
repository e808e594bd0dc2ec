"""What the owners alone know of a release: keys of all epochs, who was granted what, and the settings that nobody sees.

It lies in the ledger, a part in each entry, encrypted under a key of the release that only the owners' grants carry.
While a release is being made for the first time, there is no ledger; then the same lies in `owner.age` in the staging
folder, wrapped for the founder.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medveil.errors import IntegrityError, KeyFileError, NoFittingKeyError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.files.reading import read_regular
from medveil.keys.identity import Identity
from medveil.keys.recipients import NAME_BYTES, Recipient, name_of
from medveil.keys.signatures import signature_fits
from medveil.keys.tiers import KEY_BYTES, EpochKeys, KeyRing, Tier, hkdf
from medveil.keys.wrapping import wrap
from medveil.protection import padding
from medveil.protection.encrypting import decrypt, encrypt
from medveil.releases.records import manifest as manifests
from medveil.releases.records.ledger import Ledger
from medveil.releases.records.manifest import Manifest

DRAFT = "owner.age"
_CONTEXT = b"medveil/v1/draft"
_MAX_NOTES = 1 << 24
_UID_TIERS = "uid_tiers"
_NAMES = "names"
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})?")


@dataclass(frozen=True)
class GrantNote:
    """One grant as the owners know it.

    Attributes:
        grant_id: its id.
        recipient: who it is for.
        tier: the best tier that it opens.
        sees_identity: whether it opens identity metadata.
        only: ids of the packages that it opens; empty for all.
        until: day that it is meant to end, or empty.
        is_owner: whether it is an owner's.
        day: of the ledger entry that made it, YYYY-MM-DD; empty while there is none.
        uid_tier: empty, or the tier that enters the key of the recipient's new UIDs: where she was granted something
            by an early version, of which every tier had a key of its own. Such a grant's key stays hers.
    """

    grant_id: bytes
    recipient: Recipient
    tier: Tier
    sees_identity: bool
    only: tuple[bytes, ...] = ()
    until: str = ""
    is_owner: bool = False
    uid_tier: str = ""
    day: str = field(default="", compare=False)

    def has_ended(self) -> bool:
        """Whether the day until which it was meant is over."""
        return bool(self.until) and self.until < today()

    def record(self) -> list[Any]:
        who = [self.recipient.text, self.recipient.verify_key]
        return [
            self.grant_id, who, self.tier.value, self.sees_identity, list(self.only), self.until, self.is_owner,
        ]  # fmt: skip

    @classmethod
    def of(cls, record: Any) -> GrantNote:
        """The note of a record. Raises ValueError or TypeError for what `record` would not write."""
        grant_id, (text, verify_key), tier, sees, only, until, is_owner = record
        if type(only) is not list or not all(type(each) is bytes and len(each) == 16 for each in [grant_id, *only]):
            raise ValueError("ids")
        if type(text) is not str or type(verify_key) is not bytes or len(verify_key) not in (0, KEY_BYTES):
            raise ValueError("recipient")
        if type(sees) is not bool or type(is_owner) is not bool or not _DAY.fullmatch(until):
            raise ValueError("flags or day")
        try:
            recipient = Recipient(text, verify_key)
        except KeyFileError:  # of small order: only an owner's is used, and who is none has to stay one to be taken out
            if is_owner:
                raise
            recipient = Recipient(text)
        _ = recipient.wrap  # of a known kind
        return cls(grant_id, recipient, Tier(tier), sees, tuple(only), until, is_owner)


@dataclass(frozen=True)
class Standing:
    """Where a release stands, as its owners know it.

    Attributes:
        entry: number of the ledger's last entry.
        day: of that entry, YYYY-MM-DD.
        head: its sha256 in hexadecimal digits; empty where there is no release.
        open_to: grants that are there: who may open it and, but for those of some packages, what is added next.
        pin_note: after a change: what is to be said where this machine could not remember it; see `pins.note_of`.
    """

    entry: int = 0
    day: str = ""
    head: str = ""
    open_to: tuple[GrantNote, ...] = ()
    pin_note: str = ""

    @classmethod
    def of(cls, ledger: Ledger, grants: Iterable[GrantNote]) -> Standing:
        """Of a ledger and the grants that are there."""
        return cls(ledger.head.number, ledger.head.day, ledger.digests[-1].hex(), tuple(grants))


@dataclass(frozen=True)
class Notes:
    """What one ledger entry adds to the book.

    Attributes:
        settings: name -> value, of the first entry: `limits`, `embed`, `keep_file`, `pseudonyms`, and where they were
            chosen `padding` and `rmse`.
        keys: full keys of epochs that begin.
        granted: grants that were made.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[int, EpochKeys] = field(repr=False, default_factory=dict)
    granted: tuple[GrantNote, ...] = ()

    def to_bytes(self) -> bytes:
        settings = dict(self.settings)
        if self.granted:  # among the settings, where programs that do not know of them pass them over
            settings[_UID_TIERS] = [note.uid_tier for note in self.granted]
            settings[_NAMES] = [[note.grant_id, _padded_name(note.recipient.name)] for note in self.granted]
        keys = [[epoch, each.tier_key, each.identity_key] for epoch, each in sorted(self.keys.items())]
        return canonical.dumps([settings, keys, [note.record() for note in self.granted]])

    @classmethod
    def from_bytes(cls, data: bytes) -> Notes:
        try:
            settings, keys, granted = canonical.loads(data, what="owner's notes", limit=_MAX_NOTES)
            if [type(settings), type(keys), type(granted)] != [dict, list, list]:
                raise TypeError("parts")
            notes = [GrantNote.of(record) for record in granted]
            tiers = _uid_tiers_of(settings.pop(_UID_TIERS, [note.tier.value for note in notes]))
            names = _names_of(settings.pop(_NAMES, []))
            notes = [
                replace(note, uid_tier=tier, recipient=replace(note.recipient, name=names.get(note.grant_id, "")))
                for note, tier in zip(notes, tiers, strict=True)
            ]
            return cls(settings, _epochs_of(keys), tuple(notes))
        except (TypeError, ValueError):
            raise IntegrityError("the owner's notes do not have the fields of format 1") from None

    def seal(self, owner_key: bytes, release: bytes, salt: bytes) -> bytes:
        """Encrypted for the owners, padded in 3 % steps. The salt is fresh at every write."""
        return encrypt(padding.to_steps(self.to_bytes()), _notes_key(owner_key, release, salt), release)

    @classmethod
    def open(cls, data: bytes, owner_key: bytes, release: bytes, salt: bytes) -> Notes:
        return cls.from_bytes(padding.remove(decrypt(data, _notes_key(owner_key, release, salt), release)))


@dataclass(frozen=True)
class OwnerBook:
    """All that the owners know.

    Attributes:
        manifest: the release's public record; without packages while it is being made for the first time.
        owner_key: what opens the notes (32 bytes).
        settings: see `Notes`.
        epochs: full keys of all epochs.
        grants: grants that are there, the founder's first.
        dictionary: what the identity sections have in common.
        ended: grants that were there and were taken out.
        first: grants that the release was made with.
    """

    manifest: Manifest
    owner_key: bytes = field(repr=False)
    settings: Mapping[str, Any]
    epochs: Mapping[int, EpochKeys] = field(repr=False)
    grants: tuple[GrantNote, ...] = ()
    dictionary: bytes = field(repr=False, default=b"")
    ended: tuple[GrantNote, ...] = ()
    first: tuple[GrantNote, ...] = ()

    @property
    def keys(self) -> EpochKeys:
        """Full keys of the current epoch."""
        return self.epochs[self.manifest.epoch]

    @property
    def ring(self) -> KeyRing:
        """The ring that opens everything."""
        return replace(KeyRing.whole(self.epochs), dictionary=self.dictionary)

    @property
    def tag_key(self) -> bytes:
        """Key of the tags that stand for original UIDs in pixel records, the same for all epochs."""
        return hkdf(self.owner_key, b"medveil/v1/uid-tags")

    @property
    def stamp_key(self) -> bytes:
        """Key of the stamps beside staged packages, of the current epoch; recipients of a release do not have it."""
        epoch = self.manifest.epoch.to_bytes(4, "big")
        return hkdf(self.owner_key, b"medveil/v1/staged\x00" + self.manifest.release + epoch)

    def uid_key(self, note: GrantNote) -> bytes:
        """Key of the new UIDs that a recipient gets, the same for all epochs and for all that she is granted."""
        return hkdf(self.owner_key, b"medveil/v1/uids\x00" + note.recipient.digest + note.uid_tier.encode())

    def named(self, recipient: Recipient) -> Recipient:
        """The recipient, by the name that she has in the notes where she comes without one."""
        notes = [note.recipient for note in (*self.ended, *self.grants) if note.recipient.text == recipient.text]
        known = [recipient.name, *(each.name for each in reversed(notes))]
        return replace(recipient, name=next(filter(None, known), ""))

    def uid_tier_of(self, recipient: Recipient) -> str:
        """What a new grant of a recipient says in `uid_tier`, so that the images that she opened keep their UIDs."""
        hers = [note for note in self.grants if note.recipient.text == recipient.text]
        if hers:
            return min(hers, key=lambda note: (bool(note.only), note.tier.rank)).uid_tier  # the one that she opens with
        former = [note for note in self.ended if note.recipient.text == recipient.text]
        return former[-1].uid_tier if former else ""

    def notes(self) -> Notes:
        """Everything, as the notes of a first entry."""
        return Notes(self.settings, self.epochs, self.grants)

    @classmethod
    def read(cls, ledger: Ledger, manifest: Manifest, owner_key: bytes) -> OwnerBook:
        """Put the book together from the entries of a ledger."""
        settings: dict[str, Any] = {}
        epochs: dict[int, EpochKeys] = {}
        every: list[GrantNote] = []
        first: tuple[GrantNote, ...] = ()
        withdrawn: set[bytes] = set()
        for entry in ledger.entries:
            notes = Notes.open(entry.notes, owner_key, entry.release, entry.salt)
            settings |= notes.settings
            epochs |= notes.keys
            every += [replace(note, day=entry.day) for note in notes.granted]
            first = first or notes.granted
            withdrawn.update(entry.withdrawn)
        grants = tuple(note for note in every if note.grant_id not in withdrawn)
        ended = tuple(note for note in every if note.grant_id in withdrawn)
        return cls(manifest, owner_key, settings, epochs, grants, ended=ended, first=first)

    def save_draft(self, staging: Path, owner: Identity) -> None:
        """Keep the book in the staging folder, signed and wrapped for the founder, and bound to that folder."""
        parts = [self.manifest.to_bytes(), self.owner_key, self.notes().to_bytes(), self.dictionary]
        payload = canonical.dumps([*parts, _place_of(staging)])
        body = canonical.dumps([payload, owner.sign(_CONTEXT, payload)])
        write_bytes(staging / DRAFT, wrap(body, owner.recipient), overwrite=True)

    @classmethod
    def load_draft(cls, staging: Path, owner: Identity) -> OwnerBook:
        """Read `save_draft`'s file.

        Raises:
            NoFittingKeyError: another owner's, or changed; which is not told, as of a grant.
            IntegrityError: of another staging folder: two releases must never have the same keys.
        """
        data = read_regular(staging / DRAFT, limit=_MAX_NOTES, what="owner's notes")
        try:
            payload, signature = canonical.loads(owner.unwrap(data, limit=_MAX_NOTES), what=DRAFT, limit=_MAX_NOTES)
            if not signature_fits(owner.recipient.verify_key, signature, _CONTEXT, payload):
                raise ValueError("signature")
        except Exception:  # noqa: BLE001 - whoever writes to the storage chose the bytes; see grants.open_grant
            raise NoFittingKeyError(
                f"key {owner.fingerprint} did not begin the share that was interrupted here, or its notes were changed",
                hint="name the owner's key with -i, or delete the .partial folder to begin anew",
            ) from None
        try:
            parts = canonical.loads(payload, what="owner's notes", limit=_MAX_NOTES)
            record, owner_key, plain, dictionary, place = parts
        except (TypeError, ValueError):
            raise IntegrityError("owner.age was not written by the owner", hint="delete the .partial folder") from None
        if place != _place_of(staging):
            raise IntegrityError(
                "the share that was interrupted here was begun for another output",
                hint="delete the .partial folder to begin anew, or move it back to where it was made",
            )
        notes = Notes.from_bytes(plain)
        manifest, granted = manifests.parse(record), notes.granted
        return cls(manifest, owner_key, notes.settings, notes.keys, granted, dictionary, first=granted)


def _place_of(staging: Path) -> bytes:
    return hashlib.sha256(os.fsencode(os.path.realpath(staging))).digest()


def _epochs_of(rows: list[Any]) -> dict[int, EpochKeys]:
    """Full keys by epoch, of rows [epoch, T_exact, R] in rising order."""
    epochs = {epoch: EpochKeys(Tier.EXACT, tier_key, identity_key) for epoch, tier_key, identity_key in rows}
    if not all(type(epoch) is int and 0 <= epoch < 1 << 32 for epoch in epochs) or len(epochs) != len(rows):
        raise ValueError("epochs")
    keys = [key for each in epochs.values() for key in (each.tier_key, each.identity_key)]
    if sorted(epochs) != list(epochs) or not all(type(key) is bytes and len(key) == KEY_BYTES for key in keys):
        raise ValueError("keys")
    return epochs


def _uid_tiers_of(values: Any) -> list[str]:
    if type(values) is not list or any(value not in ("", *Tier) for value in values):
        raise ValueError("tiers")
    return values


def _padded_name(name: str) -> bytes:
    """All of one length, so that the length of the notes, which everybody sees, says nothing of names."""
    return name_of(name).encode().ljust(NAME_BYTES, b"\0")


def _names_of(rows: Any) -> dict[bytes, str]:
    """Names of recipients by grant id; those that are empty are left out."""
    if type(rows) is not list:
        raise TypeError("names")
    found: dict[bytes, str] = {}
    for grant_id, padded in rows:
        if type(grant_id) is not bytes or type(padded) is not bytes or len(padded) != NAME_BYTES:
            raise ValueError("name")
        name = padded.rstrip(b"\0").decode()
        if name != name_of(name):
            raise ValueError("name")
        found[grant_id] = name
    return found


def owners_of(grants: Iterable[GrantNote]) -> tuple[bytes, ...]:
    """Verify keys of the owners among the recipients, in their order."""
    return tuple(note.recipient.verify_key for note in grants if note.is_owner)


def today() -> str:
    """The day in UTC, YYYY-MM-DD: no time in a release is finer."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _notes_key(owner_key: bytes, release: bytes, salt: bytes) -> bytes:
    return hkdf(owner_key, b"medveil/v1/notes\x00" + release + salt)
