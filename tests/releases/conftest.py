"""A small cast and some pictures."""

import os
import shutil

import pytest
from PIL import Image as Picture
from tests.code_memory import remembered_codes
from tests.pictures import picture

from medveil.keys.identity import generate
from medveil.keys.tiers import Tier
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share


@pytest.fixture(scope="module", autouse=True)
def _remembered_codes():
    """These tests share the same few pictures over and over."""
    with remembered_codes():
        yield


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: generate(folder / f"{name}.key") for name in ("owner", "alice", "ida", "mallory", "deputy")}


@pytest.fixture(scope="session")
def made(tmp_path_factory, people):
    """A folder with three PNG files, two of them with one base name, and the release that they became."""
    root = tmp_path_factory.mktemp("made")
    for number, name in enumerate(("a/IM1.png", "b/IM1.png", "b/c/IM2.png")):
        path = root / "originals" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(picture(number)).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        share([root / "originals"], root / "release", settings_for(people), owner=people["owner"])
    return root


def settings_for(people):
    return ShareSettings(
        to=(people["alice"].recipient, people["ida"].recipient), identity=(people["ida"].recipient,), jobs=1
    )


@pytest.fixture
def settings(people):
    return settings_for(people)


@pytest.fixture
def pictures(tmp_path, made):
    """This test's own copy of the originals."""
    return shutil.copytree(made / "originals", tmp_path / "originals")


def on_the_founders_machine(made, target):
    """A copy of the release in `made`, on the machine where it was founded."""
    shutil.copytree(made / "state", os.environ["HOME"], dirs_exist_ok=True)  # where tests keep pins unless they say
    return shutil.copytree(made / "release", target)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """From here on, it is a machine that never saw any release."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state elsewhere"))


@pytest.fixture
def release(tmp_path, made, pictures):
    """This test's own copy of the release, on the machine of its founder."""
    return on_the_founders_machine(made, tmp_path / "release")


@pytest.fixture(scope="session")
def tiered_made(tmp_path_factory, people):
    """Two pictures and a list as a release of all tiers: alice has the preview, ida the file, deputy owns it too."""
    root = tmp_path_factory.mktemp("tiered")
    (root / "originals").mkdir()
    for number, name in enumerate(("one.png", "two.png")):
        Picture.fromarray(picture(number)).save(root / "originals" / name)
    (root / "labels.csv").write_text("image,label\none.png,normal\n")
    alice, ida = people["alice"].recipient, people["ida"].recipient
    wanted = ShareSettings(
        to=(alice, ida),
        at={alice: Tier.PREVIEW, ida: Tier.EXACT},
        identity=(ida,),
        also_owners=(people["deputy"].recipient,),
        keep_file=True,
        attach=(root / "labels.csv",),
        jobs=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        share([root / "originals"], root / "release", wanted, owner=people["owner"])
    return root


@pytest.fixture
def tiered(tmp_path, tiered_made):
    """This test's own copy of it, on the machine of its founder."""
    return on_the_founders_machine(tiered_made, tmp_path / "tiered")
