"""The bytes in which an image's attributes travel: canonical CBOR maps with text keys, checked when they come back."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from medveil.errors import IntegrityError
from medveil.files import canonical

VERSION = 1
MAX_RECORD_BYTES = 80 << 20
MAX_DEPTH = 8
MAX_LABELS, MAX_LABEL = 16, 64  # of an image; characters of a name and of a value
TAG_BYTES = 16
_FORMULA = re.compile("[=@\uff1d\uff20]|[+\\-\uff0b\uff0d](?![0-9]*\\.?[0-9]*$)")
IMAGE_COLUMNS = ("package", "image", "path", "file", "filename", "original")  # of a labels file: they name the image
PATIENT_COLUMN = "patient_id"
_LABELS, _PSEUDONYM = "labels", "pseudonym"
_FOREIGN = "the image's record is not one that medveil writes"

Value = Any


def pack(kind: str, fields: Mapping[str, Value]) -> bytes:
    """One record: the fields, with the kind of file and the version of the record."""
    return canonical.dumps({"kind": str(kind), "version": VERSION, **fields})


def unpack(data: bytes, kind: str) -> dict[str, Value]:
    """The fields of a record of this kind.

    Raises:
        IntegrityError: too long, not canonical CBOR, or of another kind or version.
    """
    fields = canonical.loads(data, what="image's record", limit=MAX_RECORD_BYTES)
    _check_depth(fields, MAX_DEPTH)
    if not isinstance(fields, dict) or fields.pop("kind", None) != kind:
        raise IntegrityError(_FOREIGN)
    if fields.pop("version", None) != VERSION:
        raise IntegrityError("the image's record has an unknown version")
    return fields


def labelled(data: bytes, kind: str, labels: Mapping[str, str], pseudonym: bytes = b"") -> bytes:
    """A pixel record with the labels that the owner gave the image, and with what stands for its patient, if any."""
    fields = unpack(data, kind)
    if labels:
        fields[_LABELS] = dict(labels)
    if pseudonym:
        fields[_PSEUDONYM] = pseudonym
    return pack(kind, fields)


def labels_of(data: bytes, kind: str) -> dict[str, str]:
    """The labels in a pixel record, by name. Raises IntegrityError for what `share` would not have taken.

    A label that is called like a column which says what image or whose it is, as no `share` makes it, is left out: in a
    table it would stand for the truth.
    """
    found = Fields(unpack(data, kind)).mapping(_LABELS)
    texts = [*found, *found.values()]
    if len(found) > MAX_LABELS or not all(type(one) is str and is_label(one) for one in texts):
        raise IntegrityError(_FOREIGN)
    return {name: value for name, value in found.items() if name not in (*IMAGE_COLUMNS, PATIENT_COLUMN)}


def is_label(text: str) -> bool:
    """Whether a text can be the name or the value of a label: one line that prints, and no formula to a spreadsheet."""
    whole = 0 < len(text) <= MAX_LABEL and text.isprintable() and text == text.strip()
    return whole and not _FORMULA.match(text)


def pseudonym_of(data: bytes, kind: str) -> bytes:
    """What stands for the patient in a pixel record, 16 bytes, or nothing."""
    found = Fields(unpack(data, kind)).data(_PSEUDONYM)
    if len(found) not in (0, TAG_BYTES):
        raise IntegrityError(_FOREIGN)
    return found


def inflated(data: bytes, length: int, refusal: str) -> bytes:
    """The inverse of zlib.compress for what has exactly `length` bytes.

    Raises:
        IntegrityError: with the text `refusal`, anything else.
    """
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, length + 1)
    except zlib.error:
        raw = b""
    if len(raw) != length or not inflater.eof or inflater.unused_data:
        raise IntegrityError(refusal)
    return raw


def _check_depth(value: object, depth: int) -> None:
    """No nesting deeper than any image's attributes have; that it is plain data is seen to by `canonical`."""
    if depth == 0:
        raise IntegrityError(_FOREIGN)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(item, depth - 1)


class Fields:
    """Typed access to a record's fields; a field of another type is an IntegrityError, a missing one its default."""

    def __init__(self, fields: Mapping[str, Value]) -> None:
        self._fields = fields

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self._fields.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise IntegrityError(_FOREIGN)
        return value

    def data(self, name: str, limit: int = MAX_RECORD_BYTES) -> bytes:
        value = self._fields.get(name, b"")
        if not isinstance(value, bytes) or len(value) > limit:
            raise IntegrityError(_FOREIGN)
        return value

    def rows(self, name: str, width: int, limit: int = 1 << 16) -> list[list[Value]]:
        """A list of lists of `width` values each; the caller checks the values."""
        value = self._fields.get(name, [])
        if not isinstance(value, list) or len(value) > limit:
            raise IntegrityError(_FOREIGN)
        for row in value:
            if not isinstance(row, list) or len(row) != width:
                raise IntegrityError(_FOREIGN)
        return value

    def mapping(self, name: str) -> dict[str, Value]:
        value = self._fields.get(name, {})
        if not isinstance(value, dict):
            raise IntegrityError(_FOREIGN)
        return value
