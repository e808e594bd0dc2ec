"""From an Image to the bytes of a DICOM file, Explicit VR Little Endian."""

from __future__ import annotations

import re
import struct

import numpy as np

from medveil.images.dicom import attributes
from medveil.images.dicom.elements import PIXEL_DATA, Element, encode
from medveil.images.dicom.identity_fields import SERIES, SOP_INSTANCE, new_uids, patient_of, refer_to_source
from medveil.images.dicom.pixels import Layout, Unused, to_cells
from medveil.images.dicom.records import (
    IdentityRecord,
    file_layout,
    identity_part,
    may_show_names,
    pixel_part,
)
from medveil.images.dicom.type2_attributes import complete
from medveil.images.image import Image
from medveil.images.lossy_marking import EXACT, Loss

# 2.25 and a UUID is a UID root that everybody may use (PS3.5 B.2); this one names medveil as the writer.
IMPLEMENTATION = b"2.25.207612399853207034470911293546082351117"
_EXPLICIT = b"1.2.840.10008.1.2.1"
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_FROM_ORIGINAL_META = (0x00020016, 0x00020017, 0x00020018, 0x00020100, 0x00020102)
_DEFAULT_FILL = Unused(1)


def write(image: Image, loss: Loss | None, uid_key: bytes, tier: str) -> bytes:
    """A DICOM file of the image.

    With an identity record it is the original data set; without one every UID is 2.25 and HMAC(uid_key, its tag),
    and what the standard requires and the recipient may not know is empty. With a loss it is a derived image: Image
    Type and the attributes of lossy compression say so, and it has a SOP Instance UID of its own, in a series of its
    own. The tier enters every new SOP Instance UID, and whether it is one with identity, so that none names the pixels
    of two tiers or two data sets. The preamble is zero: it may begin another format (TIFF, a program) that points into
    a file that is no more.

    Raises:
        ValueError: a loss at the exact tier, or none at another: the original's UIDs would name other pixels.
    """
    if (loss is None) != (tier == EXACT):
        raise ValueError(f"an image opened at the tier {tier!r} has {'no' if tier == EXACT else 'a'} loss")
    part, identity = pixel_part(image.source.pixel_record), identity_part(image.source.identity_record)
    layout = file_layout(part)
    elements = dict(part.elements)
    uids = new_uids(part, image, uid_key, tier)
    if identity is None:
        elements = attributes.tables(elements) | part.more  # a record of an earlier version may hold more of a table
        elements |= uids
        complete(elements, patient_of(part, uid_key), names_in_pixels=may_show_names(part))
    else:
        elements |= identity.elements
    if part.wide is not None:
        for tag, number in zip((attributes.BITS_ALLOCATED, attributes.HIGH_BIT), part.wide, strict=True):
            if tag in elements:
                elements[tag] = Element(tag, "US", struct.pack("<H", number))
    if loss is not None:
        if identity is not None:
            refer_to_source(elements)
        elements |= {tag: uids[tag] for tag in (SOP_INSTANCE, SERIES)}
        _derive(elements, image, loss)
    elements[PIXEL_DATA] = _pixel_data(image, layout, identity, whole=loss is None)
    command = encode(identity.command.values()) if identity else b""
    return bytes(128) + b"DICM" + _meta(elements, identity) + command + encode(elements.values())


def _derive(elements: dict[int, Element], image: Image, loss: Loss) -> None:
    """Mark the data set as one whose pixels differ from their original's (PS3.3 C.7.6.1.1.5)."""
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


def _pixel_data(image: Image, layout: Layout, identity: IdentityRecord | None, *, whole: bool) -> Element:
    """The pixel data; with `whole` also what stood behind the pixels."""
    cells = to_cells(image.pixels, layout, identity.unused if identity else _DEFAULT_FILL)
    native_word = identity is not None and identity.word and not identity.compressed
    vr = "OW" if layout.allocated == 16 or native_word else "OB"
    behind = identity.excess if identity is not None and whole else b""
    return Element(PIXEL_DATA, vr, np.ascontiguousarray(cells).tobytes() + behind)


def _meta(elements: dict[int, Element], identity: IdentityRecord | None) -> bytes:
    """The file meta information, group length included."""
    sop_class, instance = elements.get(attributes.SOP_CLASS), elements.get(SOP_INSTANCE)
    meta = [
        Element(0x00020001, "OB", b"\0\1"), Element(0x00020002, "UI", sop_class.data if sop_class else b""),
        Element(0x00020003, "UI", instance.data if instance else b""), Element(0x00020010, "UI", _EXPLICIT),
        Element(0x00020012, "UI", IMPLEMENTATION), Element(0x00020013, "SH", b"MEDVEIL")
    ]  # fmt: skip
    if identity is not None:
        meta += [identity.meta[tag] for tag in _FROM_ORIGINAL_META if tag in identity.meta]
    body = encode(meta)
    return encode([Element(0x00020000, "UL", struct.pack("<I", len(body)))]) + body
