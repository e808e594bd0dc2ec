"""A folder with two pictures and two keys, to play shell sessions in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.shell import run
from tests.code_memory import remembered_codes
from tests.pictures import picture


@pytest.fixture(scope="module", autouse=True)
def _remembered_codes() -> Iterator[None]:
    """These tests share the same few pictures over and over."""
    with remembered_codes():
        yield


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: images/a/IM1.png, images/b/IM1.png, alice.key/.pub and mallory.key/.pub."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a/IM1.png", "b/IM1.png")):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(picture(number)).save(path)
    for name in ("alice", "mallory"):
        assert run("keygen", "-o", f"{name}.key").code == 0
    return tmp_path


@pytest.fixture
def shared_desk(desk: Path) -> Path:
    """The desk after `medveil share images --to alice.pub -o release`."""
    assert run("share", "images", "--to", "alice.pub", "-o", "release", "-q").code == 0
    return desk
