"""Methods of open release: what they do to pixels, what is random in them, and what their settings let through."""

from fractions import Fraction

import numpy as np
import pytest
from tests.pictures import picture

from medveil.anonymizers.anonymizer import Candidate
from medveil.anonymizers.dp_pix import DPPix, discrete_laplace
from medveil.anonymizers.k_same import KSame
from medveil.anonymizers.mixup import Mixup
from medveil.anonymizers.pixelate import Pixelate
from medveil.anonymizers.registration import laid, registered
from medveil.anonymizers.registry import ANONYMIZERS, get_anonymizer, model_for, settings_of
from medveil.anonymizers.warp import Warp, folds
from medveil.errors import UsageError
from medveil.images.image import FileKind, Image, Source
from medveil.images.intensity import grey_image
from medveil.protection.keystream import Keystream

KEY, OTHER = bytes(32), bytes([1]) * 32
NAMES = tuple(each.name for each in ANONYMIZERS.make_all() if not each.learns or each.shipped_models())


def image(seed=0, height=64, width=64, bits=8):
    return Image.of_pixels(picture(seed, height, width, bits), bits, Source(FileKind.PNG, b""))


@pytest.mark.parametrize("name", NAMES)
def test_a_key_gives_one_picture_and_secret_methods_another_under_another(name):
    method = get_anonymizer(name, {}, model_for(name, None))
    made = [method.apply([image()], key) for key in (KEY, KEY, OTHER)]
    assert np.array_equal(made[0].frames, made[1].frames)
    drawn_by_key = name in ("dp-pix", "warp")  # the others draw who is with whom
    assert np.array_equal(made[0].frames, made[2].frames) != drawn_by_key


@pytest.mark.parametrize("name", ["pixelate", "dp-pix", "warp"])
@pytest.mark.parametrize(("height", "width", "bits"), [(37, 64, 8), (50, 33, 12), (8, 9, 16)])
def test_size_and_depth_stay(name, height, width, bits):
    made = get_anonymizer(name, {"mm": "0.5"} if name == "warp" else {}).apply([image(1, height, width, bits)], KEY)
    assert made.pixels.shape == (height, width)
    assert made.bits_stored == bits


@pytest.mark.parametrize("name", ["pixelate", "dp-pix", "warp"])
def test_where_there_is_no_data_does_not_show(name):
    pixels = image(2).pixels.copy()
    pixels[:20] = 0
    padded = Image.of_pixels(pixels, 8, Source(FileKind.PNG, b""), padding=(0, 0))
    made = get_anonymizer(name, {"mm": "1"} if name == "warp" else {}).apply([padded], KEY)
    assert made.padding is None
    if name == "pixelate":
        assert made.pixels[:16].min() == pixels[pixels > 0].min()


def test_pixelation_is_the_mean_of_cells():
    pixels = image(3, 40, 80).pixels
    made = Pixelate(cells=8).apply([image(3, 40, 80)], KEY).pixels
    means = pixels.reshape(4, 10, 8, 10).mean(axis=(1, 3))
    assert np.abs(made[::10, ::10] - means).max() <= 0.51
    assert len(np.unique(made.reshape(4, 10, 8, 10).transpose(0, 2, 1, 3).reshape(32, 100), axis=1)) == 32


def test_noise_follows_the_discrete_laplace_law():
    scale, count = Fraction(5, 2), 60_000
    drawn_ones = discrete_laplace(Keystream(KEY, "test"), scale, count)
    q = float(np.exp(-1 / float(scale)))
    for size in range(12):
        expected = (1 - q) / (1 + q) * q**size * (2 if size else 1)
        spread = 4.5 * np.sqrt(expected * (1 - expected) / count)
        assert abs((np.abs(drawn_ones) == size).mean() - expected) < spread
    assert abs((drawn_ones > 0).mean() - (drawn_ones < 0).mean()) < 4.5 / np.sqrt(count)
    assert abs(drawn_ones.var() / (2 * q / (1 - q) ** 2) - 1) < 0.06


def test_dp_pix_has_the_scale_of_its_publication_and_counts_whole_pictures():
    settings = [DPPix(b=b, epsilon=Fraction(1, 10), m=1) for b in (1, 2, 4, 8)]
    assert [float(each.scale(8) / each.b**2) for each in settings] == [2550, 637.5, 159.375, 39.84375]
    assert DPPix(b=8, epsilon=Fraction(1), m=16).epsilon_of(image(0, 64, 64)) == 256
    assert DPPix(b=8, epsilon=Fraction(1), m=3).epsilon_of(image(0, 2, 2)) == 2


def test_noise_does_not_hang_on_single_pixels_where_there_is_no_data():
    """A neighbour in one pixel, the darkest one, differs by no more than that pixel's share of one cell."""
    pixels = np.full((16, 16), 9, np.uint16)
    pixels[4:] = 100
    pixels[8, 8] = 10
    other = pixels.copy()
    other[8, 8] = 200
    made = [
        DPPix(b=4, epsilon=Fraction(1), m=1).apply(
            [Image.of_pixels(each, 16, Source(FileKind.PNG, b""), padding=(0, 9))], KEY
        ).pixels.astype(int)
        for each in (pixels, other)
    ]  # fmt: skip
    assert np.array_equal(made[0][:4], made[1][:4])


def test_cells_at_the_border_are_smaller_and_have_their_own_mean():
    made = DPPix(b=8, epsilon=Fraction(1000), m=1).apply([image(4, 20, 20, 16)], KEY).pixels.astype(float)
    assert abs(made[18, 18] - image(4, 20, 20, 16).pixels[16:, 16:].mean()) < 65535 / 1000 / 16 * 12 + 1


