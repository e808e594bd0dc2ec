"""The records of a DICOM image: sealing them, and making the image again from them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import InputError, IntegrityError
from medveil.files import canonical
from medveil.images import record
from medveil.images.bounds import MAX_PIXELS
from medveil.images.burned_in import BurnedIn, burned_in, warning
from medveil.images.dicom import acquisition, attributes
from medveil.images.dicom.elements import PIXEL_DATA, Element, encode, holds_encapsulated
from medveil.images.dicom.parser import parse, parse_command
from medveil.images.dicom.pixels import Layout, Unused, layout_of
from medveil.images.image import FileKind, Image, Source

OF_THE_FILE = ("meta", "word", "compressed")  # in the identity record: how the file was written, not what it holds
_SOP_INSTANCE, _PATIENT_ID, _ISSUER = 0x00080018, 0x00100020, 0x00100021
_MISFIT = "the image's record does not fit its pixels"


@dataclass(frozen=True)
class PixelRecord:
    """What travels with the pixels.

    Attributes:
        elements: what describes the pixels, by tag.
        uids: a 16-byte tag in place of each UID, by keyword.
        more: how the image was taken, as far as `acquisition` lets it travel, by tag.
        pseudonym: 16 bytes that stand for the patient, the same within a release; empty where it is withheld.
        names_in_pixels: whether Burned In Annotation of the file, where it does not travel, fails to rule them out.
        wide: Bits Allocated and High Bit of the file, where its cells are wider than the pixels' values need.
    """

    elements: dict[int, Element]
    uids: dict[str, bytes]
    more: dict[int, Element]
    pseudonym: bytes
    wide: tuple[int, int] | None = None
    names_in_pixels: bool = False


@dataclass(frozen=True)
class IdentityRecord:
    """Everything else: the rest of the data set, file meta information, and how the cells were filled.

    Attributes:
        elements: the rest of the data set, and what the file has otherwise than the pixel record.
        meta: group 0002.
        unused: the bits of the cells that carry no value.
        word: the pixel data was OW.
        compressed: it was compressed.
        command: group 0000, which belongs to no file and stood in this one.
        excess: what stood behind the pixels in uncompressed pixel data.
    """

    elements: dict[int, Element]
    meta: dict[int, Element]
    unused: Unused
    word: bool
    compressed: bool
    command: dict[int, Element] = field(default_factory=dict)
    excess: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Instance:
    """A DICOM object as others name it, and what it holds.

    Attributes:
        uid: its SOP Instance UID; empty where the file has none.
        content: SHA-256 of its data set, pixels included, whatever the transfer syntax.
    """

    uid: str = field(repr=False)
    content: bytes = field(repr=False)

    def tag(self, tag_key: bytes, *, repeats: bool = False) -> bytes:
        """What stands for the UID in the pixel record; for one that other content has already, of the content too."""
        return keyed(tag_key, self.uid.encode() + (b"\0" + self.content if repeats else b""))


def pixel_part(data: bytes) -> PixelRecord:
    """Read a pixel record.

    Raises:
        IntegrityError: it is not one that this module writes.
    """
    fields = record.Fields(record.unpack(data, FileKind.DICOM))
    elements = _parsed(fields.data("elements"))
    uids = fields.mapping("uids")
    for keyword, tag in uids.items():
        if keyword not in attributes.UID_TAGS.values() or not isinstance(tag, bytes) or len(tag) != record.TAG_BYTES:
            raise IntegrityError(_MISFIT)
    if not attributes.is_travelling(elements):
        raise IntegrityError("the pixels' record holds attributes that do not travel with pixels")
    more = {one.tag: one for one in acquisition.travelling(_parsed(fields.data("more")))}
    pseudonym = fields.data("pseudonym")
    if len(pseudonym) not in (0, record.TAG_BYTES):
        raise IntegrityError(_MISFIT)
    burned_in = bool(fields.integer("burned_in", 0, 1, 0))
    return PixelRecord(elements, dict(uids), more, pseudonym, _wide(fields, elements), burned_in)


def _wide(fields: record.Fields, elements: dict[int, Element]) -> tuple[int, int] | None:
    allocated = fields.integer("allocated", 0, 16, 0)
    if not allocated:
        return None
    high_bit = fields.integer("high_bit", 7, 15)
    if allocated != 16 or attributes.integers(elements.get(attributes.BITS_ALLOCATED)) != [8]:
        raise IntegrityError(_MISFIT)
    return allocated, high_bit


def wide_cells(layout: Layout) -> dict[str, int]:
    """The fields of a pixel record that say of which cells the file was, where the record states narrower ones."""
    return {} if layout == layout.narrow else {"allocated": layout.allocated, "high_bit": layout.high_bit}


def unused_fields(unused: Unused, layout: Layout) -> dict[str, Any]:
    """The fields of an identity record that hold the unused bits of the file's cells.

    Where the pixel record states narrower cells, none are left there, and the file's have a field of their own.
    """
    fields = {"fill": unused.fill, "unused": unused.bits}
    return fields if layout == layout.narrow else {"fill": 0, "unused": b"", "cells": fields}


def identity_part(data: bytes) -> IdentityRecord | None:
    """Read an identity record; None when there is none.

    Raises:
        IntegrityError: it is not one that this module writes.
    """
    if not data:
        return None
    fields = record.Fields(record.unpack(data, FileKind.DICOM))
    elements, meta = _parsed(fields.data("elements")), _parsed(fields.data("meta"))
    cells = record.Fields(fields.mapping("cells")) if fields.mapping("cells") else fields
    unused = Unused(cells.integer("fill", 0, 2), cells.data("unused"))
    if PIXEL_DATA in elements or any(tag >> 16 == 2 for tag in elements) or any(tag >> 16 != 2 for tag in meta):
        raise IntegrityError(_MISFIT)
    if holds_encapsulated(elements.values()) or holds_encapsulated(meta.values()):
        raise IntegrityError("the image's record holds compressed pictures where none may stand")
    if len(fields.data("content")) not in (0, hashlib.sha256().digest_size):
        raise IntegrityError(_MISFIT)
    flags = fields.integer("word", 0, 1), fields.integer("compressed", 0, 1)
    command, excess = _parsed(fields.data("command"), parse_command), fields.data("excess")
    return IdentityRecord(elements, meta, unused, bool(flags[0]), bool(flags[1]), command, excess)


def _parsed(data: bytes, parser: Callable[[bytes], dict[int, Element]] = parse) -> dict[int, Element]:
    try:
        return parser(data)
    except InputError:
        raise IntegrityError("the image's record does not hold a data set") from None


def seal(image: Image, tag_key: bytes, *, pseudonyms: bool) -> tuple[bytes, bytes]:
    """The records as they are sealed: the pixel record with UIDs as HMAC-SHA256(tag_key, uid), cut to 16 bytes.

    A UID that the file lacks gets a tag of its own from the image's content. A record that has its tags keeps them.
    What of the identity may travel as `more` is added, and the patient's pseudonym unless it is withheld.
    """
    source = image.source
    part, identity = pixel_part(source.pixel_record), identity_part(source.identity_record)
    known = identity.elements if identity else {}
    uids = dict(part.uids)
    content = b""
    for tag, keyword in attributes.UID_TAGS.items():
        uid = attributes.text(known.get(tag))
        if keyword in uids or (not uid and keyword == "FrameOfReferenceUID"):
            continue
        if not uid:
            content = content or instance(image).content
        uids[keyword] = keyed(tag_key, uid.encode() if uid else keyword.encode() + content)
    fields = record.unpack(source.pixel_record, FileKind.DICOM) | {"uids": uids}
    more = encode(acquisition.travelling(known))
    if more:
        fields.setdefault("more", more)
    if not burned_in(part.elements | known).is_ruled_out:
        fields["burned_in"] = 1
    if not pseudonyms:
        fields.pop("pseudonym", None)
    elif identity is not None:
        fields.setdefault("pseudonym", keyed(tag_key, _patient(known, uids)))
    return record.pack(FileKind.DICOM, fields), source.identity_record


def _patient(known: dict[int, Element], uids: dict[str, bytes]) -> bytes:
    """What the pseudonym is made from: the patient's ID and its issuer; where the file has no ID, the study."""
    patient, issuer = (known[tag].data.strip(b" \0") if tag in known else b"" for tag in (_PATIENT_ID, _ISSUER))
    return b"\0".join((b"patient", patient, issuer) if patient else (b"study", uids["StudyInstanceUID"]))


