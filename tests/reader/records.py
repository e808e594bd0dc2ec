"""docs/format-records.md: the attributes of an image, as maps. Fields that are not known are left alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

from tests.reader import cbor
from tests.reader.refusal import require
from tests.reader.shapes import Check, many, one_of, raw, row, rows, whole

_LIMIT = 80 << 20
_UIDS = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}


def _is_chunk_name(value: Any) -> bool:
    """Ancillary: it begins with a small letter."""
    return isinstance(value, bytes) and len(value) == 4 and value.isalpha() and value[:1].islower()


def _is_field(value: Any) -> bool:
    return row(value, whole, whole, raw()) or row(value, whole, whole, many(_is_field))


def _are_uids(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() <= _UIDS and all(map(raw(16), value.values()))


def _is_label(text: Any) -> bool:
    formula = r"[=@\uff1d\uff20]|[+\-\uff0b\uff0d](?![0-9]*\.?[0-9]*$)"
    return isinstance(text, str) and 0 < len(text) <= 64 and text.isprintable() and not re.match(formula, text)


def _are_labels(value: Any) -> bool:
    """Names and values of one line each."""
    return isinstance(value, dict) and len(value) <= 16 and all(map(_is_label, [*value, *value.values()]))


def _are_cells(value: Any) -> bool:
    """The unused bits of the file's own cells; empty where the record's are those."""
    return value == {} or (
        isinstance(value, dict) and one_of(0, 1, 2)(value.get("fill")) and raw()(value.get("unused"))
    )


def _is_form(value: Any, checks: dict[str, Check]) -> bool:
    return value == {} or (
        isinstance(value, dict)
        and value.keys() >= checks.keys()
        and all(check(value[name]) for name, check in checks.items())
    )


def _is_png_form(value: Any) -> bool:
    bits = {0: (8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    names = {b"PLTE", b"tRNS", b"bKGD", b"sBIT", b"hIST", b"iCCP"}
    checks = {"colour": one_of(*bits), "chunks": rows(one_of(*names), raw()), "indices": raw(), "bits": whole}
    return _is_form(value, checks) and (value == {} or value["bits"] in bits[value["colour"]])


def _is_tiff_form(value: Any) -> bool:
    checks = {"fields": many(_is_field), "indices": raw(), "bits": one_of(1, 2, 4, 8, 16), "extra": whole}
    kinds = ((0, 2), (1, 2), (2, 3), (2, 4), (3, 1))
    return _is_form(value, checks) and (value == {} or (value.get("photometric"), value.get("channels")) in kinds)


_PNG: tuple[dict[str, Check], dict[str, Check]] = (
    {"depth": one_of(8, 16), "density": raw(0, 9), "orientation": one_of(*range(1, 9))},
    {"chunks": rows(_is_chunk_name, raw(), one_of(False, True)), "form": _is_png_form},
)
_KINDS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "png": _PNG,
    "jpeg": _PNG,
    "tiff": (
        {
            "depth": one_of(8, 16),
            "signed": one_of(0, 1),
            "photometric": one_of(0, 1),
            "orientation": one_of(*range(1, 9)),
            "compression": one_of(1, 8),
        },
        {"fields": many(_is_field), "form": _is_tiff_form, "resolution": raw(0, 16)},
    ),
    "nifti": (
        {"header": raw(348, 540), "gzip": one_of(0, 1)},
        {"header": raw(348, 540), "between": raw(), "stored": raw(0, 348, 540)},
    ),
    "dicom": (
        {
            "elements": raw(),
            "uids": _are_uids,
            "more": raw(),
            "burned_in": one_of(0, 1),
            "allocated": one_of(16),
            "high_bit": one_of(*range(7, 16)),
        },
        {
            "elements": raw(),
            "meta": raw(),
            "fill": one_of(0, 1, 2),
            "unused": raw(),
            "word": one_of(0, 1),
            "compressed": one_of(0, 1),
            "cells": _are_cells,
            "excess": raw(),
            "command": raw(),
            "undecoded": raw(),
            "content": raw(0, 32),
        },
    ),
}
_OF_ALL: dict[str, Check] = {"labels": _are_labels, "pseudonym": raw(0, 16)}
_MAY_LACK = {
    ("png", "orientation"),
    ("jpeg", "orientation"),
    ("dicom", "allocated"),
    ("dicom", "high_bit"),
    ("dicom", "burned_in"),
}


def pixel_record(data: bytes, kind: str) -> dict[str, Any]:
    """The fields that travel with the pixels."""
    require(kind in _KINDS, "an unknown kind of file")
    return _fields(data, kind, _KINDS[kind][0] | _OF_ALL)


def identity_record(data: bytes, kind: str) -> dict[str, Any]:
    """The other fields; none where the record is empty."""
    return _fields(data, kind, _KINDS[kind][1]) if data else {}


def dicom_names(fields: dict[str, Any], uid_key: bytes, tier: str, *, identity: bool) -> dict[str, str]:
    """What stands for patient and UIDs in a DICOM file that is opened at this tier; with identity, the new UIDs."""
    if identity:
        new = () if tier == "exact" else ("SOPInstanceUID", "SeriesInstanceUID")
        tags = {keyword: tag for keyword, tag in fields["uids"].items() if keyword in new}
        return {keyword: _uid(uid_key, tag + tier.encode() + b"identity") for keyword, tag in tags.items()}
    found = {"PatientID": patient_name(fields, uid_key)}
    for keyword, tag in fields["uids"].items():
        of_tier = keyword == "SOPInstanceUID" or (keyword == "SeriesInstanceUID" and tier != "exact")
        message = tag + (tier.encode() if of_tier else b"")
        found[keyword] = _uid(uid_key, message)
    return found


def patient_name(fields: dict[str, Any], uid_key: bytes) -> str:
    """What the patient is called for one recipient; empty where nothing stands for her."""
    pseudonym = fields.get("pseudonym")
    return base64.b32encode(_short(uid_key, pseudonym)).decode().strip("=") if pseudonym else ""


def _uid(key: bytes, message: bytes) -> str:
    return f"2.25.{int.from_bytes(_short(key, message), 'big')}"


def _short(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


def _fields(data: bytes, kind: str, checks: dict[str, Check]) -> dict[str, Any]:
    found = cbor.loads(data, limit=_LIMIT)
    require(isinstance(found, dict) and found.get("kind") == kind, "a record of another kind")
    require(found.get("version") == 1, "a record of another version")
    for name, check in checks.items():
        may_lack = (kind, name) in _MAY_LACK or any(map(check, (b"", [], {})))
        require(check(found[name]) if name in found else may_lack, f"a record whose {name} is none")
    fields: dict[str, Any] = found
    return fields
