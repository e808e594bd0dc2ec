"""Which module reads, seals, restores and writes which kind of file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medveil.errors import UnreadableInputError, UnsupportedInputError
from medveil.images import jpeg, nifti, png, record, tiff
from medveil.images.bounds import MAX_FILE_BYTES, walled
from medveil.images.burned_in import BurnedIn
from medveil.images.dicom import identity_fields, reader, writer
from medveil.images.dicom import public as public_dicom
from medveil.images.dicom import records as dicom_records
from medveil.images.dicom.records import Instance
from medveil.images.image import FileKind, Image, Source
from medveil.images.lossy_marking import Loss

# DICOM: how the file was written, pictures that no other file may hold, and what is made for sealing.
_NOT_ATTRIBUTES = frozenset([*dicom_records.OF_THE_FILE, "undecoded", "uids", "content", "labels", "pseudonym"])


def read(path: str | os.PathLike[str]) -> Image:
    """The grey image in a file, whatever the file's suffix: its content is looked at.

    Raises:
        UnreadableInputError: empty, truncated, damaged, not a regular file, or it may not be read.
        UnsupportedInputError: a sound file of a kind that medveil does not take.
        MissingDependencyError: reading it needs a package that is not installed.
    """
    return read_bytes(content(Path(path)))


def read_bytes(data: bytes) -> Image:
    """As `read`, of the content of a file."""
    with walled():
        return _read(data)


def _read(data: bytes) -> Image:
    if reader.has_prefix(data):
        return reader.read(data)
    if data.startswith(png.SIGNATURE):
        return png.read(data)
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.read(data)
    if data.startswith(tiff.SIGNATURES):
        return tiff.read(data)
    if nifti.looks_like(data):
        return nifti.read(data)
    if reader.looks_like_bare(data):
        return reader.read(data)
    raise UnsupportedInputError("not a PNG, JPEG, TIFF, NIfTI or DICOM file")


def content(path: Path) -> bytes:
    """The whole file. A pipe or device is not waited for. Raises as `read`, for what is no matter of decoding."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableInputError("not a regular file")
            if status.st_size > MAX_FILE_BYTES:
                raise UnsupportedInputError(f"a file of more than {MAX_FILE_BYTES >> 20} MiB")
            data = file.read(status.st_size + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise UnreadableInputError(f"the file cannot be read: {reason}") from None
    if not data:
        raise UnreadableInputError("the file is empty")
    return data


def records(image: Image, tag_key: bytes, *, pseudonyms: bool = True) -> tuple[bytes, bytes]:
    """The pixel record and the identity record of an image, as they are to be sealed.

    In a DICOM pixel record each UID is a 16-byte tag, HMAC-SHA256(tag_key, uid), so that it can be replaced by a new
    one that is the same for the same original. With `pseudonyms` the patient has such a tag too; other kinds of file
    name no patient.
    """
    if image.source.kind is FileKind.DICOM:
        return dicom_records.seal(image, tag_key, pseudonyms=pseudonyms)
    return image.source.pixel_record, image.source.identity_record


def labelled(image: Image, labels: Mapping[str, str], patient: str = "", tag_key: bytes = b"") -> Image:
    """The image with labels in its pixel record: they travel with the pixels, to all who open the image.

    Args:
        image: from `read`.
        labels: value by name; see `record.is_label`.
        patient: whose image it is, where a list says so, or empty. What travels is a tag of her, as for `records`; a
            DICOM image says itself whose it is.
        tag_key: as for `records`.
    """
    source = image.source
    known = patient and source.kind is not FileKind.DICOM
    pseudonym = dicom_records.pseudonym_of_id(patient, tag_key) if known else b""
    pixel_record = record.labelled(source.pixel_record, source.kind, labels, pseudonym)
    return replace(image, source=replace(source, pixel_record=pixel_record))


def labels_of(source: Source) -> dict[str, str]:
    """The labels that came with an opened image, by name. Raises IntegrityError for what `share` does not take."""
    return record.labels_of(source.pixel_record, source.kind)


def patient_of(source: Source, uid_key: bytes) -> str:
    """Who an opened image shows, for a recipient: her pseudonym of the patient, or empty where none travels."""
    return identity_fields.shown_pseudonym(record.pseudonym_of(source.pixel_record, source.kind), uid_key)


def instance(image: Image) -> Instance | None:
    """Which DICOM object the image is, and what it holds; None for other kinds of file."""
    return dicom_records.instance(image) if image.source.kind is FileKind.DICOM else None


def tagged(image: Image, tag_key: bytes, *, repeats: bool = False) -> Image:
    """An image from `read` whose records say which DICOM object it is; one of another kind as it is.

    Args:
        image: from `read`.
        tag_key: as for `records`, which keeps the tag that is here.
        repeats: its SOP Instance UID is also that of an earlier object of other content: its tag is one of its own.
    """
    if image.source.kind is not FileKind.DICOM:
        return image
    return dicom_records.tagged(image, tag_key, repeats=repeats)


def sealed_instance(kind: FileKind, pixel_record: bytes, identity_record: bytes) -> tuple[bytes, bytes] | None:
    """Tag and content of the DICOM object that sealed records are of; None for other kinds of file."""
    return dicom_records.sealed_instance(pixel_record, identity_record) if kind is FileKind.DICOM else None


def restore(
    pixels: NDArray[np.generic], bits_stored: int, kind: FileKind, pixel_record: bytes, identity_record: bytes = b""
) -> Image:  # fmt: skip
    """The image with these pixels (height, width) and the records that `records` gave; without identity, b"".

    Raises:
        IntegrityError: a record is not one that medveil writes for this kind, or does not fit the pixels.
    """
    if kind is FileKind.DICOM:
        return dicom_records.restore(pixels, bits_stored, pixel_record, identity_record)
    if kind is FileKind.TIFF:
        return tiff.restore(pixels, bits_stored, pixel_record, identity_record)
    if kind is FileKind.NIFTI:
        return nifti.restore(pixels, bits_stored, pixel_record, identity_record)
    return png.restore(pixels, bits_stored, pixel_record, identity_record, kind)


def to_file_bytes(image: Image, *, loss: Loss | None, uid_key: bytes, tier: str) -> bytes:
    """A file of the kind that the image came from (JPEG: PNG), with as much of its attributes as the records hold.

    Args:
        image: from `read` or `restore`.
        loss: how it was compressed, None when the pixels are the original's. A lossy DICOM becomes a derived one.
        uid_key: 32 bytes from which new DICOM UIDs come: the same for one recipient and release.
        tier: the tier at which it was opened; it enters new UIDs, so that one UID names one content.
    """
    if image.source.kind is FileKind.DICOM:
        return writer.write(image, loss, uid_key, tier)
    if image.source.kind is FileKind.TIFF:
        return tiff.write(image, exact=loss is None)
    if image.source.kind is FileKind.NIFTI:
        return nifti.write(image)
    return png.write(image, exact=loss is None)


def written_instance(image: Image, data: bytes, *, uid_key: bytes, tier: str) -> Instance | None:
    """Which DICOM object a file written of the image is, by its SOP Instance UID, and what it holds.

    Args:
        image: as for `to_file_bytes`, and so `uid_key` and `tier`.
        data: what that gave, or the very file where it was kept.
    """
    return identity_fields.instance(image, data, uid_key, tier) if image.source.kind is FileKind.DICOM else None


def same_attributes(one: Image, other: Image) -> bool:
    """Whether two images have the same depth, geometry, scales and other attributes, identity included.

    How the very file was written (its transfer syntax, its meta information) is left out.
    """
    same = (one.bits_stored, one.spacing_mm, one.rescale, one.padding) == (
        other.bits_stored, other.spacing_mm, other.rescale, other.padding,
    )  # fmt: skip
    return same and _attributes(one) == _attributes(other)


def _attributes(image: Image) -> list[dict[str, object]]:
    source = image.source
    parts = [record.unpack(part, source.kind) if part else {} for part in (source.pixel_record, source.identity_record)]
    return [{name: value for name, value in part.items() if name not in _NOT_ATTRIBUTES} for part in parts]


def suffix(image: Image) -> str:
    """The file name suffix of `to_file_bytes`, with the dot."""
    if image.source.kind is FileKind.DICOM:
        return ".dcm"
    if image.source.kind is FileKind.TIFF:
        return ".tiff"
    if image.source.kind is FileKind.NIFTI:
        return nifti.suffix(image)
    return ".png"


def public(image: Image, members: Sequence[Image] = ()) -> Image:
    """The image as everybody may have it: without identity; of DICOM with less than recipients get.

    Args:
        image: with the pixels that are to be published.
        members: where the picture was drawn anew, the images that it was made of; it is of their kind if all are
            DICOM, and a PNG file else.
    """
    if members:
        dicom = all(member.source.kind is FileKind.DICOM for member in members)
        return public_dicom.drawn(image, members) if dicom else _bare(image)
    if image.source.kind is FileKind.DICOM:
        return public_dicom.public(image)
    if image.source.kind is FileKind.NIFTI:
        return nifti.public(image)
    return replace(image, source=replace(image.source, identity_record=b""))


def _bare(image: Image) -> Image:
    return replace(image, source=Source(FileKind.PNG, png.records_of(FileKind.PNG, image.bits_stored, b"", [])[0]))


def public_words(image: Image) -> dict[str, str]:
    """What a file of the image that everybody may have tells beside its pixels: name of an attribute to its text.

    Depth and size are not among it; nor is anything that `public` takes out.
    """
    kind = {"kind": image.source.kind.value}
    if image.source.kind is FileKind.DICOM:
        return {**kind, **public_dicom.words(image)}
    numbers = {"spacing": image.spacing_mm, "rescale": image.rescale if image.rescale != (1.0, 0.0) else None}
    told = {name: " ".join(f"{value:.6g}" for value in values) for name, values in numbers.items() if values}
    return {**kind, **told, **({"inverted": "yes"} if is_inverted(image) else {})}


def is_inverted(image: Image) -> bool:
    """Whether the lowest stored value is shown white, as DICOM and TIFF have it."""
    if image.source.kind is FileKind.DICOM:
        return public_dicom.is_inverted(image)
    return image.source.kind is FileKind.TIFF and tiff.is_inverted(image)


def colour_profile(image: Image) -> bytes:
    """The colour profile of a PNG or JPEG as its identity record holds it; empty where there is none."""
    return png.colour_profile(image) if image.source.kind in (FileKind.PNG, FileKind.JPEG) else b""


def text_in_pixels(image: Image) -> BurnedIn:
    """What the file says of text burned into the pixels; one that is no DICOM file can say nothing."""
    return dicom_records.text_in_pixels(image) if image.source.kind is FileKind.DICOM else BurnedIn.UNSAID


def unit(image: Image) -> str:
    """Unit of the image's values after `rescale`: HU for a CT image in DICOM; empty where it is not known."""
    return dicom_records.unit(image) if image.source.kind is FileKind.DICOM else ""


def warnings(image: Image) -> list[str]:
    """What the owner should know before sharing, in words without any value from the file."""
    if image.source.kind is FileKind.DICOM:
        return [*image.notes, *dicom_records.warnings(image)]
    return list(image.notes)
