"""One image to one package: the road image -> codes -> protected codes -> sections. The way back is `unpacking`.

A package is given out only after it was opened again from its bytes, as every kind of recipient opens it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.code import Bucket, Codec, Profile, SparseCode
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError, MedveilError, UnsupportedInputError
from medveil.files import canonical
from medveil.images.image import Image
from medveil.keys.tiers import SALT_BYTES, KeyRing, Section, Tier
from medveil.protection.levels import Level, coding_of
from medveil.releases.access import Access, recipients
from medveil.releases.packages.origin import Origin, pack_identity
from medveil.releases.packages.package import Package, PackageEntry, PackageHeader
from medveil.releases.packages.unpacking import (
    MAX_FILE,
    Attachment,
    Decode,
    Opened,
    PackageReader,
    file_of,
)

_BESIDE_PIXELS = 1 << 14


@dataclass(frozen=True)
class PackingPlan:
    """Everything that packing one image needs beside the image; sent to worker processes as it is.

    Attributes:
        release, epoch: the release that the package belongs to.
        level: protection level of the release.
        profile: coding settings of the release.
        tiers: which tiers its images have.
        grids: padding steps (image, identity) in bytes.
        keep_file: whether the very file travels too.
        tag_key: key of the tags that stand for original UIDs in pixel records.
        ring: full keys of the epoch.
        stamp_key: key of the stamps that tell the owner's own packages from others in the staging folder.
        pseudonyms: whether a pseudonym of the patient travels with the pixels.
        even: whether exact sections and kept files are padded to the room of their bucket, and not in steps.
    """

    release: bytes
    epoch: int
    level: Level
    profile: Profile
    tiers: tuple[Tier, ...]
    grids: tuple[int, int]
    keep_file: bool
    tag_key: bytes = field(repr=False)
    ring: KeyRing = field(repr=False)
    stamp_key: bytes = field(repr=False, default=b"")
    pseudonyms: bool = True
    even: bool = False


@dataclass(frozen=True)
class Fidelity:
    """How near the image that opens at the diagnostic tier comes to the original.

    Attributes:
        psnr: dB against the peak 2**bits_stored - 1; infinite where equal.
        rmse: in stored values; padding pixels left out.
        rmse_modality: the same in modality units (HU for CT).
        bits_stored: depth of the image.
        pixels: number of pixels.
        unit: the modality unit, where it is known: HU for CT.
    """

    psnr: float
    rmse: float
    rmse_modality: float
    bits_stored: int
    pixels: int
    unit: str = ""


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

    The package is opened again as recipients open it and compared before it is given out. The code is decoded once, by
    a second thread: that gives the fidelity, the base of the exact section, and what a package of that code opens to.

    Args:
        image: what is packed.
        origin: where it came from.
        plan: settings and keys of the release.
        codec: the codec of the plan's profile.
        file: the very file, where the plan keeps it.

    Raises:
        IntegrityError: what was sealed does not open to what was put in.
    """
    bucket = Bucket.of(image.pixels.shape[0], image.pixels.shape[1])
    coding = Coding(codec, plan.profile)
    codes = _encode(image, bucket, plan, coding)
    records = _records(image, origin, plan, file)
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(coding.decode, codes.main, bucket, codes.preview)
        if Tier.EXACT in plan.tiers:
            from medveil.codecs.residual.exact import encode_exact

            base = coding.exact_base(decoding.result(), codes.preview, bucket)
            records[Section.EXACT] = encode_exact(image.pixels, base, image.bits_stored)
        package = _assemble(codes, records, bucket, plan, coding)
        _Trial(image, origin, records, codes, decoding, plan).check(package, coding)
        return package, fidelity(image, decoding.result())


def _encode(image: Image, bucket: Bucket, plan: PackingPlan, coding: Coding) -> _Codes:
    preview = None
    if Tier.PREVIEW in plan.tiers:
        preview = coding.preview.encode(image, plan.level.budget(coding.preview, bucket))
    return _Codes(coding.encode(image, plan.level.budget(coding, bucket), preview), preview)


def _records(image: Image, origin: Origin, plan: PackingPlan, file: bytes) -> dict[Section, bytes]:
    from medveil.images import records

    pixel_record, identity_record = records(image, plan.tag_key, pseudonyms=plan.pseudonyms)
    found = {
        Section.IMAGE: canonical.dumps([image.source.kind.value, image.bits_stored, pixel_record]),
        Section.IDENTITY: pack_identity(origin, identity_record, plan.ring.dictionary),
    }
    return found | {Section.FILE: file} if plan.keep_file else found


