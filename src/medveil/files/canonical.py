"""Canonical CBOR: the one encoding of every signed or sealed record; anything else is refused."""

from __future__ import annotations

from typing import Any

import cbor2

from medveil.errors import IntegrityError


def dumps(value: Any) -> bytes:
    """Canonical CBOR (RFC 8949 §4.2.3, length-first key order) of plain integers, bytes, text, lists and maps."""
    return cbor2.dumps(value, canonical=True)


def loads(data: bytes, *, what: str, limit: int = 1 << 20) -> Any:
    """Value of canonical CBOR bytes.

    Args:
        data: the bytes.
        what: name of the record, for the error message.
        limit: largest length that is accepted.

    Raises:
        IntegrityError: too long, not CBOR, trailing bytes, or not what encoding the value again gives.
    """
    if len(data) > limit:
        raise IntegrityError(f"the {what} is {len(data)} bytes long; {limit} at most are allowed")
    try:
        value = cbor2.loads(data)
        canonical = dumps(value) == data
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError, MemoryError):
        canonical = False
    if not canonical:
        raise IntegrityError(f"the {what} is damaged: it is not canonical CBOR")
    return value
