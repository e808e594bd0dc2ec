"""One image to one package: the road image -> codes -> protected codes -> sections. The way back is `unpacking`."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, Profile, SparseCode
from medveil.errors import IntegrityError, UnsupportedInputError
from medveil.files import canonical
from medveil.images.image import Image
from medveil.keys.tiers import SALT_BYTES, KeyRing, Section, Tier
from medveil.releases.identity import Origin, pack_identity
from medveil.releases.manifest import PackageEntry
from medveil.releases.package import Package, PackageHeader
from medveil.releases.unpacking import MAX_FILE, composition_of, exact_base, open_codes, open_identity


@dataclass(frozen=True)
class PackingPlan:
    """Everything that packing one image needs beside the image; sent to worker processes as it is.

    Attributes:
        release, epoch: the release that the package belongs to.
        protection: sealed, encrypted or obfuscated.
        profile: coding settings of the release.
        tiers: which tiers its images have.
        grids: padding steps (image, identity) in bytes.
        decoys: decoys a code vector or map, obfuscated only.
        keep_file: whether the very file travels too.
        tag_key: key of the tags that stand for original UIDs in pixel records.
        ring: full keys of the epoch.
        stamp_key: key of the stamps that tell the owner's own packages from others in the staging folder.
        pseudonyms: whether a pseudonym of the patient travels with the pixels.
    """

    release: bytes
    epoch: int
    protection: str
    profile: Profile
    tiers: tuple[Tier, ...]
    grids: tuple[int, int]
    decoys: int
    keep_file: bool
    tag_key: bytes = field(repr=False)
    ring: KeyRing = field(repr=False)
    stamp_key: bytes = field(repr=False, default=b"")
    pseudonyms: bool = True


@dataclass(frozen=True)
class Fidelity:
    """How near the image that opens at the diagnostic tier comes to the original.

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
class _Codes:
    """The codes of one image.

    Attributes:
        main: of the diagnostic tier.
        preview: of the preview tier, or None where the release has none.
    """

    main: SparseCode
    preview: SparseCode | None


def pack_image(
    image: Image, origin: Origin, plan: PackingPlan, codec: Codec, file: bytes = b""
) -> tuple[Package, Fidelity]:
    """Code, protect and seal one image under a fresh package id and salt.

    The package is opened again and compared before it is given out, so that one that does not open is never written;
    meanwhile a second thread decodes the code, which gives the fidelity.

    Args:
        image: what is packed.
        origin: where it came from.
        plan: settings and keys of the release.
        codec: the codec of the plan's profile.
        file: the very file, where the plan keeps it.
    """
    from concurrent.futures import ThreadPoolExecutor

    bucket = Bucket.of(image.pixels.shape[0], image.pixels.shape[1])
    codes = _encode(image, bucket, plan, codec)
    records = _records(image, origin, plan, file)
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(codec.decode, codes.main, plan.profile, bucket, codes.preview)
        if Tier.EXACT in plan.tiers:
            from medveil.codecs.exact import encode_exact

            base = exact_base(decoding.result(), codes.preview, plan.profile, bucket, codec)
            records[Section.EXACT] = encode_exact(image.pixels, base, image.bits_stored)
        package = _assemble(codes, records, bucket, plan, codec)
        _check_opens(package, codes, records, origin, plan, codec)
        return package, fidelity(image, decoding.result())


def _encode(image: Image, bucket: Bucket, plan: PackingPlan, codec: Codec) -> _Codes:
    sealed = plan.protection == "sealed"
    preview = None
    if Tier.PREVIEW in plan.tiers:
        from medveil.codecs.preview import preview_codec, preview_profile

        profile, coder = preview_profile(plan.profile), preview_codec()
        preview = coder.encode(image, profile, coder.composition(profile, bucket) if sealed else None)
    composition = codec.composition(plan.profile, bucket) if sealed else None
    return _Codes(codec.encode(image, plan.profile, composition, preview), preview)


def _records(image: Image, origin: Origin, plan: PackingPlan, file: bytes) -> dict[Section, bytes]:
    from medveil.images import records

    pixel_record, identity_record = records(image, plan.tag_key, pseudonyms=plan.pseudonyms)
    found = {
        Section.IMAGE: canonical.dumps([image.source.kind.value, image.bits_stored, pixel_record]),
        Section.IDENTITY: pack_identity(origin, identity_record, plan.ring.dictionary),
    }
    return found | {Section.FILE: file} if plan.keep_file else found


