"""Access: what an identity may open in a release, from the grants that its ledger names."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medveil.errors import IntegrityError, KeyFileError, MedveilError, NoFittingKeyError, RefusedError
from medveil.files import canonical
from medveil.files.atomic import make_folder, write_bytes
from medveil.files.reading import read_regular
from medveil.keys.grants import MAX_GRANT_FILE, Grant, open_grant, seal_grant
from medveil.keys.identity import Identity
from medveil.keys.openers import Opener
from medveil.keys.recipients import Wrap
from medveil.keys.tiers import KEY_BYTES, EpochKeys, KeyRing, Tier, follow_link
from medveil.keys.wrapping import opens_nothing
from medveil.protection import padding
from medveil.protection.encrypting import decrypt, encrypt
from medveil.releases.records.ledger import GrantFile, Ledger
from medveil.releases.records.manifest import Manifest, SharedFile

_MAX_SHARED = 1 << 30
_MAX_DICTIONARY = 1 << 16  # zlib uses the last 2^15 bytes of one


@dataclass(frozen=True)
class Access:
    """What somebody may open.

    Attributes:
        ring: the keys.
        uid_key: key of the new DICOM UIDs that come out.
        owner_key: what opens the owners' notes, or empty.
        until: day that the owner means the access to end, or empty.
        warning: what is wrong with a further grant that may be for the same key and open more, or empty.
    """

    ring: KeyRing = field(repr=False)
    uid_key: bytes = field(repr=False)
    owner_key: bytes = field(repr=False, default=b"")
    until: str = ""
    warning: str = ""


def find_access(
    folder: Path, ledger: Ledger, manifest: Manifest, opener: Opener, *, vouched: bool = False
) -> Access:  # fmt: skip
    """All that an identity's grants in a release open.

    Every grant file is compared with the owner's signed digest before a secret key is used on it.

    Args:
        folder: the release.
        ledger, manifest: its records.
        opener: who opens.
        vouched: whether somebody vouches for the founder, see `pins.Signer`. The key of a certificate works for no
            other: a stranger's release would be questions to it, and each answer, or its time, a part of a secret.
            And of another's release only grants that she signed herself count: a stranger names as deputies whom she
            likes, and with a true grant that one of those made for her own release would have the key open, and answer
            for, whatever the stranger made of its packages.

    Raises:
        RefusedError: the key of a certificate, and a founder for whom nobody vouches.
        NoFittingKeyError: none is for it, whatever else is wrong with those that a secret key was used on.
        IntegrityError: one may be for it and is changed or missing, which everybody can see.
    """
    if opener.recipient.wrap is Wrap.CMS_RSA and not vouched:
        raise RefusedError(
            "the founder of this release is not known here, and the key of a certificate is not used on what a "
            "stranger may have made",
            hint="name the owner with --owner, and compare her fingerprint before",
        )
    believed = vouched or opener.recipient.verify_key == ledger.owners[0]
    refusal: MedveilError | None = None
    found: list[Grant] = []
    files = [file for file in ledger.grants if file.wrap is opener.recipient.wrap]
    for file in files:
        try:
            data = _signed_bytes(folder, file)
        except IntegrityError as error:
            refusal = error  # another one may be sound
            continue
        try:
            grant = open_grant(data, opener, ledger.owners if believed else ledger.owners[:1])
        except KeyFileError:
            raise
        except NoFittingKeyError:
            continue
        if (grant.release, grant.grant_id) == (manifest.release, file.grant_id):
            found.append(grant)  # another release's is passed over in silence too: it would tell for whom that one is
    if not found:
        raise refusal or opens_nothing(opener.fingerprint)
    warning = refusal.message if refusal else ""
    if not believed and not warning and any(file.grant_id in ledger.grants_of_deputies for file in files):
        warning = "grants that a deputy made count only where the founder is named with --owner"
    return replace(_access(folder, manifest, found), warning=warning)


def _access(folder: Path, manifest: Manifest, grants: list[Grant]) -> Access:
    """The keys of all grants together: of the whole release, and of packages that others open better."""
    grants = sorted(grants, key=lambda grant: (not grant.is_whole, grant.keys.tier.rank))
    ring = ring_of(grants, dict(manifest.links))
    ring = replace(ring, dictionary=read_dictionary(folder, manifest, ring))
    return Access(ring, grants[0].uid_key, grants[0].owner_key, grants[0].until)


def ring_of(grants: Sequence[Grant], links: Mapping[int, tuple[bytes, ...]]) -> KeyRing:
    """The keys of grants, the best of the whole release first; without the release's dictionary.

    Args:
        grants: one or more, of one release.
        links: the manifest's links from the keys of an epoch to those of the one before it.
    """
    first, sections = grants[0], {place: key for grant in grants for place, key in grant.sections.items()}
    return KeyRing(
        min((grant.keys.tier for grant in grants), key=lambda tier: tier.rank),
        bool(first.keys.identity_key) or any(section.needs_identity for _, section in sections),
        _epochs(first, links) if first.is_whole else {},
        sections,
        {name: key for grant in grants for name, key in grant.shared.items()},
    )


def recipients(ring: KeyRing, release: bytes, epoch: int, tiers: tuple[Tier, ...]) -> tuple[Access, ...]:
    """The access of recipients of every tier, with and without identity, by keys that went through a signed grant.

    Args:
        ring: the owner's keys.
        release, epoch: what is granted.
        tiers: those of the release.
    """
    name = release, epoch, tiers, ring.epochs[epoch], ring.dictionary
    if name not in _recipients:
        _recipients.clear()
        somebody = Identity.fresh(classical=True)
        owners = [somebody.recipient.verify_key]
        found = []
        for tier in tiers:
            for sees in (False, True):
                keys = ring.epochs[epoch].lowered(tier, identity=sees)
                grant = Grant(release, epoch, secrets.token_bytes(16), keys, secrets.token_bytes(KEY_BYTES))
                back = open_grant(seal_grant(grant, somebody.recipient, somebody), somebody, owners)
                dictionary = ring.dictionary if sees else b""
                found.append(Access(replace(ring_of([back], {}), dictionary=dictionary), back.uid_key))
        _recipients[name] = tuple(found)
    return _recipients[name]


_recipients: dict[Hashable, tuple[Access, ...]] = {}  # of this process: one, made once a release and epoch


def _epochs(grant: Grant, links: Mapping[int, tuple[bytes, ...]]) -> dict[int, EpochKeys]:
    """Keys of the grant's epoch and, along the links, of those before it."""
    epochs, epoch = {grant.epoch: grant.keys}, grant.epoch
    while epoch in links:
        epochs[epoch - 1] = follow_link(epochs[epoch], links[epoch], grant.release, epoch)
        epoch -= 1
    return epochs


