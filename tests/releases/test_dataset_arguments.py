"""Arguments of a data set that mean nothing are refused in words, and keys are not pickled."""

import pickle

import pytest
from PIL import Image as Picture
from tests.pictures import picture

import medveil
from medveil.errors import UsageError
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share


@pytest.fixture(scope="module")
def release(tmp_path_factory, people):
    root = tmp_path_factory.mktemp("arguments")
    for number in range(2):
        Picture.fromarray(picture(number, 40, 32)).save(root / f"{number}.png")
    share([root / "0.png", root / "1.png"], root / "release", ShareSettings(jobs=1), owner=people["owner"])
    return medveil.Release(root / "release")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache_bytes", None), ("cache_bytes", -1), ("cache_bytes", 10**30), ("cache_bytes", float("nan")),
        ("size", (5,)), ("size", (3, 4, 5)), ("size", 224.5), ("size", True), ("size", "x"), ("size", 0),
        ("tier", "best"), ("scaling", "x"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(release, people, name, value):
    with pytest.raises(UsageError):
        release.dataset(people["owner"], **{name: value})


def test_round_numbers_and_names_are_taken(release, people):
    found = release.dataset(people["owner"], cache_bytes=2e9, tier="diagnostic", size=[24, 16])
    assert found[0].shape == (1, 24, 16)


def test_keys_are_not_pickled_from_inside(release, people):
    with pytest.raises(UsageError, match="keys"):
        pickle.dumps(release.dataset(people["owner"])._source)


@pytest.mark.parametrize("header", ["image,label,label", "image,label, label"])
def test_two_columns_of_one_name_are_refused(release, people, tmp_path, header):
    (tmp_path / "labels.csv").write_text(f"{header}\n0.png,a,b\n1.png,b,a\n")
    with pytest.raises(UsageError, match="two columns"):
        release.dataset(people["owner"], labels=tmp_path / "labels.csv")
