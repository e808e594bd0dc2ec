"""From an Image to the bytes of a DICOM file, Explicit VR Little Endian."""

from __future__ import annotations

import hashlib
import re
import struct

import numpy as np

from medveil.images.dicom import attributes
from medveil.images.dicom.elements import PIXEL_DATA, Element, encode
from medveil.images.dicom.pixels import Layout, Unused, to_cells
from medveil.images.dicom.records import (
    IdentityRecord,
    PixelRecord,
    identity_part,
    keyed,
    layout_of_record,
    pixel_part,
)
from medveil.images.image import Image
from medveil.images.loss import Loss

# 2.25 and a UUID is a UID root that everybody may use (PS3.5 B.2); this one names medveil as the writer.
IMPLEMENTATION = b"2.25.207612399853207034470911293546082351117"
_EXPLICIT = b"1.2.840.10008.1.2.1"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SLICE_THICKNESS, _PATIENT_ORIENTATION, _IMAGE_ORIENTATION = 0x00180050, 0x00200020, 0x00200037
_SOP_INSTANCE, _SOURCE_IMAGES = 0x00080018, 0x00082112
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_FROM_ORIGINAL_META = (0x00020016, 0x00020017, 0x00020018, 0x00020100, 0x00020102)
_DEFAULT_FILL = Unused(1)

# Type 2: required, may be empty. Patient, General Study, General Series, General Equipment, General Image.
_EMPTY = {
    0x00080020: "DA",  # Study Date
    0x00080030: "TM",  # Study Time
    0x00080050: "SH",  # Accession Number
    0x00080070: "LO",  # Manufacturer
    0x00080090: "PN",  # Referring Physician's Name
    0x00100010: "PN",  # Patient's Name
    0x00100020: "LO",  # Patient ID
    0x00100030: "DA",  # Patient's Birth Date
    0x00100040: "CS",  # Patient's Sex
    0x00200010: "SH",  # Study ID
    0x00200011: "IS",  # Series Number
    0x00200013: "IS",  # Instance Number
}
_CT, _MR, _CR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1"
_DIGITAL_XRAY = "1.2.840.10008.5.1.4.1.1.1."
# What an object's own modules require beside these: an empty value, or the value that the standard has for "unknown".
_REQUIRED: dict[str, dict[int, tuple[str, bytes]]] = {
    _SECONDARY_CAPTURE: {0x00080064: ("CS", b"WSD ")},
    _CR: {0x00180015: ("CS", b""), 0x00185101: ("CS", b"")},
    _CT: {
        _SLICE_THICKNESS: ("DS", b""),
        0x00180060: ("DS", b""),  # KVP
        0x00200012: ("IS", b""),  # Acquisition Number
        0x00185100: ("CS", b""),  # Patient Position
        0x00201040: ("LO", b""),  # Position Reference Indicator
    },
    _MR: {
        _SLICE_THICKNESS: ("DS", b""),
        0x00180020: ("CS", b"RM"),  # Scanning Sequence: research mode
        0x00180021: ("CS", b"NONE"),  # Sequence Variant
        0x00180022: ("CS", b""),
        0x00180023: ("CS", b""),
        0x00180081: ("DS", b""),
        0x00180091: ("IS", b""),
        0x00185100: ("CS", b""),
        0x00201040: ("LO", b""),
    },
    _DIGITAL_XRAY: {
        0x00080068: ("CS", b"FOR PRESENTATION"),
        0x00082218: ("SQ", b""),  # Anatomic Region Sequence
        0x00187004: ("CS", b""),  # Detector Type
    },
}


def write(image: Image, loss: Loss | None, uid_key: bytes) -> bytes:
    """A DICOM file of the image.

    With an identity record it is the original data set; without one every UID is 2.25 and HMAC(uid_key, its tag),
    and what the standard requires and the recipient may not know is empty. With a loss it is a derived image: SOP
    Instance UID, Image Type and the attributes of lossy compression say so. The preamble is zero: it may begin another
    format (TIFF, a program) that points into a file that is no more.
    """
    part, identity = pixel_part(image.source.pixel_record), identity_part(image.source.identity_record)
    layout = layout_of_record(part)
    elements = dict(part.elements)
    if identity is None:
        _anonymous(elements, part, image, uid_key)
    else:
        elements |= identity.elements
    if loss is not None:
        _derive(elements, part, image, loss, uid_key)
    elements[PIXEL_DATA] = _pixel_data(image, layout, identity)
    return bytes(128) + b"DICM" + _meta(elements, identity) + encode(elements.values())


