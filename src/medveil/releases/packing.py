"""One image to one package and back: the road image -> code -> protected code -> sections, and its reverse."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, Profile, SparseCode
from medveil.errors import IntegrityError, UnsupportedInputError
from medveil.files import canonical
from medveil.images.image import FileKind, Image
from medveil.keys.tiers import SALT_BYTES, ReleaseKeys, Section, Tier, hkdf, section_key
from medveil.releases.identity import Origin, pack_identity, unpack_identity
from medveil.releases.manifest import PackageEntry
from medveil.releases.package import Package, PackageHeader

CODE_TIER = Tier.DIAGNOSTIC  # the codec's full quality; exact and preview come with sections of their own
_MAX_RECORD = 1 << 28
_MAX_ITEMS = 16  # data items of a section's record: three fields in a list
_MAX_MAPS = 8  # of one cell a pixel


@dataclass(frozen=True)
class PackingPlan:
    """Everything that packing one image needs beside the image; sent to worker processes as it is.

    Attributes:
        release, epoch: the release that the package belongs to.
        protection: sealed, encrypted or obfuscated.
        profile: coding settings of the release.
        grids: padding steps (image, identity) in bytes.
        decoys: decoys a code vector or map, obfuscated only.
        keys: the release's keys.
    """

    release: bytes
    epoch: int
    protection: str
    profile: Profile
    grids: tuple[int, int]
    decoys: int
    keys: ReleaseKeys = field(repr=False)


@dataclass(frozen=True)
class Fidelity:
    """How near the opened image comes to the original.

    Attributes:
        psnr: dB against the peak 2**bits_stored - 1; infinite where equal.
        rmse: in stored values; padding pixels left out.
        rmse_modality: the same in modality units (HU for CT).
        bits_stored: depth of the image.
        pixels: number of pixels.
    """

    psnr: float
    rmse: float
    rmse_modality: float
    bits_stored: int
    pixels: int


@dataclass(frozen=True)
class Attachment:
    """A file that travelled with the images."""

    data: bytes = field(repr=False)


def pack_image(image: Image, origin: Origin, plan: PackingPlan, codec: Codec) -> tuple[Package, Fidelity]:
    """Code, protect and seal one image under a fresh package id and salt.

    The package is opened again and compared before it is given out, so that one that does not open is never written;
    meanwhile a second thread decodes the code, which gives the fidelity.
    """
    from concurrent.futures import ThreadPoolExecutor

    from medveil.images import records

    bucket = Bucket.of(image.pixels.shape[0], image.pixels.shape[1])
    pixel_record, identity_record = records(image, hkdf(plan.keys.identity_key, b"medveil/v1/uid-tags"))
    composition = codec.composition(plan.profile, bucket) if plan.protection == "sealed" else None
    code = codec.encode(image, plan.profile, composition)
    records_of = {
        Section.IMAGE: canonical.dumps([image.source.kind.value, image.bits_stored, pixel_record]),
        Section.IDENTITY: pack_identity(origin, identity_record, plan.keys.dictionary),
    }
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(codec.decode, code, plan.profile, bucket)
        package = _assemble(code, records_of, bucket, plan, codec)
        _check_opens(package, code, origin, plan, codec)
        return package, fidelity(image, decoding.result())


def _check_opens(package: Package, code: SparseCode, origin: Origin, plan: PackingPlan, codec: Codec) -> None:
    back = _unprotect(package, plan.keys, plan.profile, plan.protection, codec)
    equal = back.side == code.side and len(back.maps) == len(code.maps)
    for ours, theirs in zip(code.maps, back.maps, strict=False):
        equal = equal and np.array_equal(ours.positions, theirs.positions)
        equal = equal and np.array_equal(ours.levels, theirs.levels)
    if not equal or open_identity(package, plan.keys)[0] != origin:
        raise IntegrityError("the package did not open to what was put in; nothing was written", hint="report this")


def pack_attachment(data: bytes, origin: Origin, plan: PackingPlan) -> Package:
    """Seal a file that is no image (labels, masks …) under the identity key: its name and content name patients."""
    content = pack_identity(origin, data, plan.keys.dictionary)
    if len(data) > _MAX_RECORD - 4096:
        raise UnsupportedInputError(f"a file of more than {_MAX_RECORD >> 20} MiB cannot travel with the images")
    package = _assemble(None, {Section.ATTACHMENT: content}, Bucket(0, 0), plan, None)
    if open_identity(package, plan.keys) != (origin, data):
        raise IntegrityError("the package did not open to what was put in; nothing was written", hint="report this")
    return package


def _assemble(
    code: SparseCode | None, records_of: dict[Section, bytes], bucket: Bucket, plan: PackingPlan, codec: Codec | None
) -> Package:
    from medveil.protection import padding
    from medveil.protection.encrypting import TAG_BYTES, encrypt

    identity = (secrets.token_bytes(16), secrets.token_bytes(SALT_BYTES))
    bare = PackageHeader(plan.release, plan.epoch, *identity, CODE_TIER, bucket, ())
    sealed: dict[Section, bytes] = {}
    plain: dict[Section, bytes] = {}
    if code is not None and codec is not None:
        sealed, plain = _protect(code, bare, plan, codec)
    if Section.IMAGE in records_of:
        plain[Section.IMAGE] = padding.to_grid(records_of[Section.IMAGE], plan.grids[0], TAG_BYTES)
        plain[Section.IDENTITY] = padding.to_grid(records_of[Section.IDENTITY], plan.grids[1], TAG_BYTES)
    else:
        plain[Section.ATTACHMENT] = padding.to_steps(records_of[Section.ATTACHMENT])
    lengths = {s: len(data) for s, data in sealed.items()} | {s: len(d) + TAG_BYTES for s, d in plain.items()}
    header = PackageHeader(
        plan.release, plan.epoch, *identity, CODE_TIER, bucket, tuple((s, lengths[s]) for s in Section if s in lengths)
    )
    for section, data in plain.items():
        key = section_key(plan.keys, header.place(section))
        sealed[section] = encrypt(data, key, header.associated_data(section))
    return Package(header, sealed)


def _protect(
    code: SparseCode, header: PackageHeader, plan: PackingPlan, codec: Codec
) -> tuple[dict[Section, bytes], dict[Section, bytes]]:
    """(sections that are ready, sections that are still to be encrypted) of a code."""
    from medveil.codecs import entropy
    from medveil.protection import ambiguation, padding, sealing

    if plan.protection == "sealed":
        composition = codec.composition(plan.profile, header.bucket)
        key = section_key(plan.keys, header.place(Section.CODE))
        return {Section.CODE: sealing.seal(code, composition, key).to_bytes(composition)}, {}
    if plan.protection == "encrypted":
        return {}, {Section.CODE: padding.to_steps(entropy.pack(code))}
    public, support = ambiguation.ambiguate(code, codec.vector_length, plan.decoys)
    return {Section.CODE: public.to_bytes()}, {Section.SUPPORT: padding.to_steps(support)}


def entry_of(package: Package, keys: ReleaseKeys) -> PackageEntry:
    """The manifest's entry of a package: digest of its bytes and the commitment of each section key."""
    from medveil.protection.encrypting import commit

    data = package.to_bytes()
    commits = tuple(commit(section_key(keys, package.header.place(section))) for section, _ in package.header.sections)
    return PackageEntry(package.header.package, len(data), hashlib.sha256(data).digest(), commits)


