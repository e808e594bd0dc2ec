"""ShareSettings: one request to `share`, and the release-wide choices that follow from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from medveil.codecs.code import Profile
from medveil.errors import MedveilError, TargetExistsError, UsageError
from medveil.images.image import FileKind
from medveil.keys.identity import Identity, Recipient
from medveil.releases.book import OwnerBook

PROTECTIONS = ("sealed", "encrypted", "obfuscated")
DEFAULT_QUALITY_DB = 40.0
QUALITY_RANGE_DB = (30.0, 50.0)
RASTER_GRIDS = (64, 128)  # bytes; a picture's record and name fit into one or two steps
DICOM_GRIDS = (1024, 4096)  # bytes; contract.md: identity to 4 KiB


@dataclass(frozen=True)
class ShareSettings:
    """What the owner asked for.

    Attributes:
        to: recipients of the images.
        identity: those of them who see names, dates and the other identity metadata as well.
        protection: sealed, encrypted or obfuscated.
        codec: a registered name, or a folder that `medveil train` wrote.
        quality: target in dB, or None for the default.
        sparsity: nonzeros a code vector (primis), or None.
        decoys: decoys a code vector or map (obfuscated), 0 for as many as true nonzeros.
        min_quality: dB below which an image counts as failed, or None.
        max_rmse: RMSE in stored values above which an image counts as failed, or None.
        attach: files and folders that travel with the images, opened with identity only.
        add: extend a release that is there.
        embed: put the codec's weights into the release.
        jobs: worker processes; 0 for one a core.
        dry_run: read everything, write nothing.
    """

    to: tuple[Recipient, ...] = ()
    identity: tuple[Recipient, ...] = ()
    protection: str = "sealed"
    codec: str = "lapped"
    quality: float | None = None
    sparsity: int | None = None
    decoys: int = 0
    min_quality: float | None = None
    max_rmse: float | None = None
    attach: tuple[Path, ...] = ()
    add: bool = False
    embed: bool = True
    jobs: int = 0
    dry_run: bool = False

    def check(self) -> None:
        """Raises UsageError where the request contradicts itself."""
        if self.protection not in PROTECTIONS:
            near = get_close_matches(self.protection, PROTECTIONS, n=1)
            raise UsageError(
                f"unknown protection {self.protection!r}; there are {', '.join(PROTECTIONS)}",
                hint=f"did you mean {near[0]}?" if near else "",
            )
        receiving = {recipient.age for recipient in self.to}
        if any(recipient.age not in receiving for recipient in self.identity):
            raise UsageError(
                "--identity names a recipient who is not granted the images", hint="name the same file with --to too"
            )
        if self.quality is not None and self.sparsity is not None:
            raise UsageError("--quality and --sparsity are two ways to ask for the same; give one")
        if self.quality is not None and not QUALITY_RANGE_DB[0] <= self.quality <= QUALITY_RANGE_DB[1]:
            low, high = QUALITY_RANGE_DB
            raise UsageError(f"--quality {self.quality:g} dB; {low:g} to {high:g} dB are possible")
        if self.decoys and self.protection != "obfuscated":
            raise UsageError(f"--decoys has a meaning with --protection obfuscated only, not {self.protection}")
        if self.jobs < 0:
            raise UsageError(f"--jobs {self.jobs}; 1 or more are possible, 0 means one a core")

    @property
    def workers(self) -> int:
        return self.jobs or os.cpu_count() or 1

    def check_same(self, book: OwnerBook, owner: Identity) -> None:
        """Raises TargetExistsError when a release or unfinished share was made with other settings."""
        asked: dict[str, object] = {"protection": self.protection, "codec": _codec_name(self.codec)}
        found: dict[str, object] = {"protection": book.protection, "codec": book.profile.codec}
        if self.sparsity is not None:
            asked["sparsity"], found["sparsity"] = self.sparsity, book.profile.sparsity
        elif book.profile.quality_centidb:
            asked["quality"], found["quality"] = _centidb(self.quality), book.profile.quality_centidb
        if self.protection == "obfuscated":
            asked["decoys"], found["decoys"] = self.decoys, book.decoys
        if self.to or not self.add:
            seeing = {r.age for r in self.identity}
            mine = owner.recipient.age
            asked["recipients"] = {r.age: r.age in seeing for r in self.to if r.age != mine}
            found["recipients"] = {note.age: note.sees_identity for note in book.grants if note.age != mine}
        other = [name for name in asked if asked[name] != found[name]]
        if other:
            raise TargetExistsError(
                f"it was begun with other settings ({', '.join(other)})",
                hint="share into a new folder, or repeat the settings of the first time; an unfinished share can be "
                "dropped by deleting the folder that ends in .partial",
            )


def survey(paths: list[Path]) -> tuple[bool, bool]:
    """(whether an input has more than 8 bits, whether one is DICOM), reading no further than it takes to know."""
    from medveil import images

    deep = dicom = False
    for path in paths:
        if deep and dicom:
            break
        try:
            image = images.read(path)
        except MedveilError:
            continue  # it will be reported as failed when its turn comes
        deep |= image.bits_stored > 8
        dicom |= image.source.kind is FileKind.DICOM
    return deep, dicom


def choose_profile(settings: ShareSettings, *, deep: bool) -> Profile:
    """The release's one profile."""
    from medveil.codecs.registry import get_codec

    codec = get_codec(settings.codec)
    return codec.profile(quality_centidb=_centidb(settings.quality), sparsity=settings.sparsity, deep=int(deep))


def choose_grids(*, dicom: bool) -> tuple[int, int]:
    """Padding of image and identity sections: fine steps where all inputs are plain pictures, 4 KiB with DICOM.

    contract.md pads identity to 4 KiB. A picture's identity is a path of some ten bytes, and 4 KiB a picture would
    cost 0.26 bits per pixel on the reference set; so a release that begins with pictures only takes steps of 128
    bytes. That a release holds DICOM is then visible for the release as a whole, for no single package of it.
    """
    return DICOM_GRIDS if dicom else RASTER_GRIDS


def _centidb(quality: float | None) -> int:
    return round(100 * (DEFAULT_QUALITY_DB if quality is None else quality))


def _codec_name(codec: str) -> str:
    from medveil.codecs.registry import get_codec

    return get_codec(codec).name