def test_a_warp_keeps_order_and_border_and_its_key_undoes_it():
    before, method = image(5, 64, 96), Warp(mm=Fraction(6))
    down, right = method.displacement(before, KEY)
    assert not folds(down, right)
    assert max(np.abs(down[[0, -1]]).max(), np.abs(right[:, [0, -1]]).max()) < 1e-4
    moved = method.apply([before], KEY)
    apart = [np.abs(each.pixels.astype(int) - before.pixels).mean() for each in (moved, method.undo(moved, KEY))]
    assert apart[1] < 0.35 * apart[0]
    assert np.abs(method.undo(moved, OTHER).pixels.astype(int) - before.pixels).mean() > apart[0]


def test_a_warp_that_cannot_be_is_refused():
    small = Image.of_pixels(picture(0), 8, Source(FileKind.PNG, b""), spacing_mm=(0.1, 0.1))
    with pytest.raises(UsageError, match="folds"):
        Warp(mm=Fraction(20)).apply([small], KEY)


def people(images_each):
    return [Candidate(str(patient), ("x",)) for patient, count in enumerate(images_each) for _ in range(count)]


def test_mixtures_are_of_different_people_and_use_no_image_twice():
    candidates = people([3, 1, 1, 5, 2, 1])
    groups = Mixup(n=2).groups(candidates, Keystream(KEY, "test"))
    assert len(groups) >= 5
    used = [number for group in groups for number in group]
    assert len(used) == len(set(used))
    assert all(len({candidates[number].patient for number in group}) == 2 for group in groups)
    mixed = Mixup(n=2, size=64).apply(
        [grey_image(np.full((64, 64), 0) + np.eye(64) * 255), grey_image(np.eye(64) * 255)], KEY
    )
    assert (mixed.pixels.min(), mixed.pixels.max()) == (0, 255)


def test_k_same_takes_one_image_a_patient_and_groups_of_k():
    rng = np.random.default_rng(0)
    candidates = [
        Candidate(str(patient), (side,), rng.normal(size=8).astype(np.float32))
        for side in "ab"
        for patient in range(7)
        for _ in range(2)
    ]
    for space in ("pixels", "pca"):
        groups = KSame(k=3, space=space).groups(candidates, Keystream(KEY, "test"))
        assert sorted(map(len, groups)) in ([3, 3, 3, 4], [3, 4])
        patients = [candidates[number].patient for group in groups for number in group]
        assert len(patients) == len(set(patients)) == 7
        assert all(len({candidates[number].classes for number in group}) == 1 for group in groups)


def test_k_same_groups_neighbours():
    candidates = [Candidate(str(n), (), np.float32([n % 2 * 100, n])) for n in range(8)]
    for group in KSame(k=4).groups(candidates, Keystream(KEY, "test")):
        assert len({number % 2 for number in group}) == 1


@pytest.mark.parametrize("method", [Mixup(n=4), KSame(k=4)])
def test_a_class_with_too_few_people_is_refused_with_their_number(method):
    candidates = [Candidate(str(n % 3), (), np.zeros(2, np.float32)) for n in range(9)]
    with pytest.raises(UsageError, match="has 3 patients, and a group needs 4"):
        method.groups(candidates, Keystream(KEY, "test"))


def test_registration_finds_an_affine_map():
    template = picture(6, 64, 64).astype(np.float32)
    true = np.array([[1.06, 0.03, 0.05], [-0.02, 0.95, -0.04]])
    moved = laid(np.pad(template, 0), true)
    found = registered(moved, template)
    back = true[:, :2] @ found[:, :2], true[:, :2] @ found[:, 2] + true[:, 2]
    assert np.abs(back[0] - np.eye(2)).max() < 0.03
    assert np.abs(back[1]).max() < 0.03
    assert np.array_equal(registered(template * 0 + 5, template), np.eye(2, 3))


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("pixelate", {"cells": "0"}, "from 1 to 4096"),
        ("pixelate", {"cells": "2.5"}, "a whole number"),
        ("pixelate", {"cels": "2"}, "there are cells"),
        ("dp-pix", {"m": "0"}, "a whole number from 1 to 16777216, not"),
        ("dp-pix", {"epsilon": "nan"}, "from 0.001 to 1000"),
        ("dp-pix", {"epsilon": "1/0"}, "from 0.001 to 1000"),
        ("dp-pix", {"epsilon": "1" * 400}, "from 0.001 to 1000"),
        ("dp-pix", {"epsilon": "1e999999999"}, "from 0.001 to 1000"),
        ("k-same", {"space": "eigen"}, "pixels or pca"),
        ("blur", {}, "there are pixelate, dp-pix, warp, mixup, k-same"),
    ],
)
def test_settings_that_are_not_allowed_are_told(name, settings, told):
    with pytest.raises(UsageError, match=told):
        get_anonymizer(name, settings)


def test_settings_are_name_and_value():
    assert settings_of(["b=1", "epsilon=0.5"]) == {"b": "1", "epsilon": "0.5"}
    for wrong in (["b"], ["=1"], ["b="], ["b=1", "b=2"]):
        with pytest.raises(UsageError):
            settings_of(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is(name):
    method = type(get_anonymizer(name))
    assert method.name == name
    assert all((method.title, method.promise.endswith("."), method.source, method.settings()))
    assert all(setting.about and setting.read(str(setting.default)) == setting.default for setting in method.settings())