def _signed_bytes(folder: Path, file: GrantFile) -> bytes:
    try:
        data = read_regular(folder / file.path, limit=MAX_GRANT_FILE, what="grant")
    except FileNotFoundError:
        raise IntegrityError("a grant that the ledger names is missing") from None
    if hashlib.sha256(data).digest() != file.sha256:
        raise IntegrityError("a grant was changed: its digest is not the signed one")
    return data


def dictionary_name(epoch: int) -> str:
    """Path of the identity dictionary that is sealed with the keys of this epoch."""
    return f"identity.{epoch}.dict"


def weights_name(digest: bytes, epoch: int) -> str:
    """Path of weights of this sha256 that are sealed with the keys of this epoch."""
    return f"weights/{digest.hex()}.{epoch}.sealed"


def write_shared(folder: Path, name: str, plain: bytes, release: bytes, epoch: int, ring: KeyRing) -> SharedFile:
    """Seal a file that the packages have in common, padded in 3 % steps, under keys that make it once."""
    key = ring.shared_key(release, epoch, name)
    if key is None:
        raise ValueError("these keys do not open that file")
    sealed = encrypt(padding.to_steps(plain), key, _associated(release, epoch, name))
    make_folder((folder / name).parent)
    write_bytes(folder / name, sealed, overwrite=True)
    return SharedFile(name, epoch, hashlib.sha256(sealed).digest())


def read_shared(folder: Path, file: SharedFile, manifest: Manifest, ring: KeyRing) -> bytes | None:
    """The inverse of write_shared; None where the ring does not open it. Raises IntegrityError where it was changed."""
    key = ring.shared_key(manifest.release, file.epoch, file.name)
    if key is None:
        return None
    try:
        limit = _MAX_DICTIONARY if file.name.startswith("identity.") else _MAX_SHARED
        data = read_regular(folder / file.name, limit=limit, what="sealed file")
    except FileNotFoundError:
        raise IntegrityError("a sealed file that the manifest names is missing") from None
    if hashlib.sha256(data).digest() != file.sha256:
        raise IntegrityError("a sealed file was changed: its digest is not the signed one")
    return padding.remove(decrypt(data, key, _associated(manifest.release, file.epoch, file.name)))


def read_dictionary(folder: Path, manifest: Manifest, ring: KeyRing) -> bytes:
    """What the identity sections have in common; empty where there is nothing, or the ring does not open identity."""
    file = next((file for file in manifest.shared if file.name.startswith("identity.")), None)
    return (read_shared(folder, file, manifest, ring) or b"") if file else b""


def _associated(release: bytes, epoch: int, name: str) -> bytes:
    return canonical.dumps(["medveil/v1/shared", release, epoch, name])
