import hashlib
import hmac
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.protection.keystream import (
    Keystream,
    SystemStream,
    bounded,
    commit,
    fresh_key,
    fresh_salt,
    order_of,
    permutation,
)


def chacha20_block(key: bytes, counter: int) -> bytes:
    """RFC 8439, section 2.3, with a nonce of zero; written from the RFC."""

    def quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter, 0, 0, 0]
    state = list(start)
    for _ in range(10):
        for column in range(4):
            quarter(state, column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(start, state, strict=True)))


def hkdf(key: bytes, info: bytes) -> bytes:
    """RFC 5869 without salt, one block."""
    extracted = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_a_stream_is_hkdf_and_chacha20() -> None:
    key = bytes(range(32))
    stream_key = hkdf(key, b"medveil/v1/keystream/signs/0")
    expected = b"".join(chacha20_block(stream_key, counter) for counter in range(3))
    stream = Keystream(key, "signs/0")
    assert stream.bytes(5) + stream.bytes(160) == expected[:165]
    words = Keystream(key, "signs/0").words(3)
    assert words.tolist() == list(struct.unpack("<3Q", expected[:24]))


def test_commit_is_hkdf_with_the_info_commit() -> None:
    key = bytes(range(32))
    assert commit(key) == hkdf(key, b"commit")


def test_streams_of_different_keys_and_labels_differ() -> None:
    streams = {Keystream(key, label).bytes(32) for key in (bytes(32), b"\x01" * 32) for label in ("a", "b", "ab")}
    assert len(streams) == 6


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keystream(key, "a")
    with pytest.raises(ValueError, match="32 bytes"):
        commit(key)


def test_a_stream_is_the_same_however_it_is_cut() -> None:
    whole = Keystream(bytes(32), "a").bytes(9_000_001)
    stream = Keystream(bytes(32), "a")
    assert stream.bytes(1) + stream.bytes(4_194_304) + stream.bytes(4_805_696) == whole


@given(st.integers(1, 12), st.data())
@settings(max_examples=200, deadline=None)
def test_order_of_is_argsort_or_none(word_bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**word_bits - 1), max_size=40))
    words = np.array(values, np.uint64)
    order = order_of(words, word_bits)
    if len(set(values)) < len(values):
        assert order is None
    else:
        assert order is not None
        assert order.tolist() == np.argsort(words, kind="stable").tolist()


def test_words_that_differ_only_in_their_low_bits_are_ordered() -> None:
    high = np.repeat(np.arange(50, dtype=np.uint64) << np.uint64(40), 4)
    words = high + np.tile(np.array([3, 0, 2, 1], np.uint64), 50)
    order = order_of(words, 64)
    assert order is not None
    assert order.tolist() == np.argsort(words).tolist()


@pytest.mark.parametrize("cells", [0, 1, 2, 3, 1000, 65_537])
def test_a_permutation_has_every_cell_once(cells: int) -> None:
    drawn = Keystream(bytes(32), "a").permutation(cells)
    assert drawn.dtype == np.int64
    assert np.array_equal(np.sort(drawn), np.arange(cells))


def test_a_repeated_word_is_drawn_again() -> None:
    class Scripted(SystemStream):
        word_bits = 3
        script = iter([[1, 1, 2], [5, 0, 3]])

        def words(self, count: int) -> np.ndarray:
            return np.array(next(self.script), np.uint64)

    assert permutation(Scripted(), 3).tolist() == [1, 2, 0]


def test_impossible_draws_are_refused() -> None:
    narrow = SystemStream()
    narrow.word_bits = 3
    with pytest.raises(ValueError, match="distinct words"):
        permutation(narrow, 9)
    with pytest.raises(ValueError, match="cells"):
        permutation(narrow, -1)
    for bound in (0, 9):
        with pytest.raises(ValueError, match="bound"):
            bounded(narrow, bound, 1)


def test_bounded_draws_are_within_the_bound_and_spread() -> None:
    drawn = Keystream(bytes(32), "a").bounded(10, 100_000)
    counts = np.bincount(drawn, minlength=10)
    assert len(counts) == 10
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 40
    assert len(SystemStream().bounded(3, 0)) == 0


def test_permutations_are_spread_evenly_at_full_word_width() -> None:
    stream = Keystream(bytes(32), "a")
    counts: dict[tuple[int, ...], int] = dict.fromkeys(itertools.permutations(range(4)), 0)
    for _ in range(12_000):
        counts[tuple(stream.permutation(4).tolist())] += 1
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 60


def test_fresh_keys_and_salts() -> None:
    assert len({fresh_key() for _ in range(100)}) == 100
    assert {len(fresh_key()), len(fresh_salt())} == {32, 16}


def test_draws_that_releases_depend_on_never_change() -> None:
    key = bytes(range(32))
    assert Keystream(key, "permutation/0").permutation(12).tolist() == [6, 7, 2, 3, 10, 0, 5, 4, 11, 1, 8, 9]
    assert Keystream(key, "x").bounded(10, 12).tolist() == [5, 2, 0, 8, 4, 4, 4, 4, 9, 8, 8, 7]
