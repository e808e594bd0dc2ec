"""A whole release: what a key opens of it, in the order of checks that docs/format.md gives."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reader import cbor, codes, exact, grants, identities, lapped, ledger, manifest, package, records, shapes
from tests.reader.ambiguation import purify
from tests.reader.codes import SparseCode
from tests.reader.keystream import decrypt, unpadded
from tests.reader.lapped_side import Side, composition
from tests.reader.refusal import NotSupportedError, OtherKeyError, RefusedError, require

_PREVIEW_QUALITY = (3000, 2200)
_MAX_IDENTITY = (80 << 20) + (1 << 16)
_MAX_ATTACHMENT = (1 << 27) + (1 << 16)
_MAX_SHARED = 1 << 30
_MAX_ITEMS = 16


@dataclass(frozen=True)
class Opened:
    """What a key opens of a package."""

    tier: str
    """"exact", "diagnostic", "preview", or "attachment"."""
    rows: list[list[int]]
    side: Side | None
    image: list[Any] | None
    """Kind of file, bits stored, pixel record."""
    path: str = ""
    identity: bytes = b""
    file: bytes | None = None
    """The original file, or the content of an attachment."""
    names: dict[str, str] = field(default_factory=dict)
    """Patient ID and UIDs of a DICOM file that is opened without identity; of a lossy one with it, SOP and series."""
    labels: dict[str, str] = field(default_factory=dict)
    patient: str = ""
    """What the recipient calls the patient, or nothing."""


def open_release(folder: Path, identity: identities.Identity, owner: bytes) -> dict[bytes, Opened]:
    """What the identity opens of the release that this owner founded, by package.

    Raises:
        RefusedError: something is not as the owner signed it; OtherKeyError, OtherFormatError: its two special cases.
        NotSupportedError: what this reader leaves out.
    """
    book = ledger.read(_entries(folder))
    require(owner == book.owners[0], "a release of another owner")
    listed = _manifest(folder, book)
    ring = _keyring(folder, book, identity, listed.links)
    packages = [package.read(_read(folder, line.path, package.MAX_PACKAGE), line, listed) for line in listed.packages]
    opened = {found.header["id"]: _Opener(folder, listed, found, ring).open() for found in packages}
    return {number: one for number, one in opened.items() if one is not None}


def _entries(folder: Path) -> list[bytes]:
    files = []
    while (folder / _entry_path(len(files))).exists():
        files.append(_read(folder, _entry_path(len(files)), ledger.MAX_ENTRY))
    return files


def _entry_path(number: int) -> str:
    return f"ledger/{number:08}.cbor"


def _manifest(folder: Path, book: ledger.Ledger) -> manifest.Manifest:
    for name in ("manifest.cbor", "manifest.cbor.next"):
        if not (folder / name).exists():
            continue
        data = _read(folder, name, manifest.MAX_MANIFEST)
        if hashlib.sha256(data).digest() == book.last["manifest"]:
            break
    else:
        raise RefusedError("a manifest of another SHA")
    for name in ("manifest.sig", "manifest.sig.next"):
        if (folder / name).exists() and book.signed("medveil/v1/manifest", data, _read(folder, name, 64)):
            return manifest.read(data, book)
    raise RefusedError("a manifest that no owner signed")


def _keyring(
    folder: Path, book: ledger.Ledger, identity: identities.Identity, links: dict[int, list[bytes]]
) -> grants.Keyring:
    found, refusal = [], RefusedError("")
    for number, (wrap, _) in book.grants.items():
        if wrap != identity.wrap:
            continue
        try:
            data = _read(folder, grants.path_of(number, wrap), grants.MAX_GRANT)
            grant = grants.read(data, number, book, identity)
        except RefusedError as error:
            refusal = error  # another one may be sound
            continue
        if grant is not None:
            found.append(grant)
    if not found:
        raise refusal if refusal.args[0] else OtherKeyError("no grant is for this key")
    return grants.Keyring(grants.merged(found), book.release, links)


def _read(folder: Path, name: str, most: int) -> bytes:
    path = folder / name
    require(path.is_file() and not path.is_symlink(), f"{name} is not there")
    require(path.stat().st_size <= most, f"{name} is too long")
    return path.read_bytes()


class _Opener:
    """One package under the keys that there are."""

    def __init__(self, folder: Path, listed: manifest.Manifest, found: package.Package, ring: grants.Keyring) -> None:
        self.folder, self.listed, self.package, self.ring = folder, listed, found, ring
        self.keys = {}
        for name in found.sections:
            key = ring.section(found.header, name, package.TIERS[name])
            if key is not None:
                found.check(name, key)
                self.keys[name] = key

    def open(self) -> Opened | None:
        """None if the keys open nothing of it."""
        if not self.keys:
            return None
        if "attachment" in self.keys:
            path, digest, content = self._deflated("attachment")
            require(hashlib.sha256(content).digest() == digest, "an attachment of another SHA")
            return Opened("attachment", [], None, None, path, b"", content)
        image = cbor.loads(self._plain("image"), limit=_MAX_IDENTITY, max_items=_MAX_ITEMS)
        require(shapes.row(image, shapes.text, shapes.whole, shapes.raw()), "an image of other fields")
        kind, bits, attributes = image
        known = records.pixel_record(attributes, kind)
        require(known.get("depth", bits) == bits, "a record of another depth")
        tier, rows, side = self._picture()
        require(bits == side.bits_stored, "an image of another depth than its code")
        path, digest, rest = self._deflated("identity") if "identity" in self.keys else ("", b"", b"")
        records.identity_record(rest, kind)
        file = self._plain("file") if "file" in self.keys else None
        require(file is None or hashlib.sha256(file).digest() == digest, "a kept file of another SHA")
        names = {}
        if kind == "dicom":
            names = records.dicom_names(known, self.ring.uid_key, tier, identity=bool(rest))
        patient = records.patient_name(known, self.ring.uid_key)
        return Opened(tier, rows, side, image, path, rest, file, names, known.get("labels", {}), patient)

    def _picture(self) -> tuple[str, list[list[int]], Side]:
        base = self._preview()
        bucket = self.package.bucket
        if "code" not in self.keys:
            require(base is not None, "a grant that opens no picture")
            assert base is not None
            return "preview", *lapped.decode(base, bucket)
        if self.listed.profile[0] != "lapped":
            raise NotSupportedError("codecs other than lapped")
        require(not self.listed.profile[4], "weights for a codec that has none")
        rows, side = lapped.decode(self._code(), bucket, base)
        if "exact" not in self.keys:
            return "diagnostic", rows, side
        return "exact", exact.decode(self._plain("exact"), rows, side.bits_stored, signed=side.signed), side

    def _preview(self) -> SparseCode | None:
        if "preview" not in self.keys:
            return None
        deep = self.listed.profile[3]
        if self.listed.protection == "sealed":
            return self._unseal("preview", _PREVIEW_QUALITY[deep])
        require(self.listed.protection == "encrypted", "a preview in an obfuscated release")
        return codes.unpack(self._plain("preview"), self._max_cells)

    def _code(self) -> SparseCode:
        protection = self.listed.protection
        if protection == "sealed":
            return self._unseal("code", self.listed.profile[1])
        if protection == "encrypted":
            return codes.unpack(self._plain("code"), self._max_cells)
        public = codes.unpack(self.package.sections["code"], self._max_cells)
        return purify(public, self._plain("support"))

    def _unseal(self, name: str, quality: int) -> SparseCode:
        shape = composition(quality, self.listed.profile[3], *self.package.bucket)
        return codes.unseal(self.package.sections[name], shape, self.keys[name])

    @property
    def _max_cells(self) -> int:
        height, width = self.package.bucket
        return (height + 64) * (width + 64)

    def _plain(self, name: str) -> bytes:
        require(name in self.keys, f"a grant without the key of {name}")
        return self.package.decrypt(name, self.keys[name])

    def _deflated(self, name: str) -> list[Any]:
        """Path, digest and the rest, out of a zlib stream with the epoch's dictionary."""
        plain = self._plain(name)
        dictionary = self._dictionary()
        inflater = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
        try:
            data = inflater.decompress(plain, _MAX_ATTACHMENT if name == "attachment" else _MAX_IDENTITY)
        except zlib.error:
            raise RefusedError("a section is no zlib stream") from None
        require(inflater.eof and not inflater.unused_data, "a zlib stream that ends late or early")
        found = cbor.loads(data, limit=_MAX_ATTACHMENT, max_items=_MAX_ITEMS)
        require(shapes.row(found, shapes.text, shapes.raw(32), shapes.raw()), "a record of identity of other fields")
        record: list[Any] = found
        return record

    def _dictionary(self) -> bytes:
        """The release has one at most, under the keys of the epoch that its name states."""
        for path, (epoch, digest) in self.listed.shared.items():
            if not path.startswith("identity."):
                continue
            key = self.ring.file(path, epoch)
            require(key is not None, "a grant of identity without the key of the dictionary")
            assert key is not None
            data = _read(self.folder, path, _MAX_SHARED)
            require(hashlib.sha256(data).digest() == digest, "a sealed file of another SHA")
            return unpadded(decrypt(data, key, shapes.encode(["medveil/v1/shared", self.listed.release, epoch, path])))
        return b""
