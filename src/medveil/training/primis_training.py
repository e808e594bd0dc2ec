"""How a PRIMIS network learns: which parts of pictures it is shown, its loss, its validation and its log."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, ones_like

from medveil.files.atomic import write_bytes
from medveil.networks.primis import PrimisNetwork
from medveil.networks.primis_inference import decode_picture, encode_picture, pad_to_grid
from medveil.training.checkpoints import Checkpoint, Course
from medveil.training.loop import Turn, bfloat16_pays, train
from medveil.training.primis_loss import picture_objective

CHECKPOINT = "checkpoint.safetensors"
LOG = "training.jsonl"
# Random numbers a training picture; two are in reserve, so that one more use of them changes no earlier run.
_DRAWS = 6
_WARM_UP = 20

Batch = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Settings:
    """What a run depends on. Two runs with equal settings, images and machine give equal weights.

    Attributes:
        steps: updates in the whole run; the learning rate falls to zero over them (cosine).
        batch: pictures an update.
        projection_rate: learning rate of the projections.
        bank_rate: learning rate of the bank.
        step: quantisation step of the levels, in 8-bit grey values.
        crop: longest side of a training picture in pixels.
        sweeps: sweeps of the encoder in training; validation uses those of the configuration.
        bank_weight: weight of the bank's share of the loss; with 0 the bank stays as it is.
        validate_every: about how many updates lie between validations (and checkpoints), which are evenly spread.
        patience: validations without a new best after which the run ends.
        seed: of everything that is drawn.
    """

    steps: int
    batch: int = 4
    projection_rate: float = 5e-4
    bank_rate: float = 1e-3
    step: float = 1.0
    crop: int = 256
    sweeps: int = 3
    bank_weight: float = 0.0
    validate_every: int = 100
    patience: int = 8
    seed: int = 0


@dataclass(frozen=True)
class LogEntry:
    """One line of the log: means since the last line, validation PSNR (peak 255, quantised, rounded pixels)."""

    step: int
    loss: float
    train_psnr: float
    validation_psnr: float
    seconds: float


class Trainer:
    """A network and how it learns.

    Args:
        network: goes to the device.
        settings: of the run.
        device: where it is trained; the bank in bfloat16 where that pays.
    """

    def __init__(self, network: PrimisNetwork, settings: Settings, device: str) -> None:
        self.network = network.to(device)
        self.settings = settings
        self.device = device
        self._found: list[float] = []

    def run(
        self, training: Sequence[Tensor], validation: Sequence[Tensor], folder: Path,
        report: Callable[[LogEntry], None] | None = None, tick: Callable[[int], None] = lambda _: None,
    ) -> Course:  # fmt: skip
        """Train to the end of the schedule or until validation is stale; the network is left at its best.

        Log and checkpoint lie in the folder; a checkpoint that is there is gone on with. `report` is told of each
        validation, `tick` of each update.

        Raises:
            UnreadableInputError, UsageError: the checkpoint is damaged, or of a run with other settings.
        """
        settings = self.settings

        def note(course: Course) -> None:
            mean = sum(self._found) / len(self._found)
            self._found.clear()
            entry = LogEntry(
                course.step, round(course.losses[-1][0], 4), round(mean, 4), round(-course.validation[-1], 4),
                round(course.seconds, 1),
            )  # fmt: skip
            _append(folder / LOG, entry)
            if report:
                report(entry)

        turn = Turn(
            [self.network], self.loss, settings.bank_rate, (0.9, 0.99), {"projection": settings.projection_rate},
            self.network.retract,
        )  # fmt: skip
        identity = asdict(settings) | {"config": json.dumps(self.network.config.to_json(), sort_keys=True)}
        return train(
            [turn], lambda generator: [self.draw(training, generator) for _ in range(settings.batch)],
            steps=settings.steps, seed=settings.seed, weight_decay=0.0, warm_up=_WARM_UP,
            validate=lambda: -self.validate(validation) if validation else -sum(self._found) / len(self._found),
            checks=math.ceil(settings.steps / settings.validate_every), patience=settings.patience,
            checkpoint=Checkpoint(folder / CHECKPOINT, identity), report=note, tick=tick,
        )  # fmt: skip

    def draw(self, pictures: Sequence[Tensor], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A random training picture and its mask: which image, which crop (and phase on the grid), mirrored or not."""
        u = generator.random(_DRAWS)
        picture = pictures[min(int(u[0] * len(pictures)), len(pictures) - 1)].float()
        starts, stops = [], []
        for side, draw in zip(picture.shape, u[1:3], strict=True):
            length = min(side - min(15, side // 4), self.settings.crop)
            start = int(draw * (side - length + 1))
            starts.append(start)
            stops.append(start + length)
        picture = picture[starts[0] : stops[0], starts[1] : stops[1]]
        picture = picture.flip(1) if u[3] < 0.5 else picture
        padded, mask = pad_to_grid(picture - picture.mean().round())
        mask = ones_like(padded) if mask is None else mask
        return padded.to(self.device), mask.to(self.device)

    def loss(self, batch: Batch) -> Iterator[Tensor]:
        """Of each picture, its share of the batch's loss."""
        settings = self.settings
        for picture, mask in batch:
            found = picture_objective(
                self.network, picture, mask, step=settings.step, sweeps=settings.sweeps,
                bank_weight=settings.bank_weight, autocast=bfloat16_pays(self.device),
            )  # fmt: skip
            self._found.append(found.psnr)
            yield found.loss / len(batch)

    def validate(self, pictures: Sequence[Tensor]) -> float:
        """Mean PSNR (peak 255) over whole pictures: encoded, quantised, decoded, rounded."""
        return sum(self.fidelity(picture.float()) for picture in pictures) / max(len(pictures), 1)

    def fidelity(self, picture: Tensor) -> float:
        """PSNR (peak 255) of one picture in grey values."""
        offset = picture.mean().round()
        levels = encode_picture(self.network, (picture - offset).to(self.device), self.settings.step)
        back = decode_picture(self.network, levels, (picture.shape[0], picture.shape[1]), self.settings.step)
        error = ((back.cpu() + offset).round().clamp(0, 255) - picture).square().mean()
        return 20 * math.log10(255) - 10 * math.log10(max(float(error), 1e-4))


def _append(log: Path, entry: LogEntry) -> None:
    """A line more; lines of steps that a resumed run does again are dropped."""
    lines = log.read_text().splitlines() if log.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] < entry.step]
    write_bytes(log, "".join(f"{line}\n" for line in [*kept, json.dumps(asdict(entry))]).encode(), overwrite=True)
