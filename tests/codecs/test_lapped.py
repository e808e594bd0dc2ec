from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.codecs.code import Bucket, CodeMap, Profile, SparseCode
from medveil.codecs.entropy import pack, pack_levels, unpack, unpack_levels
from medveil.codecs.lapped.codec import LappedCodec
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.errors import IntegrityError, UsageError
from medveil.images.image import FileKind, Image, Source
from medveil.metrics.image_quality import psnr, rmse

CODEC = LappedCodec()
SHALLOW, DEEP = Profile("lapped", 4000), Profile("lapped", 4000, deep=1)


def image_of(pixels: np.ndarray, bits: int = 8, padding: tuple[int, int] | None = None) -> Image:
    return Image.of_pixels(np.ascontiguousarray(pixels), bits, Source(FileKind.PNG, b""), padding=padding)


def sealed_and_opened(image: Image, profile: Profile) -> np.ndarray:
    bucket = Bucket.of(*image.pixels.shape)
    composition = CODEC.composition(profile, bucket)
    padded = pad_with_nulls(CODEC.encode(image, profile, composition), composition)
    stream = pack_levels(padded, composition).ljust(composition.level_bytes, b"\0")
    supports = [(entry.positions, entry.levels < 0) for entry in padded.maps]
    return CODEC.decode(unpack_levels(stream, supports, composition), profile, bucket)


def encrypted_and_opened(image: Image, profile: Profile) -> np.ndarray:
    code = unpack(pack(CODEC.encode(image, profile, None)))
    return CODEC.decode(code, profile, Bucket.of(*image.pixels.shape))


BOTH = pytest.mark.parametrize("road", [sealed_and_opened, encrypted_and_opened])


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth shapes with edges and some noise, 8 bits."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 64.0
    plane = 120 + 60 * np.sin(y + 2 * np.cos(x)) + 50 * (np.hypot(y - 1, x - 1) < 0.7) + rng.normal(0, 2, y.shape)
    return np.clip(plane, 0, 255).astype(np.uint8)


@BOTH
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (16, 16), (15, 33), (100, 130), (64, 64), (17, 401)])
def test_any_size_comes_back(road, shape: tuple[int, int]) -> None:
    pixels = picture(*shape)
    opened = road(image_of(pixels), SHALLOW)
    assert opened.shape == shape
    assert opened.dtype == np.uint8
    assert psnr(pixels, opened, data_range=255) > 30


@BOTH
@pytest.mark.parametrize(
    ("dtype", "bits"), [("uint8", 8), ("uint16", 10), ("uint16", 16), ("int16", 12), ("int16", 16)]
)
def test_any_depth_comes_back(road, dtype: str, bits: int) -> None:
    shift = 0 if dtype.startswith("u") else 1 << (bits - 1)
    pixels = (picture(90, 70).astype(np.int64) * ((1 << bits) - 1) // 255 - shift).astype(dtype)
    opened = road(image_of(pixels, bits), DEEP if bits > 8 else SHALLOW)
    assert opened.dtype == pixels.dtype
    assert psnr(pixels, opened, data_range=(1 << bits) - 1) > 35
    assert -shift <= opened.min() <= opened.max() < (1 << bits) - shift


@BOTH
@pytest.mark.parametrize(
    ("value", "dtype", "bits"), [(0, "uint8", 8), (201, "uint8", 8), (40001, "uint16", 16), (-7, "int16", 12)]
)
def test_a_constant_image_comes_back_exactly(road, value: int, dtype: str, bits: int) -> None:
    pixels = np.full((70, 90), value, dtype)
    assert np.array_equal(road(image_of(pixels, bits), DEEP if bits > 8 else SHALLOW), pixels)


@BOTH
@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 8), ("uint16", 16)])
def test_noise_is_coarsened_until_it_fits(road, dtype: str, bits: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 1 << bits, (120, 80)).astype(dtype)
    opened = road(image_of(pixels, bits), DEEP if bits > 8 else SHALLOW)
    assert rmse(pixels, opened) < 0.3 * (1 << bits)


def test_a_sealed_code_fills_its_composition_and_never_exceeds_it() -> None:
    bucket = Bucket(128, 192)
    composition = CODEC.composition(SHALLOW, bucket)
    for pixels in (picture(128, 192), np.zeros((70, 130), np.uint8), 255 * (np.indices((100, 192)).sum(0) % 2)):
        code = CODEC.encode(image_of(pixels.astype(np.uint8)), SHALLOW, composition)
        for entry, shape in zip(code.maps, composition.maps, strict=True):
            assert entry.cells == shape.cells
            assert len(entry.positions) <= shape.nonzeros
            assert np.all(np.diff(entry.positions) > 0)
            assert np.all(entry.levels != 0)
        assert len(pack_levels(pad_with_nulls(code, composition), composition)) <= composition.level_bytes


