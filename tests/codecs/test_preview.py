"""Previews, and codes that hold what a preview left over."""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medveil.codecs.code import Bucket, Composition, Profile, SparseCode
from medveil.codecs.entropy import pack, pack_levels, unpack, unpack_levels
from medveil.codecs.lapped.codec import LappedCodec
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.codecs.lapped.side_information import Side
from medveil.codecs.preview import preview_codec, preview_profile
from medveil.datasets.phantoms import make_phantoms
from medveil.errors import IntegrityError, UnsupportedInputError
from medveil.images import read
from medveil.images.image import FileKind, Image, Source
from medveil.metrics.image_quality import psnr, rmse

CODEC = LappedCodec()
SHALLOW, DEEP = Profile("lapped", 4000), Profile("lapped", 4000, deep=1)
VECTORS = Path(__file__).parents[1] / "vectors"
# the sample is the default protection
SEALED = pytest.mark.parametrize(
    "sealed", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["sealed", "encrypted"]
)


def image_of(pixels: np.ndarray, bits: int = 8, padding: tuple[int, int] | None = None) -> Image:
    return Image.of_pixels(np.ascontiguousarray(pixels), bits, Source(FileKind.PNG, b""), padding=padding)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth shapes with edges and some noise, 8 bits."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 64.0
    plane = 120 + 60 * np.sin(y + 2 * np.cos(x)) + 50 * (np.hypot(y - 1, x - 1) < 0.7) + rng.normal(0, 2, y.shape)
    return np.clip(plane, 0, 255).astype(np.uint8)


def padded_picture() -> np.ndarray:
    outside = np.hypot(*(np.indices((120, 150)) - np.array([60, 75])[:, None, None])) > 55
    return np.where(outside, -2000, picture(120, 150).astype(np.int16) * 8 - 1000).astype(np.int16)


def transported(code: SparseCode, composition: Composition | None) -> SparseCode:
    """The code as it comes out of a package."""
    if composition is None:
        return unpack(pack(code))
    padded = pad_with_nulls(code, composition)
    stream = pack_levels(padded, composition).ljust(composition.level_bytes, b"\0")
    return unpack_levels(stream, [(entry.positions, entry.levels < 0) for entry in padded.maps], composition)


def preview_of(image: Image, profile: Profile, sealed: bool) -> SparseCode:
    coarse, bucket = preview_profile(profile), Bucket.of(*image.pixels.shape)
    composition = CODEC.composition(coarse, bucket) if sealed else None
    return transported(preview_codec().encode(image, coarse, composition), composition)


def refined(image: Image, profile: Profile, sealed: bool, base: SparseCode | None) -> SparseCode:
    composition = CODEC.composition(profile, Bucket.of(*image.pixels.shape)) if sealed else None
    return transported(CODEC.encode(image, profile, composition, base), composition)


def opened(image: Image, code: SparseCode, profile: Profile, base: SparseCode | None = None) -> np.ndarray:
    return CODEC.decode(code, profile, Bucket.of(*image.pixels.shape), base)


@SEALED
def test_previews_of_phantoms_show_the_anatomy(tmp_path: Path, sealed: bool) -> None:
    make_phantoms(tmp_path, patients=2)
    found = []
    for path in sorted(path for path in (tmp_path / "images").rglob("*") if path.is_file()):
        image = read(path)
        preview = opened(image, preview_of(image, SHALLOW, sealed), preview_profile(SHALLOW))
        found.append(psnr(image.pixels, preview, data_range=255))
    assert 26 < np.mean(found) < 36


@SEALED
def test_previews_of_radiographs_are_of_30_db(shared: Path, sealed: bool) -> None:
    with (shared / "cxr" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "val" and row["source"] != "ieee8023"]
    found = []
    for row in rows[::24]:
        image = read(shared / "cxr" / row["image"])
        preview = opened(image, preview_of(image, SHALLOW, sealed), preview_profile(SHALLOW))
        found.append(psnr(image.pixels, preview, data_range=255))
    assert 28.5 < np.mean(found) < 31.5


