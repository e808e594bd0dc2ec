"""Stored values to grey values and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medveil.images import FileKind, Image, Source
from medveil.images.intensity import grey, grey_of, stored, unit_line


def test_a_depth_is_brought_to_eight_bits_by_its_range() -> None:
    image = Image.of_pixels(np.array([[-2048, 2047]], np.int16), 12, Source(FileKind.DICOM, b""))
    assert grey_of(image).tolist() == [[0.0, 255.0]]
    assert grey_of(image, np.float32).dtype == np.float32
    gain, offset = unit_line(image)
    assert np.allclose(image.pixels * gain + offset, [[0, 1]])


def test_a_picture_of_one_value_is_black() -> None:
    assert grey(np.full((2, 2), 7), (7, 7)).max() == 0


@given(st.integers(0, 1 << 32), st.integers(0, 4095))
def test_grey_values_go_back_to_what_was_stored(seed: int, offset: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 4096, (3, 4)).astype(np.uint16)
    for kind in (np.float32, np.float64):
        found = grey(pixels, (0, 4095), offset=offset, kind=kind)
        assert np.array_equal(stored(found, (0, 4095), offset, np.dtype(np.uint16)), pixels)
    assert np.array_equal(
        stored(found + 300, (0, 4095), offset, np.dtype(np.uint16)),
        np.clip(np.rint(pixels + 300 * 4095 / 255), 0, 4095),
    )
