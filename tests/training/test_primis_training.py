"""The training loop: it learns, and a run that was killed and resumed ends with the weights of one that was not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from medveil.errors import UnreadableInputError, UsageError  # noqa: E402
from medveil.networks.lapped_bases import Frame  # noqa: E402
from medveil.networks.primis import PrimisConfig, PrimisNetwork  # noqa: E402
from medveil.training.loop import seeded  # noqa: E402
from medveil.training.primis_loss import bank_loss  # noqa: E402
from medveil.training.primis_training import CHECKPOINT, LOG, LogEntry, Settings, Trainer  # noqa: E402

CONFIG = PrimisConfig(4, blocks=((16, 16), (4, 4)), bank_channels=(1, 4, 4), sweeps=1)
SETTINGS = Settings(steps=6, batch=2, bank_weight=0.5, step=1.0, crop=48, sweeps=1, validate_every=2, seed=3)


def pictures(count: int, seed: int) -> list[torch.Tensor]:
    """Diagonal waves: no DCT frequency fits them, a rotation of the channels does."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(64.0), indexing="ij")
    phases = 6.28 * torch.rand(count, 2, generator=generator)
    waves = [torch.sin(0.35 * (x + y) + a) + 0.5 * torch.sin(0.8 * (x + 0.6 * y) + b) for a, b in phases.tolist()]
    return [(128 + 60 * wave).to(torch.uint8) for wave in waves]


def trainer(settings: Settings = SETTINGS) -> Trainer:
    with seeded(0):
        return Trainer(PrimisNetwork(CONFIG), settings, "cpu")


class Killed(Exception):
    """Stands for a killed process."""


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    training, validation = pictures(5, 1), pictures(2, 2)
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    whole, resumed = trainer(), trainer()
    assert whole.run(training, validation, folders[0]).step == 6

    def kill(entry: LogEntry) -> None:
        if entry.step == 4:
            raise Killed

    with pytest.raises(Killed):
        trainer().run(training, validation, folders[1], kill)
    steps: list[int] = []
    resumed.run(training, validation, folders[1], lambda entry: steps.append(entry.step))
    assert steps == [4, 6]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    logs = [(folder / LOG).read_text().splitlines() for folder in folders]
    without_time = [[{**json.loads(line), "seconds": 0} for line in log] for log in logs]
    assert without_time[0] == without_time[1]
    assert [entry["step"] for entry in without_time[0]] == [2, 4, 6]


def test_training_lowers_the_error(tmp_path: Path) -> None:
    images = pictures(8, 1)
    run = trainer(Settings(steps=30, batch=2, projection_rate=3e-3, crop=64, sweeps=1, validate_every=30))
    before = run.validate(images)
    run.run(images, images, tmp_path)
    assert run.validate(images) > before + 0.2


def test_the_bank_learns_what_the_pursuit_chooses(tmp_path: Path) -> None:
    network = PrimisNetwork(replace(CONFIG, sweeps=3))
    optimizer = torch.optim.Adam(network.bank.parameters(), 5e-3)
    picture = pictures(1, 4)[0].float() - 128
    frame = Frame(5, 4)
    pursuit = network.pursue(picture, frame)
    losses = []
    for _ in range(25):
        loss = bank_loss(network, pursuit, network.gains(picture, frame), frame)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]


def test_a_run_ends_when_validation_is_stale(tmp_path: Path) -> None:
    settings = Settings(steps=50, batch=1, bank_rate=0.0, projection_rate=0.0, crop=32, validate_every=1, patience=2)
    course = trainer(settings).run(pictures(1, 1), pictures(1, 2), tmp_path)
    assert (course.step, course.stale) == (3, 2)


def test_other_settings_and_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    images = pictures(1, 1), pictures(1, 2)
    trainer().run(*images, tmp_path)
    with pytest.raises(UsageError, match="other settings: seed"):
        trainer(replace(SETTINGS, seed=4)).run(*images, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UnreadableInputError, match="damaged"):
        trainer().run(*images, tmp_path)