@SEALED
def test_a_refined_preview_is_as_near_as_a_complete_code(sealed: bool) -> None:
    image = image_of(picture(192, 256))
    base = preview_of(image, SHALLOW, sealed)
    complete, rest = refined(image, SHALLOW, sealed, None), refined(image, SHALLOW, sealed, base)
    fidelity = [
        psnr(image.pixels, each, data_range=255)
        for each in (opened(image, complete, SHALLOW), opened(image, rest, SHALLOW, base))
    ]
    assert fidelity[1] > fidelity[0] - 0.2
    if not sealed:
        assert len(pack(rest)) < len(pack(complete))


@given(
    st.sampled_from([("uint8", 8), ("uint16", 10), ("uint16", 16), ("int16", 12), ("int16", 16)]),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.booleans(),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=12)
def test_any_depth_and_size_comes_back(
    kind: tuple[str, int], shape: tuple[int, int], sealed: bool, texture: int
) -> None:
    dtype, bits = kind
    shift = 0 if dtype.startswith("u") else 1 << (bits - 1)
    plane = picture(*shape) if texture else np.random.default_rng(1).integers(0, 256, shape)
    pixels = (plane.astype(np.int64) * ((1 << bits) - 1) // 255 - shift).astype(dtype)
    image, profile = image_of(pixels, bits), DEEP if bits > 8 else SHALLOW
    base = preview_of(image, profile, sealed)
    preview = opened(image, base, preview_profile(profile))
    whole = opened(image, refined(image, profile, sealed, base), profile, base)
    assert preview.dtype == whole.dtype == pixels.dtype
    assert preview.shape == whole.shape == pixels.shape
    assert -shift <= min(preview.min(), whole.min()) <= max(preview.max(), whole.max()) < (1 << bits) - shift
    assert rmse(pixels, whole) <= rmse(pixels, preview) + 0.01 * (1 << bits)
    if texture:
        assert psnr(pixels, whole, data_range=(1 << bits) - 1) > 35


@SEALED
def test_a_constant_image_comes_back_exactly(sealed: bool) -> None:
    for pixels, bits in ((np.full((70, 90), 201, np.uint8), 8), (np.full((33, 17), 40001, np.uint16), 16)):
        image, profile = image_of(pixels, bits), DEEP if bits > 8 else SHALLOW
        base = preview_of(image, profile, sealed)
        assert np.array_equal(opened(image, refined(image, profile, sealed, base), profile, base), pixels)


@SEALED
def test_padding_is_stated_once_and_comes_back_exactly(sealed: bool) -> None:
    image = image_of(padded_picture(), 16, padding=(-2000, -1995))
    base = preview_of(image, DEEP, sealed)
    code = refined(image, DEEP, sealed, base)
    outside = image.pixels == -2000
    for pixels in (opened(image, base, preview_profile(DEEP)), opened(image, code, DEEP, base)):
        assert np.array_equal(pixels == -2000, outside)
        assert pixels[~outside].min() > -1995
    assert Side.from_bytes(code.side, len(code.maps), Bucket(128, 192)).padding is None


def test_padding_that_has_no_room_in_a_sealed_preview_is_stated_by_the_code() -> None:
    pixels = np.maximum(picture(256, 256), 1)
    pixels[(np.indices(pixels.shape)[0] > 235) & (np.random.default_rng(4).random(pixels.shape) < 0.5)] = 0
    image = image_of(pixels, padding=(0, 0))
    coarse = preview_profile(SHALLOW)
    with pytest.raises(UnsupportedInputError, match="padding"):
        CODEC.encode(image, coarse, CODEC.composition(coarse, Bucket(256, 256)))
    base = preview_of(image, SHALLOW, True)
    code = refined(image, SHALLOW, True, base)
    assert rmse(pixels[pixels > 0], opened(image, base, coarse)[pixels > 0]) < 20
    assert np.array_equal(opened(image, code, SHALLOW, base) == 0, pixels == 0)


def test_the_lengths_of_a_sealed_refinement_are_those_of_its_composition() -> None:
    bucket = Bucket(128, 192)
    composition = CODEC.composition(SHALLOW, bucket)
    for pixels in (picture(128, 192), np.zeros((70, 130), np.uint8), 255 * (np.indices((100, 192)).sum(0) % 2)):
        image = image_of(pixels.astype(np.uint8))
        code = CODEC.encode(image, SHALLOW, composition, preview_of(image, SHALLOW, True))
        padded = pad_with_nulls(code, composition)
        assert [len(entry.levels) for entry in padded.maps] == [shape.nonzeros for shape in composition.maps]
        assert len(pack_levels(padded, composition)) <= composition.level_bytes


@SEALED
def test_another_base_is_refused(sealed: bool) -> None:
    image = image_of(picture(60, 100))
    base = preview_of(image, SHALLOW, sealed)
    code, complete = refined(image, SHALLOW, sealed, base), refined(image, SHALLOW, sealed, None)
    for other in (picture(60, 99), picture(60, 140)):
        with pytest.raises(IntegrityError):
            opened(image, code, SHALLOW, preview_of(image_of(other), SHALLOW, sealed))
    with pytest.raises(IntegrityError, match="no preview"):
        opened(image, code, SHALLOW)
    with pytest.raises(IntegrityError, match="refine"):
        opened(image, complete, SHALLOW, base)
    with pytest.raises(IntegrityError, match="left over"):
        opened(image, code, SHALLOW, code)
    deeper = preview_of(image.with_pixels(image.pixels.astype(np.uint16), bits_stored=10), SHALLOW, sealed)
    with pytest.raises(IntegrityError, match="refine"):
        opened(image, code, SHALLOW, deeper)


@cache
def base_and_refinement() -> tuple[SparseCode, SparseCode]:
    image = image_of(picture(60, 100))
    base = preview_of(image, SHALLOW, False)
    return base, refined(image, SHALLOW, False, base)


@given(st.integers(0, 1 << 16), st.integers(0, 7))
@settings(deadline=None, max_examples=25)
def test_a_damaged_base_gives_a_picture_of_the_bucket_or_a_clear_error(where: int, bit: int) -> None:
    bucket, (base, code) = Bucket(64, 128), base_and_refinement()
    flipped = bytearray(base.side)
    flipped[where % len(flipped)] ^= 1 << bit
    try:
        pixels = CODEC.decode(code, SHALLOW, bucket, SparseCode(base.maps, bytes(flipped)))
    except IntegrityError:
        return
    assert Bucket.of(*pixels.shape) == bucket


@pytest.mark.parametrize(
    ("name", "digest", "refined_digest"),
    [
        (
            "sealed",
            "4126ecfb6a34833d28d65d0d3bfd4ffeca5fc62e54a9098df62f856a9c3a2842",
            "d40bbf84e083f1007b55858136d5fc97d41ce1ad0470faf5ce66c538620375b8",
        ),
        (
            "encrypted",
            "3bb97fb271d7caec02964aa196c67b6c92fa76a0d6615a3f120b9f832f815bc4",
            "2304ca0ee24b550d610a739693ef72641b4996dcde7850247a75001368acccc7",
        ),
    ],
)
def test_a_golden_preview_and_its_refinement_decode_to_the_same_pixels(
    name: str, digest: str, refined_digest: str
) -> None:
    base = unpack((VECTORS / f"lapped-preview-{name}.bin").read_bytes())
    code = unpack((VECTORS / f"lapped-preview-{name}-refined.bin").read_bytes())
    bucket = Bucket.of(75, 140)
    for pixels, expected in (
        (CODEC.decode(base, preview_profile(DEEP), bucket), digest),
        (CODEC.decode(code, DEEP, bucket, base), refined_digest),
    ):
        assert pixels.shape == (75, 140)
        assert pixels.dtype == np.int16
        assert hashlib.sha256(pixels.astype("<i2").tobytes()).hexdigest() == expected
