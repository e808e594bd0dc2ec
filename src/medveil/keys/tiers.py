"""The one-way chain of tier keys, the epochs of a release, and the key of every section of every package.

    T_exact -> T_diagnostic -> T_preview          each step HKDF-SHA256, so a tier opens the lower ones and no higher
    section key = HKDF-SHA256(root, release, epoch, package, tier, section, salt)

The root of a section is the key of its tier; identity metadata has a root of its own, of which nothing follows from any
tier key; the original file needs both. Every epoch has fresh keys. A link in the manifest leads from the keys of an
epoch to those of the one before it, tier by tier, and never the other way.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import cbor2

from medveil.errors import IntegrityError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY_BYTES = 32
SALT_BYTES = 16


class Tier(StrEnum):
    """How much of an image a key opens, best first.

    >>> [str(tier) for tier in Tier], Tier("exact").rank
    (['exact', 'diagnostic', 'preview'], 0)
    """

    EXACT = "exact"
    DIAGNOSTIC = "diagnostic"
    PREVIEW = "preview"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return list(Tier).index(self)


class Section(StrEnum):
    """The sealed parts of a package, in the order of the file."""

    PREVIEW = "preview"
    CODE = "code"
    SUPPORT = "support"
    EXACT = "exact"
    IMAGE = "image"
    FILE = "file"
    IDENTITY = "identity"
    ATTACHMENT = "attachment"

    @property
    def tier(self) -> Tier | None:
        """The lowest tier that opens it; None where identity alone does."""
        return _TIERS[self]

    @property
    def needs_identity(self) -> bool:
        """Whether the identity root enters its key."""
        return self in (Section.FILE, Section.IDENTITY, Section.ATTACHMENT)


_TIERS: Mapping[Section, Tier | None] = {
    Section.PREVIEW: Tier.PREVIEW,
    Section.CODE: Tier.DIAGNOSTIC,
    Section.SUPPORT: Tier.DIAGNOSTIC,
    Section.EXACT: Tier.EXACT,
    Section.IMAGE: Tier.PREVIEW,
    Section.FILE: Tier.EXACT,
    Section.IDENTITY: None,
    Section.ATTACHMENT: None,
}


@dataclass(frozen=True)
class EpochKeys:
    """The keys of one epoch, as far as somebody has them.

    Attributes:
        tier: the best tier that they open.
        tier_key: T of that tier (32 bytes).
        identity_key: root of the identity sections (32 bytes), or empty for who may not see them.
    """

    tier: Tier
    tier_key: bytes = field(repr=False)
    identity_key: bytes = field(repr=False, default=b"")

    @classmethod
    def fresh(cls) -> EpochKeys:
        """New keys that open everything, from the operating system's randomness."""
        return cls(Tier.EXACT, secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES))

    def tier_key_of(self, tier: Tier) -> bytes | None:
        """T of a tier; None where these keys are of a lower one."""
        if tier.rank < self.tier.rank:
            return None
        key = self.tier_key
        for step in list(Tier)[self.tier.rank + 1 : tier.rank + 1]:
            key = hkdf(key, b"medveil/v1/tier/" + step.encode())
        return key

    def lowered(self, tier: Tier, *, identity: bool = True) -> EpochKeys:
        """The same keys, good for `tier` and lower ones only, and without identity where it is False."""
        tier = max(tier, self.tier, key=lambda each: each.rank)
        return EpochKeys(tier, self.tier_key_of(tier) or b"", self.identity_key if identity else b"")

    def root(self, section: Section) -> bytes | None:
        """What the keys of such sections are derived from; None where these keys do not open them."""
        if section.needs_identity and not self.identity_key:
            return None
        if section.tier is None:
            return self.identity_key
        tier_key = self.tier_key_of(section.tier)
        if tier_key is None or not section.needs_identity:
            return tier_key
        return hkdf(tier_key + self.identity_key, b"medveil/v1/tier-and-identity")


@dataclass(frozen=True)
class SectionPlace:
    """Where a section stands: all that its key depends on beside the release's secret."""

    release: bytes
    epoch: int
    package: bytes
    section: Section
    salt: bytes


