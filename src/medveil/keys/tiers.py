"""The one-way chain of tier keys, and the key of every section of every package.

    T_exact -> T_diagnostic -> T_preview          each step HKDF-SHA256, so a tier opens the lower ones and no higher
    section key = HKDF-SHA256(T_tier, release, epoch, package, tier, section, salt)

Identity metadata has a root key of its own: nothing of it follows from any tier key.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum

import cbor2

KEY_BYTES = 32
SALT_BYTES = 16


class Tier(StrEnum):
    """How much of an image a key opens, best first."""

    EXACT = "exact"
    DIAGNOSTIC = "diagnostic"
    PREVIEW = "preview"


class Section(StrEnum):
    """The sealed parts of a package."""

    CODE = "code"
    SUPPORT = "support"
    IMAGE = "image"
    IDENTITY = "identity"
    ATTACHMENT = "attachment"

    @property
    def needs_identity(self) -> bool:
        """Whether its key follows from the identity root instead of a tier."""
        return self in (Section.IDENTITY, Section.ATTACHMENT)


@dataclass(frozen=True)
class ReleaseKeys:
    """What a grant carries.

    Attributes:
        tier: the best tier that it opens.
        tier_key: T of that tier (32 bytes).
        identity_key: root of the identity sections (32 bytes), or empty for who may not see them.
        dictionary: what the identity sections of the release have in common, to deflate and inflate them with.
    """

    tier: Tier
    tier_key: bytes = field(repr=False)
    identity_key: bytes = field(repr=False, default=b"")
    dictionary: bytes = field(repr=False, default=b"")

    @classmethod
    def fresh(cls) -> ReleaseKeys:
        """New keys for a release, from the operating system's randomness."""
        return cls(Tier.EXACT, secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES))

    def lowered(self, tier: Tier) -> ReleaseKeys:
        """The same keys, good for `tier` and lower ones only."""
        order = list(Tier)
        key = self.tier_key
        for step in order[order.index(self.tier) + 1 : order.index(tier) + 1]:
            key = hkdf(key, b"medveil/v1/tier/" + step.encode())
        return ReleaseKeys(tier, key, self.identity_key, self.dictionary)

    def without_identity(self) -> ReleaseKeys:
        return ReleaseKeys(self.tier, self.tier_key)


@dataclass(frozen=True)
class SectionPlace:
    """Where a section stands: all that its key depends on beside the release's secret."""

    release: bytes
    epoch: int
    package: bytes
    tier: Tier
    section: Section
    salt: bytes


def section_key(keys: ReleaseKeys, place: SectionPlace) -> bytes:
    """Key (32 bytes) of one section, used for that section only.

    Raises:
        ValueError: identity section asked of keys without identity, or a salt or id of the wrong length.
    """
    if len(place.salt) != SALT_BYTES or len(place.package) != 16 or len(place.release) != 16:
        raise ValueError("release, package and salt are 16 bytes each")
    root = keys.identity_key if place.section.needs_identity else keys.lowered(place.tier).tier_key
    if len(root) != KEY_BYTES:
        raise ValueError("these keys do not open that section")
    fields = [place.release, place.epoch, place.package, place.tier.value, place.section.value, place.salt]
    return hkdf(root, b"medveil/v1/section\x00" + cbor2.dumps(fields, canonical=True))


def hkdf(secret: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
