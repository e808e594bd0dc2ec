"""One package back to one image, at the best tier that the keys open, and to the file that is written of it.

`open` goes this road with the keys of one recipient, and `share` with those of every kind of recipient before it counts
an image as done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Profile, SparseCode
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.files.names import safe_relative
from medveil.images.dicom.records import Instance
from medveil.images.image import FileKind, Image
from medveil.images.record import MAX_RECORD_BYTES
from medveil.keys.tiers import KeyRing, Section, Tier
from medveil.protection.levels import Level, Public, coding_of
from medveil.releases.packages.origin import Origin, unpack_identity
from medveil.releases.packages.package import Package, PackageEntry

MAX_RECORD = MAX_RECORD_BYTES + (1 << 16)  # of an image's attributes, and what stands beside them
_MAX_ITEMS = 16  # data items of a section's record: three fields in a list
MAX_FILE = 128 << 20  # bytes of a file that travels as it is
_T = TypeVar("_T")
Decode = Callable[[Section, SparseCode, SparseCode | None], NDArray[np.generic]]


@dataclass(frozen=True)
class Attachment:
    """A file that travelled with the images."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class OpenedImage:
    """An image out of a package.

    Attributes:
        image: pixels and, where the keys see identity, all attributes of the original.
        tier: the tier at which it was opened.
        file: the very file, where it was kept and the keys open it; else empty.
    """

    image: Image
    tier: Tier
    file: bytes = field(repr=False, default=b"")


@dataclass(frozen=True)
class Opened:
    """One opened package.

    Attributes:
        package: its id.
        content: the image, or an attachment.
        path: relative path of the original, made safe and harmless; None for who was not granted identity.
        code_bytes: length of the sections that a lossy picture of this tier is decoded from; none of an attachment.
        tier: the tier at which an image was opened; exact for an attachment.
        file: the very file, where it was kept and the keys open it; else empty.
        renamed: whether the path is another than the stored one, which was not safe or not harmless.
    """

    package: bytes
    content: Image | Attachment
    path: PurePosixPath | None
    code_bytes: int
    tier: Tier = Tier.EXACT
    file: bytes = field(repr=False, default=b"")
    renamed: bool = False


@dataclass(frozen=True)
class OpenedCodes:
    """The opened sections of a package, before anything is decoded.

    Attributes:
        main: code of the diagnostic tier, or None where the keys do not open it.
        preview: code of the preview tier, or None.
        records: contents of the other sections.
    """

    main: SparseCode | None
    preview: SparseCode | None
    records: Mapping[Section, bytes] = field(repr=False)

    def record(self, section: Section) -> bytes:
        """Content of a section. Raises IntegrityError where the package has none."""
        if section not in self.records:
            raise IntegrityError(f"a package has no {section.value} section")
        return self.records[section]


def check_commitments(package: Package, entry: PackageEntry, ring: KeyRing) -> None:
    """Refuse keys that are not those which the owner committed to, before anything is decoded."""
    from medveil.protection.encrypting import commit

    if len(entry.commitments) != len(package.header.sections):
        raise IntegrityError("a package has other sections than the manifest commits to")
    for (section, _), commitment in zip(package.header.sections, entry.commitments, strict=True):
        key = ring.find(package.header.place(section))
        if key is not None and commit(key) != commitment:
            raise IntegrityError("the key of a package is not the one that the manifest commits to")


def sees_identity(package: Package, ring: KeyRing) -> bool:
    """Whether the ring opens the identity section, or the attachment, of this package."""
    sections = (Section.IDENTITY, Section.ATTACHMENT)
    return any(s in package.sections and ring.find(package.header.place(s)) is not None for s in sections)


def open_identity(package: Package, ring: KeyRing) -> tuple[Origin, bytes]:
    """Origin, and identity record (image) or content (attachment), of a package. Needs identity."""
    from medveil.protection import padding

    section = Section.ATTACHMENT if Section.ATTACHMENT in package.sections else Section.IDENTITY
    packed = padding.remove(decrypted(package, section, ring))
    limit = MAX_RECORD if section is Section.IDENTITY else MAX_FILE + (1 << 16)
    return unpack_identity(packed, ring.dictionary, f"{section.value} section", limit)


