"""What of a DICOM image everybody may know: a shorter list than what recipients get, and nothing that is its own alone.

Nothing that is reckoned from the pixels (windows, smallest and largest values, padding), no times and places of the
acquisition, no lookup tables. Pixel spacing keeps two digits, which is enough to measure and common to many images. A
class of objects that requires more (a slice its place) becomes a Secondary Capture; see `type2_attributes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from medveil.images import record
from medveil.images.dicom import attributes
from medveil.images.dicom.attributes import numbers, text
from medveil.images.dicom.elements import Element, encode
from medveil.images.dicom.records import may_show_names, pixel_part, seal
from medveil.images.image import FileKind, Image, Source

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CLASSES = tuple(_STORAGE + tail for tail in ("1", "1.1", "1.1.1", "1.2", "1.2.1", "6.1", "7"))  # CR, DX, MG, US, SC
_NO_KEY = bytes(32)
_OF_ANY_CLASS = (
    attributes.MODALITY, attributes.IMAGE_TYPE,
    0x00180015,  # Body Part Examined
    0x00185101,  # View Position
    0x00200060,  # Laterality
    0x00200062,  # Image Laterality
)  # fmt: skip
_LAYOUT = (
    attributes.SAMPLES, attributes.ROWS, attributes.COLUMNS, attributes.BITS_ALLOCATED,
    attributes.BITS_STORED, attributes.HIGH_BIT, attributes.SIGNED,
)  # fmt: skip
_OF_VALUES = (
    attributes.PHOTOMETRIC, attributes.INTERCEPT, attributes.SLOPE,
    0x00280034,  # Pixel Aspect Ratio
    0x00281040,  # Pixel Intensity Relationship
    0x00281041,  # Pixel Intensity Relationship Sign
    0x00281054,  # Rescale Type
    0x20500020,  # Presentation LUT Shape
)  # fmt: skip
_INTENT = 0x00080068  # Presentation Intent Type
PUBLIC = frozenset((attributes.SOP_CLASS, _INTENT, *_OF_ANY_CLASS, *_LAYOUT, *_OF_VALUES, *attributes.SPACINGS))
"""The attributes that everybody may know; what a writer adds to them says nothing of the image."""
_DIGITS = {**dict.fromkeys(attributes.SPACINGS, 2), attributes.INTERCEPT: 4, attributes.SLOPE: 4}


def public(image: Image) -> Image:
    """The image with what everybody may know of it, and without identity."""
    elements = pixel_part(image.source.pixel_record).elements
    kept = [_rounded(element) for tag, element in elements.items() if tag in PUBLIC and _says_something(element)]
    usual = text(elements.get(attributes.SOP_CLASS)) in _CLASSES
    return _with(image, [each for each in kept if usual or each.tag != attributes.SOP_CLASS], [image])


def drawn(image: Image, members: Sequence[Image]) -> Image:
    """An 8-bit picture that was drawn from DICOM images: a Secondary Capture with what is the same in all of them."""
    first, *others = (pixel_part(member.source.pixel_record).elements for member in members)
    common = [element for tag, element in first.items() if all(other.get(tag) == element for other in others)]
    height, width = image.pixels.shape
    words = zip(_LAYOUT, (1, height, width, 8, 8, 7, 0), strict=True)
    layout = [Element(tag, "US", value.to_bytes(2, "little")) for tag, value in words]
    kind = Element(attributes.PHOTOMETRIC, "CS", b"MONOCHROME2 ")
    return _with(image, [*(each for each in common if each.tag in _OF_ANY_CLASS), *layout, kind], members)


def words(image: Image) -> dict[str, str]:
    """What a public file tells beside its pixels and their layout: tag, as 8 hexadecimal digits, to text."""
    elements = pixel_part(image.source.pixel_record).elements
    told = {tag: text(element) for tag, element in elements.items() if tag in PUBLIC and tag not in _LAYOUT}
    return {f"{tag:08x}": value for tag, value in sorted(told.items()) if value}


def is_inverted(image: Image) -> bool:
    """Whether the lowest value is shown white."""
    return text(pixel_part(image.source.pixel_record).elements.get(attributes.PHOTOMETRIC)) == "MONOCHROME1"


def _with(image: Image, elements: Iterable[Element], members: Sequence[Image]) -> Image:
    fields: dict[str, object] = {"elements": encode(sorted(elements, key=lambda element: element.tag))}
    sealed = (pixel_part(seal(member, _NO_KEY, pseudonyms=False)[0]) for member in members)
    if any(may_show_names(part) for part in sealed):
        fields["burned_in"] = 1
    return replace(image, source=Source(FileKind.DICOM, record.pack(FileKind.DICOM, fields)))


def _says_something(element: Element) -> bool:
    """Whether it is no spacing, or one of positive numbers: some files have zeros there."""
    return element.tag not in attributes.SPACINGS or all(value > 0 for value in numbers(element) or [0.0])


def _rounded(element: Element) -> Element:
    values = numbers(element) if element.tag in _DIGITS else None
    if values is None:
        return element
    joined = "\\".join(f"{value:.{_DIGITS[element.tag]}g}" for value in values)
    return Element(element.tag, "DS", (joined + " " * (len(joined) % 2)).encode())
