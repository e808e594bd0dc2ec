"""The residual coder: a plain reader written from the document agrees with it; arithmetic is exact; time is bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs import plain_exact
from tests.codecs.exact_pictures import DEPTHS, golden_pair, limits_of, pair

from medveil.codecs.residual import coder, tables
from medveil.codecs.residual.model import FEATURES, LIMIT, distributions, gain_of, logarithm, network
from medveil.codecs.varints import varint
from medveil.errors import IntegrityError


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", ["near", "gaps", "noise", "far"])
def test_the_plain_reader_agrees(depth, kind):
    dtype, bits = depth
    pixels, base = pair(dtype, bits, (9, 13) if kind != "gaps" or bits > 11 else (50, 52), kind, bits)
    data = b"\0" + coder.encode(pixels, base, limits_of(dtype, bits))
    assert plain_exact.decode(data, base.tolist(), bits, np.dtype(dtype).kind == "i") == pixels.tolist()


def test_the_document_holds_the_tables():
    ratios, parts = plain_exact.tables()
    assert tuple(ratios) == tables.RATIOS
    flat = [value for part in parts for row in part for value in row]
    assert flat == tables.weights().tolist()


def test_ratios_are_what_their_docstring_says():
    scales = 2.0 ** (np.arange(48) / 8 - 4)
    assert np.allclose(tables.RATIOS, 2.0**32 * np.exp(-1 / (8 * scales)), rtol=0, atol=1)


def test_sums_of_the_network_are_exact_in_float64():
    net = network()
    for matrix, largest in ((net.first, LIMIT), (net.direct, LIMIT), (net.second, 2047), (net.last, 2047)):
        assert np.abs(matrix).sum(axis=0).max() * max(largest, 1 << 10) < 2**40
        assert np.array_equal(matrix, np.round(matrix))
    assert net.first.shape == (FEATURES, tables.FIRST)


def test_distributions_add_up():
    shares = distributions() * 2**20
    assert np.array_equal(shares, np.round(shares))
    assert shares.shape == (8 * tables.SCALES, 2 * tables.REACH + 2)
    assert shares.min() >= 1
    assert (shares.sum(axis=1) == 1 << 20).all()


def test_features_of_every_unit_are_bounded():
    for unit in (4, 5, 127, 128, 1 << 16, 1 << 22):
        assert (1 << 16) * gain_of(unit) >> 16 < 1 << 31
        assert abs(logarithm(unit) - 8 * np.log2(unit)) <= 1


@pytest.mark.parametrize(
    "head",
    [
        varint(3) + b"\0",
        varint((1 << 22) + 1) + b"\0",
        varint(64) + b"\2",
        varint(64),
        varint(64) + b"\1" + varint(0) + varint(257) + bytes(33),
        varint(64) + b"\1" + varint(300) + varint(1) + b"\x80",
        varint(64) + b"\1" + varint(0) + varint(9) + b"\x80\xff",
        varint(64) + b"\1" + varint(0) + varint(9) + b"\x00\x80",
        varint(64) + b"\1" + varint(0) + varint(0),
        varint(64) + b"\1" + varint(0) + varint(200) + b"\xff",
    ],
)
def test_headers_out_of_range_are_refused(head):
    with pytest.raises(IntegrityError):
        coder.decode(head + bytes(40), np.zeros((4, 4), np.uint8), (0, 255))


def test_trailing_zeros_and_another_unit_are_refused():
    pixels, base = pair(np.uint8, 8, (12, 12), "near", 1)
    data = coder.encode(pixels, base, (0, 255))
    with pytest.raises(IntegrityError):
        coder.decode(data + b"\0", base, (0, 255))
    with pytest.raises(IntegrityError):
        coder.decode(bytes([data[0] ^ 1]) + data[1:], base, (0, 255))


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 12))
def test_waves_visit_every_pixel_once_after_what_it_looks_at(height, width):
    picture = coder._Picture(np.zeros((height, width), np.uint8), 64, (0, 255))
    order = np.full((height, width), -1)
    for number, (_, flat) in enumerate(picture.waves()):
        assert (order.reshape(-1)[flat] == -1).all()
        order.reshape(-1)[flat] = number
    assert (order >= 0).all()
    for down, across in plain_exact.BEFORE:
        for y in range(height):
            for x in range(width):
                if 0 <= y + down < height and 0 <= x + across < width:
                    assert order[y + down, x + across] < order[y, x]


def test_narrow_and_long_images():
    for shape in ((1, 700), (700, 1), (2, 333)):
        pixels, base = pair(np.uint16, 12, shape, "near", 4)
        data = coder.encode(pixels, base, (0, 4095))
        assert np.array_equal(coder.decode(data, base, (0, 4095)), pixels)


@pytest.mark.parametrize(("name", "bits", "signed"), [("exact-residual-8", 8, False), ("exact-residual-16", 16, True)])
def test_the_plain_reader_agrees_on_the_golden_sections(name, bits, signed):
    pixels, base = golden_pair(bits, signed, flat=False)
    data = (plain_exact.DOCUMENT.parents[1] / "tests" / "vectors" / f"{name}.bin").read_bytes()
    assert plain_exact.decode(data, base.tolist(), bits, signed) == pixels.tolist()