class PackageReader:
    """What a package holds for the keys that it is asked with.

    Each section is decrypted once for a key, and each picture decoded once for the sections that it is made of, however
    many rings ask.

    Args:
        package: the package.
        level: protection level of its release.
        coding: codec and profile of its release; an attachment needs none.
        decode: pixels of the preview or code section, for who knows them of that code; else the codec decodes.
    """

    def __init__(self, package: Package, level: Level, coding: Coding | None, decode: Decode | None = None) -> None:
        self.package = package
        self._level, self._given = level, coding
        self._decode = decode or self._decoded
        self._known: dict[Hashable, object] = {}

    def open(self, entry: PackageEntry, ring: KeyRing) -> Opened | None:
        """The image or the attachment; None where the ring does not open it.

        Raises:
            IntegrityError: other keys than the entry commits to, or the package makes no sense.
        """
        check_commitments(self.package, entry, ring)
        sees = sees_identity(self.package, ring)
        origin, record = self.identity(ring) if sees else (None, b"")
        if Section.ATTACHMENT in self.package.sections:
            if origin is None:
                return None
            path = safe_relative(origin.path)
            return Opened(entry.package, Attachment(record), path, 0, renamed=str(path) != origin.path)
        image = self.image(ring)
        length = self._code_bytes(image.tier)
        if origin is None:
            return Opened(entry.package, image.image, None, length, image.tier, image.file)
        if image.file and hashlib.sha256(image.file).digest() != origin.sha256:
            raise IntegrityError("a kept file is not the one that its package's identity names")
        path = safe_relative(origin.path, _suffix(image))
        renamed = str(path) != origin.path
        return Opened(entry.package, image.image, path, length, image.tier, image.file, renamed)

    def _code_bytes(self, tier: Tier) -> int:
        """Length of the sections that a lossy picture is decoded from, whatever else the package holds."""
        if tier is Tier.PREVIEW:
            return len(self.package.sections[Section.PREVIEW])
        needed = (Section.CODE, Section.SUPPORT, *([Section.PREVIEW] if self._coding.codec.successive else []))
        return sum(len(self.package.sections.get(section, b"")) for section in needed)

    def image(self, ring: KeyRing) -> OpenedImage:
        """The image at the best tier that the ring opens; identity comes along where the ring sees it.

        Raises:
            IntegrityError: the package holds no such image.
        """
        from medveil.images import restore

        opened, bucket = self.codes(ring), self.package.header.bucket
        kind, bits_stored, pixel_record = image_record(opened.record(Section.IMAGE))
        pixels, tier = self._pixels(opened, bits_stored)
        if pixels.ndim != 2 or Bucket.of(pixels.shape[0], pixels.shape[1]) != bucket:
            raise IntegrityError("an image has another size than its package says")
        identity_record = self.identity(ring)[1] if sees_identity(self.package, ring) else b""
        image = restore(pixels, bits_stored, kind, pixel_record, identity_record)
        return OpenedImage(image, tier, opened.records.get(Section.FILE, b""))

    def identity(self, ring: KeyRing) -> tuple[Origin, bytes]:
        """As `open_identity`."""
        section = Section.ATTACHMENT if Section.ATTACHMENT in self.package.sections else Section.IDENTITY
        key = ring.find(self.package.header.place(section))
        return self._once((section, key, ring.dictionary), lambda: open_identity(self.package, ring))

    def codes(self, ring: KeyRing) -> OpenedCodes:
        """Every section but identity that the ring opens."""
        codes: dict[Section, SparseCode] = {}
        records: dict[Section, bytes] = {}
        for section in self.package.sections:
            if section in (Section.IDENTITY, Section.ATTACHMENT, Section.SUPPORT):
                continue
            if ring.find(self.package.header.place(section)) is None:
                continue
            if section in (Section.PREVIEW, Section.CODE):
                codes[section] = self._code(section, ring)
            else:
                records[section] = self.plain(section, ring)
        return OpenedCodes(codes.get(Section.CODE), codes.get(Section.PREVIEW), records)

    @property
    def _coding(self) -> Coding:
        if self._given is None:
            raise IntegrityError("an attachment holds a code")
        return self._given

    def _code(self, section: Section, ring: KeyRing) -> SparseCode:
        key = ring.find(self.package.header.place(Section(self._level.locked_by(section))))
        held, bucket = _Held(self, ring), self.package.header.bucket
        return self._once(("code", section, key), lambda: self._level.open(section, held, self._coding, bucket))

    def public(self, section: Section) -> Public:
        """The public code of a section."""
        return self._level.read(section, self.package.sections[section], self._coding, self.package.header.bucket)

    def plain(self, section: Section, ring: KeyRing) -> bytes:
        """Content of an encrypted section, without its padding."""
        from medveil.protection import padding

        if section not in self.package.sections:
            raise IntegrityError(f"a package has no {section.value} section")
        key = ring.find(self.package.header.place(section))
        return self._once((section, key), lambda: padding.remove(decrypted(self.package, section, ring)))

    def _pixels(self, opened: OpenedCodes, bits_stored: int) -> tuple[NDArray[np.generic], Tier]:
        """Pixels at the best tier that is open, and that tier."""
        if opened.main is None:
            if opened.preview is None:
                raise IntegrityError("a package has no code that these keys open")
            return self._picture(Section.PREVIEW, opened.preview, None), Tier.PREVIEW
        pixels = self._picture(Section.CODE, opened.main, opened.preview)
        residual = opened.records.get(Section.EXACT)
        if residual is None:
            return pixels, Tier.DIAGNOSTIC

        def exact() -> NDArray[np.generic]:
            from medveil.codecs.residual.exact import decode_exact

            base = self._coding.exact_base(pixels, opened.preview, self.package.header.bucket)
            return decode_exact(residual, base, bits_stored, pixels.dtype)

        return self._once(("exact", id(pixels), id(residual), bits_stored), exact), Tier.EXACT

    def _picture(self, section: Section, code: SparseCode, base: SparseCode | None) -> NDArray[np.generic]:
        return self._once(("picture", id(code), id(base)), lambda: self._decode(section, code, base))

    def _decoded(self, section: Section, code: SparseCode, base: SparseCode | None) -> NDArray[np.generic]:
        return coding_of(section, self._coding).decode(code, self.package.header.bucket, base)

    def _once(self, name: Hashable, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once under this name. Names that hold an id() are of values that are kept here."""
        if name not in self._known:
            self._known[name] = make()
        return cast(_T, self._known[name])


@dataclass(frozen=True)
class _Held:
    """The code sections of a package, for who holds a ring; see `medveil.protection.levels.Sections`."""

    reader: PackageReader
    ring: KeyRing

    def public(self, section: str) -> Public:
        return self.reader.public(Section(section))

    def plain(self, section: str) -> bytes:
        return self.reader.plain(Section(section), self.ring)

    def key(self, section: str) -> bytes:
        return self.ring.key(self.reader.package.header.place(Section(section)))


_RAW_OVERHEAD = 64  # a row of pixels that a file packs without gain grows by a byte or two
_HEADER_BYTES = 16 * 1024  # of what every file of a kind has


@dataclass(frozen=True)
class OpenedFile:
    """An opened package as the file that is to be written.

    Attributes:
        name: relative path.
        data: content of the file.
        tier: the tier at which an image was opened; None for an attachment.
        renamed: as in Opened.
        instance: the DICOM object that it is, by the UID that it has now; None for other kinds of file.
        labels: the labels of an image, by name.
        patient: the recipient's pseudonym of its patient, or empty.
    """

    name: PurePosixPath
    data: bytes = field(repr=False)
    tier: Tier | None = None
    renamed: bool = False
    instance: Instance | None = None
    labels: Mapping[str, str] = field(repr=False, default_factory=dict)
    patient: str = field(repr=False, default="")


def most_bytes(package: Package, entry: PackageEntry, level: Level, ring: KeyRing) -> int:
    """At most how long the file is that `open` writes of a package; 0 where the ring does not open it.

    Nothing is decoded: an image is taken for as large as its bucket, and as if its file were not compressed.

    Raises:
        IntegrityError: as `PackageReader.open`.
    """
    check_commitments(package, entry, ring)
    reader, sees = PackageReader(package, level, None), sees_identity(package, ring)
    origin, record = reader.identity(ring) if sees else (None, b"")
    if Section.ATTACHMENT in package.sections:
        return 0 if origin is None else len(record)
    if ring.find(package.header.place(Section.IMAGE)) is None:
        return 0
    if sees and ring.tier is Tier.EXACT and Section.FILE in package.sections:
        return len(reader.plain(Section.FILE, ring))
    _, bits_stored, pixel_record = image_record(reader.plain(Section.IMAGE, ring))
    pixels = package.header.bucket.height * package.header.bucket.width * (2 if bits_stored > 8 else 1)
    return pixels + pixels // _RAW_OVERHEAD + 2 * (len(pixel_record) + len(record)) + _HEADER_BYTES


def file_of(opened: Opened, profile: Profile, uid_key: bytes) -> OpenedFile:
    """The file that `open` writes of an opened package: the kept one, or one of the kind that went in.

    Args:
        opened: the package.
        profile: that of the release.
        uid_key: key of the new DICOM UIDs that come out.
    """
    from medveil import images

    name = opened.path or PurePosixPath(opened.package.hex())
    if isinstance(opened.content, Attachment):
        return OpenedFile(name, opened.content.data, None, opened.renamed)
    image = opened.content
    said = images.labels_of(image.source), images.patient_of(image.source, uid_key)
    if opened.file and opened.path is not None:
        known = images.written_instance(image, opened.file, uid_key=uid_key, tier=opened.tier)
        return OpenedFile(name, opened.file, opened.tier, opened.renamed, known, *said)
    loss = None
    if opened.tier is not Tier.EXACT:
        raw = image.pixels.size * image.pixels.itemsize
        codec = "lapped" if opened.tier is Tier.PREVIEW else profile.codec
        loss = images.Loss(ratio=max(1.0, raw / max(1, opened.code_bytes)), method=f"MEDVEIL_{codec.upper()}"[:16])
    suffix = images.suffix(image)
    name = _with_suffix(name, suffix) if opened.path else PurePosixPath(opened.package.hex() + suffix)
    data = images.to_file_bytes(image, loss=loss, uid_key=uid_key, tier=opened.tier)
    known = images.written_instance(image, data, uid_key=uid_key, tier=opened.tier)
    return OpenedFile(name, data, opened.tier, opened.renamed, known, *said)


def _suffix(opened: OpenedImage) -> str:
    """Suffix of the file that comes out, for a name that has none."""
    from medveil import images

    kept_jpeg = bool(opened.file) and opened.image.source.kind is FileKind.JPEG
    return ".jpg" if kept_jpeg else images.suffix(opened.image)


def _with_suffix(name: PurePosixPath, suffix: str) -> PurePosixPath:
    """The original's own name; its suffix changes only where the kind of file did (JPEG comes out as PNG)."""
    changed = suffix == ".png" and name.suffix.lower() in {".jpg", ".jpeg", ".jpe", ".jfif"}
    return name.with_suffix(suffix) if changed else name


def image_record(record: bytes) -> tuple[FileKind, int, bytes]:
    """Kind of file, depth and pixel record: the three fields of an image section. Raises IntegrityError for others."""
    try:
        fields = canonical.loads(record, what="image section", limit=MAX_RECORD, max_items=_MAX_ITEMS)
        kind_name, bits_stored, pixel_record = fields
        if type(bits_stored) is not int or not 8 <= bits_stored <= 16 or type(pixel_record) is not bytes:
            raise TypeError("fields")
        return FileKind(kind_name), bits_stored, pixel_record
    except (TypeError, ValueError):
        raise IntegrityError("the image section of a package does not have its three fields") from None


def decrypted(package: Package, section: Section, ring: KeyRing) -> bytes:
    """Content of an encrypted section, padded as it is."""
    from medveil.protection.encrypting import decrypt

    if section not in package.sections:
        raise IntegrityError(f"a package has no {section.value} section")
    key = ring.find(package.header.place(section))
    if key is None:  # of a grant of some sections that lacks one which they need
        raise IntegrityError(f"these keys do not open the {section.value} section that others of a package need")
    return decrypt(package.sections[section], key, package.header.associated_data(section))
