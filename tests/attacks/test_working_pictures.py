"""Working pictures: one size, one range."""

import numpy as np

from medveil.codecs.code import Bucket
from medveil.images.intensity import grey_image
from medveil.mechanisms.working_pictures import Window, working_picture


def test_pixels_lie_where_they_lie_in_the_bucket() -> None:
    pixels = np.zeros((100, 64), np.uint8)
    pixels[32:64] = 200
    found = working_picture(pixels, Bucket(128, 64), Window(), 4)
    assert found.dtype == np.float32
    assert np.array_equal(found[:, 0], [0, 200, 0, 0])


def test_the_rim_is_continued_by_the_last_row_and_column() -> None:
    pixels = np.zeros((32, 64), np.uint8)
    pixels[-1] = 90
    assert np.array_equal(working_picture(pixels, Bucket(64, 64), Window(), 2)[1], [90, 90])


def test_the_window_maps_to_the_full_range_and_clips() -> None:
    pixels = np.array([[-1000, -500], [0, 3000]], np.int16).repeat(32, 0).repeat(32, 1)
    found = working_picture(pixels, Bucket(64, 64), Window(-1000, 0), 2)
    assert np.allclose(found, [[0, 127.5], [255, 255]])


def test_a_window_without_extent_is_no_division_by_zero() -> None:
    found = working_picture(np.full((64, 64), 7, np.uint8), Bucket(64, 64), Window(7, 7), 2)
    assert np.array_equal(found, np.zeros((2, 2), np.float32))


def test_a_working_picture_is_an_image_and_back() -> None:
    picture = np.linspace(-3, 260, 64 * 64, dtype=np.float32).reshape(64, 64)
    image = grey_image(picture)
    assert image.bits_stored == 8
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    again = working_picture(image.pixels, Bucket(64, 64), Window(), 64)
    assert np.abs(again - np.clip(picture, 0, 255)).max() <= 0.5
