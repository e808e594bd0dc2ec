"""Release: an opened folder, for those who work in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medveil.codecs.code import Codec
from medveil.codecs.coding import Coding
from medveil.errors import NoFittingKeyError, UsageError
from medveil.images.image import Image
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.keys.tiers import KeyRing, Tier
from medveil.releases.access import Access, find_access
from medveil.releases.packages.package import PackageEntry, load_package
from medveil.releases.packages.unpacking import Opened, PackageReader
from medveil.releases.records.ledger import Ledger
from medveil.releases.records.manifest import Manifest
from medveil.releases.records.open_record import is_open
from medveil.releases.verifying import VerifyResult, check_signer, load_checked, verify
from medveil.releases.weights import codec_of

if TYPE_CHECKING:
    from torch import Tensor

    from medveil.training.release_dataset import OpenedImages


class Release:
    """A release folder whose manifest is signed by the owner key that it names.

    Args:
        folder: the release.
        owner: the owner that the caller expects; without one, the owner pinned at the first look is expected.
        head: sha256 of a ledger entry that the release must contain, in hexadecimal digits, or empty.
        pin: remember owner and state of this release for later looks, as `pin()` does.

    Raises:
        UsageError, IntegrityError, FormatVersionError: as `medveil.releases.verifying.verify`.

    >>> [image.bits_stored for image in Release(release).open(alice)]
    [8, 8]
    """

    def __init__(
        self, folder: str | Path, *, owner: Recipient | None = None, head: str = "", pin: bool = False
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        self._owner, self._head = owner, head
        is_open(self.folder)  # one that is both is refused
        state, self.signer = load_checked(self.folder, owner, head=head)
        self.manifest: Manifest = state.manifest
        self.ledger: Ledger = state.ledger
        if pin:
            self.pin()

    def __len__(self) -> int:
        return len(self.manifest.packages)

    def __repr__(self) -> str:
        """What everybody can see; neither the folder, whose name may be a patient's, nor anything that a key opens."""
        head, tiers = self.ledger.head, ", ".join(tier.value for tier in self.manifest.tiers)
        doubt = f", in the place of another {self.signer.replaced}'s" if self.signer.replaced else ""
        return (
            f"<Release {self.manifest.release.hex()[:8]}: {len(self)} packages, {self.manifest.protection}, "
            f"tiers {tiers}, entry {head.number} of {head.day}, founded by {self.manifest.owner_fingerprint} "
            f"({self.signer.words}{doubt})>"
        )

    @property
    def signer_known(self) -> bool:
        """Whether somebody vouches for the founder: the caller, who named her or a head, or the pin."""
        return self.signer.vouched

    def pin(self) -> None:
        """Remember owner and state of this release: later looks on this machine expect this owner, and no older state.

        Looking at a release does not do so; `verify` does where all is sound. Where a later state was remembered since
        this look, that one stays.
        """
        check_signer(self.ledger, self.folder, self._owner, head=self._head, pin=True, again=True)

    def verify(self) -> VerifyResult:
        """Check every byte; see `medveil.releases.verifying.verify`."""
        return verify(self.folder, owner=self._owner, head=self._head)

    def access_of(self, identity: Opener, tier: Tier | None = None) -> Access:
        """What `identity` may open.

        Args:
            identity: who opens.
            tier: use its keys for this tier and lower ones only; for the best that they open where it is None.

        Raises:
            NoFittingKeyError: nothing, or not at that tier.
            UsageError: the release has no such tier.
            RefusedError: `identity` is a certificate's, and nobody vouches for the founder; see `find_access`.
        """
        access = find_access(self.folder, self.ledger, self.manifest, identity, vouched=self.signer.vouched)
        if tier is None:
            return access
        if access.ring.tier.rank > tier.rank:
            raise NoFittingKeyError(
                f"key {identity.fingerprint} opens this release up to tier {access.ring.tier.value}, not {tier.value}",
                hint="name a lower tier, or none; the owner can grant a better one",
            )
        if tier not in self.manifest.tiers:
            names = ", ".join(each.value for each in self.manifest.tiers)
            raise UsageError(f"the release has no tier {tier.value}; it has {names}", hint="name one of these, or none")
        return replace(access, ring=access.ring.lowered(tier))

    def codec(self, ring: KeyRing | None = None) -> Codec:
        """The codec of the release's profile, with embedded weights where it needs any; sealed ones need a ring."""
        return codec_of(self.folder, self.manifest, ring)

    def open(self, identity: Opener, *, tier: Tier | None = None) -> Iterator[Image]:
        """The images that `identity` may open, one after the other, in the order of their random ids.

        Args:
            identity: who opens.
            tier: open at this tier; at the best that the identity may open where it is None.

        Raises:
            NoFittingKeyError: the release was not granted to it, or not at that tier.
            IntegrityError: a package is damaged; raised when the iteration comes to it.
        """
        ring = self.access_of(identity, tier).ring
        codec = self.codec(ring)
        for entry in self.manifest.packages:
            opened = self.open_package(entry, ring, codec)
            if opened is not None and isinstance(opened.content, Image):
                yield opened.content

    def dataset(
        self, identity: Opener | str | Path, *, labels: str | Path | None = None, target: str | None = "label",
        tier: Tier | None = None, size: int | tuple[int, int] | None = None,
        transform: Callable[[Tensor], Any] | None = None, scaling: str = "range", cache_bytes: int = 1 << 30,
    ) -> OpenedImages:  # fmt: skip
        """The images that `identity` may open as a torch data set: opened in memory, in DataLoader workers too.

        Item i is `(image, target)` with labels, else `image`: see `medveil.training.release_dataset.OpenedImages`.

        Args:
            identity: who opens, or its key file, which must not be under a passphrase.
            labels: a CSV file with a header. The column `package`, `image`, `path`, `file`, `filename` or `original`
                names the image: by its path, as `medveil list` shows it, for an identity that sees names, or by the id
                of its package for every identity. With a column `patient_id`, `.patients` and `.split()` work. Images
                without a label are left out; `.labels` has their number, and that of rows of no image. Without a file,
                the labels that were shared with the images count, and pseudonyms of their patients where they travel;
                where there are no labels at all, all images are in.
            target: the column that is learned; its values, sorted, are the classes. None: no labels are asked for.
            tier: open at this tier; at the best that the identity may open where it is None.
            size: (height, width), or both in one number: images are resized to it, bilinear with antialiasing; their
                aspect ratio changes. A batch needs images of one size, from here or from `transform`.
            transform: applied to each image, float32 (1, height, width), in the worker. One that is random must draw
                from torch, whose seed differs in each worker.
            scaling: `range` for 0 … 1 over the range of the image's depth, `modality` for units such as HU.
            cache_bytes: how much of the opened pixels is kept in memory; 0 for nothing. 1 GiB is 5000 images of
                448 x 448 at 8 bits. Shared by all workers on Linux, for each of them elsewhere.

        Raises:
            NoFittingKeyError: the release was not granted to the identity, or not at that tier.
            UsageError: it opens no image, or the labels file has no row of any; a value that is not allowed.
            IntegrityError: a package was changed. Later on also from the DataLoader.
            MissingDependencyError: torch is not installed.
        """
        from medveil.releases.dataset import make_dataset

        return make_dataset(
            self, identity, labels, target=target, tier=tier, size=size, transform=transform, scaling=scaling,
            cache_bytes=cache_bytes,
        )  # fmt: skip

    def open_package(self, entry: PackageEntry, ring: KeyRing, codec: Codec) -> Opened | None:
        """One package; None where the ring does not open it."""
        return open_package(self.folder, self.manifest, entry, ring, codec)


def open_package(folder: Path, manifest: Manifest, entry: PackageEntry, ring: KeyRing, codec: Codec) -> Opened | None:
    """One package of a release whose manifest was checked; None where the ring does not open it."""
    if ring.packages is not None and entry.package not in ring.packages:
        return None
    reader = PackageReader(load_package(folder, entry, manifest), manifest.level, Coding(codec, manifest.profile))
    return reader.open(entry, ring)
