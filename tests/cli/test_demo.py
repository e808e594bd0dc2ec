"""The demo, as somebody sees it who types `medveil demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.shell import run

from medveil.cli.demo import demonstrate
from medveil.cli.session import Session

_RELEASES = ["png-sealed", "dicom-sealed", "png-encrypted"]


_EXTRAS = ("gdcm", "jinja2", "matplotlib", "monai", "safetensors", "scipy", "sklearn")


def test_a_short_demo_with_the_program_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    loaded = "torch" in sys.modules
    demonstrate(tmp_path / "demo", Session("demo", as_json=True), patients=3)
    assert loaded or "torch" not in sys.modules
    printed = capsys.readouterr()
    releases = json.loads(printed.out)["releases"]
    assert [entry["name"] for entry in releases] == _RELEASES
    assert all(entry["psnr"] > 35 for entry in releases)
    assert "Mallory tries to open it: refused" in printed.err
    with Image.open(tmp_path / "demo" / "picture.png") as picture:
        assert picture.width > picture.height > 400


@pytest.mark.slow
def test_the_whole_demo_twice_over_itself(tmp_path: Path) -> None:
    for _ in range(2):
        done = run("demo", "-o", tmp_path / "medveil-demo")
        assert done.code == 0, done.err
        assert [line.split()[0] for line in done.out.splitlines()[2:5]] == _RELEASES
        assert "With your own images:" in done.out


def test_the_demo_touches_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    refused = run("demo", "-o", tmp_path)
    assert refused.code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]
