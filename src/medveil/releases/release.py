"""Release: an opened folder, for those who work in Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medveil.codecs.code import Codec
from medveil.files.names import safe_relative
from medveil.images.image import Image
from medveil.keys.grants import Grant
from medveil.keys.identity import Identity, Recipient
from medveil.keys.tiers import Section
from medveil.releases import book, packing
from medveil.releases import manifest as manifests
from medveil.releases.manifest import Manifest, PackageEntry
from medveil.releases.packing import Attachment
from medveil.releases.stored import load_package, weights_path
from medveil.releases.verifying import VerifyResult, check_signer, verify


@dataclass(frozen=True)
class Opened:
    """One opened package.

    Attributes:
        package: its id.
        content: the image, or an attachment.
        path: relative path of the original; None for who was not granted identity.
        code_bytes: length of the package on disk.
    """

    package: bytes
    content: Image | Attachment
    path: PurePosixPath | None
    code_bytes: int


class Release:
    """A release folder whose manifest is signed by the owner key that it names.

    Args:
        folder: the release.
        owner: the owner that the caller expects; without one, the owner pinned at the first look is expected.
        pin: remember owner and state of this release for later looks.

    Raises:
        UsageError, IntegrityError, FormatVersionError: as `medveil.releases.verifying.verify`.
    """

    def __init__(self, folder: str | Path, *, owner: Recipient | None = None, pin: bool = True) -> None:
        self.folder = Path(folder)
        self._owner = owner
        stored = manifests.load(self.folder)
        self.signer_known = check_signer(stored, owner, pin=pin)
        self.manifest: Manifest = stored.manifest

    def __len__(self) -> int:
        return len(self.manifest.packages)

    def verify(self) -> VerifyResult:
        """Check every byte; see `medveil.releases.verifying.verify`."""
        return verify(self.folder, owner=self._owner)

    def grant_of(self, identity: Identity) -> Grant:
        """What `identity` may open. Raises NoFittingKeyError when nothing."""
        return book.find_grant(self.folder, identity, self.manifest.owner, self.manifest.release)

    def codec(self) -> Codec:
        """The codec of the release's profile, with embedded weights where it needs any."""
        return codec_of(self.folder, self.manifest)

    def open(self, identity: Identity) -> Iterator[Image]:
        """The images that `identity` may open, one after the other, in the order of their random ids.

        Raises:
            NoFittingKeyError: the release was not granted to it.
            IntegrityError: a package is damaged; raised when the iteration comes to it.
        """
        grant = self.grant_of(identity)
        codec = self.codec()
        for entry in self.manifest.packages:
            opened = self.open_package(entry, grant, codec)
            if opened is not None and isinstance(opened.content, Image):
                yield opened.content

    def open_package(self, entry: PackageEntry, grant: Grant, codec: Codec) -> Opened | None:
        """One package; None for an attachment that the grant does not open."""
        return open_package(self.folder, self.manifest, entry, grant, codec)


def codec_of(folder: Path, manifest: Manifest) -> Codec:
    """The codec of a release's profile, with embedded weights where it needs any."""
    from medveil.codecs.registry import codec_of_profile

    digest = manifest.profile.weights
    return codec_of_profile(manifest.profile, weights_path(folder, digest) if digest else None)


def open_package(folder: Path, manifest: Manifest, entry: PackageEntry, grant: Grant, codec: Codec) -> Opened | None:
    """One package of a release whose manifest was checked; None for an attachment that the grant does not open."""
    package = load_package(folder, entry, manifest)
    packing.check_commitments(package, entry, grant.keys)
    path = None
    if grant.keys.identity_key:
        origin, record = packing.open_identity(package, grant.keys)
        path = safe_relative(origin.path)
        if Section.ATTACHMENT in package.sections:
            return Opened(entry.package, Attachment(record), path, entry.length)
    elif Section.ATTACHMENT in package.sections:
        return None
    image = packing.unpack_image(package, grant.keys, manifest.profile, manifest.protection, codec)
    return Opened(entry.package, image, path, entry.length)