def _check_opens(
    package: Package, codes: _Codes, records: dict[Section, bytes], origin: Origin, plan: PackingPlan, codec: Codec
) -> None:
    """Raise IntegrityError unless the package opens to what was put in."""
    back = open_codes(package, plan.ring, plan.profile, plan.protection, codec)
    same = _equal(codes.main, back.main) and _equal(codes.preview, back.preview)
    same = same and all(
        back.record(section) == record for section, record in records.items() if section is not Section.IDENTITY
    )
    if not same or open_identity(package, plan.ring)[0] != origin:
        raise IntegrityError("the package did not open to what was put in; nothing was written", hint="report this")


def _equal(one: SparseCode | None, other: SparseCode | None) -> bool:
    if one is None or other is None:
        return one is other
    equal = one.side == other.side and len(one.maps) == len(other.maps)
    for ours, theirs in zip(one.maps, other.maps, strict=False):
        equal = equal and np.array_equal(ours.positions, theirs.positions)
        equal = equal and np.array_equal(ours.levels, theirs.levels)
    return equal


def pack_attachment(data: bytes, origin: Origin, plan: PackingPlan) -> Package:
    """Seal a file that is no image (labels, masks …) under the identity key: its name and content name patients."""
    if len(data) > MAX_FILE:
        raise UnsupportedInputError(f"a file of more than {MAX_FILE >> 20} MiB cannot travel with the images")
    content = pack_identity(origin, data, plan.ring.dictionary)
    package = _assemble(None, {Section.ATTACHMENT: content}, Bucket(0, 0), plan, None)
    if open_identity(package, plan.ring) != (origin, data):
        raise IntegrityError("the package did not open to what was put in; nothing was written", hint="report this")
    return package


def _assemble(
    codes: _Codes | None, records: dict[Section, bytes], bucket: Bucket, plan: PackingPlan, codec: Codec | None
) -> Package:
    from medveil.protection.encrypting import TAG_BYTES, encrypt

    identity = (secrets.token_bytes(16), secrets.token_bytes(SALT_BYTES))
    bare = PackageHeader(plan.release, plan.epoch, *identity, bucket, ())
    sealed: dict[Section, bytes] = {}
    plain = {section: _padded(section, record, plan.grids) for section, record in records.items()}
    if codes is not None and codec is not None:
        _protect(codes, bare, plan, codec, sealed, plain)
    lengths = {s: len(data) for s, data in sealed.items()} | {s: len(d) + TAG_BYTES for s, d in plain.items()}
    header = PackageHeader(
        plan.release, plan.epoch, *identity, bucket, tuple((s, lengths[s]) for s in Section if s in lengths)
    )
    for section, data in plain.items():
        sealed[section] = encrypt(data, plan.ring.key(header.place(section)), header.associated_data(section))
    return Package(header, sealed)


def _padded(section: Section, record: bytes, grids: tuple[int, int]) -> bytes:
    from medveil.protection import padding
    from medveil.protection.encrypting import TAG_BYTES

    if section is Section.IMAGE:
        return padding.to_grid(record, grids[0], TAG_BYTES)
    if section is Section.IDENTITY:
        return padding.to_grid(record, grids[1], TAG_BYTES)
    return padding.to_steps(record)


def _protect(
    codes: _Codes, header: PackageHeader, plan: PackingPlan, codec: Codec,
    sealed: dict[Section, bytes], plain: dict[Section, bytes],
) -> None:  # fmt: skip
    """Put the codes among the sections that are ready, or those that are still to be encrypted."""
    from medveil.codecs import entropy
    from medveil.protection import ambiguation, padding, sealing

    if plan.protection == "obfuscated":
        public, support = ambiguation.ambiguate(codes.main, codec.vector_length, plan.decoys)
        sealed[Section.CODE], plain[Section.SUPPORT] = public.to_bytes(), padding.to_steps(support)
        return
    for section, code in ((Section.PREVIEW, codes.preview), (Section.CODE, codes.main)):
        if code is None:
            continue
        if plan.protection == "sealed":
            composition = composition_of(section, plan.profile, header.bucket, codec)
            key = plan.ring.key(header.place(section))
            sealed[section] = sealing.seal(code, composition, key).to_bytes(composition)
        else:
            plain[section] = padding.to_steps(entropy.pack(code))


def entry_of(package: Package, ring: KeyRing) -> PackageEntry:
    """The manifest's entry of a package: digest of its bytes and the commitment of each section key."""
    from medveil.protection.encrypting import commit

    data = package.to_bytes()
    commits = tuple(commit(ring.key(package.header.place(section))) for section, _ in package.header.sections)
    return PackageEntry(package.header.package, len(data), hashlib.sha256(data).digest(), commits)


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