def _anonymous(elements: dict[int, Element], part: PixelRecord, image: Image, uid_key: bytes) -> None:
    for tag, keyword in attributes.UID_TAGS.items():
        if keyword in part.uids or keyword != "FrameOfReferenceUID":
            elements[tag] = _uid_element(tag, uid_key, _tag_of(part, image, keyword))
    for tag, vr in _EMPTY.items():
        elements[tag] = Element(tag, vr, b"")
    elements.setdefault(attributes.MODALITY, Element(attributes.MODALITY, "CS", b"OT"))
    elements.setdefault(attributes.SOP_CLASS, Element(attributes.SOP_CLASS, "UI", _SECONDARY_CAPTURE.encode()))
    sop_class = attributes.text(elements[attributes.SOP_CLASS])
    required = _REQUIRED.get(sop_class) or _REQUIRED.get(sop_class[: len(_DIGITAL_XRAY)], {})
    for tag, (vr, value) in required.items():
        elements.setdefault(tag, Element(tag, vr, () if vr == "SQ" else value))
    if _IMAGE_ORIENTATION not in elements:  # type 2C: required where no image plane is given
        elements.setdefault(_PATIENT_ORIENTATION, Element(_PATIENT_ORIENTATION, "CS", b""))


def _derive(elements: dict[int, Element], part: PixelRecord, image: Image, loss: Loss, uid_key: bytes) -> None:
    """Mark the data set as one whose pixels differ from their original's (PS3.3 C.7.6.1.1.5)."""
    original_class, original = elements.get(attributes.SOP_CLASS), elements.get(_SOP_INSTANCE)
    if image.source.identity_record and original_class and original:
        reference = (Element(0x00081150, "UI", original_class.value), Element(0x00081155, "UI", original.value))
        earlier = elements.get(_SOURCE_IMAGES)
        items = (reference, *(earlier.items if earlier else ()))
        elements[_SOURCE_IMAGES] = Element(_SOURCE_IMAGES, "SQ", items)
    original_tag = _tag_of(part, image, "SOPInstanceUID")
    elements[_SOP_INSTANCE] = _uid_element(_SOP_INSTANCE, uid_key, b"derived" + original_tag)
    kinds = attributes.texts(elements.get(attributes.IMAGE_TYPE))
    _set_text(elements, attributes.IMAGE_TYPE, "CS", ["DERIVED", *(kinds[1:] or ["SECONDARY"])])
    _set_text(elements, _LOSSY, "CS", ["01"])
    method = re.sub(r"[^A-Z0-9_ ]", "_", loss.method.upper())[:16]
    _set_text(elements, _RATIO, "DS", [*attributes.texts(elements.get(_RATIO)), f"{loss.ratio:.6g}"])
    _set_text(elements, _METHOD, "CS", [*attributes.texts(elements.get(_METHOD)), method])
    for tag, value in ((attributes.SMALLEST, image.pixels.min()), (attributes.LARGEST, image.pixels.max())):
        if tag in elements:
            vr, form = ("SS", "<h") if image.signed else ("US", "<H")
            elements[tag] = Element(tag, vr, struct.pack(form, int(value)))


def _set_text(elements: dict[int, Element], tag: int, vr: str, values: list[str]) -> None:
    elements[tag] = Element(tag, vr, "\\".join(values).encode("ascii", "replace"))


def _tag_of(part: PixelRecord, image: Image, keyword: str) -> bytes:
    """The tag that stands for a UID; an image straight from a file has none yet and gets one from its records."""
    if keyword in part.uids:
        return part.uids[keyword]
    digest = hashlib.sha256(image.source.pixel_record + image.source.identity_record)
    return keyword.encode() + digest.digest()


def _uid_element(tag: int, uid_key: bytes, message: bytes) -> Element:
    return Element(tag, "UI", f"2.25.{int.from_bytes(keyed(uid_key, message), 'big')}".encode())


def _pixel_data(image: Image, layout: Layout, identity: IdentityRecord | None) -> Element:
    cells = to_cells(image.pixels, layout, identity.unused if identity else _DEFAULT_FILL)
    native_word = identity is not None and identity.word and not identity.compressed
    vr = "OW" if layout.allocated == 16 or native_word else "OB"
    return Element(PIXEL_DATA, vr, np.ascontiguousarray(cells).tobytes())


def _meta(elements: dict[int, Element], identity: IdentityRecord | None) -> bytes:
    """The file meta information, group length included."""
    sop_class, instance = elements.get(attributes.SOP_CLASS), elements.get(_SOP_INSTANCE)
    meta = [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", sop_class.data if sop_class else b""),
        Element(0x00020003, "UI", instance.data if instance else b""),
        Element(0x00020010, "UI", _EXPLICIT),
        Element(0x00020012, "UI", IMPLEMENTATION),
        Element(0x00020013, "SH", b"MEDVEIL"),
    ]
    if identity is not None:
        meta += [identity.meta[tag] for tag in _FROM_ORIGINAL_META if tag in identity.meta]
    body = encode(meta)
    return encode([Element(0x00020000, "UL", struct.pack("<I", len(body)))]) + body
