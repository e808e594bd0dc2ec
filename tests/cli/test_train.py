"""`medveil train`: what it refuses, and a very short run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shell import run

from medveil.errors import UsageError

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


def test_progress_is_told_from_the_first_step_with_one_estimate(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medveil.codecs.primis.training_run import TrainingStart
    from medveil.training.primis_training import LogEntry

    def trained(*_: object, begun: Any, tick: Any, progress: Any, **__: object) -> object:
        begun(TrainingStart(2, 1, unlisted=3, rows=5, unmatched=2))
        for step in range(31, 41):  # a run that is gone on with
            tick(step)
        progress(LogEntry(40, 1.0, 30.0, 29.0, 10.0))
        raise UsageError("the end")

    monkeypatch.setattr("medveil.codecs.primis.training_run.train_codec", trained)
    told = run("train", "images", "-o", "codec", "--steps", "400").err.splitlines()
    assert told[0] == "rows of the manifest that name none of the files: 2 of 5"
    assert told[1] == "files that the manifest does not list, and that are not used: 3"
    assert told[2] == "[0/400] training"
    assert re.fullmatch(r"\[33/400\] training \(about \d+ \w+ left\)", told[3])
    assert told[-2].startswith("step 40: loss 1, training 30.00 dB")


def test_every_update_is_told(tmp_path: Path) -> None:
    from torch import nn, zeros

    from medveil.training.loop import Turn, train

    network, steps = nn.Linear(1, 1), list[int]()
    turn = Turn([network], lambda batch: network(batch).square().mean())
    train([turn], lambda _: zeros(1, 1), steps=7, seed=0, checks=1, tick=steps.append)
    assert steps == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.slow
def test_a_trained_codec_shares(desk: Path) -> None:
    trained = run("train", "images", "-o", "codec", "--sparsity", "4", "--steps", "1", "--json")
    assert trained.code == 0, trained.err
    assert trained.json["split_by_patient"] is False
    assert run("train", "images", "-o", "codec").code == 1
    args = ("--codec", "codec", "--sparsity", "4", "--to", "alice.pub", "-o", "release")
    assert run("share", "images", *args).code == 0
    assert run("open", "release", "-i", "alice.key", "-o", "opened").code == 0
