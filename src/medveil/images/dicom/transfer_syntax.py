"""Transfer syntaxes: those that are read, and what the others are called in a refusal."""

from __future__ import annotations

import re

from medveil.errors import UnreadableInputError, UnsupportedInputError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
# Of GE, private: Implicit VR Little Endian with the words of the pixel data big endian (dcmtk and gdcm agree).
BIG_PIXELS = "1.2.840.113619.5.2"
ENCAPSULATED_NATIVE = "1.2.840.10008.1.2.1.98"

RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))

NATIVE = frozenset([IMPLICIT, EXPLICIT, DEFLATED, BIG, BIG_PIXELS])
COMPRESSED = frozenset([ENCAPSULATED_NATIVE, RLE, JPEG_BASELINE, JPEG_EXTENDED, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000])
_OURS = {
    BIG_PIXELS: "Implicit VR Little Endian with big endian pixels, private of GE",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_MAX_LENGTH = 64


def check(uid: str) -> None:
    """Refuse a transfer syntax that is not read, by its UID and, where it is a public one, its name.

    Raises:
        UnreadableInputError: it is no UID.
        UnsupportedInputError: it is not read.
    """
    if uid in NATIVE or uid in COMPRESSED:
        return
    if len(uid) > _MAX_LENGTH or not _UID.fullmatch(uid):
        raise UnreadableInputError("(0002,0010) Transfer Syntax UID: the value is not a UID")
    raise UnsupportedInputError(
        f"the transfer syntax {named(uid)}, which medveil does not read",
        hint="Convert it to Explicit VR Little Endian, for example with dcmconv, dcmdjpeg or gdcmconv --raw.",
    )


def named(uid: str) -> str:
    """The UID, and its name in brackets where it has a public one."""
    from pydicom.uid import UID

    name = _OURS.get(uid) or UID(uid).name
    return f"{uid} ({name})" if name != uid else uid
