import contextlib
import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.age_testkit import names, vector

from medveil.keys import agefile

CHUNK = 64 * 1024
GENERIC = names("empty", "header_", "hmac_", "stanza_", "stream_", "version_")


def sealed(data: bytes) -> tuple[bytes, bytes]:
    """(an age file with an invented stanza, its file key)."""
    keys = []

    def stanza_of(file_key: bytes) -> agefile.Stanza:
        keys.append(file_key)
        return agefile.Stanza(("test", "argument"), bytes(32))

    return agefile.seal(data, stanza_of), keys[0]


def refused(data: bytes, file_key: bytes) -> bool:
    with pytest.raises(ValueError):
        agefile.parse(data).open(file_key)
    return True


@pytest.mark.parametrize("name", GENERIC)
def test_the_age_testkit(name):
    known = vector(name)
    if known.expect == "success" and known.has_one_stanza:
        content = agefile.parse(known.data).open(known.file_key)
        assert hashlib.sha256(content).hexdigest() == known.payload
    else:
        assert refused(known.data, known.file_key)


def test_the_testkit_is_there():
    assert len(GENERIC) > 45


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_round_trip_around_the_chunk_size(size):
    data = os.urandom(size)
    file, key = sealed(data)
    assert agefile.parse(file).open(key) == data


@given(st.binary(max_size=300), st.data())
@settings(max_examples=60, deadline=None)
def test_one_flipped_bit_anywhere_is_noticed(data, draw):
    file, key = sealed(data)
    place = draw.draw(st.integers(0, 8 * len(file) - 1))
    changed = bytearray(file)
    changed[place // 8] ^= 1 << place % 8
    assert refused(bytes(changed), key)


def test_every_truncation_is_noticed():
    file, key = sealed(b"content")
    assert all(refused(file[:length], key) for length in range(len(file)))
    assert refused(file + b"\x00", key)


@given(st.permutations(range(4)))
@settings(deadline=None)
def test_chunks_keep_their_order(order):
    data = os.urandom(3 * CHUNK + 5)
    file, key = sealed(data)
    payload = agefile.parse(file).payload
    start, step = len(file) - len(payload) + 16, CHUNK + 16
    chunks = [file[start + i * step : start + (i + 1) * step] for i in range(4)]
    moved = file[:start] + b"".join(chunks[i] for i in order)
    assert agefile.parse(moved).open(key) == data if order == [0, 1, 2, 3] else refused(moved, key)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\n", b"\r\n"),
        (b"age-encryption.org/v1\n", b"age-encryption.org/v1 \n"),
        (b"-> test", b"->  test"),
        (b"-> test", b"->\ttest"),
        (b"argument\n", b"argument \n"),
        (b"argument\n", b"arg\xc3\xbcment\n"),
        (b"argument\n", b"argument\n\n"),
        (b"argument\n", b"argument 2 3 4\n"),
        (b"--- ", b"---"),
        (b"--- ", b"---  "),
        (b"\n---", b"\n-> grease\n\n---"),
    ],
)
def test_the_header_has_one_spelling(before, after):
    """Also where a MAC over the other spelling would fit: the parser refuses it before any key is used."""
    file, _ = sealed(b"content")
    assert before in file
    with pytest.raises(ValueError):
        agefile.parse(file.replace(before, after, 1))


def test_a_long_header_is_not_looked_for():
    with pytest.raises(ValueError):
        agefile.parse(b"age-encryption.org/v1\n-> test " + b"x" * 10_000_000)


@given(st.binary(max_size=200))
def test_base64_has_one_spelling(raw):
    text = agefile.encode_base64(raw)
    assert agefile.decode_base64(text) == raw
    for other in (text + "=", text + "\n", " " + text, text + "A" * (4 - len(text) % 4)):
        with contextlib.suppress(ValueError):
            assert agefile.decode_base64(other) != raw


def test_base64_that_is_not_canonical_is_refused():
    assert agefile.decode_base64("AA") == b"\x00"
    for text in ("AB", "A", "AAB=", "A-A_", "A A"):
        with pytest.raises(ValueError):
            agefile.decode_base64(text)
