"""The identity fields of an opened DICOM file: which object and whose it is, for who may not know the original's.

New UIDs and a pseudonym of the patient stand in their place, keyed for one recipient of one release; a derived image
names its original for who may. What else the standard requires, and nobody is told, `type2_attributes` leaves empty;
what is sealed of the original's identity is `records.IdentityRecord`.
"""

from __future__ import annotations

import base64
import hashlib

from medveil.images.dicom import attributes
from medveil.images.dicom.elements import Element
from medveil.images.dicom.records import Instance, PixelRecord, keyed, pixel_part
from medveil.images.dicom.records import instance as object_of
from medveil.images.image import Image
from medveil.images.lossy_marking import EXACT

SOP_INSTANCE, SERIES, _SOURCE_IMAGES = 0x00080018, 0x0020000E, 0x00082112
_REFERENCED_SERIES, _REFERENCED_INSTANCES = 0x00081115, 0x0008114A
_REFERENCED_CLASS, _REFERENCED_INSTANCE = 0x00081150, 0x00081155
_IDENTITY = b"identity"  # in the message of a UID


def instance(image: Image, data: bytes, uid_key: bytes, tier: str) -> Instance:
    """The object that `data` is, which was written of the image at this tier: its UID, and what tells it from others.

    With identity the meta information of the file is no part of it: two copies of one data set are one object.
    """
    found = object_of(image)
    if image.source.identity_record and tier == EXACT:
        return found
    part = pixel_part(image.source.pixel_record)
    uid = attributes.text(new_uids(part, image, uid_key, tier)[SOP_INSTANCE])
    return Instance(uid, found.content if image.source.identity_record else hashlib.sha256(data).digest())


def patient_of(part: PixelRecord, uid_key: bytes) -> str:
    """The patient's ID for who sees no identity: 26 characters, or none where there is no pseudonym."""
    return shown_pseudonym(part.pseudonym, uid_key)


def shown_pseudonym(pseudonym: bytes, uid_key: bytes) -> str:
    """The same of what stands for the patient in a pixel record."""
    return base64.b32encode(keyed(uid_key, pseudonym)).decode("ascii").rstrip("=") if pseudonym else ""


def _tag_of(part: PixelRecord, image: Image, keyword: str) -> bytes:
    """The tag that stands for a UID; an image straight from a file has none yet and gets one from its records."""
    if keyword in part.uids:
        return part.uids[keyword]
    digest = hashlib.sha256(image.source.pixel_record + image.source.identity_record)
    return keyword.encode() + digest.digest()


def new_uids(part: PixelRecord, image: Image, uid_key: bytes, tier: str) -> dict[int, Element]:
    """The UIDs of an image that has not the original's: 2.25 and HMAC(uid_key, tag).

    Where they name the content, the tier follows the tag, and with an identity record the word `identity`.
    """
    content = tier.encode() + (_IDENTITY if image.source.identity_record else b"")
    uids = {}
    for tag, keyword in attributes.UID_TAGS.items():
        if keyword in part.uids or keyword != "FrameOfReferenceUID":
            of_content = tag == SOP_INSTANCE or (tag == SERIES and tier != EXACT)
            message = _tag_of(part, image, keyword) + (content if of_content else b"")
            value = f"2.25.{int.from_bytes(keyed(uid_key, message), 'big')}"
            uids[tag] = Element(tag, "UI", value.encode())
    return uids


def refer_to_source(elements: dict[int, Element]) -> None:
    """Name the original, whose UIDs these elements still have, as the source (PS3.3 C.7.6.1.1.4 and C.12.2)."""
    sop_class, instance, series = (elements.get(tag) for tag in (attributes.SOP_CLASS, SOP_INSTANCE, SERIES))
    if not sop_class or not instance:
        return
    reference = (
        Element(_REFERENCED_CLASS, "UI", sop_class.value),
        Element(_REFERENCED_INSTANCE, "UI", instance.value),
    )
    _put_first(elements, _SOURCE_IMAGES, reference)
    if series:
        instances = Element(_REFERENCED_INSTANCES, "SQ", (reference,))
        _put_first(elements, _REFERENCED_SERIES, (instances, Element(SERIES, "UI", series.value)))


def _put_first(elements: dict[int, Element], tag: int, item: tuple[Element, ...]) -> None:
    earlier = elements.get(tag)
    if earlier is None or earlier.items or not earlier.data:  # else it is what no sequence was read from, and stays
        elements[tag] = Element(tag, "SQ", (item, *(earlier.items if earlier else ())))
