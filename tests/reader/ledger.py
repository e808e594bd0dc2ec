"""docs/format.md, ledger: what was done to a release, entry by entry."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from tests.reader import cbor, edwards, shapes
from tests.reader.keys import verify
from tests.reader.refusal import OtherFormatError, RefusedError, require

MAX_ENTRY = 16 << 20
SUFFIXES = {
    "X25519": "age",
    "ssh-ed25519": "age",
    "ssh-rsa": "age",
    "mlkem768x25519": "pqage",
    "cms-rsa": "cms",
}
_FIELDS: dict[str, shapes.Check] = {
    "format": shapes.one_of(1),
    "release": shapes.raw(16),
    "number": shapes.whole,
    "previous": shapes.raw(32),
    "action": shapes.one_of("share", "add", "grant", "revoke", "rotate"),
    "day": shapes.day,
    "owners": shapes.many(shapes.raw(32), most=16),
    "epoch": shapes.whole,
    "manifest": shapes.raw(32),
    "packages": shapes.whole,
    "granted": shapes.rows(shapes.raw(16), shapes.one_of(*SUFFIXES), shapes.raw(32)),
    "withdrawn": shapes.many(shapes.raw(16)),
    "salt": shapes.raw(16),
    "notes": shapes.raw(),
}


@dataclass(frozen=True)
class Ledger:
    """What the entries together say."""

    release: bytes
    owners: list[bytes]
    entries: list[dict[str, Any]]
    grants: dict[bytes, tuple[str, bytes]]
    """Those that are there: wrap and SHA of the file, by id."""

    @property
    def last(self) -> dict[str, Any]:
        return self.entries[-1]

    def signed(self, context: str, stored: bytes, signature: bytes) -> bool:
        """Whether one of the owners signed."""
        return any(verify(owner, context, stored, signature) for owner in self.owners)


def read(files: list[bytes]) -> Ledger:
    """The ledger of these files, entry 0 first."""
    require(bool(files), "a release without ledger")
    entries: list[dict[str, Any]] = []
    owners: list[bytes] = []
    grants: dict[bytes, tuple[str, bytes]] = {}
    given: set[bytes] = set()
    for data in files:
        payload, signature = _parts(data)
        entry = _entry(payload)
        if not entries:
            owners = entry["owners"]
            require(bool(owners) and len(set(owners)) == len(owners), "a ledger without owners, or one twice")
            require(all(map(edwards.takes_signatures, owners)), "an owner for whom everybody can sign")
        signers = owners if entries else owners[:1]
        require(any(verify(owner, "medveil/v1/ledger", payload, signature) for owner in signers), "an unsigned entry")
        previous = hashlib.sha256(files[len(entries) - 1]).digest() if entries else bytes(32)
        _check_place(entry, entries, previous)
        for number, wrap, digest in entry["granted"]:
            require(number not in given, "a grant that was given before")
            given.add(number)
            grants[number] = (wrap, digest)
        for number in entry["withdrawn"]:
            require(grants.pop(number, None) is not None, "a grant is withdrawn that is not there")
        entries.append(entry)
    return Ledger(entries[0]["release"], owners, entries, grants)


def _parts(data: bytes) -> tuple[bytes, bytes]:
    found = cbor.loads(data, limit=MAX_ENTRY)
    require(shapes.row(found, shapes.raw(), shapes.raw(64)), "a ledger entry is no pair of payload and signature")
    payload, signature = found
    return payload, signature


def _entry(payload: bytes) -> dict[str, Any]:
    found = cbor.loads(payload, limit=MAX_ENTRY)
    of_format_1(found, "a ledger entry")
    entry = shapes.fields(found, _FIELDS, "a ledger entry")
    require(shapes.rising([each[0] for each in entry["granted"]]), "grants out of order, or one twice")
    require(shapes.rising(entry["withdrawn"]), "withdrawn grants out of order, or one twice")
    return entry


def _check_place(entry: dict[str, Any], before: list[dict[str, Any]], previous: bytes) -> None:
    require(entry["number"] == len(before), "a ledger entry of another number")
    require(entry["previous"] == previous, "a ledger entry that follows another one")
    require((entry["action"] == "share") == (not before), "a ledger that does not begin with share, or shares again")
    if before:
        require(entry["release"] == before[0]["release"], "a ledger entry of another release")
        require(not entry["owners"], "owners after entry 0")
        most = 1 if entry["action"] in ("revoke", "rotate") else 0
        require(0 <= entry["epoch"] - before[-1]["epoch"] <= most, "an epoch that jumps")
    else:
        require(entry["epoch"] == 0 and not entry["withdrawn"], "a first entry that continues another ledger")


def of_format_1(found: Any, what: str) -> None:
    """Refuse another format before its fields are looked at."""
    if not isinstance(found, dict) or not shapes.whole(found.get("format")):
        raise RefusedError(f"{what} without format")
    if found["format"] != 1:
        raise OtherFormatError(f"{what} of format {found['format']}")
