"""Grant: the keys of a release, wrapped by age for one recipient and signed by the owner.

On disk it is an age file; inside is canonical CBOR `[payload, signature]`, where the payload names the release, epoch,
tier and recipient that it was made for. Its length does not depend on the number or size of the images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cbor2

from medveil.errors import IntegrityError, NoFittingKeyError
from medveil.keys.identity import Identity, Recipient, signature_fits
from medveil.keys.tiers import KEY_BYTES, ReleaseKeys, Tier, hkdf

_CONTEXT = b"medveil/v1/grant"
MAX_GRANT_BYTES = 640  # contract: whatever the number and size of the images (X25519)
_LIMIT = 64 * 1024


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
    payload = cbor2.dumps(
        [grant.release, grant.epoch, grant.grant_id, keys.tier.value, keys.tier_key, keys.identity_key, age],
        canonical=True,
    )
    body = cbor2.dumps([payload, owner.sign(_CONTEXT, payload)], canonical=True)
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
        payload, signature = cbor2.loads(body)
        release, epoch, grant_id, tier, tier_key, identity_key, age = cbor2.loads(payload)
        keys = ReleaseKeys(Tier(tier), tier_key, identity_key)
        sound = [len(release), len(grant_id), len(tier_key)] == [16, 16, KEY_BYTES] and len(identity_key) in (0, 32)
        sound = sound and isinstance(epoch, int) and age == identity.recipient.age.encode()
        sound = sound and cbor2.dumps([payload, signature], canonical=True) == body
    except (ValueError, TypeError, cbor2.CBORError):
        sound = False
    if not sound or not signature_fits(owner_key, signature, _CONTEXT, payload):
        raise IntegrityError(
            "a grant was not made by the owner of this release for this key",
            hint="ask the owner for the release again",
        )
    return Grant(release, epoch, grant_id, keys)


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