@dataclass(frozen=True)
class _Trial:
    """What was put into a package, and has to come out.

    Attributes:
        image, origin: what was packed, and where it came from.
        records: contents of the sections beside the codes.
        codes: the codes.
        decoding: pixels of the diagnostic code, which the encoder's own decoding gives.
        plan: as in `pack_image`.
    """

    image: Image
    origin: Origin
    records: dict[Section, bytes] = field(repr=False)
    codes: _Codes
    decoding: Future[NDArray[np.generic]]
    plan: PackingPlan

    def check(self, package: Package, coding: Coding) -> None:
        """Open the package's bytes as recipients of every tier, with and without identity, and compare.

        Raises:
            IntegrityError: it does not open, or to something else.
        """
        plan = self.plan
        package = Package.from_bytes(package.to_bytes())
        reader = PackageReader(package, plan.level, coding, self._decode(coding, package.header.bucket))
        entry = entry_of(package, plan.ring)
        for access in recipients(plan.ring, plan.release, plan.epoch, plan.tiers):
            with opening_for(access.ring):
                opened = reader.open(entry, access.ring)
                if opened is None or not isinstance(opened.content, Image) or opened.tier is not access.ring.tier:
                    raise IntegrityError("it is no image of that tier")
                self._compare(opened, opened.content, reader, access)

    def _decode(self, coding: Coding, bucket: Bucket) -> Decode:
        """Pixels of a code from a package, which must be the one that was put in; the diagnostic one is decoded."""

        def decode(section: Section, code: SparseCode, base: SparseCode | None) -> NDArray[np.generic]:
            preview = section is Section.PREVIEW
            if not (same_code(code, self.codes.preview) if preview else same_code(code, self.codes.main)):
                raise IntegrityError("its code is another")
            if preview:
                return coding_of(section, coding).decode(code, bucket)
            if not same_code(base, self.codes.preview):
                raise IntegrityError("its preview code is another")
            return self.decoding.result()

        return decode

    def _compare(self, opened: Opened, image: Image, reader: PackageReader, access: Access) -> None:
        """Raise IntegrityError unless what somebody opened, and the file that is written of it, are what was put in."""
        from medveil import images

        exact, sees = opened.tier is Tier.EXACT, access.ring.sees_identity
        if exact and not _same_pixels(image, self.image):
            raise IntegrityError("its pixels are others")
        if _geometry(image) != _geometry(self.image):
            raise IntegrityError("its depth, spacing or scale is another")
        if any(
            reader.codes(access.ring).record(section) != self.records[section] for section in self._records_at(access)
        ):
            raise IntegrityError("a record of it is another")
        if sees and reader.identity(access.ring) != (self.origin, image.source.identity_record):
            raise IntegrityError("its name is another")
        if sees and image.source.identity_record != self.image.source.identity_record:
            raise IntegrityError("its attributes are others")
        kept = self.records.get(Section.FILE, b"") if exact and sees else b""
        file = file_of(opened, self.plan.profile, access.uid_key)
        if opened.file != kept or (kept and file.data != kept):
            raise IntegrityError("its kept file is another")
        if kept:
            return
        again = images.read_bytes(file.data)
        if not _same_pixels(again, image) or _geometry(again) != _geometry(self.image):
            raise IntegrityError("the file that is written of it holds others")
        if exact and sees and not images.same_attributes(again, self.image):
            raise IntegrityError("the file that is written of it has other attributes")

    def _records_at(self, access: Access) -> list[Section]:
        """Sections that somebody opens of those whose content is compared byte by byte; identity is compared apart."""
        rank = access.ring.tier.rank
        return [
            section
            for section in self.records
            if section.tier is not None and section.tier.rank >= rank
            and (access.ring.sees_identity or not section.needs_identity)
        ]  # fmt: skip


@contextmanager
def opening_for(ring: KeyRing) -> Iterator[None]:
    """Around a look at a package that was just sealed. Raises IntegrityError where it goes wrong for this ring."""
    try:
        yield
    except (MedveilError, ArithmeticError, ValueError, TypeError, LookupError) as error:
        reason = error.message if isinstance(error, MedveilError) else f"it makes no sense ({type(error).__name__})"
        names = "with" if ring.sees_identity else "without"
        raise IntegrityError(
            f"what was sealed does not open at tier {ring.tier.value} {names} names as it was: {reason}; "
            "nothing was written of it",
            hint="report this",
        ) from None


def _same_pixels(one: Image, other: Image) -> bool:
    return one.pixels.dtype == other.pixels.dtype and np.array_equal(one.pixels, other.pixels)


def _geometry(image: Image) -> tuple[object, ...]:
    return image.bits_stored, image.spacing_mm, image.rescale, image.padding, image.pixels.dtype, image.pixels.shape


def same_code(one: SparseCode | None, other: SparseCode | None) -> bool:
    """Whether two codes are equal, or both missing."""
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
    _check_attachment(package, data, origin, plan)
    return package


