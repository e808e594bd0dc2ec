"""Image: frames, and the plane of an image of one grey frame."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Picture

from medveil.errors import UnsupportedInputError
from medveil.images import FileKind, Image, Source

_SOURCE = Source(FileKind.PNG, b"")
_SIDES = st.integers(1, 9)
_KINDS = st.sampled_from([(np.uint8, 8), (np.uint16, 9), (np.uint16, 16), (np.int16, 8), (np.int16, 12)])


@given(_KINDS, _SIDES, _SIDES, st.integers(0, 1 << 32))
def test_a_plane_goes_in_and_out_as_it_is(kind: tuple[type, int], height: int, width: int, seed: int) -> None:
    dtype, bits = kind
    pixels = np.random.default_rng(seed).integers(0, 1 << (bits - 1), (height, width)).astype(dtype)
    image = Image.of_pixels(pixels, bits, _SOURCE, spacing_mm=(0.1, 0.2))
    assert image.frames.shape == (1, height, width, 1)
    assert image.frames.flags.c_contiguous
    assert image.pixels.dtype == dtype
    assert np.array_equal(image.pixels, pixels)
    assert np.shares_memory(image.pixels, pixels)
    assert image.signed is (dtype is np.int16)
    other = image.with_pixels(pixels[::-1].copy(), padding=(0, 0))
    assert np.array_equal(other.pixels, pixels[::-1])
    assert (other.spacing_mm, other.bits_stored, other.padding) == ((0.1, 0.2), bits, (0, 0))


@given(st.integers(1, 4), st.sampled_from([1, 3]), _SIDES, _SIDES, _KINDS)
def test_only_one_grey_frame_has_a_plane(
    frames: int, channels: int, height: int, width: int, kind: tuple[type, int]
) -> None:
    dtype, bits = kind
    image = Image(np.zeros((frames, height, width, channels), dtype), bits, _SOURCE)
    assert image.frames.shape == (frames, height, width, channels)
    low, high = image.value_range
    assert high - low == (1 << bits) - 1
    if frames == channels == 1:
        assert image.pixels.shape == (height, width)
        return
    with pytest.raises(UnsupportedInputError, match=f"{frames} frames and {channels} channels") as caught:
        image.pixels  # noqa: B018
    assert "frames" in caught.value.hint


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (1, 4, 4, 2), (0, 4, 4, 1), (1, 0, 4, 1)])
def test_frames_of_another_form_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="takes one grey plane"):
        Image(np.zeros(shape, np.uint8), 8, _SOURCE)


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 9), (np.uint16, 8), (np.float32, 8), (np.int16, 17)])
def test_frames_of_another_type_are_refused(dtype: type, bits: int) -> None:
    with pytest.raises(ValueError, match=f"of {bits} bits stored are not"):
        Image.of_pixels(np.zeros((4, 4), dtype), bits, _SOURCE)


def _shown(image: Image) -> NDArray[np.uint8]:
    picture = Picture.open(io.BytesIO(image._repr_png_()))
    assert picture.format == "PNG"
    return np.asarray(picture)


def test_an_image_shows_itself_in_a_notebook() -> None:
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(_shown(Image.of_pixels(plane, 8, _SOURCE)), plane)
    deep = np.array([[-2000, -1000], [0, 3000]], np.int16)  # of which the lowest is padding
    shown = _shown(Image.of_pixels(deep, 16, _SOURCE, padding=(-2000, -2000)))
    assert shown.tolist() == [[0, 0], [64, 255]]
    assert _shown(Image.of_pixels(deep, 16, _SOURCE, padding=(-2000, 3000))).shape == (2, 2)
    coloured = np.zeros((3, 2, 4, 3), np.uint8)
    coloured[1, :, :, 2] = 200
    assert np.array_equal(_shown(Image(coloured, 8, _SOURCE)), coloured[1])
    assert _shown(Image.of_pixels(np.zeros((1500, 3), np.uint8), 8, _SOURCE)).shape == (1024, 2)
