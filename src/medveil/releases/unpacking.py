"""One package back to one image, at the best tier that the keys open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, Composition, Profile, SparseCode
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.images.image import FileKind, Image
from medveil.images.record import MAX_RECORD_BYTES
from medveil.keys.tiers import KeyRing, Section, Tier
from medveil.releases.identity import Origin, unpack_identity
from medveil.releases.manifest import PackageEntry
from medveil.releases.package import Package

MAX_RECORD = MAX_RECORD_BYTES + (1 << 16)  # of an image's attributes, and what stands beside them
_MAX_ITEMS = 16  # data items of a section's record: three fields in a list
MAX_FILE = 128 << 20  # bytes of a file that travels as it is
_MAX_MAPS = 8  # of one cell a pixel


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


def open_codes(package: Package, ring: KeyRing, profile: Profile, protection: str, codec: Codec) -> OpenedCodes:
    """Open every section but identity that the ring opens."""
    from medveil.protection import padding

    codes: dict[Section, SparseCode] = {}
    records: dict[Section, bytes] = {}
    for section in package.sections:
        if section in (Section.IDENTITY, Section.ATTACHMENT, Section.SUPPORT):
            continue
        if ring.find(package.header.place(section)) is None:
            continue
        if section in (Section.PREVIEW, Section.CODE):
            codes[section] = _code(package, section, ring, profile, protection, codec)
        else:
            records[section] = padding.remove(decrypted(package, section, ring))
    return OpenedCodes(codes.get(Section.CODE), codes.get(Section.PREVIEW), records)


def unpack_image(package: Package, ring: KeyRing, profile: Profile, protection: str, codec: Codec) -> OpenedImage:
    """Open and decode one image at the best tier that the ring opens; identity comes along where the ring sees it.

    Raises:
        IntegrityError: the package holds no such image.
    """
    from medveil.images import restore

    opened = open_codes(package, ring, profile, protection, codec)
    kind, bits_stored, pixel_record = _image_record(opened.record(Section.IMAGE))
    pixels, tier = _pixels(opened, bits_stored, profile, package.header.bucket, codec)
    if pixels.ndim != 2 or Bucket.of(pixels.shape[0], pixels.shape[1]) != package.header.bucket:
        raise IntegrityError("an image has another size than its package says")
    identity_record = open_identity(package, ring)[1] if sees_identity(package, ring) else b""
    image = restore(pixels, bits_stored, kind, pixel_record, identity_record)
    return OpenedImage(image, tier, opened.records.get(Section.FILE, b""))


def _pixels(
    opened: OpenedCodes, bits_stored: int, profile: Profile, bucket: Bucket, codec: Codec
) -> tuple[NDArray[np.generic], Tier]:
    """Pixels at the best tier that is open, and that tier."""
    if opened.main is None:
        from medveil.codecs.preview import preview_codec, preview_profile

        if opened.preview is None:
            raise IntegrityError("a package has no code that these keys open")
        return preview_codec().decode(opened.preview, preview_profile(profile), bucket), Tier.PREVIEW
    pixels = codec.decode(opened.main, profile, bucket, opened.preview)
    if Section.EXACT not in opened.records:
        return pixels, Tier.DIAGNOSTIC
    from medveil.codecs.exact import decode_exact

    base = exact_base(pixels, opened.preview, profile, bucket, codec)
    return decode_exact(opened.records[Section.EXACT], base, bits_stored, pixels.dtype), Tier.EXACT


def exact_base(
    pixels: NDArray[np.generic], preview: SparseCode | None, profile: Profile, bucket: Bucket, codec: Codec
) -> NDArray[np.generic]:
    """The picture that an exact section is coded beside: the same on every machine.

    That is the diagnostic one, of a codec whose decoder is reproducible; else the preview, or nothing.
    """
    if codec.reproducible:
        return pixels
    if preview is None:
        return np.zeros_like(pixels)
    from medveil.codecs.preview import preview_codec, preview_profile

    return preview_codec().decode(preview, preview_profile(profile), bucket)


def _image_record(record: bytes) -> tuple[FileKind, int, bytes]:
    try:
        fields = canonical.loads(record, what="image section", limit=MAX_RECORD, max_items=_MAX_ITEMS)
        kind_name, bits_stored, pixel_record = fields
        if type(bits_stored) is not int or not 8 <= bits_stored <= 16 or type(pixel_record) is not bytes:
            raise TypeError("fields")
        return FileKind(kind_name), bits_stored, pixel_record
    except (TypeError, ValueError):
        raise IntegrityError("the image section of a package does not have its three fields") from None


def max_cells(bucket: Bucket, codec: Codec) -> int:
    """More cells than a codec's maps of this bucket have together; what states more is refused unread.

    All maps of `lapped` have one cell a pixel together, and some beyond the edges; each of `primis` has that many.
    """
    return (_MAX_MAPS if codec.vector_length else 1) * (bucket.height + Bucket.STEP) * (bucket.width + Bucket.STEP)


def composition_of(section: Section, profile: Profile, bucket: Bucket, codec: Codec) -> Composition:
    """Public shape of the sealed preview or code section of every package of this bucket."""
    if section is Section.PREVIEW:
        from medveil.codecs.preview import preview_codec, preview_profile

        return preview_codec().composition(preview_profile(profile), bucket)
    return codec.composition(profile, bucket)


def _code(
    package: Package, section: Section, ring: KeyRing, profile: Profile, protection: str, codec: Codec
) -> SparseCode:
    from medveil.codecs import entropy
    from medveil.codecs.preview import preview_codec
    from medveil.protection import ambiguation, padding, sealing

    data, bucket = package.sections[section], package.header.bucket
    if protection == "sealed":
        composition = composition_of(section, profile, bucket, codec)
        key = ring.key(package.header.place(section))
        return sealing.unseal(sealing.PublicCode.from_bytes(data, composition), composition, key)
    limit = max_cells(bucket, preview_codec() if section is Section.PREVIEW else codec)
    if protection == "encrypted":
        return entropy.unpack(padding.remove(decrypted(package, section, ring)), limit)
    if section is Section.PREVIEW:
        raise IntegrityError("a package of an obfuscated release has a preview")
    support = padding.remove(decrypted(package, Section.SUPPORT, ring))
    return ambiguation.purify(ambiguation.AmbiguatedCode.from_bytes(data, limit), support)


def decrypted(package: Package, section: Section, ring: KeyRing) -> bytes:
    """Content of an encrypted section, padded as it is."""
    from medveil.protection.encrypting import decrypt

    if section not in package.sections:
        raise IntegrityError(f"a package has no {section.value} section")
    key = ring.find(package.header.place(section))
    if key is None:  # of a grant of some sections that lacks one which they need
        raise IntegrityError(f"these keys do not open the {section.value} section that others of a package need")
    return decrypt(package.sections[section], key, package.header.associated_data(section))
