import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medveil.codecs.lapped import dc_plane
from medveil.codecs.padding_mask import filled, find_padding, read_padding, write_padding
from medveil.codecs.symbols import SymbolReader, SymbolWriter
from medveil.codecs.varints import varint
from medveil.errors import IntegrityError

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)


@given(arrays.arrays(np.int64, SHAPES, elements=st.integers(-(1 << 20), 1 << 20)))
@settings(deadline=None, max_examples=60)
def test_a_dc_plane_comes_back(plane: np.ndarray) -> None:
    writer = SymbolWriter()
    dc_plane.write(writer, plane)
    assert np.array_equal(dc_plane.read(SymbolReader(writer.to_bytes()), plane.shape), plane)


def test_a_smooth_dc_plane_is_cheap() -> None:
    y, x = np.mgrid[:28, :28]
    writer = SymbolWriter()
    dc_plane.write(writer, (100 + 3 * y + 50 * np.sin(x / 5)).astype(np.int64))
    assert 8 * len(writer.to_bytes()) < 4.5 * 28 * 28


def test_dc_values_beyond_any_image_are_refused() -> None:
    writer = SymbolWriter()
    dc_plane.write(writer, np.full((1, 1), 1 << 29))
    with pytest.raises(IntegrityError, match="DC"):
        dc_plane.read(SymbolReader(writer.to_bytes()), (1, 1))


@given(arrays.arrays(np.int16, SHAPES, elements=st.integers(-9, 9)), st.integers(-9, 9), st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_a_padding_record_comes_back(pixels: np.ndarray, low: int, span: int) -> None:
    padding = find_padding(pixels, (low, low + span))
    assert padding is not None
    data = write_padding(padding)
    found, at = read_padding(b"xy" + data + b"z", 2, pixels.shape)
    assert at == 2 + len(data)
    assert np.array_equal(found.mask, (pixels >= low) & (pixels <= low + span))
    assert np.array_equal(found.values, pixels[found.mask])


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=100)
def test_a_foreign_padding_record_gives_a_clear_error(data: bytes) -> None:
    try:
        padding, _ = read_padding(data, 0, (7, 9))
    except IntegrityError:
        return
    assert padding.mask.shape == (7, 9)


def test_padding_is_filled_smoothly_from_what_is_around() -> None:
    samples = np.full((50, 70), 30, np.float32)
    samples[:, 35:] = 90
    mask = np.zeros(samples.shape, bool)
    mask[10:40, 20:60] = True
    samples[mask] = -5000
    smooth = filled(samples, mask)
    assert np.array_equal(smooth[~mask], samples[~mask])
    assert 29 <= smooth[mask].min() <= smooth[mask].max() <= 91
    assert np.all(filled(samples, np.ones_like(mask)) == 0)


def test_a_zlib_stream_of_the_padding_record_ends_where_its_length_says() -> None:
    pixels = np.zeros((9, 14), np.uint8)
    bits, values = zlib.compress(b"\xff\xff" + bytes(14)), zlib.compress(bytes(4))
    padding = find_padding(pixels, (0, 0))
    assert padding is not None

    def record(*streams: bytes) -> bytes:
        head = varint(1 << 17) + varint(1 << 17) + varint(1)
        return head + b"".join(varint(len(stream)) + stream for stream in streams)

    honest = write_padding(padding)
    read_padding(honest, 0, pixels.shape)
    read_padding(record(bits, values), 0, pixels.shape)
    for streams in ((bits + b"x", values), (bits, values + b"\0"), (bits[:-1], values), (bits, values[:-4])):
        with pytest.raises(IntegrityError):
            read_padding(record(*streams), 0, pixels.shape)
