"""The protection levels of a release as mechanisms: what a stranger gets of an image, and what a key opens.

Images are published by the level objects that `medveil.releases.packages.packing` uses, under section keys and a stream
of decoys that are derived from one key of 32 bytes; so a simulated package can be drawn again, and is otherwise like a
real one: composition, section lengths, commitments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np

from medveil.codecs.code import Bucket, Budget, Codec, SparseCode
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError
from medveil.files import canonical
from medveil.images import records
from medveil.images.image import Image
from medveil.keys.tiers import SALT_BYTES, KeyRing, Section, Tier
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Shown, Subject
from medveil.mechanisms.public_codec import PublicCodec, joined, parted
from medveil.mechanisms.working_pictures import Window
from medveil.protection import padding
from medveil.protection.ambiguation import AmbiguatedCode
from medveil.protection.encrypting import TAG_BYTES, decrypt, encrypt
from medveil.protection.keystream import Keystream, Stream, commit, derive
from medveil.protection.levels import Encrypted, Level, Public
from medveil.protection.sealing import PublicCode, PublicMap, public_bytes
from medveil.releases.packages.package import Package, PackageEntry
from medveil.releases.packages.packing import bucket_room
from medveil.releases.packages.unpacking import PackageReader
from medveil.releases.records.manifest import Manifest
from medveil.releases.settings import RASTER_STEPS


@dataclass(frozen=True)
class Beside:
    """What lies beside the codes in every package of a release.

    Attributes:
        grids: (image, identity): those sections are padded to multiples of these bytes.
        exact: whether there is an exact tier.
        even: whether exact sections and files are padded to the room of their bucket, and not in steps.
        file_bytes: length of the original file of a subject, where the files travel along; else None.
    """

    grids: tuple[int, int] = RASTER_STEPS
    exact: bool = False
    even: bool = False
    file_bytes: Callable[[Subject], int] | None = None


class EncryptedInSteps(Encrypted):
    """Codes as long as they need, padded in steps of 3 per cent: as early versions of medveil encrypted them."""

    packed = False

    def budget(self, coding: Coding, bucket: Bucket) -> Budget | None:
        return None

    def padded(self, packed: bytes, coding: Coding, bucket: Bucket) -> bytes:
        return padding.to_steps(packed)

    def length(self, section: str, coding: Coding, bucket: Bucket) -> int | None:
        return None


def original(subject: Subject) -> Image:
    """The image as it came."""
    return subject.image


class Protection(Mechanism):
    """Publishing codes in packages, by a protection level; controls are other levels, or publish in other ways.

    Args:
        space: the codec; with codes of fixed composition for a level that needs them, else of free length. A level that
            keeps to a packed length has such codes in any case.
        cache: where codes are kept.
        beside: what else is in a package.
        image_of: what is published of a subject; the original image unless a control says otherwise.
        level: how codes are protected; a control has its own.
        name: as in reports; that of the level by default.
    """

    space: PublicCodec
    level: Level

    def __init__(
        self, space: PublicCodec, cache: CodeCache, beside: Beside = Beside(),
        image_of: Callable[[Subject], Image] = original, *, level: Level | None = None, name: str = "",
    ) -> None:  # fmt: skip
        self.space = space
        self.cache = cache
        self.beside = beside
        self.image_of = image_of
        if level is not None:
            self.level, self.name, self.in_place = level, name or level.name, level.in_place
            self.space = space.of_kind(packed=True) if level.packed else space

    def publish(self, subject: Subject, key: bytes) -> Observation:
        """See `Mechanism`."""
        protected = self.level.protect(
            dict(self.codes(self.code_of(subject))), self.space.coding, self.bucket_of(subject),
            partial(section_key, key), self.decoy_stream(key),
        )  # fmt: skip
        hidden = {
            section: encrypt(plain, section_key(key, section), associated(section))
            for section, plain in protected.plain.items()
        }
        lengths = {Section(section): _length(public) for section, public in protected.public.items()}
        lengths |= {Section(section): len(data) for section, data in hidden.items()}
        maps, masked = _seen(protected.public.values())
        return self.observation(subject, key, lengths, maps, masked + b"".join(hidden.values()))

    def open(self, observation: Observation, key: bytes) -> SparseCode | None:
        """The code under this key. Another key than the one of publication gives garbage, or is refused."""
        held = _held(observation, key, self)
        sections = (Section.PREVIEW, Section.CODE) if self.space.preview else (Section.CODE,)
        codes = [self.level.open(each, held, self.space.coding, observation.bucket) for each in sections]
        return codes[0] if len(codes) == 1 else joined(codes[0], codes[1])

    def view(self, package: Package) -> tuple[tuple[Shown, ...], bytes]:
        """Maps and stream, as everybody sees them in a package."""
        level, bucket = self.level, package.header.bucket
        data = {each: package.sections[Section(each)] for each in level.sections(preview=self.space.preview)}
        maps, masked = _seen([level.read(e, data[e], self.space.coding, bucket) for e in data if e in level.shown])
        return maps, masked + b"".join(data[each] for each in data if each not in level.shown)

    def decoy_stream(self, key: bytes) -> Stream:
        """Where the decoys of a publication under this key are drawn from."""
        return Keystream(derive(key, b"medveil/audit/decoys"), "ambiguation")

    def code_of(self, subject: Subject) -> SparseCode:
        """The true code of what is published of a subject."""
        return self.cache.code(self.space, self.image_of(subject))

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
            identifiers=(derive(key, b"medveil/audit/id")[:16], derive(key, b"medveil/audit/salt")[:SALT_BYTES]),
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
            found[Section.EXACT] = self._beside_code(self.cache.exact_bytes(self.space, image), subject)
        if self.beside.file_bytes is not None:
            found[Section.FILE] = self._beside_code(self.beside.file_bytes(subject), subject)
        return found

    def _beside_code(self, size: int, subject: Subject) -> int:
        """Length of an exact section, or a file, of so many bytes."""
        if not self.beside.even:
            return padded_bytes(size)
        room = bucket_room(self.space.profile, self.bucket_of(subject))
        return len(padding.to_grid(bytes(size), room, TAG_BYTES)) + TAG_BYTES


@dataclass(frozen=True)
class _Held:
    """The code sections of an observation, for who holds its key; see `medveil.protection.levels.Sections`."""

    publics: Mapping[str, Public]
    hidden: Mapping[str, bytes]
    level: Level
    secret: bytes = field(repr=False)

    def public(self, section: str) -> Public:
        return self.publics[section]

    def plain(self, section: str) -> bytes:
        return self.level.unpadded(decrypt(self.hidden[section], self.key(section), associated(section)))

    def key(self, section: str) -> bytes:
        return section_key(self.secret, section)


def _held(observation: Observation, key: bytes, mechanism: Protection) -> _Held:
    """The sections that an observation is made of, again."""
    level, space = mechanism.level, mechanism.space
    names = level.sections(preview=space.preview)
    publics: dict[str, Public] = {}
    hidden: dict[str, bytes] = {}
    maps, stream = iter(observation.maps), observation.stream
    shapes = iter(space.compositions(observation.bucket) if level.fixed else ())
    for section, length in zip(names, observation.lengths, strict=False):
        shape = next(shapes, None)
        if section not in level.shown:
            hidden[section], stream = stream[:length], stream[length:]
        elif shape is None:
            publics[section] = AmbiguatedCode(SparseCode(tuple(each.as_map for each in maps), b""))
        else:
            own = islice(maps, len(shape.maps))
            signs = tuple(PublicMap(each.cells, each.positions, each.values < 0) for each in own)
            publics[section] = PublicCode(signs, stream[: shape.level_bytes])
            stream = stream[shape.level_bytes :]
    return _Held(publics, hidden, level, key)


def mechanism_of(
    manifest: Manifest, codec: Codec, *, window: Window, working: int, cache: CodeCache | None = None,
    file_bytes: Callable[[Subject], int] | None = None, level: Level | None = None, even: bool = False,
) -> Protection:  # fmt: skip
    """How the images of a release are published.

    Args:
        manifest: of the release.
        codec: of its profile.
        window, working: range and side of working pictures.
        cache: where codes are kept; a new one by default.
        file_bytes: lengths of the original files, for a release that keeps them.
        level: of the release, where its packages are not as that level writes them now: `EncryptedInSteps`.
        even: as of `Beside`.
    """
    level = level or manifest.level
    space = PublicCodec(
        codec, manifest.profile, fixed=level.fixed, preview=Tier.PREVIEW in manifest.tiers, window=window,
        working=working,
    )  # fmt: skip
    beside = Beside(manifest.grids, Tier.EXACT in manifest.tiers, even, file_bytes)
    return Protection(space, cache or CodeCache(), beside, level=level)


def observe(package: Package, entry: PackageEntry, place: float, mechanism: Protection) -> Observation:
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
    header = package.header
    return Observation(
        header.bucket, maps, stream, lengths, place, entry.commitments, identifiers=(header.package, header.salt)
    )


def code_of(package: Package, ring: KeyRing, mechanism: Protection) -> SparseCode:
    """The true code of a package of a release, in the form of `PublicCodec.code`.

    Raises:
        IntegrityError: the ring doesn't open it.
    """
    space = mechanism.space
    opened = PackageReader(package, mechanism.level, space.coding).codes(ring)
    if opened.main is None or (space.preview and opened.preview is None):
        raise IntegrityError("these keys do not open the code of a package")
    return opened.main if opened.preview is None else joined(opened.preview, opened.main)


def section_key(key: bytes, section: str) -> bytes:
    """Key of one section of a simulated package."""
    return derive(key, b"medveil/audit/section/" + section.encode())


def associated(section: str) -> bytes:
    """Associated data of an encrypted section of a simulated package, which has no header to bind."""
    return b"medveil/audit/" + section.encode()


def padded_bytes(size: int) -> int:
    """Length of an encrypted section of so many bytes, padded in steps."""
    return len(padding.to_steps(bytes(size))) + TAG_BYTES


def shown(code: SparseCode) -> tuple[Shown, ...]:
    """A code as it stands, for everybody to see."""
    return tuple(map(Shown.of, code.maps))


def _length(public: Public) -> int:
    return public_bytes(public.composition) if isinstance(public, PublicCode) else len(public.to_bytes())


def _seen(publics: Iterable[Public]) -> tuple[tuple[Shown, ...], bytes]:
    """The maps of public codes, signs as -1 and 1, and their masked levels."""
    maps: list[Shown] = []
    masked = []
    for public in publics:
        if isinstance(public, PublicCode):
            signs = [np.where(each.signs, -1, 1).astype(np.int32) for each in public.maps]
            maps += [Shown(each.cells, each.positions, own) for each, own in zip(public.maps, signs, strict=True)]
            masked.append(public.levels)
        else:
            maps += shown(public.code)
    return tuple(maps), b"".join(masked)
