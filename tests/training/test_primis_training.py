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
from medveil.training.primis_loss import bank_loss  # noqa: E402
from medveil.training.primis_training import CHECKPOINT, LOG, Settings, Trainer  # noqa: E402

CONFIG = PrimisConfig(4, blocks=((16, 16), (4, 4)), bank_channels=(1, 4, 4), sweeps=1)
SETTINGS = Settings(steps=6, batch=2, bank_weight=0.5, step=1.0, crop=48, sweeps=1, validate_every=2, seed=3)


def pictures(count: int, seed: int) -> list[torch.Tensor]:
    """Diagonal waves: no DCT frequency fits them, a rotation of the channels does."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(64.0), indexing="ij")
    phases = 6.28 * torch.rand(count, 2, generator=generator)
    waves = [torch.sin(0.35 * (x + y) + a) + 0.5 * torch.sin(0.8 * (x + 0.6 * y) + b) for a, b in phases.tolist()]
    return [(128 + 60 * wave).to(torch.uint8) for wave in waves]


def trainer(folder: Path, settings: Settings = SETTINGS) -> Trainer:
    folder.mkdir(exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Trainer(PrimisNetwork(CONFIG), settings, folder, "cpu", autocast=False)


class Killed(Exception):
    """Stands for a killed process."""


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    training, validation = pictures(5, 1), pictures(2, 2)
    whole = trainer(tmp_path / "whole")
    assert whole.run(training, validation, None) == "schedule done"

    def kill(entry: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        trainer(tmp_path / "killed").run(training, validation, kill)
    resumed = trainer(tmp_path / "killed")
    assert resumed.resume()
    assert resumed.progress.step == 2
    resumed.run(training, validation, None)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    logs = [(tmp_path / folder / LOG).read_text().splitlines() for folder in ("whole", "killed")]
    without_time = [[{**json.loads(line), "seconds": 0} for line in log] for log in logs]
    assert without_time[0] == without_time[1]
    assert [entry["step"] for entry in without_time[0]] == [2, 4, 6]


def test_training_lowers_the_error(tmp_path: Path) -> None:
    images = pictures(8, 1)
    run = trainer(tmp_path, Settings(steps=30, batch=2, projection_rate=3e-3, crop=64, sweeps=1, validate_every=30))
    before = run.validate(images)
    run.run(images, images, None)
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
    run = trainer(tmp_path, settings)
    assert run.run(pictures(1, 1), pictures(1, 2), None) == "validation no longer improves"
    assert run.progress.step == 3


def test_other_settings_and_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    assert not run.resume()
    run.run(pictures(1, 1), pictures(1, 2), None)
    with pytest.raises(UsageError, match="other settings: seed"):
        trainer(tmp_path, Settings(**{**vars(SETTINGS), "seed": 4})).resume()
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UnreadableInputError, match="damaged"):
        trainer(tmp_path).resume()