@dataclass(frozen=True)
class KeyRing:
    """All keys that somebody has of one release.

    Attributes:
        tier: the best tier that they open.
        sees_identity: whether they open identity metadata.
        epochs: keys of every epoch, for who may open the whole release.
        sections: keys of single sections, by package and section, for who may open some packages.
        shared: keys of the release's sealed files, by name, for who may open some packages.
        dictionary: what the identity sections of the release have in common, to deflate and inflate them with.
    """

    tier: Tier
    sees_identity: bool
    epochs: Mapping[int, EpochKeys] = field(repr=False, default_factory=dict)
    sections: Mapping[tuple[bytes, Section], bytes] = field(repr=False, default_factory=dict)
    shared: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    dictionary: bytes = field(repr=False, default=b"")

    @classmethod
    def whole(cls, epochs: Mapping[int, EpochKeys]) -> KeyRing:
        """The ring of a grant of the whole release; all epochs' keys are of one tier."""
        latest = epochs[max(epochs)]
        return cls(latest.tier, bool(latest.identity_key), epochs)

    def lowered(self, tier: Tier) -> KeyRing:
        """The same ring, used for `tier` and lower ones only."""
        lowest = max(tier, self.tier, key=lambda each: each.rank)
        epochs = {epoch: keys.lowered(lowest) for epoch, keys in self.epochs.items()}
        kept = {place: key for place, key in self.sections.items() if (place[1].tier or lowest).rank >= lowest.rank}
        return replace(self, tier=lowest, epochs=epochs, sections=kept)

    @cached_property
    def packages(self) -> frozenset[bytes] | None:
        """The packages that it opens; None for all."""
        return None if self.epochs else frozenset(package for package, _ in self.sections)

    def find(self, place: SectionPlace) -> bytes | None:
        """Key (32 bytes) of one section, used for that section only; None where this ring does not open it."""
        if len(place.salt) != SALT_BYTES or len(place.package) != 16 or len(place.release) != 16:
            raise ValueError("release, package and salt are 16 bytes each")
        keys = self.epochs.get(place.epoch)
        root = keys.root(place.section) if keys is not None else None
        if root is None:
            return self.sections.get((place.package, place.section))
        tier = place.section.tier.value if place.section.tier else "identity"
        fields = [place.release, place.epoch, place.package, tier, place.section.value, place.salt]
        return hkdf(root, b"medveil/v1/section\x00" + cbor2.dumps(fields, canonical=True))

    def key(self, place: SectionPlace) -> bytes:
        """As `find`. Raises ValueError where this ring does not open the section."""
        found = self.find(place)
        if found is None:
            raise ValueError("these keys do not open that section")
        return found

    def shared_key(self, release: bytes, epoch: int, name: str) -> bytes | None:
        """Key of one of the release's sealed files; None where this ring does not open it.

        What begins with `identity.` needs identity, and the rest (weights) is for everybody who opens anything.
        """
        keys = self.epochs.get(epoch)
        root = keys.root(Section.IDENTITY if name.startswith("identity.") else Section.PREVIEW) if keys else None
        info = b"medveil/v1/shared\x00" + cbor2.dumps([release, epoch, name], canonical=True)
        return hkdf(root, info) if root else self.shared.get(name)


def make_link(newer: EpochKeys, older: EpochKeys, release: bytes, epoch: int) -> tuple[bytes, ...]:
    """The keys of the epoch before `epoch`, each under the one of `epoch` of the same tier, and identity last.

    ChaCha20-Poly1305 with the nonce zero: the keys of an epoch are fresh, and make one link.
    """
    pairs = [(newer.tier_key_of(tier), older.tier_key_of(tier)) for tier in Tier]
    pairs.append((newer.identity_key, older.identity_key))
    return tuple(
        _link_cipher(key or b"", release, epoch, number).encrypt(bytes(12), former or b"", None)
        for number, (key, former) in enumerate(pairs)
    )


def follow_link(newer: EpochKeys, link: tuple[bytes, ...], release: bytes, epoch: int) -> EpochKeys:
    """The keys of the epoch before `epoch`. Raises IntegrityError for a link that these keys do not open."""
    from cryptography.exceptions import InvalidTag

    def opened(key: bytes, number: int) -> bytes:
        return _link_cipher(key, release, epoch, number).decrypt(bytes(12), link[number], None)

    try:
        tier_key = opened(newer.tier_key, newer.tier.rank)
        identity_key = opened(newer.identity_key, len(Tier)) if newer.identity_key else b""
    except (InvalidTag, IndexError):
        raise IntegrityError("the link to the keys of an earlier epoch does not open") from None
    return EpochKeys(newer.tier, tier_key, identity_key)


def _link_cipher(key: bytes, release: bytes, epoch: int, number: int) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    info = b"medveil/v1/link\x00" + cbor2.dumps([release, epoch, number], canonical=True)
    return ChaCha20Poly1305(hkdf(key, info))


def hkdf(secret: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
