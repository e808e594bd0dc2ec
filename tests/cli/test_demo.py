"""The demo, as somebody sees it who types `medveil demo`."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.cli.shell import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def test_demo(folder: Path) -> None:
    done = run("demo", "-o", folder / "medveil-demo", "--json")
    assert done.code == 0
    assert [entry["name"] for entry in done.json["releases"]] == ["png-sealed", "dicom-sealed", "png-encrypted"]
    assert all(entry["psnr"] > 35 for entry in done.json["releases"])
    assert "Mallory tries to open it: refused" in done.err
    with Image.open(folder / "medveil-demo" / "picture.png") as picture:
        assert picture.width > picture.height > 400


def test_demo_touches_nothing_of_others(folder: Path) -> None:
    own = folder / "own"
    own.mkdir()
    (own / "keep.txt").write_text("mine")
    refused = run("demo", "-o", own)
    assert refused.code == 1
    assert [path.name for path in own.iterdir()] == ["keep.txt"]
