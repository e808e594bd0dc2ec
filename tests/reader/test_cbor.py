"""The second reader and medveil agree on what canonical CBOR is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reader import cbor
from tests.reader.refusal import RefusedError

from medveil.errors import IntegrityError
from medveil.files import canonical

_PLAIN = st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.floats() | st.binary() | st.text()
VALUES = st.recursive(_PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def _read(data: bytes) -> str:
    """What the second reader makes of bytes, as text, so that not-a-number equals itself and 1 is not True."""
    try:
        return repr(cbor.loads(data))
    except RefusedError:
        return "refused"


def _house(data: bytes) -> str:
    try:
        return repr(canonical.loads(data, what="record"))
    except IntegrityError:
        return "refused"


@given(VALUES)
def test_records_read_the_same(value: Any) -> None:
    data = canonical.dumps(value)
    assert _read(data) == _house(data) != "refused"


@given(VALUES, st.integers(0), st.integers(0, 255))
def test_damaged_records_read_the_same(value: Any, place: int, byte: int) -> None:
    data = bytearray(canonical.dumps(value))
    data[place % len(data)] = byte
    assert _read(bytes(data)) == _house(bytes(data))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "1800",
        "c100",
        "5f40ff",
        "9f00ff",
        "a10000",
        "a2616100616100",
        "a2616200616100",
        "fa3fc00000",
        "61ff",
        "0000",
    ],
)
def test_what_is_not_canonical_is_refused(wrong: str) -> None:
    assert _read(bytes.fromhex(wrong)) == _house(bytes.fromhex(wrong)) == "refused"


def test_depth() -> None:
    assert _read(b"\x81" * 32 + b"\x00") != "refused"
    assert _read(b"\x81" * 33 + b"\x00") == _house(b"\x81" * 33 + b"\x00") == "refused"
