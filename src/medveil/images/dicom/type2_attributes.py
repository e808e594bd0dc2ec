"""What the standard requires of an image whose recipient may not know who it shows.

Type 2 attributes are there and empty. Where a class of objects requires facts that do not travel (the tracer of a PET,
the tube of an angiogram), the image goes out as a Secondary Capture, which requires none of them; its modality stays.
And it says of itself that it was de-identified, and by what method (PS3.15 E.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from medveil.images.dicom import acquisition, attributes
from medveil.images.dicom.elements import Element

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CR, _CT, _MR, _US = f"{_STORAGE}1", f"{_STORAGE}2", f"{_STORAGE}4", f"{_STORAGE}6.1"
_DX, _MG = f"{_STORAGE}1.1", f"{_STORAGE}1.2"
_SECONDARY_CAPTURE = f"{_STORAGE}7"
_BODY_PART, _LATERALITY, _IMAGE_LATERALITY = 0x00180015, 0x00200060, 0x00200062
_PATIENT_ORIENTATION, _FRAME_OF_REFERENCE, _REFERENCE_INDICATOR = 0x00200020, 0x00200052, 0x00201040
_RESCALE_TYPE, _ANATOMIC_REGION = 0x00281054, 0x00082218
_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_IDENTITY_REMOVED, _METHOD = 0x00120062, 0x00120063
_TIMES = 0x00280303  # Longitudinal Temporal Information Modified

_DIGITAL_XRAY = (_DX, f"{_DX}.1", _MG, f"{_MG}.1")
# SNOMED CT of what is X-rayed most, by Body Part Examined (PS3.16 annex L).
_REGIONS = {
    "ABDOMEN": "818981001", "ANKLE": "70258002", "BREAST": "76752008", "CHEST": "51185008", "CSPINE": "122494005",
    "FOOT": "56459004", "FOREARM": "14975008", "HAND": "85562004", "HIP": "24136001", "KNEE": "72696002",
    "LSPINE": "122496007", "PELVIS": "816092008", "SHOULDER": "16982005", "SKULL": "89546000", "TSPINE": "122495006",
}  # fmt: skip

Defaults = Mapping[int, tuple[str, bytes]]

# Patient, General Study, General Series, General Equipment, General Image.
_ALWAYS: Defaults = {
    0x00080020: ("DA", b""),  # Study Date
    0x00080030: ("TM", b""),  # Study Time
    0x00080050: ("SH", b""),  # Accession Number
    attributes.MODALITY: ("CS", b"OT"),
    0x00080070: ("LO", b""),  # Manufacturer
    0x00080090: ("PN", b""),  # Referring Physician's Name
    0x00100030: ("DA", b""),  # Patient's Birth Date
    0x00100040: ("CS", b""),  # Patient's Sex
    0x00200010: ("SH", b""),  # Study ID
    0x00200011: ("IS", b""),  # Series Number
    0x00200013: ("IS", b""),  # Instance Number
}
_OF_DIGITAL_XRAY: Defaults = {
    0x00080068: ("CS", b"FOR PRESENTATION"),
    _ANATOMIC_REGION: ("SQ", b""),
    0x00181508: ("CS", b""),  # Positioner Type
    0x00187004: ("CS", b""),  # Detector Type
    0x00400555: ("SQ", b""),  # Acquisition Context Sequence
}
# By class; where a value is required, it is the one that the standard has for "unspecified", or true by definition.
_BY_CLASS: Mapping[str, Defaults] = {
    _SECONDARY_CAPTURE: {0x00080064: ("CS", b"WSD")},  # Conversion Type: workstation
    _CR: {_BODY_PART: ("CS", b""), 0x00185101: ("CS", b"")},
    _US: {},
    _CT: {
        0x00180050: ("DS", b""),  # Slice Thickness
        0x00180060: ("DS", b""),  # KVP
        0x00185100: ("CS", b""),  # Patient Position
        0x00200012: ("IS", b""),  # Acquisition Number
        _REFERENCE_INDICATOR: ("LO", b""),
    },
    _MR: {
        0x00180020: ("CS", b"RM"),  # Scanning Sequence: research mode
        0x00180021: ("CS", b"NONE"),  # Sequence Variant
        0x00180022: ("CS", b""),  # Scan Options
        0x00180023: ("CS", b""),  # MR Acquisition Type
        0x00180050: ("DS", b""),  # Slice Thickness
        0x00180080: ("DS", b""),  # Repetition Time
        0x00180081: ("DS", b""),  # Echo Time
        0x00180091: ("IS", b""),  # Echo Train Length
        0x00185100: ("CS", b""),  # Patient Position
        _REFERENCE_INDICATOR: ("LO", b""),
    },
    _DX: _OF_DIGITAL_XRAY,
    f"{_DX}.1": {**_OF_DIGITAL_XRAY, 0x00080068: ("CS", b"FOR PROCESSING")},
    _MG: {**_OF_DIGITAL_XRAY, 0x00181508: ("CS", b"MAMMOGRAPHIC"), 0x00400318: ("CS", b"BREAST")},
    f"{_MG}.1": {
        **_OF_DIGITAL_XRAY,
        0x00080068: ("CS", b"FOR PROCESSING"),
        0x00181508: ("CS", b"MAMMOGRAPHIC"),
        0x00400318: ("CS", b"BREAST"),  # Organ Exposed
    },
}


_METHODS = {"113100": "Basic Application Confidentiality Profile", **acquisition.PIXEL_METHODS}


def complete(elements: dict[int, Element], patient: str = "", *, names_in_pixels: bool = False) -> None:
    """Add what is required and lacking; where it cannot be had, make the object a Secondary Capture.

    Args:
        elements: the data set, with what travels in it.
        patient: the patient's ID for this recipient, or empty. It is the name too, since viewers list names.
        names_in_pixels: whether nothing rules out that names stand in the pixels.
    """
    for tag, vr in ((_PATIENT_ID, "LO"), (_PATIENT_NAME, "PN")):
        elements[tag] = Element(tag, vr, patient.encode())
    _declare(elements, names_in_pixels=names_in_pixels)
    sop_class = attributes.text(elements.get(attributes.SOP_CLASS))
    if sop_class not in _BY_CLASS and not sop_class.startswith(f"{_SECONDARY_CAPTURE}."):
        sop_class = _SECONDARY_CAPTURE
        elements[attributes.SOP_CLASS] = Element(attributes.SOP_CLASS, "UI", sop_class.encode())
    defaults = {**_ALWAYS, **_BY_CLASS.get(sop_class, {})}
    if sop_class in (_CT, _MR):
        _name_kind(elements)
    if sop_class in _DIGITAL_XRAY:
        _code_region(elements, sop_class)
    if _FRAME_OF_REFERENCE in elements:
        defaults[_REFERENCE_INDICATOR] = ("LO", b"")
    if sop_class not in (_CT, _MR, *_DIGITAL_XRAY):  # in digital X-ray it is required where it is known, never empty
        defaults[_PATIENT_ORIENTATION] = ("CS", b"")
    if sop_class not in (_CT, _MR) and attributes.INTERCEPT in elements:
        defaults[_RESCALE_TYPE] = ("LO", b"US")  # unspecified
    if _IMAGE_LATERALITY not in elements and _BODY_PART not in elements:
        defaults[_LATERALITY] = ("CS", b"")
    for tag, (vr, value) in defaults.items():
        elements.setdefault(tag, Element(tag, vr, () if vr == "SQ" else value))


def _name_kind(elements: dict[int, Element]) -> None:
    """A third value of Image Type where it is required and the original's word may not travel."""
    kinds = attributes.texts(elements.get(attributes.IMAGE_TYPE))
    if kinds[2:3] == [""]:
        kinds[2] = "OTHER"
        elements[attributes.IMAGE_TYPE] = Element(attributes.IMAGE_TYPE, "CS", "\\".join(kinds).encode())


