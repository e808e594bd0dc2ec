"""The images of a release as a data set to train on, opened in memory, one by one, where they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medveil import images
from medveil.codecs.code import Codec
from medveil.errors import IntegrityError, MedveilError, MissingDependencyError, UsageError
from medveil.images.image import Image
from medveil.images.record import PATIENT_COLUMN
from medveil.keys.openers import Opener, load_opener
from medveil.keys.tiers import KeyRing, Section, Tier
from medveil.protection import padding
from medveil.releases.access import Access
from medveil.releases.label_file import Named, matched, read_rows
from medveil.releases.packages import unpacking
from medveil.releases.packages.package import PackageEntry, load_package
from medveil.releases.records import state as states
from medveil.releases.records.manifest import Manifest
from medveil.releases.release import Release, open_package
from medveil.releases.weights import codec_of

if TYPE_CHECKING:
    from torch import Tensor

    from medveil.training.release_dataset import Labels, OpenedImages


@dataclass
class ReleaseImages:
    """Images of a release by number, with the keys that open them; `Release.dataset` hands it to worker processes.

    Attributes:
        folder: the release, absolute.
        manifest: its manifest, without packages.
        entries: the packages that are images, in the order of the data set.
        ring: the keys.
        head: digest of the state in which the release was opened.
    """

    folder: Path
    manifest: Manifest
    entries: tuple[PackageEntry, ...]
    ring: KeyRing = field(repr=False)
    head: bytes
    _codec: Codec | None = field(repr=False, default=None)

    def __len__(self) -> int:
        return len(self.entries)

    def open(self, number: int) -> Image:
        """One image, its bytes compared with what the owner signed.

        Raises:
            IntegrityError: the package was changed, removed, or is damaged, or the release is of another state now.
        """
        try:
            return self._open(self.entries[number])
        except IntegrityError as error:
            raise self._changed() or error from None
        except (MemoryError, ArithmeticError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise IntegrityError(f"a package makes no sense ({type(error).__name__})") from None

    def _open(self, entry: PackageEntry) -> Image:
        if self._codec is None:
            self._codec = codec_of(self.folder, self.manifest, self.ring)
        opened = open_package(self.folder, self.manifest, entry, self.ring, self._codec)
        if opened is None or not isinstance(opened.content, Image):
            raise IntegrityError("a package does not hold the image that it held before")
        return opened.content

    def _changed(self) -> IntegrityError | None:
        """What to say where the owner has changed the release since it was opened; None where she has not."""
        try:
            if states.load(self.folder).ledger.digests[-1] == self.head:
                return None
        except (MedveilError, OSError):
            return None
        return IntegrityError(
            "the release was changed by its owner since this data set was made, and the package is not as it was",
            hint="make the data set again",
        )

    def __getstate__(self) -> dict[str, Any]:
        if get_spawning_popen() is None:
            raise UsageError(
                "what opens a release holds its keys, and is not pickled or copied but for a worker process"
            )
        return {**self.__dict__, "_codec": None}  # each process loads its own


def make_dataset(
    release: Release, identity: Opener | str | Path, labels: str | Path | None, *, target: str | None,
    tier: Tier | None, size: int | tuple[int, int] | None, transform: Callable[[Tensor], Any] | None,
    scaling: str, cache_bytes: int,
) -> OpenedImages:  # fmt: skip
    """See `Release.dataset`."""
    try:
        from medveil.training.release_dataset import OpenedImages
    except ImportError as error:
        if error.name and error.name.partition(".")[0] == "torch":
            raise MissingDependencyError(
                "a data set to train on needs torch", hint="pip install 'medveil[train]'"
            ) from None
        raise
    if tier is not None and tier not in list(Tier):
        raise UsageError(f"tier is one of {', '.join(Tier)}", hint="such as medveil.Tier.DIAGNOSTIC")
    sides = (size, size) if isinstance(size, int | float) else tuple(size) if isinstance(size, list | tuple) else size
    opener = load_opener(Path(identity)) if isinstance(identity, str | Path) else identity
    access = release.access_of(opener, None if tier is None else Tier(tier))
    ring = access.ring
    rows = read_rows(Path(labels), target) if labels is not None and target is not None else None
    entries, named = _images(release, access, paths=rows is not None)
    if not entries:
        raise UsageError("this key opens no image of the release")
    if labels is None and target is not None:
        rows = _own_rows(named, target)
    described: Labels | None = None
    if rows is not None and target is not None:
        chosen, described = _labelled(*rows, named, target)
        entries, named = [entries[place] for place in chosen], [named[place] for place in chosen]
    source = ReleaseImages(
        Path(os.path.abspath(release.folder)), replace(release.manifest, packages=()), tuple(entries),
        ring, release.ledger.digests[-1],
    )  # fmt: skip
    return OpenedImages(
        source, [one.package for one in named], described, size=sides,  # type: ignore[arg-type]
        transform=transform, scaling=scaling, cache_bytes=cache_bytes,
    )  # fmt: skip


def _own_rows(named: Sequence[Named], target: str) -> tuple[list[dict[str, str]], str] | None:
    """The labels that came with the images, as the rows of a labels file; None where none have any."""
    columns = sorted({name for image in named for name in image.labels})
    if not columns:
        return None
    if target not in columns:
        raise UsageError(
            f"the images of this release have no label {target!r}",
            hint=f"they have {', '.join(columns)}: name one with target=, or target=None for images without labels",
        )
    rows = [{"package": image.package} | {name: image.labels.get(name, "") for name in columns} for image in named]
    if all(image.patient for image in named if target in image.labels):
        rows = [row | {PATIENT_COLUMN: image.patient} for row, image in zip(rows, named, strict=True)]
    return rows, "package"


def _images(release: Release, access: Access, *, paths: bool) -> tuple[list[PackageEntry], list[Named]]:
    """The packages that are images and that the ring opens, with their labels, and with their paths where they are
    wanted and it sees them.

    Every package is read and compared with the manifest, so that damage shows before a training has begun.
    """
    entries, named, ring = [], [], access.ring
    for entry in release.manifest.packages:
        if ring.packages is not None and entry.package not in ring.packages:
            continue
        package = load_package(release.folder, entry, release.manifest)
        if Section.ATTACHMENT in package.sections or ring.find(package.header.place(Section.IMAGE)) is None:
            continue
        unpacking.check_commitments(package, entry, ring)
        path = ""
        if paths and unpacking.sees_identity(package, ring):
            path = unpacking.open_identity(package, ring)[0].path
        entries.append(entry)
        kind, _, record = unpacking.image_record(padding.remove(unpacking.decrypted(package, Section.IMAGE, ring)))
        source = images.Source(kind, record)
        patient = images.patient_of(source, access.uid_key)
        named.append(Named(entry.package.hex(), path, images.labels_of(source), patient))
    return entries, named


def _labelled(
    rows: list[dict[str, str]], column: str, images: Sequence[Named], target: str
) -> tuple[list[int], Labels]:
    """Which images have a label, and what the rows say of those."""
    from medveil.training.release_dataset import Labels

    found = matched(rows, column, images)
    known = {place: rows[number] for place, number in enumerate(found) if number is not None}
    chosen = [place for place, row in known.items() if row[target]]
    if not chosen:
        sees = any(image.path for image in images)
        raise UsageError(
            f"none of the {len(rows)} rows of the labels file gives a label to an image that this key opens",
            hint="its column "
            + (f"{column!r} names paths as `medveil list` shows them, or package ids" if sees else
               f"{column!r} must name package ids: this key does not see paths. Somebody who does can replace them"),
        )  # fmt: skip
    classes = sorted({known[place][target] for place in chosen})
    numbers = {name: number for number, name in enumerate(classes)}
    patients = tuple(known[place].get(PATIENT_COLUMN, "") for place in chosen)
    if any(patients) and not all(patients):
        raise UsageError(
            f"{patients.count('')} labelled images have a row without a patient",
            hint=f"fill in {PATIENT_COLUMN}, or leave the column out",
        )
    return chosen, Labels(
        targets=tuple(numbers[known[place][target]] for place in chosen),
        classes=tuple(classes),
        rows=tuple(known[place] for place in chosen),
        patients=patients if all(patients) else (),
        unlabelled=len(images) - len(chosen),
        unknown_rows=len(rows) - len(known),
    )
