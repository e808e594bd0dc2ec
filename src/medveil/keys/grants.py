"""Grant: keys of a release, wrapped for one recipient and signed by an owner.

Inside the wrap is canonical CBOR `[payload, signature, filler]`, where the payload names the release, epoch, tier and
recipient that it was made for. A grant of the whole release has one length, whatever it opens; one of some packages
grows with their number, in steps of 3 per cent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medveil.errors import KeyFileError
from medveil.files import canonical
from medveil.keys.identity import Identity
from medveil.keys.signatures import signature_fits
from medveil.keys.tiers import KEY_BYTES, EpochKeys, Section, Tier
from medveil.keys.wrapping import opens_nothing, wrap

if TYPE_CHECKING:
    from medveil.keys.openers import Opener
    from medveil.keys.recipients import Recipient

CONTEXT = b"medveil/v1/grant"
MAX_GRANT_BYTES = 640  # contract: of the whole release, whatever the number and size of the images (X25519)
MAX_OTHER_BYTES = 2560  # the same for every other kind of recipient
MAX_GRANT_FILE = 1 << 25  # of some packages
_FILLED = 344  # bytes inside the wrap: the length does not tell which tier, or who sees identity
_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})?")
_BYTES_AN_ITEM = 8


@dataclass(frozen=True)
class Grant:
    """What one recipient may open.

    Attributes:
        release: id of the release (16 bytes).
        epoch: the key epoch that it was made in.
        grant_id: 16 random bytes, also the file's name.
        keys: the epoch's keys; where `sections` are given, only what they say of tier and identity counts.
        uid_key: key of the new DICOM UIDs that this recipient gets: the same for one recipient and release.
        owner_key: what opens the owner's sections of the ledger (32 bytes), or empty for who is no owner.
        until: day that the owner means it to end, YYYY-MM-DD, or empty. Advisory: a key that was given stays given.
        sections: keys of single sections, for a grant of some packages.
        shared: keys of the release's sealed files, by name, for a grant of some packages.
    """

    release: bytes
    epoch: int
    grant_id: bytes
    keys: EpochKeys = field(repr=False)
    uid_key: bytes = field(repr=False)
    owner_key: bytes = field(repr=False, default=b"")
    until: str = ""
    sections: Mapping[tuple[bytes, Section], bytes] = field(repr=False, default_factory=dict)
    shared: Mapping[str, bytes] = field(repr=False, default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether it is of the whole release, later packages of the epoch included."""
        return bool(self.keys.tier_key)

    def payload(self, recipient: bytes) -> bytes:
        """The signed part, for a recipient of this digest."""
        sections = [[package, name.value, key] for (package, name), key in sorted(self.sections.items())]
        return canonical.dumps(
            [
                [self.release, self.epoch, self.grant_id, recipient, self.keys.tier.value, self.until],
                [self.keys.tier_key, self.keys.identity_key, self.owner_key, self.uid_key],
                sections,
                [[name, key] for name, key in sorted(self.shared.items())],
            ]
        )


def seal_grant(grant: Grant, recipient: Recipient, owner: Identity) -> bytes:
    """The wrapped grant for `recipient`.

    The age library adds a random-length greasing stanza, so it is written anew until it fits its limit.
    """
    from medveil.keys.recipients import Wrap

    payload = grant.payload(recipient.digest)
    body = _filled(payload, owner.sign(CONTEXT, payload))
    limit = MAX_GRANT_BYTES if recipient.wrap is Wrap.X25519 else MAX_OTHER_BYTES
    limit = limit if grant.is_whole else MAX_GRANT_FILE
    while True:
        sealed = wrap(body, recipient)
        if len(sealed) <= limit:
            return sealed


def open_grant(data: bytes, opener: Opener, owners: Iterable[bytes]) -> Grant:
    """Unwrap a grant. The caller has compared its bytes with the owner's signed digest before a secret key is used.

    Whoever founded the release chose those bytes, and the secret key works on them before anything in them is known to
    be an owner's. So nothing tells how far it came: not which step failed, nor that one succeeded.

    Args:
        data: the wrapped grant.
        opener: who opens it.
        owners: Ed25519 keys of the release's owners, as far as they are believed; see `access.find_access`.

    Raises:
        NoFittingKeyError: it is for somebody else, damaged, or nothing that an owner signed for this recipient; which
            is not told.
        KeyFileError: the opener's key file is damaged, or its passphrase another one; no data has been touched.
    """
    try:
        return _signed_grant(opener.unwrap(data, limit=MAX_GRANT_FILE), opener.recipient.digest, owners)
    except KeyFileError:
        raise
    except Exception:  # noqa: BLE001, S110 - no kind of failure is to be told from another
        pass
    raise opens_nothing(opener.fingerprint)


def _signed_grant(body: bytes, recipient: bytes, owners: Iterable[bytes]) -> Grant:
    """The grant in the content of its file. Raises whatever is first found wrong with it."""
    items = 1024 + len(body) // _BYTES_AN_ITEM
    payload, signature, filler = canonical.loads(body, what="grant", limit=MAX_GRANT_FILE, max_items=items)
    if not (isinstance(payload, bytes) and isinstance(signature, bytes) and isinstance(filler, bytes)):
        raise TypeError("frame")
    if filler.strip(b"\0") or not any(signature_fits(key, signature, CONTEXT, payload) for key in owners):
        raise ValueError("signature or filler")
    return _grant_of(canonical.loads(payload, what="grant", limit=MAX_GRANT_FILE, max_items=items), recipient)


def _grant_of(record: Any, recipient: bytes) -> Grant:
    (release, epoch, grant_id, named, tier, until), secrets, rows, files = record
    tier_key, identity_key, owner_key, uid_key = secrets
    if not all(isinstance(part, bytes) for part in (release, grant_id, named, *secrets)):
        raise TypeError("bytes")
    if type(rows) is not list or type(files) is not list:
        raise TypeError("lists")
    if [len(release), len(grant_id), len(uid_key)] != [16, 16, KEY_BYTES]:
        raise ValueError("lengths")
    if not all(len(key) in (0, KEY_BYTES) for key in secrets):
        raise ValueError("keys")
    if type(epoch) is not int or not 0 <= epoch < 1 << 32 or not _DAY.fullmatch(until) or named != recipient:
        raise ValueError("epoch, day or recipient")
    sections = {(_id(package), Section(name)): _key(key) for package, name, key in rows}
    shared = {str(name): _key(key) for name, key in files}
    if len(sections) != len(rows) or len(shared) != len(files) or bool(tier_key) == bool(sections):
        raise ValueError("neither whole nor of some packages")
    keys = EpochKeys(Tier(tier), tier_key, identity_key)
    return Grant(release, epoch, grant_id, keys, uid_key, owner_key, until, sections, shared)


def _id(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != 16:
        raise ValueError("id")
    return value


def _key(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != KEY_BYTES:
        raise ValueError("key")
    return value


def _filled(payload: bytes, signature: bytes) -> bytes:
    """The content of a grant, filled up to the next step; how long the filler's own CBOR head is does not show."""
    bare, length = len(canonical.dumps([payload, signature, b""])), _FILLED
    while True:
        for head in (0, 1, 2, 4):
            body = canonical.dumps([payload, signature, bytes(max(0, length - bare - head))])
            if len(body) == length:
                return body
        length += max(16, length // 32)
