"""A small cast and some pictures."""

import pytest
from PIL import Image as Picture
from tests.pictures import picture

from medveil.keys.identity import generate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: generate(folder / f"{name}.key") for name in ("owner", "alice", "ida", "mallory")}


@pytest.fixture
def pictures(tmp_path):
    """Three PNG files in two folders, two of them with one base name."""
    root = tmp_path / "originals"
    for number, name in enumerate(("a/IM1.png", "b/IM1.png", "b/c/IM2.png")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(picture(number)).save(path)
    return root


@pytest.fixture
def settings(people):
    return ShareSettings(
        to=(people["alice"].recipient, people["ida"].recipient), identity=(people["ida"].recipient,), jobs=1
    )


@pytest.fixture
def release(tmp_path, pictures, settings, people):
    share([pictures], tmp_path / "release", settings, owner=people["owner"])
    return tmp_path / "release"