def pseudonym_of_id(patient: str, tag_key: bytes) -> bytes:
    """What stands for a patient of whom only an ID is known: the same as of a DICOM file with that ID and no issuer."""
    return keyed(tag_key, b"\0".join((b"patient", patient.strip().encode(), b"")))


def instance(image: Image) -> Instance:
    """The object that a file holds."""
    part, identity = pixel_part(image.source.pixel_record), identity_part(image.source.identity_record)
    elements = part.elements | (identity.elements if identity else {})
    rest = record.unpack(image.source.identity_record, FileKind.DICOM) if identity else {}
    for name in ("elements", "content", *OF_THE_FILE):
        rest.pop(name, None)
    digest = hashlib.sha256(canonical.dumps([encode(elements.values()), list(part.wide or ()), rest]))
    digest.update(np.ascontiguousarray(image.pixels).data)
    return Instance(attributes.text(elements.get(_SOP_INSTANCE)), digest.digest())


def tagged(image: Image, tag_key: bytes, *, repeats: bool) -> Image:
    """The image whose records say which object it is: its tag, and for the owner its content; see `Instance`."""
    source, found = image.source, instance(image)
    pixel, identity = (record.unpack(part, FileKind.DICOM) for part in (source.pixel_record, source.identity_record))
    if found.uid:
        pixel["uids"] = {"SOPInstanceUID": found.tag(tag_key, repeats=repeats)} | pixel.get("uids", {})
    identity["content"] = found.content
    packed = [record.pack(FileKind.DICOM, fields) for fields in (pixel, identity)]
    return replace(image, source=Source(FileKind.DICOM, *packed))


