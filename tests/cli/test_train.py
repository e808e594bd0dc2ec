"""`medveil train`: what it refuses, and a very short run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.shell import run

pytest.importorskip("torch", reason="training needs torch")


@pytest.mark.parametrize(
    "args",
    [("images", "--codec", "lapped"), ("images", "--sparsity", "0"), ("nothing",), ("images", "--device", "tpu")],
)
def test_what_makes_no_sense_is_refused(desk: Path, args: tuple[str, ...]) -> None:
    (desk / "nothing").mkdir()
    done = run("train", *args, "-o", "codec")
    assert done.code == 2
    assert done.err.startswith("medveil train: ")


@pytest.mark.slow
def test_a_trained_codec_shares(desk: Path) -> None:
    trained = run("train", "images", "-o", "codec", "--sparsity", "4", "--steps", "1", "--json")
    assert trained.code == 0, trained.err
    assert trained.json["split_by_patient"] is False
    assert run("train", "images", "-o", "codec").code == 1
    args = ("--codec", "codec", "--sparsity", "4", "--to", "alice.pub", "-o", "release")
    assert run("share", "images", *args).code == 0
    assert run("open", "release", "-i", "alice.key", "-o", "opened").code == 0