def _check_attachment(package: Package, data: bytes, origin: Origin, plan: PackingPlan) -> None:
    """Raise IntegrityError unless who sees identity opens the very content, and nobody else anything."""
    package = Package.from_bytes(package.to_bytes())
    reader, entry = PackageReader(package, plan.level, None), entry_of(package, plan.ring)
    for access in recipients(plan.ring, plan.release, plan.epoch, plan.tiers):
        with opening_for(access.ring):
            opened = reader.open(entry, access.ring)
            if not access.ring.sees_identity:
                same = opened is None
            else:
                same = opened is not None and opened.content == Attachment(data)
                same = same and reader.identity(access.ring)[0] == origin
            if not same:
                raise IntegrityError("its content is another")


def _assemble(
    codes: _Codes | None, records: dict[Section, bytes], bucket: Bucket, plan: PackingPlan, coding: Coding | None
) -> Package:
    from medveil.protection.encrypting import TAG_BYTES, encrypt

    identity = (secrets.token_bytes(16), secrets.token_bytes(SALT_BYTES))
    bare = PackageHeader(plan.release, plan.epoch, *identity, bucket, ())
    ready: dict[Section, bytes] = {}
    plain = {section: _padded(section, record, plan, bucket) for section, record in records.items()}
    if codes is not None and coding is not None:
        named: dict[str, SparseCode] = {} if codes.preview is None else {Section.PREVIEW: codes.preview}
        named[Section.CODE] = codes.main
        keys = partial(_section_key, plan.ring, bare)
        protected = plan.level.protect(named, coding, bucket, keys)
        ready = {Section(name): public.to_bytes() for name, public in protected.public.items()}
        plain |= {Section(name): data for name, data in protected.plain.items()}
    lengths = {s: len(data) for s, data in ready.items()} | {s: len(d) + TAG_BYTES for s, d in plain.items()}
    header = PackageHeader(
        plan.release, plan.epoch, *identity, bucket, tuple((s, lengths[s]) for s in Section if s in lengths)
    )
    for section, data in plain.items():
        ready[section] = encrypt(data, plan.ring.key(header.place(section)), header.associated_data(section))
    return Package(header, ready)


def _section_key(ring: KeyRing, header: PackageHeader, section: str) -> bytes:
    return ring.key(header.place(Section(section)))


def bucket_room(profile: Profile, bucket: Bucket) -> int:
    """Length of an exact section or a kept file that is padded to its bucket: its raw pixels and 16 KiB for what lies
    beside them. A longer one takes as many times that as it needs, which shows."""
    return bucket.height * bucket.width * (2 if profile.deep else 1) + _BESIDE_PIXELS


def varying(package: Package, plan: PackingPlan, codec: Codec | None) -> tuple[Section, ...]:
    """The sections of a package whose length tells something of its image: others have one length a bucket."""
    bucket = package.header.bucket
    rooms = dict(zip((Section.IMAGE, Section.IDENTITY), plan.grids, strict=True))
    if plan.even:
        rooms |= dict.fromkeys((Section.EXACT, Section.FILE), bucket_room(plan.profile, bucket))
    if codec is not None:
        coding = Coding(codec, plan.profile)
        stated = {section: plan.level.length(section, coding, bucket) for section in (Section.PREVIEW, Section.CODE)}
        rooms |= {section: length for section, length in stated.items() if length is not None}
    return tuple(section for section, length in package.header.sections if length != rooms.get(section))


def _padded(section: Section, record: bytes, plan: PackingPlan, bucket: Bucket) -> bytes:
    from medveil.protection import padding
    from medveil.protection.encrypting import TAG_BYTES

    if section is Section.IMAGE:
        return padding.to_grid(record, plan.grids[0], TAG_BYTES)
    if section is Section.IDENTITY:
        return padding.to_grid(record, plan.grids[1], TAG_BYTES)
    if plan.even and section in (Section.EXACT, Section.FILE):
        return padding.to_grid(record, bucket_room(plan.profile, bucket), TAG_BYTES)
    return padding.to_steps(record)


def entry_of(package: Package, ring: KeyRing) -> PackageEntry:
    """The manifest's entry of a package: digest of its bytes and the commitment of each section key."""
    from medveil.protection.encrypting import commit

    data = package.to_bytes()
    commits = tuple(commit(ring.key(package.header.place(section))) for section, _ in package.header.sections)
    return PackageEntry(package.header.package, len(data), hashlib.sha256(data).digest(), commits)


def fidelity(image: Image, opened: NDArray[np.generic]) -> Fidelity:
    """PSNR and RMSE of `opened` against the image, padding pixels left out of the RMSE."""
    from medveil import images
    from medveil.metrics.image_quality import psnr

    original = image.pixels.astype(np.float64)
    difference = original - opened.astype(np.float64)
    if image.padding is not None:
        data = (original < image.padding[0]) | (original > image.padding[1])
        difference = difference[data] if data.any() else difference
    rmse = float(np.sqrt(np.mean(difference**2)))
    peak = float((1 << image.bits_stored) - 1)
    decibels = psnr(image.pixels, opened, data_range=peak)
    in_modality = rmse * abs(image.rescale[0])
    return Fidelity(decibels, rmse, in_modality, image.bits_stored, original.size, images.unit(image))
