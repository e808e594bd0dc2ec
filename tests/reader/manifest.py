"""docs/format.md, manifest: the signed list of packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.reader import cbor, shapes
from tests.reader.keys import TIERS
from tests.reader.ledger import Ledger, of_format_1
from tests.reader.refusal import OtherFormatError, require

MAX_MANIFEST = 128 << 20
_LINK = 48
_SHARED = re.compile(r"(?:identity|weights/[0-9a-f]{64})[.]([0-9]{1,10})[.](?:dict|sealed)")
_FIELDS: dict[str, shapes.Check] = {
    "format": shapes.one_of(1),
    "suite": shapes.whole,
    "release": shapes.raw(16),
    "epoch": shapes.whole,
    "sequence": shapes.whole,
    "owner": shapes.raw(32),
    "hybrid": shapes.one_of(False, True),
    "protection": shapes.one_of("sealed", "encrypted", "obfuscated"),
    "profile": lambda value: shapes.row(
        value, shapes.text, shapes.whole, shapes.whole, shapes.one_of(0, 1), shapes.raw(0, 32)
    ),
    "tiers": shapes.many(shapes.one_of(*TIERS)),
    "grids": lambda value: shapes.row(value, shapes.whole, shapes.whole),
    "created": shapes.day,
    "decoys": shapes.whole,
    "weights": shapes.many(shapes.raw(32)),
    "shared": shapes.rows(shapes.text, shapes.whole, shapes.raw(32)),
    "links": shapes.rows(shapes.whole, lambda value: shapes.row(value, *[shapes.raw(_LINK)] * 4)),
    "packages": shapes.rows(shapes.raw(16), shapes.whole, shapes.raw(32), shapes.many(shapes.raw(32))),
}


@dataclass(frozen=True)
class Listed:
    """A package as the manifest lists it."""

    number: bytes
    length: int
    digest: bytes
    commitments: list[bytes]

    @property
    def path(self) -> str:
        name = self.number.hex()
        return f"packages/{name[:2]}/{name}.mveil"


@dataclass(frozen=True)
class Manifest:
    """What a reader needs of it."""

    release: bytes
    epoch: int
    protection: str
    profile: list[Any]
    tiers: list[str]
    shared: dict[str, tuple[int, bytes]]
    """Epoch and SHA of the sealed files, by path."""
    links: dict[int, list[bytes]]
    packages: list[Listed]


def read(data: bytes, ledger: Ledger) -> Manifest:
    """A manifest whose signature has been checked."""
    found = cbor.loads(data, limit=MAX_MANIFEST, max_items=1024 + len(data) // 12)
    of_format_1(found, "a manifest")
    fields = shapes.fields(found, _FIELDS, "a manifest")
    if fields["suite"] != 1:
        raise OtherFormatError("a manifest of another suite")
    _check_ledger(fields, ledger)
    _check_order(fields)
    return Manifest(
        release=fields["release"],
        epoch=fields["epoch"],
        protection=fields["protection"],
        profile=fields["profile"],
        tiers=fields["tiers"],
        shared={path: (epoch, digest) for path, epoch, digest in fields["shared"]},
        links=dict(fields["links"]),
        packages=[Listed(*package) for package in fields["packages"]],
    )


def _check_ledger(fields: dict[str, Any], ledger: Ledger) -> None:
    last = ledger.last
    require(fields["release"] == ledger.release, "a manifest of another release")
    require(fields["epoch"] == last["epoch"], "a manifest of another epoch")
    require(fields["owner"] == ledger.owners[0], "a manifest of another owner")
    require(len(fields["packages"]) == last["packages"], "a manifest with another number of packages")
    digests = [entry["manifest"] for entry in ledger.entries]
    require(fields["sequence"] == digests.index(last["manifest"]), "a manifest of another sequence number")


def _check_order(fields: dict[str, Any]) -> None:
    tiers, links = fields["tiers"], fields["links"]
    require(tiers == [tier for tier in TIERS if tier in tiers] and "diagnostic" in tiers, "an impossible set of tiers")
    require(shapes.rising([path for path, _, _ in fields["shared"]]), "sealed files out of order, or one twice")
    for path, epoch, _ in fields["shared"]:
        named = _SHARED.fullmatch(path)
        require(named is not None and named[1] == str(epoch) and epoch <= fields["epoch"], "an impossible sealed file")
    require(shapes.rising([package[0] for package in fields["packages"]]), "packages out of order, or one twice")
    epochs = [epoch for epoch, _ in links]
    last = fields["epoch"]
    require(epochs == list(range(last - len(links) + 1, last + 1)) and 0 not in epochs, "links with a gap")
