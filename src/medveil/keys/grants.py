"""Grant: the keys of a release, wrapped by age for one recipient and signed by the owner.

On disk it is an age file; inside is canonical CBOR `[payload, signature, filler]`, where the payload names the
release, epoch, tier and recipient that it was made for. Its length depends neither on these nor on the images.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medveil.errors import IntegrityError, NoFittingKeyError
from medveil.files import canonical
from medveil.keys.identity import Identity, Recipient, signature_fits
from medveil.keys.tiers import KEY_BYTES, ReleaseKeys, Tier, hkdf

_CONTEXT = b"medveil/v1/grant"
MAX_GRANT_BYTES = 640  # contract: whatever the number and size of the images (X25519)
_LIMIT = 64 * 1024
_FILLED = 256  # payload and filler together: the length does not tell which tier, or who sees identity


@dataclass(frozen=True)
class Grant:
    """What one recipient may open.

    Attributes:
        release: id of the release (16 bytes).
        epoch: key epoch of the release.
        grant_id: 16 random bytes, also the file's name.
        keys: the keys it carries.
    """

    release: bytes
    epoch: int
    grant_id: bytes
    keys: ReleaseKeys = field(repr=False)

    @property
    def uid_key(self) -> bytes:
        """Key of the new DICOM UIDs that this recipient gets: stable within the release and recipient."""
        return hkdf(self.keys.tier_key, b"medveil/v1/uids\x00" + self.grant_id)


def seal_grant(grant: Grant, recipient: Recipient, owner: Identity) -> bytes:
    """The age file for `recipient`.

    The age library adds a random-length greasing stanza, so it is written anew until it fits MAX_GRANT_BYTES.
    """
    import pyrage
    from pyrage import x25519

    keys, age = grant.keys, recipient.age.encode()
    payload = canonical.dumps(
        [grant.release, grant.epoch, grant.grant_id, keys.tier.value, keys.tier_key, keys.identity_key, age]
    )
    signature = owner.sign(_CONTEXT, payload)
    body = canonical.dumps([payload, signature, bytes(_FILLED - len(payload))])
    while True:
        sealed = bytes(pyrage.encrypt(body, [x25519.Recipient.from_str(recipient.age)]))
        if len(sealed) <= MAX_GRANT_BYTES:
            return sealed


def open_grant(data: bytes, identity: Identity, owner_key: bytes) -> Grant:
    """Unwrap a grant.

    Raises:
        NoFittingKeyError: the age file is for somebody else.
        IntegrityError: it opens, and is not a grant that this owner signed for this recipient.
    """
    body = unwrap(data, identity)
    try:
        payload, signature, _ = canonical.loads(body, what="grant", limit=_LIMIT)
        if not (isinstance(payload, bytes) and isinstance(signature, bytes)):
            raise TypeError("frame")
        if not signature_fits(owner_key, signature, _CONTEXT, payload):
            raise ValueError("signature")
        return _grant_of(canonical.loads(payload, what="grant", limit=_LIMIT), identity.recipient)
    except (ValueError, TypeError, IntegrityError):
        raise IntegrityError(
            "a grant was not made by the owner of this release for this key",
            hint="ask the owner for the release again",
        ) from None


def _grant_of(fields: Any, recipient: Recipient) -> Grant:
    release, epoch, grant_id, tier, tier_key, identity_key, age = fields
    if not all(isinstance(part, bytes) for part in (release, grant_id, tier_key, identity_key, age)):
        raise TypeError("bytes")
    if [len(release), len(grant_id), len(tier_key)] != [16, 16, KEY_BYTES] or len(identity_key) not in (0, KEY_BYTES):
        raise ValueError("lengths")
    if type(epoch) is not int or not 0 <= epoch < 1 << 32 or not isinstance(tier, str):
        raise ValueError("epoch or tier")
    if age != recipient.age.encode():
        raise ValueError("recipient")
    return Grant(release, epoch, grant_id, ReleaseKeys(Tier(tier), tier_key, identity_key))


def wrap(data: bytes, recipient: Recipient) -> bytes:
    """`data` as an age file for one recipient."""
    import pyrage
    from pyrage import x25519

    return bytes(pyrage.encrypt(data, [x25519.Recipient.from_str(recipient.age)]))


def unwrap(data: bytes, identity: Identity, *, limit: int = _LIMIT) -> bytes:
    """Content of an age file. Raises NoFittingKeyError when it is damaged or for somebody else."""
    import pyrage
    from pyrage import x25519

    if len(data) > limit:
        raise IntegrityError(f"a wrapped key of {len(data)} bytes; {limit} at most are allowed")
    try:
        return bytes(pyrage.decrypt(data, [x25519.Identity.from_str(identity.age_secret)]))
    except pyrage.DecryptError:
        raise NoFittingKeyError(
            f"key {identity.fingerprint} opens nothing in this release",
            hint="use the key that it was shared with, or ask the owner to share it with this one",
        ) from None
