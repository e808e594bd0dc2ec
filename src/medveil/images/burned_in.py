"""What a DICOM file says of text that is burned into its pixels, and where it says nothing, what kind of image it is.

Medveil reads no text in pictures. Burned In Annotation (0028,0301) says whether there is enough of it to tell who the
patient is (PS3.3 C.7.6.1). Many files leave it out; of some kinds of image it is then usual that there is text: what
was captured from a screen, a film or a sheet of paper, and what cameras and ultrasound devices make. Digital X-ray
objects have to state it (C.8.11.3), and one that does not is not as its device made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from medveil.images.dicom import attributes
from medveil.images.dicom.elements import Element

_CONVERSION = 0x00080064
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CLASSES = {
    f"{_STORAGE}7": "a secondary capture",
    f"{_STORAGE}6": "ultrasound",
    f"{_STORAGE}3": "ultrasound",
    f"{_STORAGE}77.1": "a photograph, endoscopy or microscopy",
}
_KINDS = {
    "ultrasound": "US IVUS BDUS",
    "a photograph, endoscopy or microscopy": "ES XC GM SM CFM DM DMS OP FS",
    "a document or a report": "DOC BMD ECG EPS HD OSS",
    "a film": "HC RG TG LS",
    "of no stated kind": "OT",
    "digital X-ray, which has to say so": "DX MG IO PX",
}
_MODALITIES = {modality: words for words, listed in _KINDS.items() for modality in listed.split()}
_CAPTURED = ("SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "SCREEN CAPTURE")


class BurnedIn(StrEnum):
    """How far a file rules out that text which names the patient is burned into the pixels."""

    NO = "it says that there is none"
    YES = "it says that there is"
    UNCLEAR = "it says neither yes nor no"
    USUAL = "it says nothing, and images of its kind often have some"
    UNSAID = "it says nothing"

    @property
    def is_ruled_out(self) -> bool:
        """Whether nothing is to be warned of: it says no, or is silent and of a kind that seldom has any."""
        return self in (BurnedIn.NO, BurnedIn.UNSAID)


def burned_in(elements: Mapping[int, Element]) -> BurnedIn:
    """What the data set of a file says."""
    stated = elements.get(attributes.BURNED_IN)
    if stated is None:
        return BurnedIn.USUAL if kind_with_text(elements) else BurnedIn.UNSAID
    word = attributes.text(stated)
    if word == "NO":
        return BurnedIn.NO
    return BurnedIn.YES if word.upper() == "YES" else BurnedIn.UNCLEAR


def kind_with_text(elements: Mapping[int, Element]) -> str:
    """The kind of image, in words, where it is one that often has text in the pixels; else empty."""
    sop_class = attributes.text(elements.get(attributes.SOP_CLASS))
    for root, words in _CLASSES.items():
        if sop_class == root or sop_class.startswith(f"{root}."):
            return words
    if attributes.text(elements.get(_CONVERSION)):
        return "a secondary capture"
    if any(
        word in kind.upper() for kind in attributes.texts(elements.get(attributes.IMAGE_TYPE)) for word in _CAPTURED
    ):
        return "a picture of a screen"
    return _MODALITIES.get(attributes.text(elements.get(attributes.MODALITY)), "")


def warning(elements: Mapping[int, Element]) -> str:
    """What is to be said before the file is shared, without any value of it; empty where text is ruled out."""
    told = burned_in(elements)
    if told is BurnedIn.YES:
        return "the file says YES: text that may name the patient is burned into the pixels (Burned In Annotation)"
    if told is BurnedIn.UNCLEAR:
        return "the file does not rule out annotation burned into the pixels (Burned In Annotation is not NO)"
    if told is BurnedIn.USUAL:
        return (
            f"nothing says that no text is burned into the pixels (no Burned In Annotation), and the image is one that "
            f"often has some: {kind_with_text(elements)}"
        )
    return ""
