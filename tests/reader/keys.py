"""docs/format.md, keys: tiers, links between epochs, keys of sections and of sealed files."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from tests.reader import keystream
from tests.reader.refusal import RefusedError
from tests.reader.shapes import encode

TIERS = ("exact", "diagnostic", "preview")
IDENTITY = 3  # R stands after the keys of the tiers

Roots = list[bytes | None]
"""T_exact, T_diagnostic, T_preview and R of one epoch; None what is not known."""


def verify(key: bytes, context: str, stored: bytes, signature: bytes) -> bool:
    """Whether the holder of the Ed25519 key signed these bytes in this context."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, context.encode("ascii") + b"\0" + stored)
    except (InvalidSignature, ValueError):
        return False
    return True


def roots(tier: str, tier_key: bytes, identity_root: bytes) -> Roots:
    """What follows from the key of a tier, and R where it is not empty."""
    found: Roots = [None] * 4
    found[TIERS.index(tier)] = tier_key
    found[IDENTITY] = identity_root or None
    return _descend(found)


def earlier(known: Roots, link: list[bytes], release: bytes, epoch: int) -> Roots:
    """The roots of the epoch before this one, through this one's link."""
    found: Roots = []
    for number, (key, wrapped) in enumerate(zip(known, link, strict=True)):
        if key is None:
            found.append(None)
            continue
        wrapping = keystream.derive(key, b"medveil/v1/link\0" + encode([release, epoch, number]))
        try:
            found.append(ChaCha20Poly1305(wrapping).decrypt(bytes(12), wrapped, None))
        except InvalidTag:
            raise RefusedError("a link does not authenticate") from None
    return _descend(found)


def root_of(section: str, tier: str, known: Roots) -> bytes | None:
    """The root that a section's key comes from."""
    if section == "file":
        exact, identity = known[0], known[IDENTITY]
        if exact is None or identity is None:
            return None
        return keystream.derive(exact + identity, b"medveil/v1/tier-and-identity")
    return known[IDENTITY] if tier == "identity" else known[TIERS.index(tier)]


def section_key(root: bytes, place: list[int | bytes | str]) -> bytes:
    """Place: release, epoch, package, tier, section, salt."""
    return keystream.derive(root, b"medveil/v1/section\0" + encode(place))


def shared_key(known: Roots, release: bytes, epoch: int, path: str) -> bytes | None:
    """The key of a sealed file."""
    root = known[IDENTITY] if path.startswith("identity.") else known[TIERS.index("preview")]
    if root is None:
        return None
    return keystream.derive(root, b"medveil/v1/shared\0" + encode([release, epoch, path]))


def _descend(found: Roots) -> Roots:
    """Each tier's key gives the next tier's."""
    for place, tier in enumerate(TIERS[1:], 1):
        above = found[place - 1]
        if above is not None:
            found[place] = keystream.derive(above, f"medveil/v1/tier/{tier}".encode("ascii"))
    return found
