"""docs/format.md, package: magic, header, sections."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from tests.reader import cbor, shapes
from tests.reader.keystream import commit, decrypt, unpadded
from tests.reader.manifest import Listed, Manifest
from tests.reader.refusal import OtherFormatError, require

_MAGIC = b"MVEIL\0"
_MAX_HEADER = 4 << 10
MAX_PACKAGE = (1 << 32) - 1
_MAX_SIDE, _MAX_AREA = 1 << 20, 1 << 28
TIERS = {
    "preview": "preview",
    "code": "diagnostic",
    "support": "diagnostic",
    "exact": "exact",
    "image": "preview",
    "file": "exact",
    "identity": "identity",
    "attachment": "identity",
}
_FIELDS: dict[str, shapes.Check] = {
    "release": shapes.raw(16),
    "epoch": shapes.whole,
    "id": shapes.raw(16),
    "salt": shapes.raw(16),
    "bucket": lambda value: shapes.row(value, shapes.whole, shapes.whole),
    "sections": shapes.rows(shapes.one_of(*TIERS), shapes.whole),
}


@dataclass(frozen=True)
class Package:
    """A package taken apart."""

    header: dict[str, Any]
    top: bytes
    """Magic to header."""
    sections: dict[str, bytes]
    commitments: dict[str, bytes]

    @property
    def bucket(self) -> tuple[int, int]:
        height, width = self.header["bucket"]
        return height, width

    def check(self, section: str, key: bytes) -> None:
        """Refuse a key that is not the one that the manifest commits to."""
        require(commit(key) == self.commitments[section], "a section of another key")

    def decrypt(self, section: str, key: bytes) -> bytes:
        """The content of an encrypted section, without its padding."""
        header = self.header
        place = [1, 1, header["release"], header["epoch"], header["id"], TIERS[section], section]
        place.append(hashlib.sha256(self.top).digest())
        return unpadded(decrypt(self.sections[section], key, shapes.encode(place)))


def read(data: bytes, listed: Listed, manifest: Manifest) -> Package:
    """The package of a manifest's line."""
    require(len(data) == listed.length, "a package of another length")
    require(hashlib.sha256(data).digest() == listed.digest, "a package of another SHA")
    require(data.startswith(_MAGIC) and len(data) >= 9, "no package")
    if data[6] != 1:
        raise OtherFormatError("a package of another format")
    size = int.from_bytes(data[7:9], "big")
    require(size <= _MAX_HEADER and 9 + size <= len(data), "a package with a header that is too long")
    top = data[: 9 + size]
    header = shapes.fields(cbor.loads(top[9:]), _FIELDS, "a package's header")
    require(header["release"] == manifest.release and header["id"] == listed.number, "a package of another place")
    require(header["epoch"] <= manifest.epoch, "a package of a later epoch")
    names = [name for name, _ in header["sections"]]
    _check_sections(names, header["bucket"], manifest)
    require(len(names) == len(listed.commitments), "a package with another number of sections")
    sections, at = {}, len(top)
    for name, length in header["sections"]:
        sections[name], at = data[at : at + length], at + length
    require(at == len(data), "sections of another length than the package")
    return Package(header, top, sections, dict(zip(names, listed.commitments, strict=True)))


def _check_sections(names: list[str], bucket: list[int], manifest: Manifest) -> None:
    require(names == [name for name in TIERS if name in names], "sections out of order, or one twice")
    height, width = bucket
    if names == ["attachment"]:
        require(bucket == [0, 0], "an attachment with a size")
        return
    require(0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE, "an impossible size")
    require((height - 63) * (width - 63) <= _MAX_AREA, "a size that no image has")
    require(height % 64 == 0 == width % 64, "a size that is not rounded up")
    require({"code", "image", "identity"} <= set(names) and "attachment" not in names, "an image without its sections")
    require(("support" in names) == (manifest.protection == "obfuscated"), "a support without obfuscation, or none")
    for tier in ("exact", "preview"):
        require((tier in names) == (tier in manifest.tiers), "a package with other tiers than the release")
