"""What is read comes from strangers: only plain canonical CBOR is let through, in linear time."""

import struct
import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.errors import IntegrityError
from medveil.files import canonical

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)


def shared_reference_bomb(levels=45):
    """Each level is a list of the level below and a reference to it: 2**levels items in some 300 bytes."""
    body = b"\xd8\x1c\x80"
    for level in range(levels, 0, -1):
        number = bytes([level]) if level < 24 else bytes([0x18, level])
        body = b"\xd8\x1c\x82" + body + b"\xd8\x1d" + number
    return body


@given(PLAIN)
def test_what_is_written_is_read(value):
    data = canonical.dumps(value)
    assert canonical.dumps(canonical.loads(data, what="record")) == data


@given(st.binary(max_size=60))
def test_noise_is_refused_or_canonical(noise):
    try:
        value = canonical.loads(noise, what="record")
    except IntegrityError:
        return
    assert canonical.dumps(value) == noise


@given(PLAIN, st.data())
def test_cut_or_longer_data_are_refused(value, data):
    whole = canonical.dumps(value)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for changed in (whole[:cut], whole + b"\x00"):
        with pytest.raises(IntegrityError):
            canonical.loads(changed, what="record")


def test_shared_references_do_not_expand():
    started = time.monotonic()
    bomb = shared_reference_bomb()
    assert len(bomb) < 400
    with pytest.raises(IntegrityError):
        canonical.loads(bomb, what="record")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("tag", [*range(60), 100, 256, 258, 260, 261, 1004, 43000, 55799])
def test_no_tag_is_read(tag):
    for content in (0, "(a", [1, 0], [1000000000, 3], b"\x00", {"a": 1}):
        with pytest.raises(IntegrityError):
            canonical.loads(cbor2.dumps(cbor2.CBORTag(tag, content)), what="record")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81" * 3_000,  # deep
        b"\x81" * canonical.MAX_DEPTH + b"\x81\x00",
        b"\x9b\x00\x00\x00\x10\x00\x00\x00\x00",  # a list of 2**36 items
        b"\xbb\x80\x00\x00\x00\x00\x00\x00\x00",  # a map of 2**63 pairs
        b"\x5b\x00\x00\x10\x00\x00\x00\x00\x00",  # 2**44 bytes
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x18\x05",  # a number in more bytes than it needs
        b"\x58\x01a",
        b"\x9f\xff",  # of indefinite length
        b"\x5f\x41a\xff",
        b"\xff",
        b"\xf7",  # undefined
        b"\xf0",
        b"\xf8\x20",
        b"\xfa\x3f\x80\x00\x00",  # 1.0 in four bytes
        b"\xa1\x01\x02",  # a key that is no text
        b"\xa1\x80\x02",
        b"\xa2\x61b\x01\x61a\x02",  # keys out of order
        b"\xa2\x61a\x01\x61a\x02",  # a key twice
        b"\x61\xff",  # text that is no UTF-8
        b"\x1c",
    ],
)
def test_what_is_not_plain_and_canonical_is_refused(data):
    with pytest.raises(IntegrityError, match="the record"):
        canonical.loads(data, what="record")


def test_depth_and_number_of_items_are_bounded():
    assert canonical.loads(b"\x81" * canonical.MAX_DEPTH + b"\x00", what="record")
    data = canonical.dumps([0] * 99)
    assert canonical.loads(data, what="record", max_items=100) == [0] * 99
    with pytest.raises(IntegrityError):
        canonical.loads(data, what="record", max_items=99)
    with pytest.raises(IntegrityError, match="at most"):
        canonical.loads(data, what="record", limit=10)


@pytest.mark.parametrize(
    "data",
    [
        b"\xa2\x61b\x01\x61a\x02",  # keys not in their order
        b"\xa2\x62aa\x01\x61b\x02",  # the longer key first
        b"\xa2\x61a\x01\x61a\x02",  # a key twice
        b"\xa1\x61a\xa2\x61b\x01\x61a\x02",
        b"\xfb" + struct.pack(">d", 1.5),  # floats that a shorter form holds
        b"\xfa" + struct.pack(">f", 1.5),
        b"\xfb" + struct.pack(">d", 2.0**127),
        b"\xfb" + struct.pack(">d", float("inf")),
        b"\xfa" + struct.pack(">f", float("nan")),
        b"\xf9\x7e\x01",  # another not-a-number
        b"\x61\xff",  # no text
    ],
)
def test_other_forms_of_a_value_are_refused(data):
    with pytest.raises(IntegrityError):
        canonical.loads(data, what="record")


@given(st.binary(max_size=40) | PLAIN.map(cbor2.dumps))
def test_what_is_let_through_is_what_would_be_written(data):
    try:
        value = canonical.loads(data, what="record")
    except IntegrityError:
        return
    assert canonical.dumps(value) == data


@given(st.sampled_from([2, 4, 8]), st.binary(min_size=8, max_size=8))
def test_floats_have_one_form(size, noise):
    data = bytes([{2: 0xF9, 4: 0xFA, 8: 0xFB}[size]]) + noise[:size]
    canonical_form = canonical.dumps(cbor2.loads(data)) == data
    try:
        canonical.loads(data, what="record")
    except IntegrityError:
        assert not canonical_form
    else:
        assert canonical_form
