"""What strangers make of codes: pictures, planes, cells, sizes."""

import numpy as np
import pytest
from tests.pictures import picture

from medveil.codecs.code import Bucket, CodeMap, SparseCode
from medveil.codecs.registry import get_codec
from medveil.errors import IntegrityError
from medveil.images.image import FileKind, Image, Source
from medveil.mechanisms.observation import Shown
from medveil.mechanisms.public_codec import PublicCodec, joined, parted
from medveil.mechanisms.working_pictures import Window

HEIGHT, WIDTH = 150, 172
BUCKET = Bucket(192, 192)


def space_of(name: str, *, fixed: bool = False, preview: bool = False, deep: int = 0, **options: object) -> PublicCodec:
    codec = get_codec(name)
    quality = 4000 if name == "lapped" else 0
    profile = codec.profile(quality_centidb=quality, sparsity=None if name == "lapped" else 16, deep=deep)
    return PublicCodec(codec, profile, fixed=fixed, preview=preview, working=48, **options)


def image_of(seed: int, bits: int = 8, height: int = HEIGHT, width: int = WIDTH) -> Image:
    return Image.of_pixels(picture(seed, height, width, bits), bits, Source(FileKind.PNG, b""))


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])


def test_joined_codes_part_again() -> None:
    one = SparseCode((CodeMap(5, np.array([1]), np.array([2], np.int32)),) * 3, b"side")
    two = SparseCode((CodeMap(7, np.array([6]), np.array([-2], np.int32)),) * 2, b"")
    for first, second in ((one, two), (two, one)):
        back = parted(joined(first, second))
        assert [each.side for each in back] == [first.side, second.side]
        assert [each.maps for each in back] == [first.maps, second.maps]


@pytest.mark.parametrize(
    ("name", "fixed", "preview"), [("primis", False, False), ("primis", True, True), ("lapped", False, True)]
)
def test_key_holders_get_the_picture(name: str, fixed: bool, preview: bool) -> None:
    space, image = space_of(name, fixed=fixed, preview=preview), image_of(1)
    code = space.code(image)
    true = space.working_picture(image.pixels, BUCKET)
    assert np.abs(space.true_picture(code, BUCKET) - true).mean() < 3
    maps = [len(each.maps) for each in space.compositions(BUCKET)]
    if fixed:
        assert sum(maps) == len(code.maps)
    with pytest.raises(IntegrityError):
        space.pixels(code, Bucket(320, 192))


def test_strangers_get_most_of_a_code_in_the_clear() -> None:
    space, image = space_of("primis"), image_of(2)
    code = space.code(image)
    true = space.true_picture(code, BUCKET)
    shown = [Shown(each.cells, each.positions, each.levels) for each in code.maps]
    size = (160, 176)
    assert likeness(space.picture(shown, BUCKET, size), true) > 0.85
    assert likeness(space.picture(shown, BUCKET), true) < 0.7
    assert np.array_equal(space.picture(shown, BUCKET, size), space.picture(code.maps, BUCKET, size))


def test_the_window_is_what_becomes_black_and_white() -> None:
    space = space_of("lapped", deep=1, window=Window(0, 4095))
    image = image_of(3, bits=12)
    code = space.code(image)
    true = space.working_picture(image.pixels, BUCKET)
    assert true.min() < 20
    assert true.max() > 235
    assert np.abs(space.true_picture(code, BUCKET) - true).mean() < 1
    assert likeness(space.picture(code.maps, BUCKET, (160, 176)), true) > 0.1  # without DC, which is not in the maps


@pytest.mark.parametrize("name", ["primis", "lapped"])
def test_maps_that_fit_no_picture_are_refused(name: str) -> None:
    space = space_of(name)
    with pytest.raises(IntegrityError):
        space.picture((), BUCKET)
    code = space.code(image_of(1))
    with pytest.raises(IntegrityError):
        space.picture(code.maps[:-1], BUCKET)
    with pytest.raises(IntegrityError):
        space.picture(code.maps, Bucket(448, 448))


def test_planes_of_vectors_hold_the_levels_where_they_are_in_the_picture() -> None:
    """Of a picture that is busy in one corner only, the levels lie in that corner, and cells take them back."""
    pixels = np.full((160, 176), 90, np.uint8)
    pixels[:48, :48] += np.random.default_rng(0).integers(0, 100, (48, 48)).astype(np.uint8)
    space, size = space_of("primis"), (160, 176)
    code = space.code(Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"")))
    planes = space.tensor(code.maps, BUCKET, size)
    assert planes.shape == (1024, 12, 12)
    assert planes.dtype == np.float32
    assert np.abs(planes).sum() == sum(np.abs(each.levels).sum() for each in code.maps)
    assert np.abs(planes[:, :4, :4]).sum() > 0.9 * np.abs(planes).sum()
    assert not planes[:, 10:].any()
    assert not planes[:, :, 11:].any()
    scores = space.cells(planes, BUCKET, size)
    assert scores is not None
    for each, true in zip(scores, code.maps, strict=True):
        assert each.shape == (true.cells,)
        assert np.array_equal(each[true.positions], true.levels)
        inside = each[: 10 * 11 * 256]
        assert np.count_nonzero(inside) == len(true.positions)
        assert (each[10 * 11 * 256 :] == planes.min()).all()