def _code_region(elements: dict[int, Element], sop_class: str) -> None:
    """The code of the body part where the original has none that may travel; of a mammogram it is the breast."""
    part = "BREAST" if sop_class.startswith(_MG) else attributes.text(elements.get(_BODY_PART))
    if part in _REGIONS and _ANATOMIC_REGION not in elements:
        elements[_ANATOMIC_REGION] = acquisition.coded(_ANATOMIC_REGION, [(_REGIONS[part], "SCT", part)])


def _declare(elements: dict[int, Element], *, names_in_pixels: bool) -> None:
    """Say that the data set is de-identified; where names may stand in the pixels, that only the rest of it is."""
    from importlib.metadata import version

    earlier = elements.get(acquisition.METHOD_CODES)
    codes = [attributes.text(inner) for item in (earlier.items if earlier else ()) for inner in item[:1]]
    method = f"medveil {version('medveil')}: attributes by allow-list, PS3.15 2026c E.1"[:64]
    elements[_IDENTITY_REMOVED] = Element(_IDENTITY_REMOVED, "CS", b"NO" if names_in_pixels else b"YES")
    elements[_METHOD] = Element(_METHOD, "LO", method.encode())
    methods = [(code, "DCM", _METHODS[code]) for code in sorted({"113100", *codes})]
    elements[acquisition.METHOD_CODES] = acquisition.coded(acquisition.METHOD_CODES, methods)
    elements[_TIMES] = Element(_TIMES, "CS", b"REMOVED")