def test_the_composition_covers_the_bucket_and_follows_the_quality() -> None:
    sizes = []
    for quality in (3000, 3500, 4000, 4250, 4700):
        composition = CODEC.composition(Profile("lapped", quality), Bucket(320, 256))
        assert sum(shape.cells for shape in composition.maps) == 320 * 256 // 256 * 255
        sizes.append((sum(shape.nonzeros for shape in composition.maps), composition.level_bytes))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == len(sizes)
    with pytest.raises(UsageError, match="dB"):
        CODEC.composition(Profile("lapped", 100), Bucket(64, 64))


def test_a_higher_quality_is_nearer() -> None:
    pixels = picture(150, 150)
    errors = [rmse(pixels, sealed_and_opened(image_of(pixels), Profile("lapped", q))) for q in (3200, 4000, 4600)]
    assert errors[0] > errors[1] > errors[2]


def test_encrypting_costs_less_than_sealing() -> None:
    image, bucket = image_of(picture(256, 256)), Bucket(256, 256)
    composition = CODEC.composition(SHALLOW, bucket)
    freely = CODEC.encode(image, SHALLOW, None)
    public = sum(_support_bits(shape.cells, shape.nonzeros) for shape in composition.maps) / 8 + composition.level_bytes
    assert len(pack(freely)) < public


@BOTH
def test_padding_pixels_come_back_exactly_and_others_stay_out_of_their_range(road) -> None:
    rng = np.random.default_rng(3)
    y, x = np.indices((120, 150))
    outside = np.hypot(y - 60, x - 75) > 55
    pixels = np.where(outside, -2000, picture(120, 150) // 16 - np.int16(1990)).astype(np.int16)
    pixels[0, :4] = rng.integers(-2000, -1994, 4)
    opened = road(image_of(pixels, 16, padding=(-2000, -1995)), DEEP)
    inside = pixels > -1995
    assert np.array_equal(opened[~inside], pixels[~inside])
    assert opened[inside].min() > -1995


@BOTH
def test_a_padding_range_at_the_end_of_the_values(road) -> None:
    pixels = np.full((40, 40), 4000, np.uint16)
    pixels[:, 20:] = 4095
    opened = road(image_of(pixels, 12, padding=(4095, 4095)), DEEP)
    assert np.array_equal(opened == 4095, pixels == 4095)


def test_padding_costs_the_picture_nothing() -> None:
    pixels = picture(192, 192).astype(np.int16) + 500
    outside = np.hypot(*(np.indices(pixels.shape) - 96)) > 80
    padded = np.where(outside, -2000, pixels).astype(np.int16)
    with_range = CODEC.encode(image_of(padded, 16, padding=(-2000, -2000)), DEEP, None)
    without = CODEC.encode(image_of(padded, 16), DEEP, None)
    assert len(pack(with_range)) < 0.9 * len(pack(without))


def test_another_number_of_maps_or_cells_is_refused() -> None:
    code = CODEC.encode(image_of(picture(64, 64)), SHALLOW, None)
    with pytest.raises(IntegrityError, match="maps"):
        CODEC.decode(SparseCode(code.maps[1:], code.side), SHALLOW, Bucket(64, 64))
    with pytest.raises(IntegrityError, match="bucket"):
        CODEC.decode(code, SHALLOW, Bucket(64, 128))
    fewer = SparseCode((CodeMap(0, *_nothing()), *code.maps[1:]), code.side)
    if code.maps[0].cells:
        with pytest.raises(IntegrityError, match="cells"):
            CODEC.decode(fewer, SHALLOW, Bucket(64, 64))


@cache
def padded_code() -> SparseCode:
    return CODEC.encode(image_of(picture(60, 100), padding=(0, 130)), SHALLOW, None)


@given(st.binary(max_size=120), st.integers(0, 1 << 16), st.integers(0, 7))
@settings(deadline=None, max_examples=80)
def test_foreign_side_bytes_give_a_picture_of_the_bucket_or_a_clear_error(data: bytes, where: int, bit: int) -> None:
    bucket, code = Bucket(64, 128), padded_code()
    flipped = bytearray(code.side)
    flipped[where % len(flipped)] ^= 1 << bit
    for side in (data, bytes(flipped), code.side[: where % len(code.side)]):
        try:
            opened = CODEC.decode(SparseCode(code.maps, side), SHALLOW, bucket)
        except IntegrityError:
            continue
        assert Bucket.of(*opened.shape) == bucket


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty(0, np.int32)


def _support_bits(cells: int, nonzeros: int) -> float:
    share = nonzeros / max(1, cells)
    if share in (0, 1):
        return float(nonzeros)
    return nonzeros - cells * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
