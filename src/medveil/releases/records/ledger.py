"""Ledger: the signed, hash-chained record of what was done to a release. Its last entry says what the release is.

One file an entry, `ledger/00000000.cbor` and so on: canonical CBOR `[payload, signature]`. An entry names the digest of
the file before it and of the manifest that holds from then on, so renaming one entry from `.next` to its own name
switches the whole release from one state to the next.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from medveil.errors import FormatVersionError, IntegrityError
from medveil.files import canonical
from medveil.files.reading import read_regular
from medveil.keys.identity import Identity
from medveil.keys.points import Curve, check_point
from medveil.keys.recipients import Wrap
from medveil.keys.signatures import signature_fits
from medveil.releases.packages.package import FORMAT

FOLDER = "ledger"
NEXT = ".next"
_CONTEXT = b"medveil/v1/ledger"
_MAX_ENTRY = 1 << 24
MAX_OWNERS = 16
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAME = re.compile(r"[0-9]{8}\.cbor")
_FIELDS = frozenset({
    "format", "release", "number", "previous", "action", "day", "owners", "epoch", "manifest", "packages",
    "granted", "withdrawn", "salt", "notes",
})  # fmt: skip


class Action(StrEnum):
    """What an entry records."""

    SHARE = "share"
    ADD = "add"
    GRANT = "grant"
    REVOKE = "revoke"
    ROTATE = "rotate"


@dataclass(frozen=True, order=True)
class GrantFile:
    """A grant as everybody sees it.

    Attributes:
        grant_id: 16 random bytes.
        wrap: the kind of wrap, which the file shows in any case.
        sha256: digest of the file.
    """

    grant_id: bytes
    wrap: Wrap
    sha256: bytes

    @property
    def path(self) -> str:
        """Path inside the release, with forward slashes."""
        return f"grants/{self.grant_id.hex()}{self.wrap.suffix}"


@dataclass(frozen=True)
class LedgerEntry:
    """One entry.

    Attributes:
        release: id of the release.
        number: 0 for the first entry, which founds the release.
        previous: sha256 of the stored bytes of the entry before it; zeros for the first.
        action: what was done.
        day: when, YYYY-MM-DD.
        owners: Ed25519 keys of who may sign for this release, the founder first; in the first entry only.
        epoch: key epoch from then on.
        manifest: sha256 of manifest.cbor from then on.
        packages: number of packages from then on.
        granted: grants that were made, sorted.
        withdrawn: ids of grants that were taken out, sorted.
        salt: 16 random bytes that enter the key of the notes.
        notes: what the owners alone can read; see `owner_records`.
    """

    release: bytes
    number: int
    previous: bytes
    action: Action
    day: str
    epoch: int
    manifest: bytes
    packages: int
    granted: tuple[GrantFile, ...] = ()
    withdrawn: tuple[bytes, ...] = ()
    owners: tuple[bytes, ...] = ()
    salt: bytes = bytes(16)
    notes: bytes = field(repr=False, default=b"")

    @property
    def path(self) -> str:
        """Path inside the release, with forward slashes."""
        return f"{FOLDER}/{self.number:08d}.cbor"

    def to_bytes(self, owner: Identity) -> bytes:
        """The signed file."""
        payload = canonical.dumps(
            {
                "format": FORMAT,
                "release": self.release,
                "number": self.number,
                "previous": self.previous,
                "action": self.action.value,
                "day": self.day,
                "owners": list(self.owners),
                "epoch": self.epoch,
                "manifest": self.manifest,
                "packages": self.packages,
                "granted": [[g.grant_id, g.wrap.value, g.sha256] for g in self.granted],
                "withdrawn": list(self.withdrawn),
                "salt": self.salt,
                "notes": self.notes,
            }
        )
        return canonical.dumps([payload, owner.sign(_CONTEXT, payload)])


@dataclass(frozen=True)
class Ledger:
    """A whole chain whose signatures and digests fit.

    Attributes:
        entries: from the founding on.
        digests: sha256 of each stored entry.
        pending: an entry that was announced and not switched to.
        signers: the Ed25519 key that signed each entry.
    """

    entries: tuple[LedgerEntry, ...]
    digests: tuple[bytes, ...]
    pending: LedgerEntry | None = None
    signers: tuple[bytes, ...] = ()

    @property
    def head(self) -> LedgerEntry:
        """The last entry."""
        return self.entries[-1]

    @property
    def owners(self) -> tuple[bytes, ...]:
        """Who may sign, the founder first."""
        return self.entries[0].owners

    @property
    def grants(self) -> tuple[GrantFile, ...]:
        """Grants that are there: made, and not taken out since."""
        withdrawn = {grant_id for entry in self.entries for grant_id in entry.withdrawn}
        return tuple(g for entry in self.entries for g in entry.granted if g.grant_id not in withdrawn)

    @property
    def grants_of_deputies(self) -> frozenset[bytes]:
        """Ids of the grants that stand in entries which another owner than the founder signed."""
        pairs = zip(self.entries, self.signers, strict=True)
        return frozenset(g.grant_id for entry, key in pairs if key != self.owners[0] for g in entry.granted)

    @property
    def grants_ever(self) -> tuple[GrantFile, ...]:
        """Grants that open packages which are there, from a copy also where they were taken out since.

        Those are all since the packages were last sealed with new keys.
        """
        rotations = [entry.number for entry in self.entries if entry.action is Action.ROTATE]
        return tuple(g for entry in self.entries[max(rotations, default=0) :] for g in entry.granted)


def load(folder: Path) -> Ledger:
    """Read and check the ledger of a release folder.

    Raises:
        IntegrityError: an entry is changed, missing, reordered, foreign, or signed by nobody who may.
        FormatVersionError: written by a newer medveil.
    """
    chain = _Chain()
    for number in range(_count(folder)):
        data = _read(folder / FOLDER / f"{number:08d}.cbor")
        if data is None:
            raise IntegrityError(f"entry {number} of the ledger is missing")
        chain.append(data, *_checked(data, chain))
    if not chain.entries:
        raise IntegrityError("the ledger of the release is missing", hint="get the release again from its owner")
    return Ledger(tuple(chain.entries), tuple(chain.digests), _pending(folder, chain), tuple(chain.signers))


@dataclass
class _Chain:
    """The entries so far: with their digests and signers, and the ids of grants that were ever made or are there."""

    entries: list[LedgerEntry] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    signers: list[bytes] = field(default_factory=list)
    made: set[bytes] = field(default_factory=set)
    there: set[bytes] = field(default_factory=set)

    def append(self, data: bytes, entry: LedgerEntry, signer: bytes) -> None:
        self.entries.append(entry)
        self.digests.append(hashlib.sha256(data).digest())
        self.signers.append(signer)
        granted = {grant.grant_id for grant in entry.granted}
        self.made |= granted
        self.there |= granted
        self.there -= set(entry.withdrawn)


def _count(folder: Path) -> int:
    """One more than the highest number of an entry."""
    try:
        names = [path.name for path in (folder / FOLDER).iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return 0
    count = max((int(name[:8]) + 1 for name in names), default=0)
    if count > len(names):
        raise IntegrityError(f"{count - len(names)} entries of the ledger are missing")
    return count


def _pending(folder: Path, chain: _Chain) -> LedgerEntry | None:
    data = _read(folder / FOLDER / f"{len(chain.entries):08d}.cbor{NEXT}")
    if data is None:
        return None
    try:
        return _checked(data, chain)[0]
    except (IntegrityError, FormatVersionError):
        return None


def _checked(data: bytes, chain: _Chain) -> tuple[LedgerEntry, bytes]:
    """The entry that comes after these, and who signed it."""
    entries, digests = chain.entries, chain.digests
    number = len(entries)
    try:
        payload, signature = canonical.loads(data, what=f"ledger entry {number}", limit=_MAX_ENTRY)
        record = canonical.loads(payload, what=f"ledger entry {number}", limit=_MAX_ENTRY)
        if type(record["format"]) is int and record["format"] > FORMAT:
            raise FormatVersionError(
                f"ledger entry {number} has format {record['format']}; this medveil reads format {FORMAT}",
                hint="update medveil to open it",
            )
        entry = _entry_of(record)
        owners = entries[0].owners if entries else entry.owners[:1]
        signer = next((key for key in owners if signature_fits(key, signature, _CONTEXT, payload)), None)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IntegrityError(f"ledger entry {number} does not have the fields of format 1") from None
    if signer is None:
        raise IntegrityError(f"ledger entry {number} was changed, or is not signed by an owner of this release")
    founding = entries[0] if entries else entry
    if entry.number != number or entry.release != founding.release or bool(entry.owners) != (number == 0):
        raise IntegrityError(f"ledger entry {number} belongs to another place or release")
    if entry.previous != (digests[-1] if digests else bytes(32)):
        raise IntegrityError(f"ledger entry {number} does not follow the one before it: entries were exchanged")
    _check_rules(entry, chain)
    return entry, signer


def _check_rules(entry: LedgerEntry, chain: _Chain) -> None:
    """Raises IntegrityError for an entry that no owner's medveil writes at this place of the chain."""
    number, granted = entry.number, [grant.grant_id for grant in entry.granted]
    if (entry.action is Action.SHARE) != (number == 0):
        raise IntegrityError(f"ledger entry {number} founds a release that was founded, or does not found one")
    former = chain.entries[-1].epoch if chain.entries else 0
    raised = 1 if entry.action in (Action.REVOKE, Action.ROTATE) else 0
    if not former <= entry.epoch <= former + raised:
        raise IntegrityError(f"ledger entry {number} has an epoch that does not follow the one before it")
    if len(set(granted)) < len(granted) or not chain.made.isdisjoint(granted):
        raise IntegrityError(f"ledger entry {number} makes a grant that was made before")
    if not all(each in chain.there or each in granted for each in entry.withdrawn) or (entry.withdrawn and not number):
        raise IntegrityError(f"ledger entry {number} takes out a grant that is not there")