def test_planes_of_pictures_of_several_windows() -> None:
    """Beyond 512 pixels a picture is coded window by window."""
    space, bucket = space_of("primis"), Bucket(576, 64)
    code = space.code(image_of(4, height=570, width=60))
    planes = space.tensor(code.maps, bucket)
    assert planes.shape == (1024, 36, 4)
    scores = space.cells(planes, bucket)
    assert scores is not None
    for each, true in zip(scores, code.maps, strict=True):
        assert np.array_equal(np.flatnonzero(each), true.positions)


@pytest.mark.parametrize("preview", [False, True])
def test_planes_of_ranked_cells_are_the_coefficients_without_dc(preview: bool) -> None:
    from medveil.codecs.lapped.transform import forward

    space, image = space_of("lapped", preview=preview), image_of(2)
    planes = space.tensor(space.code(image).maps, BUCKET, (160, 176))
    assert planes.shape == (256, 12, 12)
    assert not planes[0].any()
    padded = np.pad(image.pixels.astype(np.float32), ((0, -HEIGHT % 16), (0, -WIDTH % 16)), mode="edge")
    true = forward(padded)
    assert likeness(planes[1:16, :10, :11], true[1:16]) > (0.5 if preview else 0.95)
    assert space.cells(planes, BUCKET) is None


def test_a_preview_before_vectors_gives_planes_of_both() -> None:
    space = space_of("primis", preview=True)
    code = space.code(image_of(2))
    assert space.tensor(code.maps, BUCKET, (160, 176)).shape == (256 + 1024, 12, 12)


def test_a_code_that_fills_its_places_says_nothing_of_the_size() -> None:
    space = space_of("lapped", fixed=True)
    sizes = space.sizes(space.code(image_of(1)).maps, BUCKET)
    assert len(set(sizes)) == 16
    assert sizes[0] == (192, 192)


def test_the_number_of_cells_of_a_free_code_tells_the_size() -> None:
    space = space_of("lapped")
    maps = space.code(image_of(1)).maps
    assert (160, 176) in space.sizes(maps, BUCKET)
    assert len(space.sizes(maps, BUCKET)) <= 2
    assert space.likely_size(maps, BUCKET) == (160, 176)


@pytest.mark.parametrize("seed", range(3))
def test_the_size_of_vectors_in_the_clear_is_found(seed: int) -> None:
    space = space_of("primis")
    maps = space.code(image_of(seed)).maps
    assert space.likely_size(maps, BUCKET) == (160, 176)
    tenth = [Shown(each.cells, each.positions[::10], each.levels[::10]) for each in maps]
    assert space.likely_size(tenth, BUCKET) in ((160, 176), (176, 160))  # as many vectors either way


def test_the_size_of_a_code_of_which_nothing_is_shown_is_the_buckets() -> None:
    space = space_of("primis")
    nothing = [Shown(144 * 256, np.empty(0, np.int64), np.empty(0, np.int32))] * 4
    assert space.likely_size(nothing, BUCKET) in space.sizes(nothing, BUCKET)


def test_settings_tell_spaces_apart() -> None:
    from medveil.mechanisms.controls import primis_space

    spaces = [
        space_of("primis"), space_of("primis", fixed=True), space_of("primis", preview=True), space_of("lapped"),
        primis_space(48, fixed=False, step=7),
    ]  # fmt: skip
    assert len({space.settings for space in spaces}) == len(spaces)
    assert space_of("primis").settings == primis_space(64, fixed=False).settings


def test_real_sizes_are_found(shared) -> None:
    from PIL import Image as Pillow

    files = sorted((shared / "cxr" / "images").glob("*.png"))
    space = space_of("primis")
    for file in files[:: len(files) // 4][:4]:
        with Pillow.open(file) as opened:
            pixels = np.asarray(opened.convert("L"))[64:300, 64:330]
        image = Image.of_pixels(np.ascontiguousarray(pixels), 8, Source(FileKind.PNG, b""))
        size = tuple(-(-side // 16) * 16 for side in pixels.shape)
        assert space.likely_size(space.code(image).maps, Bucket.of(*pixels.shape)) == size