def sealed_instance(pixel_record: bytes, identity_record: bytes) -> tuple[bytes, bytes]:
    """Tag and content that records name; the content is empty in those that early versions wrote."""
    fields = record.Fields(record.unpack(identity_record, FileKind.DICOM))
    return pixel_part(pixel_record).uids.get("SOPInstanceUID", b""), fields.data("content")


def keyed(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256, cut to 16 bytes."""
    return hmac.new(key, message, hashlib.sha256).digest()[: record.TAG_BYTES]


def restore(pixels: NDArray[np.generic], bits_stored: int, pixel_record: bytes, identity_record: bytes) -> Image:
    """The image with these pixels and records.

    Raises:
        IntegrityError: a record is not one that this module writes, or does not fit the pixels.
    """
    part = pixel_part(pixel_record)
    identity_part(identity_record)
    file_layout(part)
    layout = layout_of_record(part)
    shape = (layout.height, layout.width)
    if pixels.shape != shape or layout.stored != bits_stored or pixels.dtype != layout.dtype:
        raise IntegrityError(_MISFIT)
    image = Image.of_pixels(pixels, bits_stored, Source(FileKind.DICOM, pixel_record, identity_record))
    return replace(
        image,
        spacing_mm=_spacing(part.elements),
        rescale=_rescale(part.elements),
        padding=_padding(part.elements, layout, image.value_range),
    )


def layout_of_record(part: PixelRecord) -> Layout:
    """The layout of the pixels that a record describes.

    Raises:
        IntegrityError: it describes none.
    """
    try:
        layout = layout_of(part.elements)
    except InputError:
        raise IntegrityError(_MISFIT) from None
    if layout.height * layout.width > MAX_PIXELS:
        raise IntegrityError(_MISFIT)
    return layout


def file_layout(part: PixelRecord) -> Layout:
    """The layout of the file's cells, which may be wider than the record's.

    Raises:
        IntegrityError: the record describes no pixels.
    """
    layout = layout_of_record(part)
    if part.wide is None:
        return layout
    if layout.narrow != replace(layout, allocated=8, high_bit=7):
        raise IntegrityError(_MISFIT)
    return replace(layout, allocated=part.wide[0], high_bit=part.wide[1])


def _spacing(elements: dict[int, Element]) -> tuple[float, float] | None:
    for tag in attributes.SPACINGS:
        values = attributes.numbers(elements.get(tag))
        if values and len(values) == 2 and values[0] > 0 and values[1] > 0:
            return values[0], values[1]
    return None


def _rescale(elements: dict[int, Element]) -> tuple[float, float]:
    slope, intercept = (attributes.numbers(elements.get(tag)) for tag in (attributes.SLOPE, attributes.INTERCEPT))
    return (slope[0] if slope and slope[0] else 1.0, intercept[0] if intercept else 0.0)


def _padding(elements: dict[int, Element], layout: Layout, allowed: tuple[int, int]) -> tuple[int, int] | None:
    values = attributes.integers(elements.get(attributes.PADDING), signed=layout.signed)
    limits = attributes.integers(elements.get(attributes.PADDING_LIMIT), signed=layout.signed)
    if not values:
        return None
    ends = sorted([values[0], limits[0] if limits else values[0]])
    low, high = max(ends[0], allowed[0]), min(ends[1], allowed[1])
    return (low, high) if low <= high else None


def unit(image: Image) -> str:
    """Unit of the modality values of an image: HU for CT, else none that is known."""
    modality = pixel_part(image.source.pixel_record).elements.get(attributes.MODALITY)
    return "HU" if attributes.text(modality) == "CT" else ""


def warnings(image: Image) -> list[str]:
    """That the pixels may hold names, and that slices lose their order for who sees no identity."""
    part, identity = pixel_part(image.source.pixel_record), identity_part(image.source.identity_record)
    known = identity.elements if identity else {}
    found = [text for text in [warning(part.elements | known)] if text]
    number = known.get(acquisition.INSTANCE_NUMBER)
    if attributes.text(number) and number is not None and not acquisition.travelling({number.tag: number}):
        found.append(
            f"Instance Number is no integer from 0 to {acquisition.MAX_NUMBER} and does not travel without identity"
        )
    return found


def may_show_names(part: PixelRecord) -> bool:
    """Whether the original does not rule out that names stand in the pixels, as far as the pixel record tells."""
    return part.names_in_pixels or not burned_in(part.elements).is_ruled_out


def text_in_pixels(image: Image) -> BurnedIn:
    """What the file of an image says of text burned into the pixels."""
    part, identity = pixel_part(image.source.pixel_record), identity_part(image.source.identity_record)
    return burned_in(part.elements | (identity.elements if identity else {}))