def check_commitments(package: Package, entry: PackageEntry, keys: ReleaseKeys) -> None:
    """Refuse keys that are not those which the owner committed to, before anything is decoded."""
    from medveil.protection.encrypting import commit

    if len(entry.commitments) != len(package.header.sections):
        raise IntegrityError("a package has other sections than the manifest commits to")
    for (section, _), commitment in zip(package.header.sections, entry.commitments, strict=True):
        if section.needs_identity and not keys.identity_key:
            continue
        if commit(section_key(keys, package.header.place(section))) != commitment:
            raise IntegrityError("the key of a package is not the one that the manifest commits to")


def open_identity(package: Package, keys: ReleaseKeys) -> tuple[Origin, bytes]:
    """Origin, and identity record (image) or content (attachment), of a package. Needs the identity root."""
    from medveil.protection import padding

    section = Section.ATTACHMENT if Section.ATTACHMENT in package.sections else Section.IDENTITY
    packed = padding.remove(_decrypted(package, section, keys))
    return unpack_identity(packed, keys.dictionary, f"{section.value} section")


def unpack_image(package: Package, keys: ReleaseKeys, profile: Profile, protection: str, codec: Codec) -> Image:
    """Open, purify and decode one image; the identity record comes along where the keys allow it."""
    from medveil.images import restore
    from medveil.protection import padding

    header = package.header
    record = padding.remove(_decrypted(package, Section.IMAGE, keys))
    try:
        fields = canonical.loads(record, what="image section", limit=_MAX_RECORD, max_items=_MAX_ITEMS)
        kind_name, bits_stored, pixel_record = fields
        kind = FileKind(kind_name)
        if type(bits_stored) is not int or type(pixel_record) is not bytes:
            raise TypeError("fields")
    except (TypeError, ValueError):
        raise IntegrityError("the image section of a package does not have its three fields") from None
    code = _unprotect(package, keys, profile, protection, codec)
    pixels = codec.decode(code, profile, header.bucket)
    if Bucket.of(pixels.shape[0], pixels.shape[1]) != header.bucket:
        raise IntegrityError("an image has another size than its package says")
    identity_record = open_identity(package, keys)[1] if keys.identity_key else b""
    return restore(pixels, bits_stored, kind, pixel_record, identity_record)


