"""OwnerBook: what the owner alone keeps with a release, signed and wrapped for herself as `owner.age`.

It names the settings and the recipients, so that running `share` again can tell whether it is the same request. It is
signed because an age file says nothing of who wrote it: without a signature, whoever can write to the storage could
slip in a book of her own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from medveil.codecs.code import Profile
from medveil.errors import IntegrityError, MedveilError, NoFittingKeyError
from medveil.files import canonical
from medveil.files.atomic import write_bytes
from medveil.files.reading import read_regular
from medveil.keys.grants import Grant, open_grant, seal_grant, unwrap, wrap
from medveil.keys.identity import Identity, Recipient, signature_fits
from medveil.keys.tiers import ReleaseKeys
from medveil.releases.identity import read_dictionary

BOOK = "owner.age"
_CONTEXT = b"medveil/v1/owner-book"
_MAX_BOOK = 1 << 24
MAX_GRANT_FILE = 1 << 16


@dataclass(frozen=True)
class GrantNote:
    """One recipient as the owner knows her: age recipient, whether she sees identity, and the grant's id."""

    age: str
    sees_identity: bool
    grant_id: bytes


@dataclass(frozen=True)
class OwnerBook:
    """Settings and recipients of a release.

    Attributes:
        release, epoch: the release that it belongs to.
        protection, profile, grids, decoys, embed: settings that every package of the release has in common.
        created: day, YYYY-MM-DD.
        limits: quality limits of the first share, see `ShareSettings.limits`.
        grants: who was granted what, the owner first.
    """

    release: bytes
    epoch: int
    protection: str
    profile: Profile
    grids: tuple[int, int]
    decoys: int
    embed: bool
    created: str
    limits: str
    grants: tuple[GrantNote, ...]

    def save(self, folder: Path, owner: Identity) -> None:
        p, grids = self.profile, list(self.grids)
        payload = canonical.dumps(
            [
                [self.release, self.epoch, self.protection, self.decoys, self.embed, self.created, self.limits, grids],
                [p.codec, p.quality_centidb, p.sparsity, p.deep, p.weights],
                [[note.age, note.sees_identity, note.grant_id] for note in self.grants],
            ]
        )
        body = canonical.dumps([payload, owner.sign(_CONTEXT, payload)])
        write_bytes(folder / BOOK, wrap(body, owner.recipient), overwrite=True)

    @classmethod
    def load(cls, folder: Path, owner: Identity) -> OwnerBook:
        """Read the book of a release. Raises NoFittingKeyError (another owner) or IntegrityError (changed)."""
        try:
            data = read_regular(folder / BOOK, limit=_MAX_BOOK, what="owner's notes")
        except FileNotFoundError:
            raise IntegrityError("owner.age is missing from the release", hint="restore it from a backup") from None
        try:
            payload, signature = canonical.loads(
                unwrap(data, owner, limit=_MAX_BOOK), what="owner's book", limit=_MAX_BOOK
            )
            head, profile, notes = canonical.loads(payload, what="owner's book", limit=_MAX_BOOK)
            release, epoch, protection, decoys, embed, created, limits, grids = head
            grants = tuple(GrantNote(*note) for note in notes)
        except NoFittingKeyError:
            raise NoFittingKeyError(
                f"key {owner.fingerprint} does not own this release", hint="name the owner's key with -i"
            ) from None
        except (TypeError, ValueError):
            raise IntegrityError("the owner's book does not have the fields of format 1") from None
        if not isinstance(signature, bytes) or not signature_fits(
            owner.recipient.verify_key, signature, _CONTEXT, payload
        ):
            raise IntegrityError("owner.age was not written by the owner", hint="restore it from a backup")
        return cls(
            release, epoch, protection, Profile(*profile), (grids[0], grids[1]), decoys, embed, created, limits, grants
        )


def write_grant(folder: Path, grant: Grant, recipient: Recipient, owner: Identity) -> None:
    """Store a grant under its random id."""
    path = folder / "grants" / f"{grant.grant_id.hex()}.age"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, seal_grant(grant, recipient, owner))


def find_grant(folder: Path, identity: Identity, owner_key: bytes, release: bytes) -> Grant:
    """The grant in a release that this identity opens.

    Raises:
        NoFittingKeyError: none is for it.
        IntegrityError: one opens, and its owner's signature or release does not fit.
    """
    refusal: MedveilError = NoFittingKeyError(
        f"key {identity.fingerprint} opens nothing in this release",
        hint="use the key that it was shared with, or ask the owner to share it with this one",
    )
    for path in sorted((folder / "grants").glob("*.age")):
        try:
            grant = open_grant(read_regular(path, limit=MAX_GRANT_FILE, what="grant"), identity, owner_key)
        except NoFittingKeyError:
            continue
        except FileNotFoundError:
            continue
        except IntegrityError as error:
            refusal = error  # somebody slipped it in; the true one may follow
            continue
        if grant.release == release:
            dictionary = read_dictionary(folder, release, grant.keys)
            return replace(grant, keys=replace(grant.keys, dictionary=dictionary))
        refusal = IntegrityError("a grant was made for another release", hint="get the release again from its owner")
    raise refusal


def full_keys(folder: Path, owner: Identity, release: bytes) -> ReleaseKeys:
    """The owner's own keys of her release."""
    return find_grant(folder, owner, owner.recipient.verify_key, release).keys
