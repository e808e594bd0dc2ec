"""Inputs of a share: found, told apart by their content, and packed one by one into the staging folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from medveil.codecs.code import Codec
from medveil.errors import (
    MedveilError,
    QualityError,
    UnreadableInputError,
    UnsupportedInputError,
    UsageError,
)
from medveil.files.atomic import make_folder, write_bytes
from medveil.files.walk import NO_SUCH_FILE, Found, find_files
from medveil.images import Image, Instance
from medveil.keys.tiers import Section
from medveil.releases.packages.origin import Origin
from medveil.releases.packages.package import Package, PackageEntry
from medveil.releases.packages.packing import Fidelity, PackingPlan, entry_of, pack_attachment, pack_image, varying
from medveil.releases.packages.unpacking import MAX_FILE
from medveil.releases.settings import codec_for
from medveil.releases.workers import INPUT_ERRORS, Failure
from medveil.releases.writing.staging import Instances, stamp, stamp_of

REPEATS = (
    "another input has the same SOP Instance UID and other content; both are kept, this one opens under a UID of its "
    "own, and references to that UID mean the other one"
)
LOW_MARGIN_DB = 3.0  # contract: images that far below the target are listed


@dataclass(frozen=True)
class Input:
    """One input that is to become a package.

    Attributes:
        number: its number in messages (#1, #2 …).
        path: where it is.
        relative: its path as it will be restored.
        sha256: digest of the file.
        attached: whether it travels as a file instead of as an image.
        repeats: whether its SOP Instance UID is also that of an earlier input of other content.
        labels: labels that travel with its pixels, as (name, value).
        patient: whose image it is, where a labels file says so, or empty.
    """

    number: int
    path: Path
    relative: str
    sha256: bytes
    attached: bool = False
    repeats: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    patient: str = ""

    @property
    def identity(self) -> tuple[str, bytes, bool]:
        """Which input it is. A file may be shared as an image and travel as an attachment too."""
        return self.relative, self.sha256, self.attached


@dataclass(frozen=True)
class Packer:
    """What packing every input needs; see `done_by_workers`.

    Attributes:
        plan: settings and keys of the release.
        staging: where the packages go.
        codec: name or folder of the codec; weights: those that the release brings along, if any.
        min_quality, max_rmse, burned_in: see `ShareSettings`.
    """

    plan: PackingPlan
    staging: Path
    codec: str
    weights: bytes | None = field(repr=False, default=None)
    min_quality: float | None = None
    max_rmse: float | None = None
    burned_in: str = "warn"


@dataclass(frozen=True)
class Packed:
    """What became of an input; `varying` are the sections of its package whose length tells something of it."""

    input: Input
    entry: PackageEntry | None = None
    fidelity: Fidelity | None = None
    low: bool = False
    varying: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None


def list_inputs(
    inputs: list[Path], attach: list[Path], skip: list[Path]
) -> tuple[list[Input], list[Failure], int]:  # fmt: skip
    """Images and attachments below these paths, those that cannot be read, and how many are not meant to be.

    Args:
        inputs: files and folders of images.
        attach: of attachments.
        skip: what is passed over.

    Raises:
        UsageError: the inputs hold no files.
    """
    images, attachments = find_files(inputs, skip=skip), find_files(attach, skip=skip)
    if not images.files:
        raise UsageError("nothing to share: the inputs hold no files", hint="name image files, or folders of them")
    found, failed = [], []
    marked = [(file, False) for file in images.files] + [(file, True) for file in attachments.files]
    for number, (file, attached) in enumerate(marked, start=1):
        failure, digest = _digest(file)
        if failure is None:
            found.append(Input(number, file.path, file.relative.as_posix(), digest, attached))
        else:
            failed.append(_failure_of(number, file, failure, attach if attached else inputs))
    return found, failed, images.skipped + attachments.skipped


def _failure_of(number: int, file: Found, error: MedveilError, named: list[Path]) -> Failure:
    mistyped = file.problem == NO_SUCH_FILE and file.path == Path(named[file.root])
    place = f" ({len(named)} were named, and it is the one at place {file.root + 1})" if mistyped else ""
    return Failure(number, str(file.path), type(error).__name__, error.message + place, mistyped)


def _digest(file: Found) -> tuple[MedveilError | None, bytes]:
    if file.problem:
        return UnreadableInputError(file.problem), b""
    try:
        with file.path.open("rb") as content:
            return None, hashlib.file_digest(content, "sha256").digest()
    except OSError as error:
        return UnreadableInputError(f"it cannot be read: {error.strerror or type(error).__name__}"), b""


def mark_repeats(
    inputs: Iterable[Input], found: Mapping[Path, Instance], there: Instances, tag_key: bytes
) -> list[Input]:  # fmt: skip
    """The inputs, those marked whose SOP Instance UID is also that of an earlier object of other content.

    Earlier are the objects that are there, and then the inputs before it. Which of the workers ends first does not
    matter, nor where a run was killed: a package that is there says which object has the UID's own tag.

    Args:
        inputs: what is to be packed, in their order.
        found: the DICOM objects that their files hold.
        there: the objects in packages that are there.
        tag_key: see `PackingPlan`.
    """
    first, marked = dict(there), []
    for given in inputs:
        instance = None if given.attached else found.get(given.path)
        repeats = False
        if instance is not None and instance.uid:
            content, sha256 = first.setdefault(instance.tag(tag_key), (instance.content, given.sha256))
            repeats = instance.content != content and given.sha256 != sha256
        marked.append(replace(given, repeats=repeats))
    return marked


def pack_input(packer: Packer, given: Input) -> Packed:
    """Pack one input and write its package; every error of the input becomes a Failure.

    Raises:
        MedveilError: the folder cannot be written (a full disk); what is finished stays there.
    """
    plan, staging = packer.plan, packer.staging
    origin = Origin(given.relative, given.sha256)
    measured: Fidelity | None = None
    warnings: tuple[str, ...] = ()
    try:
        codec = None if given.attached else codec_for(packer.codec, plan.profile, packer.weights)
        if codec is None:
            package = pack_attachment(_very_file(given), origin, plan)
        else:
            package, measured, warnings = _pack_image(given, origin, packer, codec)
            _check_quality(measured, packer)
    except INPUT_ERRORS as error:
        return Packed(given, failure=Failure.of(given.number, given.path, error))
    entry = entry_of(package, plan.ring)
    try:
        make_folder((staging / entry.path).parent)
        data = package.to_bytes()
        write_bytes(staging / entry.path, data)
        write_bytes(stamp_of(staging / entry.path), stamp(data, plan.stamp_key))  # from here on it counts as finished
    except (OSError, MedveilError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MedveilError(
            f"the release cannot be written: {reason}",
            hint="free some space and run the same command again; it continues where it stopped",
        ) from None
    target = plan.profile.quality_centidb / 100
    low = measured is not None and measured.psnr < target - LOW_MARGIN_DB
    return Packed(given, entry, measured, low, varying(package, plan, codec), warnings)


def _pack_image(
    given: Input, origin: Origin, packer: Packer, codec: Codec
) -> tuple[Package, Fidelity, tuple[str, ...]]:
    from medveil import images

    plan = packer.plan
    image = images.read_apart(given.path)
    check_text(image, packer.burned_in)
    kept = _very_file(given) if plan.keep_file else b""
    check_unchanged(given)
    labelled = images.labelled(image, dict(given.labels), given.patient, plan.tag_key)
    tagged = images.tagged(labelled, plan.tag_key, repeats=given.repeats)
    package, measured = pack_image(tagged, origin, plan, codec, kept)
    warnings = [*([REPEATS] if given.repeats else []), *images.warnings(image)]
    if image.bits_stored > 8 and not plan.profile.deep:
        warnings.append("more than 8 bits in a release made for 8: coarser than in a release of its own")
    return package, measured, tuple(warnings)


def check_text(image: Image, burned_in: str) -> None:
    """Raise UnsupportedInputError for an image in which text may be, where that is refused; see `ShareSettings`."""
    from medveil import images

    said = images.text_in_pixels(image)
    if burned_in == "refuse" and not said.is_ruled_out:
        raise UnsupportedInputError(f"text may be burned into the pixels: {said.value} (Burned In Annotation)")


def _very_file(given: Input) -> bytes:
    with given.path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise UnsupportedInputError(f"a file that travels as it is has {MAX_FILE >> 20} MiB at most")
    _check_unchanged(hashlib.sha256(data).digest(), given)
    return data


def check_unchanged(given: Input) -> None:
    """Raise UnreadableInputError where a file is not the one that was found."""
    with given.path.open("rb") as file:
        _check_unchanged(hashlib.file_digest(file, "sha256").digest(), given)


def _check_unchanged(digest: bytes, given: Input) -> None:
    if digest != given.sha256:
        raise UnreadableInputError("it changed while it was being shared", hint="run the same command again")


def _check_quality(measured: Fidelity, packer: Packer) -> None:
    if packer.min_quality is not None and measured.psnr < packer.min_quality:
        raise QualityError(
            f"it comes back at {measured.psnr:.1f} dB; --min-quality asks for {packer.min_quality:g}",
            hint="raise --quality, or share this image by itself",
        )
    if packer.max_rmse is not None and measured.rmse > packer.max_rmse:
        raise QualityError(
            f"it comes back with an RMSE of {measured.rmse:.2f} stored values; --max-rmse allows {packer.max_rmse:g}",
            hint="raise --quality, or share this image by itself",
        )