def max_cells(bucket: Bucket) -> int:
    """More cells than any codec's maps of this bucket have together; what states more is refused unread.

    A map of `lapped` or `primis` has one cell a pixel, and some beyond the edges; `primis` has four maps at most.
    """
    return _MAX_MAPS * (bucket.height + Bucket.STEP) * (bucket.width + Bucket.STEP)


def _unprotect(package: Package, keys: ReleaseKeys, profile: Profile, protection: str, codec: Codec) -> SparseCode:
    from medveil.codecs import entropy
    from medveil.protection import ambiguation, padding, sealing

    data = package.sections.get(Section.CODE, b"")
    if protection == "sealed":
        composition = codec.composition(profile, package.header.bucket)
        key = section_key(keys, package.header.place(Section.CODE))
        return sealing.unseal(sealing.PublicCode.from_bytes(data, composition), composition, key)
    if protection == "encrypted":
        return entropy.unpack(padding.remove(_decrypted(package, Section.CODE, keys)), max_cells(package.header.bucket))
    support = padding.remove(_decrypted(package, Section.SUPPORT, keys))
    return ambiguation.purify(ambiguation.AmbiguatedCode.from_bytes(data, max_cells(package.header.bucket)), support)


def _decrypted(package: Package, section: Section, keys: ReleaseKeys) -> bytes:
    from medveil.protection.encrypting import decrypt

    if section not in package.sections:
        raise IntegrityError(f"a package has no {section.value} section")
    key = section_key(keys, package.header.place(section))
    return decrypt(package.sections[section], key, package.header.associated_data(section))


def fidelity(image: Image, opened: NDArray[np.generic]) -> Fidelity:
    """PSNR and RMSE of `opened` against the image, padding pixels left out of the RMSE."""
    from medveil.metrics.fidelity import psnr

    original = image.pixels.astype(np.float64)
    difference = original - opened.astype(np.float64)
    if image.padding is not None:
        data = (original < image.padding[0]) | (original > image.padding[1])
        difference = difference[data] if data.any() else difference
    rmse = float(np.sqrt(np.mean(difference**2)))
    peak = float((1 << image.bits_stored) - 1)
    return Fidelity(
        psnr(image.pixels, opened, data_range=peak),
        rmse,
        rmse * abs(image.rescale[0]),
        image.bits_stored,
        original.size,
    )
