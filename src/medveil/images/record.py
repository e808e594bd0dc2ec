"""The bytes in which an image's attributes travel: canonical CBOR maps with text keys, checked when they come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medveil.errors import IntegrityError
from medveil.files import canonical

VERSION = 1
MAX_RECORD_BYTES = 80 << 20
MAX_DEPTH = 8
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
    _check_plain(fields, MAX_DEPTH)
    if not isinstance(fields, dict) or fields.pop("kind", None) != kind:
        raise IntegrityError(_FOREIGN)
    if fields.pop("version", None) != VERSION:
        raise IntegrityError("the image's record has an unknown version")
    return fields


def _check_plain(value: object, depth: int) -> None:
    """Only plain data: no CBOR tags, no text that is not text, no deep nesting."""
    if depth == 0:
        raise IntegrityError(_FOREIGN)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise IntegrityError(_FOREIGN)
            _check_plain(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, depth - 1)
    elif value is not None and not isinstance(value, str | bytes | int | float | bool):
        raise IntegrityError(_FOREIGN)


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

    def numbers(self, name: str, count: int) -> tuple[float, ...] | None:
        """A list of exactly `count` finite numbers, or None where there is none."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != count:
            raise IntegrityError(_FOREIGN)
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int | float) or abs(item) > 1e300 or item != item:
                raise IntegrityError(_FOREIGN)
        return tuple(float(item) for item in value)

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
