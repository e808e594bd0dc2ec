"""The protection levels of a release, as objects: Sealed, Encrypted, Obfuscated.

Who packs, opens, rotates, looks at and attacks a package uses the same object, so that what is attacked is what is
shipped. A level protects the codes of one image, each under the name of the section that it is written in: `PREVIEW`,
`CODE`, and `SUPPORT` for what a level writes beside them. It gets section keys and contents handed in, and wraps none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from medveil.codecs import entropy
from medveil.codecs.code import Bucket, Budget, Composition, SparseCode
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError
from medveil.images.intensity import grey
from medveil.protection import padding, sealing
from medveil.protection.ambiguation import AmbiguatedCode, ambiguate, purify
from medveil.protection.encrypting import TAG_BYTES
from medveil.protection.keystream import Keystream, Stream
from medveil.protection.sealing import PublicCode, public_bytes

PREVIEW, CODE, SUPPORT = "preview", "code", "support"
Public = PublicCode | AmbiguatedCode
"""What everybody may hold of one code."""


@dataclass(frozen=True)
class Protected:
    """The codes of one image, protected.

    Attributes:
        public: sections that are written as they are.
        plain: padded contents of sections that still go into an AEAD, each under its own key.
    """

    public: Mapping[str, Public] = field(default_factory=dict)
    plain: Mapping[str, bytes] = field(repr=False, default_factory=dict)


class Sections(Protocol):
    """The sections that the codes of one image are written in, for who holds their keys."""

    def public(self, section: str) -> Public:
        """The public code of a section."""
        ...

    def plain(self, section: str) -> bytes:
        """Content of an encrypted section, without its padding."""
        ...

    def key(self, section: str) -> bytes:
        """Key of a section."""
        ...


class Level(ABC):
    """One protection level.

    Attributes:
        name: as in manifests and on the command line.
        shown: sections that are written as public codes; all others are encrypted.
        fixed: whether codes fill the composition of their bucket.
        packed: whether codes keep to the packed length of their bucket. Those of neither kind are as long as they need.
        tiered: whether its images may have more than the diagnostic tier.
        in_place: whether entries are shown in their own cells of the code.
        decoys: decoys a code vector or map, 0 for as many as true entries; None for a level that has none.
    """

    name: ClassVar[str]
    shown: ClassVar[frozenset[str]] = frozenset()
    fixed: ClassVar[bool] = False
    packed: ClassVar[bool] = False
    tiered: ClassVar[bool] = True
    in_place: ClassVar[bool] = False
    decoys: int | None = None

    def sections(self, *, preview: bool) -> tuple[str, ...]:
        """The sections that it writes, in the order of the file, of images with or without a preview."""
        return (PREVIEW, CODE) if preview else (CODE,)

    def locked_by(self, section: str) -> str:
        """The section whose key opens the code of this one."""
        return section

    def clear(self, section: str) -> bool:
        """Whether everybody reads what is in a section: it has no length that says nothing, and no uniform bytes."""
        return section in self.shown and not self.fixed

    def budget(self, coding: Coding, bucket: Bucket) -> Budget | None:
        """What a code is to fill; None where it has the length that it needs."""
        return coding.composition(bucket) if self.fixed else None

    @abstractmethod
    def protect(
        self, codes: Mapping[str, SparseCode], coding: Coding, bucket: Bucket, key: Callable[[str], bytes],
        stream: Stream | None = None,
    ) -> Protected:  # fmt: skip
        """Protect the codes of one image.

        Args:
            codes: of the image, by section.
            coding: of the release.
            bucket: of the image.
            key: key of a section; never that of an earlier image.
            stream: where decoys are drawn from; None for the operating system, as in every release.
        """

    @abstractmethod
    def open(self, section: str, sections: Sections, coding: Coding, bucket: Bucket) -> SparseCode:
        """The code of a section.

        Raises:
            IntegrityError: what is there is no code of this level and bucket.
        """

    def read(self, section: str, data: bytes, coding: Coding, bucket: Bucket) -> Public:
        """The public code of one of the `shown` sections.

        Raises:
            IntegrityError: the bytes are none of this bucket.
        """
        raise IntegrityError(f"a package of level {self.name} has no public {section} section")

    def reseal(
        self, section: str, data: bytes, coding: Coding, bucket: Bucket, key: bytes, new_key: bytes
    ) -> bytes:  # fmt: skip
        """One of the `shown` sections under another key, which gives nobody a second look at one code."""
        return data

    def length(self, section: str, coding: Coding, bucket: Bucket) -> int | None:
        """The one length of a section of this bucket; None where its length is that of its padding, or its own."""
        return None

    @abstractmethod
    def public_view(self, data: bytes, coding: Coding, bucket: Bucket) -> NDArray[np.uint8]:
        """The picture (H, W) that a stranger makes of a code section, in 8-bit grey values."""

    def unpadded(self, plain: bytes) -> bytes:
        """The content of an encrypted section."""
        return padding.remove(plain)


@dataclass(frozen=True)
class Sealed(Level):
    """Codes of one composition a bucket, permuted and masked: see `medveil.protection.sealing`."""

    name = "sealed"
    shown = frozenset({PREVIEW, CODE})
    fixed = True
    streams: ClassVar[type[Keystream]] = Keystream

    def protect(
        self, codes: Mapping[str, SparseCode], coding: Coding, bucket: Bucket, key: Callable[[str], bytes],
        stream: Stream | None = None,
    ) -> Protected:  # fmt: skip
        public = {}
        for section, code in codes.items():
            shape = self.shape(section, code, coding, bucket)
            public[section] = sealing.seal_with(code, shape, partial(self.streams, key(section)))
        return Protected(public)

    def shape(self, section: str, code: SparseCode, coding: Coding, bucket: Bucket) -> Composition:
        """What a code of this bucket is sealed in: the same for every code."""
        return coding_of(section, coding).composition(bucket)

    def open(self, section: str, sections: Sections, coding: Coding, bucket: Bucket) -> SparseCode:
        public = sections.public(section)
        if not isinstance(public, PublicCode):
            raise IntegrityError("a sealed section is no public code")
        return sealing.unseal_with(public, public.composition, partial(self.streams, sections.key(section)))

    def read(self, section: str, data: bytes, coding: Coding, bucket: Bucket) -> PublicCode:
        return PublicCode.from_bytes(data, coding_of(section, coding).composition(bucket))

    def reseal(
        self, section: str, data: bytes, coding: Coding, bucket: Bucket, key: bytes, new_key: bytes
    ) -> bytes:  # fmt: skip
        public = self.read(section, data, coding, bucket)
        return sealing.reseal(public, public.composition, key, new_key).to_bytes()

    def length(self, section: str, coding: Coding, bucket: Bucket) -> int | None:
        return public_bytes(coding_of(section, coding).composition(bucket)) if section in self.shown else None

    def public_view(self, data: bytes, coding: Coding, bucket: Bucket) -> NDArray[np.uint8]:
        from medveil.protection import rendering

        return _stretched(rendering.sealed_pixels(self.read(CODE, data, coding, bucket), coding, bucket))


@dataclass(frozen=True)
class Encrypted(Level):
    """Codes in an AEAD, of one length for all images of a bucket: the encoder keeps to it, as it does for `Sealed`."""

    name = "encrypted"
    packed = True

    def budget(self, coding: Coding, bucket: Bucket) -> Budget | None:
        return self.room(coding, bucket) - 1  # the mark of the padding

    def room(self, coding: Coding, bucket: Bucket) -> int:
        """Length of a padded code: one of the steps that other sections are padded in."""
        return padding.step_of(coding.packed_bytes(bucket))

    def protect(
        self, codes: Mapping[str, SparseCode], coding: Coding, bucket: Bucket, key: Callable[[str], bytes],
        stream: Stream | None = None,
    ) -> Protected:  # fmt: skip
        return Protected(plain={
            section: self.padded(entropy.pack(code), coding_of(section, coding), bucket)
            for section, code in codes.items()
        })  # fmt: skip

    def padded(self, packed: bytes, coding: Coding, bucket: Bucket) -> bytes:
        """What is to be encrypted of a code, at the one length that it may have.

        Raises:
            ValueError: the code didn't keep to its budget.
        """
        return padding.to_length(packed, self.room(coding, bucket))

    def length(self, section: str, coding: Coding, bucket: Bucket) -> int | None:
        if section not in (PREVIEW, CODE):
            return None
        return self.room(coding_of(section, coding), bucket) + TAG_BYTES

    def open(self, section: str, sections: Sections, coding: Coding, bucket: Bucket) -> SparseCode:
        return entropy.unpack(sections.plain(section), coding_of(section, coding).max_cells(bucket))

    def public_view(self, data: bytes, coding: Coding, bucket: Bucket) -> NDArray[np.uint8]:
        """The bytes, row after row, since there is no code to decode."""
        picture = np.zeros(bucket.height * bucket.width, np.uint8)
        shown = np.frombuffer(data[: picture.size], np.uint8)
        picture[: shown.size] = shown
        return picture.reshape(bucket.height, bucket.width)


@dataclass(frozen=True)
class Obfuscated(Level):
    """True entries among decoys, and in an AEAD which they are: see `medveil.protection.ambiguation`."""

    name = "obfuscated"
    shown = frozenset({CODE})
    tiered = False
    in_place = True
    decoys: int = 0

    def sections(self, *, preview: bool) -> tuple[str, ...]:
        return (CODE, SUPPORT)

    def locked_by(self, section: str) -> str:
        return SUPPORT

    def protect(
        self, codes: Mapping[str, SparseCode], coding: Coding, bucket: Bucket, key: Callable[[str], bytes],
        stream: Stream | None = None,
    ) -> Protected:  # fmt: skip
        public, support = ambiguate(codes[CODE], coding.codec.vector_length, self.decoys, stream)
        return Protected({CODE: public}, {SUPPORT: padding.to_steps(support)})

    def open(self, section: str, sections: Sections, coding: Coding, bucket: Bucket) -> SparseCode:
        support = sections.plain(SUPPORT)
        public = sections.public(section)
        if not isinstance(public, AmbiguatedCode):
            raise IntegrityError("an obfuscated section is no public code")
        return purify(public, support)

    def read(self, section: str, data: bytes, coding: Coding, bucket: Bucket) -> AmbiguatedCode:
        if section not in self.shown:
            raise IntegrityError(f"a package of an obfuscated release has a {section}")
        return AmbiguatedCode.from_bytes(data, coding.max_cells(bucket))

    # A code is resealed as it is: other decoys would show by intersection which are true.

    def public_view(self, data: bytes, coding: Coding, bucket: Bucket) -> NDArray[np.uint8]:
        from medveil.protection import rendering

        return _stretched(rendering.ambiguated_pixels(self.read(CODE, data, coding, bucket), coding, bucket))


LEVELS: Mapping[str, Callable[..., Level]] = {each.name: each for each in (Sealed, Encrypted, Obfuscated)}


def level_of(name: str, decoys: int = 0) -> Level:
    """The level of a name.

    Args:
        name: one of `LEVELS`.
        decoys: see `Level`; a level that has none ignores them.
    """
    make = LEVELS[name]
    return make() if make().decoys is None else make(decoys)


def coding_of(section: str, coding: Coding) -> Coding:
    """The coding of a section: that of previews, or the release's."""
    return coding.preview if section == PREVIEW else coding


def _stretched(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    return grey(pixels, (float(pixels.min()), float(pixels.max()))).astype(np.uint8)
