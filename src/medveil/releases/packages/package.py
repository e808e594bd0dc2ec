"""Package: one image on disk, its name, and reading it. A public header, then the sealed sections one after the other.

    magic "MVEIL\\x00" | format (1 byte) | header length (2 bytes, big endian) | header (canonical CBOR) | sections

The header is a function of the size bucket and of random numbers; see docs/format.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medveil.codecs.code import Bucket
from medveil.errors import FormatVersionError, IntegrityError, UsageError
from medveil.files import canonical
from medveil.files.reading import read_regular
from medveil.images.bounds import MAX_PIXELS, MAX_SIDE
from medveil.keys.tiers import SALT_BYTES, Section, SectionPlace

if TYPE_CHECKING:
    from medveil.releases.records.manifest import Manifest

FORMAT = 1
SUITE = 1  # ChaCha20 keystream, ChaCha20-Poly1305, HKDF-SHA256, Ed25519
MAX_PACKAGE_BYTES = 1 << 32
_MAGIC = b"MVEIL\x00"
_MAX_HEADER = 4096


@dataclass(frozen=True, order=True)
class PackageEntry:
    """What the manifest says of one package.

    Attributes:
        package: its id (16 bytes); entries are sorted by it.
        length: bytes of the file.
        sha256: digest of the file.
        commitments: HKDF(section key, "commit") of each section, in file order.
    """

    package: bytes
    length: int
    sha256: bytes
    commitments: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """Path inside the release, with forward slashes."""
        return f"packages/{self.package.hex()[:2]}/{self.package.hex()}.mveil"


@dataclass(frozen=True)
class PackageHeader:
    """What everybody can read of a package.

    Attributes:
        release, epoch: the release that it belongs to.
        package: its id, 16 random bytes.
        salt: 16 random bytes that enter every section key.
        bucket: size class of the image; (0, 0) for an attachment.
        sections: (name, length in bytes) in file order.
    """

    release: bytes
    epoch: int
    package: bytes
    salt: bytes
    bucket: Bucket
    sections: tuple[tuple[Section, int], ...]

    def place(self, section: Section) -> SectionPlace:
        return SectionPlace(self.release, self.epoch, self.package, section, self.salt)

    def to_bytes(self) -> bytes:
        """Magic, format, length and header record."""
        record = canonical.dumps(
            {
                "release": self.release,
                "epoch": self.epoch,
                "id": self.package,
                "salt": self.salt,
                "bucket": [self.bucket.height, self.bucket.width],
                "sections": [[section.value, length] for section, length in self.sections],
            }
        )
        return _MAGIC + bytes([FORMAT]) + len(record).to_bytes(2, "big") + record

    def associated_data(self, section: Section) -> bytes:
        """AEAD associated data of one section: version, suite, place and the hash of the whole header."""
        tier = section.tier.value if section.tier else "identity"
        place = [self.release, self.epoch, self.package, tier, section.value]
        return canonical.dumps([FORMAT, SUITE, *place, hashlib.sha256(self.to_bytes()).digest()])


@dataclass(frozen=True)
class Package:
    """A package in memory: its header and the sealed bytes of its sections."""

    header: PackageHeader
    sections: dict[Section, bytes]

    def to_bytes(self) -> bytes:
        return self.header.to_bytes() + b"".join(self.sections[section] for section, _ in self.header.sections)

    @classmethod
    def from_bytes(cls, data: bytes) -> Package:
        """Parse a package file.

        Raises:
            IntegrityError: not a package, truncated, trailing bytes, or a header that is not canonical.
            FormatVersionError: written by a newer medveil.
        """
        header, start = parse_header(data)
        sections = {}
        for section, length in header.sections:
            sections[section] = data[start : start + length]
            start += length
        if start != len(data):
            raise IntegrityError(f"a package is {len(data)} bytes long where its header says {start}")
        return cls(header, sections)


def load_package(folder: Path, entry: PackageEntry, manifest: Manifest) -> Package:
    """The package of one manifest entry.

    Raises:
        IntegrityError: missing, of another length or digest, or swapped in from another release or entry.
    """
    name = f"package {entry.package.hex()}"
    path = folder / entry.path
    try:
        data = read_regular(path, limit=entry.length, what=name)
    except FileNotFoundError:
        raise IntegrityError(f"{name} is missing") from None
    if len(data) != entry.length:
        raise IntegrityError(f"{name} was changed: it is {len(data)} bytes long where the manifest says {entry.length}")
    if hashlib.sha256(data).digest() != entry.sha256:
        raise IntegrityError(f"{name} was changed: its digest is not the signed one")
    package = Package.from_bytes(data)
    header = package.header
    if (header.package, header.release) != (entry.package, manifest.release) or header.epoch > manifest.epoch:
        raise IntegrityError(f"{name} belongs to another release or entry")
    return package


def find_entry(manifest: Manifest, package: str) -> PackageEntry:
    """The entry whose id begins with these hexadecimal digits. Raises UsageError for none or several."""
    fitting = [entry for entry in manifest.packages if entry.package.hex().startswith(package.lower())]
    if len(fitting) != 1 or not package:
        raise UsageError(
            f"{len(fitting)} packages have an id that begins so; exactly one is wanted",
            hint="medveil list shows the ids to the owner; the file names under packages/ are the ids",
        )
    return fitting[0]


def parse_header(data: bytes) -> tuple[PackageHeader, int]:
    """The header at the start of package bytes, and where the sections begin. Raises as `Package.from_bytes`."""
    if len(data) < len(_MAGIC) + 3 or not data.startswith(_MAGIC):
        raise IntegrityError("a file among the packages is not a medveil package")
    if data[len(_MAGIC)] != FORMAT:
        raise FormatVersionError(
            f"a package has format {data[len(_MAGIC)]}; this medveil reads format {FORMAT}",
            hint="update medveil to open it",
        )
    start = len(_MAGIC) + 3
    length = int.from_bytes(data[start - 2 : start], "big")
    record = canonical.loads(data[start : start + length], what="package header", limit=_MAX_HEADER)
    try:
        return _header_of(record), start + length
    except (KeyError, TypeError, ValueError):
        raise IntegrityError("a package header does not have the fields of format 1") from None


def _header_of(record: dict[str, Any]) -> PackageHeader:
    names = {"release", "epoch", "id", "salt", "bucket", "sections"}
    if set(record) != names:
        raise ValueError("fields")
    release, epoch, package, salt = record["release"], record["epoch"], record["id"], record["salt"]
    if not (isinstance(release, bytes) and isinstance(package, bytes) and isinstance(salt, bytes)):
        raise TypeError("ids")
    if [len(release), len(package), len(salt)] != [16, 16, SALT_BYTES] or not isinstance(epoch, int):
        raise ValueError("ids")
    bucket = _bucket_of(record["bucket"])
    sections = tuple((Section(name), length) for name, length in record["sections"])
    lengths = [length for _, length in sections]
    if not all(type(n) is int and 0 <= n < MAX_PACKAGE_BYTES for n in [epoch, *lengths]):
        raise ValueError("lengths")
    if [section for section, _ in sections] != [section for section in Section if section in dict(sections)]:
        raise ValueError("a section twice, or out of order")
    return PackageHeader(release, epoch, package, salt, bucket, sections)


def _bucket_of(sides: Any) -> Bucket:
    """(0, 0), or a bucket whose least image has sides and pixels that an image may have."""
    height, width = sides
    if not all(type(n) is int and 0 <= n <= MAX_SIDE and n % Bucket.STEP == 0 for n in (height, width)):
        raise ValueError("sides")
    if (height == 0) != (width == 0):
        raise ValueError("one side of zero")
    least = Bucket.STEP - 1
    if height and (height - least) * (width - least) > MAX_PIXELS:
        raise ValueError("area")
    return Bucket(height, width)