def _entry_of(record: dict[str, Any]) -> LedgerEntry:
    if set(record) != _FIELDS or type(record["format"]) is not int or record["format"] != FORMAT:
        raise ValueError("fields")
    if not all(type(record[name]) is list for name in ("granted", "withdrawn", "owners")):
        raise TypeError("lists")
    granted = tuple(GrantFile(grant_id, Wrap(wrap), digest) for grant_id, wrap, digest in record["granted"])
    withdrawn, owners = tuple(record["withdrawn"]), tuple(record["owners"])
    digests = [record["previous"], record["manifest"], *owners, *(grant.sha256 for grant in granted)]
    ids = [record["release"], record["salt"], *withdrawn, *(grant.grant_id for grant in granted)]
    if not all(type(d) is bytes and len(d) == 32 for d in digests):
        raise ValueError("digests")
    if not all(type(i) is bytes and len(i) == 16 for i in ids):
        raise ValueError("ids")
    if list(granted) != sorted(set(granted)) or list(withdrawn) != sorted(set(withdrawn)):
        raise ValueError("order")
    if len(owners) > MAX_OWNERS or len(set(owners)) < len(owners):
        raise ValueError("owners")
    integers = [record["number"], record["epoch"], record["packages"]]
    if not all(type(n) is int and 0 <= n < 1 << 32 for n in integers) or not _DAY.fullmatch(record["day"]):
        raise ValueError("integers or day")
    datetime.date.fromisoformat(record["day"])  # a day that there is
    _check_owner_keys(owners)
    if type(record["notes"]) is not bytes:
        raise TypeError("notes")
    return LedgerEntry(
        record["release"], record["number"], record["previous"], Action(record["action"]), record["day"],
        record["epoch"], record["manifest"], record["packages"], granted, withdrawn, owners, record["salt"],
        record["notes"],
    )  # fmt: skip


def _check_owner_keys(owners: Iterable[bytes]) -> None:
    """Raises IntegrityError for a founder or deputy in whose name anybody could sign."""
    for key in owners:
        try:
            check_point(key, Curve.ED25519)
        except ValueError as error:
            raise IntegrityError(
                f"the ledger names an owner whose key is refused: {error}",
                hint="do not use the release; tell the person that you have it from",
            ) from None


def weakest(wraps: Iterable[Wrap]) -> Wrap | None:
    """The weakest kind of wrap; who breaks it opens the release. None of none."""
    order = (Wrap.CMS_RSA, Wrap.SSH_RSA, Wrap.SSH_ED25519, Wrap.X25519, Wrap.HYBRID)
    present = set(wraps)
    return next((wrap for wrap in order if wrap in present), None)


def _read(path: Path) -> bytes | None:
    try:
        return read_regular(path, limit=_MAX_ENTRY, what=f"ledger entry {path.name}")
    except FileNotFoundError:
        return None
