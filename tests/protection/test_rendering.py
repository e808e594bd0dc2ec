from collections.abc import Callable

import numpy as np
import pytest

from medveil.codecs.code import Bucket, CodeMap, Composition, MapShape, Profile, SparseCode
from medveil.codecs.coding import Coding
from medveil.errors import IntegrityError
from medveil.images.image import Image
from medveil.protection.ambiguation import ambiguate
from medveil.protection.keystream import fresh_key
from medveil.protection.rendering import ambiguated_pixels, public_as_code, sealed_pixels
from medveil.protection.sealing import PublicCode, seal

BUCKET = Bucket(64, 64)
PROFILE = Profile("rows", 0)


class RowsCodec:
    """A codec for tests: the pixels that aren't black are the levels, the side bytes their number of bits."""

    name = "rows"

    def composition(self, profile: Profile, bucket: Bucket) -> Composition:
        return Composition((MapShape(bucket.height * bucket.width, 300),), 400)

    def encode(
        self, image: Image, profile: Profile, composition: Composition | None, base: SparseCode | None = None
    ) -> SparseCode:
        flat = image.pixels.ravel().astype(np.int32)
        positions = np.flatnonzero(flat)[:300]
        return SparseCode((CodeMap(len(flat), positions, flat[positions]),), bytes([image.bits_stored]))

    def decode(self, code: SparseCode, profile: Profile, bucket: Bucket, base: SparseCode | None = None) -> np.ndarray:
        assert code.side in (b"\x08", b"\x0c")
        flat = np.zeros(bucket.height * bucket.width, np.int32)
        flat[code.maps[0].positions] = code.maps[0].levels
        return flat.reshape(bucket.height, bucket.width)


@pytest.fixture
def public() -> PublicCode:
    code = SparseCode((CodeMap(64 * 64, np.arange(100), np.full(100, 5, np.int32)),), b"\x08")
    return seal(code, RowsCodec().composition(PROFILE, BUCKET), fresh_key())


def test_a_public_code_is_a_code(public: PublicCode) -> None:
    code = public_as_code(public, RowsCodec().composition(PROFILE, BUCKET), b"side")
    only = code.maps[0]
    assert code.side == b"side"
    assert np.array_equal(only.positions, public.maps[0].positions)
    assert np.array_equal(only.levels < 0, public.maps[0].signs)
    assert (only.levels.dtype, only.positions.dtype) == (np.int32, np.int64)
    magnitudes = np.bincount(np.abs(only.levels), minlength=10)
    assert magnitudes[0] == 0
    assert magnitudes[1] > magnitudes[3] > 0
    assert len(magnitudes) == 10


def test_a_public_code_without_levels_is_a_code() -> None:
    composition = Composition((MapShape(5, 2),), 0)
    maps = PublicCode.from_bytes(seal_nothing(), Composition((MapShape(5, 2),), 30)).maps
    assert len(public_as_code(PublicCode(maps, b""), composition).maps[0].levels) == 2
    with pytest.raises(IntegrityError):
        public_as_code(PublicCode(maps, b"x"), composition)


def seal_nothing() -> bytes:
    composition = Composition((MapShape(5, 2),), 30)
    code = SparseCode((CodeMap(5, np.empty(0, np.int64), np.empty(0, np.int32)),), b"")
    return seal(code, composition, bytes(32)).to_bytes(composition)


@pytest.mark.parametrize("deep", [0, 1])
def test_what_a_stranger_sees_of_a_sealed_code_is_spread_over_the_picture(public: PublicCode, deep: int) -> None:
    pixels = sealed_pixels(public, Coding(RowsCodec(), Profile("rows", 0, deep=deep)), BUCKET)
    assert pixels.shape == (64, 64)
    assert np.count_nonzero(pixels) == 300
    assert np.count_nonzero(pixels[32:]) > 100


def test_what_a_stranger_sees_of_an_obfuscated_code_has_true_entries_and_decoys() -> None:
    code = SparseCode((CodeMap(64 * 64, np.arange(100), np.full(100, 5, np.int32)),), b"\x08")
    ambiguated, _ = ambiguate(code, 64, 3)
    assert ambiguated.code.side == b""
    pixels = ambiguated_pixels(ambiguated, Coding(RowsCodec(), PROFILE), BUCKET)
    assert np.all(pixels.ravel()[:100] == 5)
    assert np.count_nonzero(pixels) > 100


def test_two_renderings_of_one_image_have_nothing_in_common(make_code: Callable[..., SparseCode]) -> None:
    composition = Composition((MapShape(10_000, 500),), 2000)
    code = make_code(composition)
    places = [set(public_as_code(seal(code, composition, fresh_key()), composition).maps[0].positions) for _ in "ab"]
    assert len(places[0] & places[1]) < 60
