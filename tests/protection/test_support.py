import itertools
from math import lgamma, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.errors import IntegrityError
from medveil.protection.support import coded_bytes, decode_supports, encode_supports


def encode_support(positions: np.ndarray, cells: int) -> bytes:
    return encode_supports([(positions, cells)])


def decode_support(data: bytes, cells: int, ones: int) -> np.ndarray:
    (positions,) = decode_supports(data, [(cells, ones)])
    return positions


def log2_choose(cells: int, ones: int) -> float:
    return (lgamma(cells + 1) - lgamma(ones + 1) - lgamma(cells - ones + 1)) / log(2)


def random_support(cells: int, ones: int, seed: int = 0) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(cells)[:ones])


class Reader:
    """An independent reader, written from the format in support.py: a range decoder in plain integers."""

    def __init__(self, data: bytes) -> None:
        self.words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)] + [0, 0]
        self.lower, self.range, self.point = 0, 2**64 - 1, (self.words[0] << 32) | self.words[1]
        self.next = 2

    def bit(self, numerator: int) -> int:
        zero = 2**24 - numerator
        scale = self.range >> 24
        bit = int((self.point - self.lower) % 2**64 // scale >= zero)
        self.lower = (self.lower + bit * scale * zero) % 2**64
        self.range = scale * (numerator if bit else zero)
        if self.range < 2**32:
            self.lower, self.range = (self.lower << 32) % 2**64, self.range << 32
            self.point = (self.point << 32) % 2**64 + (self.words[self.next] if self.next < len(self.words) else 0)
            self.next += 1
        return bit

    def support(self, cells: int, ones: int) -> list[int]:
        if 2 * ones > cells:
            empty = self.support(cells, cells - ones)
            return [cell for cell in range(cells) if cell not in empty]
        if not ones:
            return []
        power = ((cells - ones) << 62) // cells
        gaps = [0] * ones
        digit = 0
        while power > 2**61:
            numerator = min(max((power << 24) // (2**62 + power), 1), 2**24 - 1)
            for gap in range(ones):
                gaps[gap] |= self.bit(numerator) << digit
            power, digit = power * power >> 62, digit + 1
        more = min(max(power >> 38, 1), 2**24 - 1)
        for gap in range(ones):
            while self.bit(more):
                gaps[gap] += 1 << digit
        return [place - 1 for place in itertools.accumulate(gap + 1 for gap in gaps)]


@pytest.mark.parametrize(("cells", "ones"), [(2, 1), (6, 2), (64, 7), (784, 12), (1000, 500), (20_000, 700)])
def test_an_independent_reader_reads_it(cells: int, ones: int) -> None:
    support = random_support(cells, ones)
    assert Reader(encode_support(support, cells)).support(cells, ones) == support.tolist()


def test_an_independent_reader_reads_several_maps() -> None:
    maps = [(random_support(cells, ones, seed=ones), cells) for cells, ones in ((50, 3), (9, 9), (70, 60), (400, 100))]
    reader = Reader(encode_supports(maps))
    for support, cells in maps:
        assert reader.support(cells, len(support)) == support.tolist()


def test_every_support_of_small_maps() -> None:
    for cells in range(9):
        for ones in range(cells + 1):
            for support in itertools.combinations(range(cells), ones):
                data = encode_support(np.array(support, np.int64), cells)
                assert len(data) == coded_bytes([(cells, ones)])
                assert decode_support(data, cells, ones).tolist() == list(support)


@given(st.integers(1, 3000), st.integers(0, 4), st.data())
@settings(max_examples=150, deadline=None)
def test_supports_come_back_and_have_one_length(cells: int, kind: int, data: st.DataObject) -> None:
    ones = data.draw(st.integers(0, cells))
    spread = (np.arange(1, ones + 1) * cells) // max(ones, 1) - 1
    support = [
        random_support(cells, ones, seed=cells),
        np.arange(ones),
        np.arange(cells - ones, cells),
        spread,
        np.concatenate([np.arange(max(ones - 1, 0)), np.full(min(ones, 1), cells - 1)]),
    ][kind]
    coded = encode_support(support, cells)
    assert len(coded) == coded_bytes([(cells, ones)])
    assert np.array_equal(decode_support(coded, cells, ones), support)


@pytest.mark.parametrize("cells", [20_000, 200_704, 1_048_576])
@pytest.mark.parametrize("density", [0.005, 0.02, 0.05, 0.15, 0.5, 0.8])
def test_the_length_is_within_one_percent_of_the_enumerative_one(cells: int, density: float) -> None:
    ones = round(cells * density)
    ideal = log2_choose(cells, ones) / 8
    assert ideal < coded_bytes([(cells, ones)]) < 1.01 * ideal + 10


def test_maps_share_one_stream() -> None:
    """Thirteen small maps cost what they must and a few bytes together, not each."""
    shapes = [(800, 767), (1200, 1080), (5, 0), (3, 3), (2000, 1600)] + [(3000 + 100 * each, 900) for each in range(8)]
    maps = [(random_support(cells, ones, seed=ones), cells) for cells, ones in shapes]
    data = encode_supports(maps)
    assert len(data) == coded_bytes(shapes) < 1.01 * sum(log2_choose(*shape) for shape in shapes) / 8 + 10
    decoded = decode_supports(data, shapes)
    assert all(np.array_equal(one, other) for one, (other, _) in zip(decoded, maps, strict=True))
    assert (encode_supports([]), decode_supports(b"", [])) == (b"", [])


def test_lengths_of_large_shapes_do_not_drift_between_machines() -> None:
    shapes = [(64, 3), (4096, 200), (200_704, 8000), (1_048_576, 40_000), (9_000_000, 300_000)]
    assert [coded_bytes([shape]) for shape in shapes] == [8, 152, 6072, 30664, 237388]


@given(st.binary(min_size=1, max_size=200), st.integers(2, 400), st.data())
@settings(max_examples=200, deadline=None)
def test_hostile_bytes_are_refused_or_canonical(noise: bytes, cells: int, data: st.DataObject) -> None:
    ones = data.draw(st.integers(1, cells - 1))
    hostile = (noise * 1000)[: coded_bytes([(cells, ones)])]
    try:
        support = decode_support(hostile, cells, ones)
    except IntegrityError:
        return
    assert encode_support(support, cells) == hostile


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\x01", b"\x80"])
def test_constant_bytes_end_soon(fill: bytes) -> None:
    cells, ones = 1_000_000, 20_000
    try:
        support = decode_support(fill * coded_bytes([(cells, ones)]), cells, ones)
    except IntegrityError:
        return
    assert len(support) == ones


def test_garbage_in_the_padding_and_other_lengths_are_refused() -> None:
    support = random_support(1000, 50)
    data = encode_support(support, 1000)
    for bad in (data[:-1] + b"\x01", data + b"\0", data[:-1], b""):
        with pytest.raises(IntegrityError):
            decode_support(bad, 1000, 50)


def test_a_flipped_bit_never_gives_the_same_support() -> None:
    support = random_support(300, 40)
    data = encode_support(support, 300)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert decode_support(bytes(flipped), 300, 40).tolist() != support.tolist()
        except IntegrityError:
            continue


@pytest.mark.parametrize(
    ("positions", "cells"), [([0, 0], 5), ([3, 1], 5), ([-1, 2], 5), ([1, 5], 5), ([0, 1], 1), ([0], 2**40)]
)
def test_what_is_no_support_is_refused(positions: list[int], cells: int) -> None:
    with pytest.raises(ValueError, match="cells"):
        encode_support(np.array(positions, np.int64), cells)


def test_bytes_that_releases_hold_never_change() -> None:
    data = encode_supports([(np.array([3, 4, 9, 17, 30, 31, 55]), 64), (np.array([0, 1, 2, 4]), 5)])
    assert data.hex() == "7972f59c10e73a8900000000"
