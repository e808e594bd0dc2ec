"""Which attributes travel with the pixels, and in which form. Everything else is identity, but for `acquisition`'s.

Only what contract.md lists travels: Image Pixel and Plane attributes, LUTs, modality, body part, view, laterality. A
value travels only if it is what its VR says (a name in a decimal string is not) and, at sharing, one of the terms or in
the range that `terms` has for it; free text never does.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from medveil.images.dicom import terms
from medveil.images.dicom.codes import CODES, STORAGE_ROOT
from medveil.images.dicom.elements import Element

UID_TAGS = {
    0x00080018: "SOPInstanceUID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
    0x00200052: "FrameOfReferenceUID",
}

IMAGE_TYPE = 0x00080008
SOP_CLASS = 0x00080016
MODALITY = 0x00080060
ROWS, COLUMNS = 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
SAMPLES, PHOTOMETRIC, FRAMES = 0x00280002, 0x00280004, 0x00280008
SMALLEST, LARGEST = 0x00280106, 0x00280107
PADDING, PADDING_LIMIT = 0x00280120, 0x00280121
BURNED_IN = 0x00280301
INTERCEPT, SLOPE = 0x00281052, 0x00281053
_PATIENT_ORIENTATION, _RELATIONSHIP_SIGN = 0x00200020, 0x00281041
SPACINGS = (0x00280030, 0x00181164, 0x00182010)

_SCALES = frozenset(["HU", "OD", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"])
_IMAGE_TYPES = (
    frozenset(["ORIGINAL", "DERIVED"]),
    frozenset(["PRIMARY", "SECONDARY"]),
    frozenset(["AXIAL", "LOCALIZER", "SINGLE PLANE", "BIPLANE A", "BIPLANE B", "PROJECTION", "RECON", "MPR", "OTHER"]),
)
_OF_PIXELS = (SMALLEST, LARGEST, PADDING)
_MIN_LUT_BITS, _MAX_LUT_BITS = 8, 16
_MAX_DECIMAL = 16  # characters of a decimal string
_MAX_TEXT = 64  # characters of one value; no VR that travels allows more
_CODE = re.compile(r"[A-Z0-9_ ]{0,16}")
_ORIENTATION = re.compile(r"[AFHLPR]{0,3}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,10}")
_UID = re.compile(r"[0-9.]{1,64}")

Check = Callable[[Element], bool]


def text(element: Element | None) -> str:
    """A value as text without padding, bytes beyond ASCII replaced."""
    return "" if element is None else element.data.decode("ascii", "replace").strip(" \0")


def texts(element: Element | None) -> list[str]:
    """The values of a multi-valued text."""
    whole = text(element)
    return [part.strip() for part in whole.split("\\")] if whole else []


def integers(element: Element | None, *, signed: bool = False) -> list[int]:
    """The 16-bit values of an element, by default as unsigned ones."""
    value = b"" if element is None else element.data
    return list(struct.unpack(f"<{len(value) // 2}{'h' if signed else 'H'}", value[: len(value) // 2 * 2]))


def numbers(element: Element | None) -> list[float] | None:
    """The finite numbers of a decimal string, or None where there are none or one of them is no number."""
    parts = texts(element)
    if not parts or not all(len(part) <= _MAX_TEXT and _DECIMAL.fullmatch(part) for part in parts):
        return None
    values = [float(part) for part in parts]
    return values if all(abs(value) < 1e30 for value in values) else None


def _all(pattern: re.Pattern[str], limit: int) -> Check:
    def check(element: Element) -> bool:
        parts = texts(element)
        return len(parts) <= limit and all(len(part) <= _MAX_TEXT and pattern.fullmatch(part) for part in parts)

    return check


def _words(low: int, high: int) -> Check:
    return lambda element: 2 * low <= len(element.data) <= 2 * high and len(element.data) % 2 == 0


def _one_of(values: frozenset[str]) -> Check:
    return lambda element: text(element) in values


_code, _decimals, _word = _all(_CODE, 8), _all(_DECIMAL, 64), _words(0, 1)
_side = _one_of(frozenset(["R", "L", "U", "B", ""]))

_TRAVELLING: Mapping[int, tuple[str, Check]] = {
    SOP_CLASS: ("UI", lambda element: text(element).startswith(STORAGE_ROOT) and bool(_UID.fullmatch(text(element)))),
    MODALITY: ("CS", _code),
    0x00080064: ("CS", _code),  # Conversion Type
    0x00080068: ("CS", _code),  # Presentation Intent Type
    0x00180015: ("CS", _code),  # Body Part Examined
    0x00180050: ("DS", _decimals),  # Slice Thickness
    0x00180088: ("DS", _decimals),  # Spacing Between Slices
    0x00181164: ("DS", _decimals),  # Imager Pixel Spacing
    0x00182010: ("DS", _decimals),  # Nominal Scanned Pixel Spacing
    0x00185101: ("CS", _code),  # View Position
    _PATIENT_ORIENTATION: ("CS", _all(_ORIENTATION, 2)),
    0x00200032: ("DS", _decimals),  # Image Position (Patient)
    0x00200037: ("DS", _decimals),  # Image Orientation (Patient)
    0x00200060: ("CS", _side),  # Laterality
    0x00200062: ("CS", _side),  # Image Laterality
    0x00201041: ("DS", _decimals),  # Slice Location
    SAMPLES: ("US", _word),
    PHOTOMETRIC: ("CS", _code),
    FRAMES: ("IS", _all(_INTEGER, 1)),
    ROWS: ("US", _word),
    COLUMNS: ("US", _word),
    0x00280030: ("DS", _decimals),  # Pixel Spacing
    0x00280034: ("IS", _all(_INTEGER, 2)),  # Pixel Aspect Ratio
    BITS_ALLOCATED: ("US", _word),
    BITS_STORED: ("US", _word),
    HIGH_BIT: ("US", _word),
    SIGNED: ("US", _word),
    SMALLEST: ("US SS", _word),
    LARGEST: ("US SS", _word),
    PADDING: ("US SS", _word),
    PADDING_LIMIT: ("US SS", _word),
    BURNED_IN: ("CS", _code),
    0x00280A02: ("CS", _code),  # Pixel Spacing Calibration Type
    0x00281040: ("CS", _code),  # Pixel Intensity Relationship
    _RELATIONSHIP_SIGN: ("SS", _word),  # of the pixel intensity
    0x00281050: ("DS", _decimals),  # Window Center
    0x00281051: ("DS", _decimals),  # Window Width
    INTERCEPT: ("DS", _decimals),
    SLOPE: ("DS", _decimals),
    0x00281054: ("LO", _one_of(_SCALES)),  # Rescale Type
    0x00281056: ("CS", _code),  # VOI LUT Function
    0x00282110: ("CS", _code),  # Lossy Image Compression
    0x00282112: ("DS", _decimals),  # Lossy Image Compression Ratio
    0x00282114: ("CS", _code),  # Lossy Image Compression Method
    0x20500020: ("CS", _code),  # Presentation LUT Shape
}
_ANATOMIC_REGION, _VIEW_CODE = 0x00082218, 0x00540220
_CODE_VALUE, _CODE_SCHEME, _CODE_MEANING, _MODIFIERS = 0x00080100, 0x00080102, 0x00080104, 0x00540222
_IN_CODE: Mapping[int, tuple[str, Check]] = {
    _CODE_VALUE: ("SH", _all(re.compile(r"[A-Z0-9-]{2,16}"), 1)),
    _CODE_SCHEME: ("SH", _one_of(frozenset(["SCT", "SRT", "SNM3", "99SDM", "DCM", "FMA", "RADLEX"]))),
}
_LUT_SEQUENCES = (0x00283000, 0x00283010)
_LUT_DESCRIPTOR, _LUT_TYPE, _LUT_DATA = 0x00283002, 0x00283004, 0x00283006
_IN_LUT: Mapping[int, tuple[str, Check]] = {
    _LUT_DESCRIPTOR: ("US SS", _words(3, 3)),
    _LUT_TYPE: ("LO", _one_of(_SCALES)),
    _LUT_DATA: ("US OW", _words(1, 1 << 16)),
}


def travelling(elements: Mapping[int, Element], pixels: NDArray[np.generic]) -> list[Element]:
    """The part of a data set that travels with the pixels; without the pixel data and without UIDs of instances.

    Of values that describe the pixels only those that the pixels have, or of padding could have.
    """
    kept = (_kept(element) for element in elements.values())
    meant = [_shortened(element) for element in kept if element is not None and _is_meant(element)]
    found = [*tables({element.tag: element for element in meant}).values()]
    absent = {
        element.tag for element in found if element.tag in _OF_PIXELS and not _is_of_pixels(element, elements, pixels)
    }
    if PADDING in absent or not any(element.tag == PADDING for element in found):
        absent.add(PADDING_LIMIT)
    return [element for element in found if element.tag not in absent]


def _is_of_pixels(element: Element, elements: Mapping[int, Element], pixels: NDArray[np.generic]) -> bool:
    """Whether a pixel has the value; of Pixel Padding Value, whether a pixel could lie in the range of padding."""
    signed, stored = pixels.dtype.kind == "i", cast(NDArray[np.int64], pixels)
    values = integers(element, signed=signed)
    if element.tag != PADDING or not values:
        return not values or bool((stored == values[0]).any())
    values += integers(elements.get(PADDING_LIMIT), signed=signed)
    bits = sum(integers(elements.get(BITS_STORED)))
    low, high = (-(1 << bits >> 1), (1 << bits >> 1) - 1) if signed else (0, (1 << bits) - 1)
    return max(min(values), low) <= min(max(values), high)


def _shortened(element: Element) -> Element:
    """The element with decimal strings of 16 characters at most, as the standard has it: ten digits are enough."""
    if element.vr != "DS" or all(len(part) <= _MAX_DECIMAL for part in texts(element)):
        return element
    joined = "\\".join(f"{number:.10g}" for number in numbers(element) or [])
    return Element(element.tag, "DS", (joined + " " * (len(joined) % 2)).encode())


def tables(elements: Mapping[int, Element]) -> dict[int, Element]:
    """The elements without lookup tables that are none, and without what stands behind the entries of a table."""
    found = {tag: _table(element) if tag in _LUT_SEQUENCES else element for tag, element in elements.items()}
    return {tag: element for tag, element in found.items() if element is not None}


def lost_tables(elements: Mapping[int, Element], kept: Iterable[Element]) -> bool:
    """Whether a sequence of lookup tables is not among those that travel."""
    tags = {element.tag for element in kept}
    return any(tag in elements and elements[tag].items and tag not in tags for tag in _LUT_SEQUENCES)


def _table(element: Element) -> Element | None:
    """A sequence of lookup tables, each cut to its entries; None where one has too few, or they go up and down."""
    items = []
    for item in element.items:
        inner = {one.tag: one for one in item}
        shape, data = integers(inner.get(_LUT_DESCRIPTOR)), inner.get(_LUT_DATA)
        if len(shape) != 3 or data is None or not _MIN_LUT_BITS <= shape[2] <= _MAX_LUT_BITS:
            return None
        entries = np.frombuffer(data.data, "<u2", len(data.data) // 2)[: shape[0] or 1 << 16]
        if len(entries) < (shape[0] or 1 << 16) and shape[2] == _MIN_LUT_BITS:  # two entries a word
            entries = np.frombuffer(data.data, "u1")[: shape[0] or 1 << 16]
        steps = np.diff(entries.astype(np.int32))
        if len(entries) < (shape[0] or 1 << 16) or (entries.astype(np.int32) >> shape[2]).any():
            return None
        if (steps < 0).any() and (steps > 0).any():
            return None
        raw = entries.tobytes()
        inner[_LUT_DATA] = replace(data, value=raw + b"\0" * (len(raw) % 2))
        items.append(tuple(inner.values()))
    return replace(element, value=tuple(items))


def is_travelling(elements: Mapping[int, Element]) -> bool:
    """Whether all of these may travel by their form: what `travelling` of this or a later version gave."""
    return all(_kept(element) == element for element in elements.values())


def _is_meant(element: Element) -> bool:
    """Whether the value is one that the attribute is for, and not a name or a date in its form."""
    if element.vr == "SQ":
        return element.tag not in (_ANATOMIC_REGION, _VIEW_CODE) or _is_known_code(element)
    if element.tag == _PATIENT_ORIENTATION:
        return all(terms.is_direction(value) for value in texts(element))
    if element.tag == _RELATIONSHIP_SIGN:
        return integers(element, signed=True) in ([], [1], [-1])
    if element.tag in terms.RANGES:
        return not text(element) or terms.is_in_range(element.tag, numbers(element) or [math.inf])
    return terms.is_term(element.tag, texts(element))


def _is_known_code(element: Element) -> bool:
    inner = {one.tag: text(one) for one in element.items[0]}
    return inner[_CODE_VALUE] in CODES.get(inner[_CODE_SCHEME], frozenset())


def _kept(element: Element) -> Element | None:
    if element.tag in _LUT_SEQUENCES and element.vr == "SQ":
        return _kept_luts(element)
    if element.tag in (_ANATOMIC_REGION, _VIEW_CODE) and element.vr == "SQ":
        return _kept_code(element)
    if element.tag == IMAGE_TYPE and element.vr == "CS":
        return _kept_image_type(element)
    return _checked(element, _TRAVELLING)


def _checked(element: Element, table: Mapping[int, tuple[str, Check]]) -> Element | None:
    vrs, check = table.get(element.tag, ("", None))
    if check is None or element.encapsulated or element.items:
        return None
    allowed = vrs.split()
    if element.vr == "UN" and len(allowed) == 1:
        element = Element(element.tag, allowed[0], element.value)
    return element if element.vr in allowed and check(element) else None


def _kept_image_type(element: Element) -> Element:
    values = [value if value in allowed else "" for value, allowed in zip(texts(element), _IMAGE_TYPES, strict=False)]
    values[:2] = [value or fallback for value, fallback in zip(values[:2], ("DERIVED", "SECONDARY"), strict=False)]
    joined = "\\".join(values)
    if joined == "\\".join(texts(element)):
        return element
    return Element(IMAGE_TYPE, "CS", (joined + " " * (len(joined) % 2)).encode())


def _kept_code(element: Element) -> Element | None:
    """The first code of a public scheme. Its meaning, free text in the file, becomes the code itself."""
    for item in element.items:
        kept = [one for one in (_checked(inner, _IN_CODE) for inner in item) if one is not None]
        if [one.tag for one in kept] == [_CODE_VALUE, _CODE_SCHEME]:
            kept.append(Element(_CODE_MEANING, "LO", kept[0].value))
            if element.tag == _VIEW_CODE:
                kept.append(Element(_MODIFIERS, "SQ", ()))  # type 2 in mammography
            return Element(element.tag, "SQ", (tuple(kept),))
    return None


def _kept_luts(element: Element) -> Element | None:
    """LUTs without their explanations; a kind of LUT that is free text becomes "unspecified"."""
    items = []
    for item in element.items:
        kept = [one for one in (_checked(inner, _IN_LUT) for inner in item) if one is not None]
        tags = {one.tag for one in kept}
        if not {_LUT_DESCRIPTOR, _LUT_DATA} <= tags:
            return None
        if any(inner.tag == _LUT_TYPE for inner in item) and _LUT_TYPE not in tags:
            kept.append(Element(_LUT_TYPE, "LO", b"US"))
        items.append(tuple(sorted(kept, key=lambda one: one.tag)))
    return Element(element.tag, "SQ", tuple(items))
