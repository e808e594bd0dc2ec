"""The protection levels of a release as mechanisms: what a stranger gets of an image, and what a key opens.

Images are published through the same functions as `medveil.releases.packing` uses, under section keys and a stream of
decoys that are derived from one key of 32 bytes; so a simulated package can be drawn again, and is otherwise like a
real one: composition, section lengths, commitments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medveil.codecs import entropy
from medveil.codecs.code import Bucket, Codec, CodeMap, Composition, SparseCode
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.images import records
from medveil.images.image import Image
from medveil.keys.tiers import KeyRing, Section, Tier
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Published, Shown, Subject
from medveil.mechanisms.public_codec import PublicCodec, joined, parted
from medveil.mechanisms.working_pictures import Window
from medveil.protection import padding
from medveil.protection.ambiguation import AmbiguatedCode, ambiguate, purify
from medveil.protection.encrypting import TAG_BYTES, decrypt, encrypt
from medveil.protection.keystream import Keystream, Stream, commit, derive
from medveil.protection.sealing import PublicCode, PublicMap, public_bytes, seal, unseal
from medveil.releases.manifest import Manifest, PackageEntry
from medveil.releases.package import Package
from medveil.releases.settings import RASTER_STEPS
from medveil.releases.unpacking import max_cells, open_codes


@dataclass(frozen=True)
class Beside:
    """What lies beside the codes in every package of a release.

    Attributes:
        grids: (image, identity): those sections are padded to multiples of these bytes.
        exact: whether there is an exact tier.
        file_bytes: length of the original file of a subject, where the files travel along; else None.
    """

    grids: tuple[int, int] = RASTER_STEPS
    exact: bool = False
    file_bytes: Callable[[Subject], int] | None = None


def original(subject: Subject) -> Image:
    """The image as it came."""
    return subject.image


class Protection:
    """What the protection levels have in common.

    Args:
        space: the codec; with codes of fixed composition for `Sealed`, else of free length.
        shelf: where codes are kept.
        beside: what else is in a package.
        image_of: what is published of a subject; the original image unless a control says otherwise.
    """

    name: str
    in_place = False

    def __init__(
        self, space: PublicCodec, shelf: CodeCache, beside: Beside = Beside(),
        image_of: Callable[[Subject], Image] = original,
    ) -> None:  # fmt: skip
        self.space: PublicCodec = space
        self.shelf = shelf
        self.beside = beside
        self.image_of = image_of

    def code_of(self, subject: Subject) -> SparseCode:
        """The true code of what is published of a subject."""
        return self.shelf.code(self.space, self.image_of(subject))

    def bucket_of(self, subject: Subject) -> Bucket:
        """Public size class of what is published of a subject."""
        return Bucket.of(*self.image_of(subject).pixels.shape)

    def codes(self, code: SparseCode) -> list[tuple[Section, SparseCode]]:
        """The codes of the sections that a code is published in."""
        if not self.space.preview:
            return [(Section.CODE, code)]
        base, main = parted(code)
        return [(Section.PREVIEW, base), (Section.CODE, main)]

    def observation(
        self, subject: Subject, key: bytes, lengths: Mapping[Section, int], maps: Sequence[Shown], stream: bytes
    ) -> Observation:
        """What is seen of a package whose code sections have these lengths and contents; the rest is added here."""
        every = dict(lengths) | self._lengths_beside(subject)
        order = [section for section in Section if section in every]
        place = int.from_bytes(derive(key, b"medveil/audit/place")[:4], "big") / (1 << 32)
        return Observation(
            self.bucket_of(subject), tuple(maps), stream, tuple(every[section] for section in order), place,
            tuple(commit(section_key(key, section)) for section in order),
        )  # fmt: skip

    def _lengths_beside(self, subject: Subject) -> dict[Section, int]:
        """Identity takes one step of its grid, which `medveil share` chooses so that all of the first share do."""
        image = self.image_of(subject)
        record = records(image, bytes(32))[0]
        packed = canonical.dumps([image.source.kind.value, image.bits_stored, record])
        found = {
            Section.IMAGE: len(padding.to_grid(packed, self.beside.grids[0], TAG_BYTES)) + TAG_BYTES,
            Section.IDENTITY: self.beside.grids[1],
        }
        if self.beside.exact:
            found[Section.EXACT] = padded_bytes(self.shelf.exact_bytes(self.space, image))
        if self.beside.file_bytes is not None:
            found[Section.FILE] = padded_bytes(self.beside.file_bytes(subject))
        return found


class Released(Mechanism, Protocol):
    """A mechanism that packages of a release are published by."""

    @property
    def space(self) -> PublicCodec: ...

    def view(self, package: Package) -> tuple[tuple[Shown, ...], bytes]:
        """Maps and stream, as everybody sees them in a package."""
        ...


class Sealed(Protection):
    """Level `sealed`: see `medveil.protection.sealing`."""

    name = "sealed"

    def publish(self, subject: Subject, key: bytes) -> Published:
        code, bucket = self.code_of(subject), self.bucket_of(subject)
        publics, lengths = [], {}
        for (section, part), shape in zip(self.codes(code), self.shapes(code, bucket), strict=True):
            publics.append(self.seal(part, shape, section_key(key, section)))
            lengths[section] = public_bytes(shape)
        maps, stream = _seen(publics)
        return Published(self.observation(subject, key, lengths, maps, stream), code, key)

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        """The code under this key. Another key than the one of publication gives garbage, or is refused."""
        maps, stream, codes = observation.maps, observation.stream, []
        for section, shape in zip(self._sections(), self.shapes_of(observation), strict=True):
            count, size = len(shape.maps), shape.level_bytes
            public = PublicCode(tuple(_public(each) for each in maps[:count]), stream[:size])
            codes.append(self.unseal(public, shape, section_key(key, section)))
            maps, stream = maps[count:], stream[size:]
        return codes[0] if len(codes) == 1 else joined(codes[0], codes[1])

    def view(self, package: Package) -> tuple[tuple[Shown, ...], bytes]:
        shapes = self.space.compositions(package.header.bucket)
        pairs = zip(self._sections(), shapes, strict=True)
        return _seen([PublicCode.from_bytes(package.sections[section], shape) for section, shape in pairs])

    def shapes(self, code: SparseCode, bucket: Bucket) -> tuple[Composition, ...]:
        """Composition of each section that a code of this bucket is sealed in: independent of the code."""
        return self.space.compositions(bucket)

    def shapes_of(self, observation: Observation) -> tuple[Composition, ...]:
        """The same, from what is seen."""
        return self.space.compositions(observation.bucket)

    def seal(self, code: SparseCode, shape: Composition, key: bytes) -> PublicCode:
        """One sealed section."""
        return seal(code, shape, key)

    def unseal(self, public: PublicCode, shape: Composition, key: bytes) -> SparseCode:
        """The inverse of `seal`."""
        return unseal(public, shape, key)

    def _sections(self) -> tuple[Section, ...]:
        return (Section.PREVIEW, Section.CODE) if self.space.preview else (Section.CODE,)


class Encrypted(Protection):
    """Level `encrypted`: codes of free length, padded in steps of 3 per cent, under an AEAD."""

    name = "encrypted"

    def publish(self, subject: Subject, key: bytes) -> Published:
        code = self.code_of(subject)
        sealed = {
            section: encrypt(self.padded(entropy.pack(part)), section_key(key, section), associated(section))
            for section, part in self.codes(code)
        }
        lengths = {section: len(data) for section, data in sealed.items()}
        return Published(self.observation(subject, key, lengths, (), b"".join(sealed.values())), code, key)

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        sections = (Section.PREVIEW, Section.CODE) if self.space.preview else (Section.CODE,)
        stream, codes = observation.stream, []
        for section, size in zip(sections, observation.lengths, strict=False):
            plain = decrypt(stream[:size], section_key(key, section), associated(section))
            codes.append(entropy.unpack(self.unpadded(plain), max_cells(observation.bucket, self.space.codec)))
            stream = stream[size:]
        return codes[0] if len(codes) == 1 else joined(codes[0], codes[1])

    def view(self, package: Package) -> tuple[tuple[Shown, ...], bytes]:
        sections = (Section.PREVIEW, Section.CODE) if self.space.preview else (Section.CODE,)
        return (), b"".join(package.sections[section] for section in sections)

    def padded(self, packed: bytes) -> bytes:
        """A packed code as it is encrypted."""
        return padding.to_steps(packed)

    def unpadded(self, plain: bytes) -> bytes:
        """The inverse of `padded`."""
        return padding.remove(plain)


class Obfuscated(Protection):
    """Level `obfuscated`: true entries among decoys, see `medveil.protection.ambiguation`.

    Args:
        decoys: S_n, as of `ambiguate`.
    """

    name = "obfuscated"
    in_place = True

    def __init__(
        self, space: PublicCodec, shelf: CodeCache, beside: Beside = Beside(),
        image_of: Callable[[Subject], Image] = original, decoys: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(space, shelf, beside, image_of)
        self.decoys = decoys

    def publish(self, subject: Subject, key: bytes) -> Published:
        code = self.code_of(subject)
        public, secret = ambiguate(code, self.space.vector_length, self.decoys, self.decoy_stream(key))
        plain = padding.to_steps(secret)
        stream = encrypt(plain, section_key(key, Section.SUPPORT), associated(Section.SUPPORT))
        lengths = {Section.CODE: len(public.to_bytes()), Section.SUPPORT: len(stream)}
        return Published(self.observation(subject, key, lengths, shown(public.code), stream), code, key)

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        plain = decrypt(observation.stream, section_key(key, Section.SUPPORT), associated(Section.SUPPORT))
        maps = tuple(CodeMap(each.cells, each.positions, each.values) for each in observation.maps)
        return purify(AmbiguatedCode(SparseCode(maps, b"")), padding.remove(plain))

    def view(self, package: Package) -> tuple[tuple[Shown, ...], bytes]:
        limit = max_cells(package.header.bucket, self.space.codec)
        public = AmbiguatedCode.from_bytes(package.sections[Section.CODE], limit)
        return shown(public.code), package.sections[Section.SUPPORT]

    def decoy_stream(self, key: bytes) -> Stream:
        """Where the decoys of a publication under this key are drawn from."""
        return Keystream(derive(key, b"medveil/audit/decoys"), "ambiguation")


def mechanism_of(
    manifest: Manifest, codec: Codec, *, window: Window, working: int, shelf: CodeCache | None = None,
    file_bytes: Callable[[Subject], int] | None = None,
) -> Released:  # fmt: skip
    """How the images of a release are published.

    Args:
        manifest: of the release.
        codec: of its profile.
        window, working: range and side of working pictures.
        shelf: where codes are kept; a new one by default.
        file_bytes: lengths of the original files, for a release that keeps them.
    """
    space = PublicCodec(
        codec, manifest.profile, fixed=manifest.protection == "sealed", preview=Tier.PREVIEW in manifest.tiers,
        window=window, working=working,
    )  # fmt: skip
    shelf = shelf or CodeCache()
    beside = Beside(manifest.grids, Tier.EXACT in manifest.tiers, file_bytes)
    if manifest.protection == "obfuscated":
        return Obfuscated(space, shelf, beside, decoys=manifest.decoys)
    return (Sealed if manifest.protection == "sealed" else Encrypted)(space, shelf, beside)


def observe(package: Package, entry: PackageEntry, place: float, mechanism: Released) -> Observation:
    """What everybody sees of a package of a release that `mechanism` published.

    Args:
        package: one that holds an image.
        entry: what the manifest says of it.
        place: 0 … 1, where it stands in the manifest.
        mechanism: of `mechanism_of`.

    Raises:
        IntegrityError: a code section is not one of this mechanism.
    """
    maps, stream = mechanism.view(package)
    lengths = tuple(length for _, length in package.header.sections)
    return Observation(package.header.bucket, maps, stream, lengths, place, entry.commitments)


def code_of(package: Package, ring: KeyRing, mechanism: Released) -> SparseCode:
    """The true code of a package of a release, in the form of `PublicCodec.code`.

    Raises:
        IntegrityError: the ring doesn't open it.
    """
    space = mechanism.space
    opened = open_codes(package, ring, space.profile, mechanism.name, space.codec)
    if opened.main is None or (space.preview and opened.preview is None):
        raise IntegrityError("these keys do not open the code of a package")
    return opened.main if opened.preview is None else joined(opened.preview, opened.main)


def section_key(key: bytes, section: Section) -> bytes:
    """Key of one section of a simulated package."""
    return derive(key, b"medveil/audit/section/" + section.value.encode())


def associated(section: Section) -> bytes:
    """Associated data of an encrypted section of a simulated package, which has no header to bind."""
    return b"medveil/audit/" + section.value.encode()


def padded_bytes(size: int) -> int:
    """Length of an encrypted section of so many bytes, padded in steps."""
    return len(padding.to_steps(bytes(size))) + TAG_BYTES


def shown(code: SparseCode) -> tuple[Shown, ...]:
    """A code as it stands, for everybody to see."""
    return tuple(Shown(each.cells, each.positions, each.levels) for each in code.maps)


def _seen(publics: Sequence[PublicCode]) -> tuple[tuple[Shown, ...], bytes]:
    maps = tuple(
        Shown(each.cells, each.positions, np.where(each.signs, -1, 1).astype(np.int32))
        for public in publics
        for each in public.maps
    )
    return maps, b"".join(public.levels for public in publics)


def _public(each: Shown) -> PublicMap:
    return PublicMap(each.cells, each.positions, each.values < 0)
