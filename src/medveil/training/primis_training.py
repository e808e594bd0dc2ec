"""The one training loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medveil.networks.primis import PrimisNetwork
from medveil.networks.primis_inference import decode_picture, encode_picture, pad_to_grid
from medveil.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from medveil.training.primis_loss import picture_objective

CHECKPOINT = "checkpoint.safetensors"
LOG = "training.jsonl"
# Random numbers a training picture; two are in reserve, so that one more use of them changes no earlier run.
_DRAWS = 6


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
        validate_every: updates between validations (and checkpoints).
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
    """State of one run: network, optimizer, generator, progress."""

    def __init__(self, network: PrimisNetwork, settings: Settings, folder: Path, device: str, autocast: bool) -> None:
        self.network = network.to(device)
        self.settings = settings
        self.folder = folder
        self.device = device
        self.autocast = autocast
        rest = [value for name, value in network.named_parameters() if name != "projection"]
        self.optimizer = torch.optim.Adam(
            [
                {"params": [network.projection], "lr": settings.projection_rate},
                {"params": rest, "lr": settings.bank_rate},
            ],
            betas=(0.9, 0.99),
        )
        self.rates = (settings.projection_rate, settings.bank_rate)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.progress = Progress.start()

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        return asdict(self.settings) | {"config": json.dumps(self.network.config.to_json(), sort_keys=True)}

    def resume(self) -> bool:
        """Go on from the folder's checkpoint if there is one. The log is cut back to it."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        self.progress = load_checkpoint(path, self.identity, self.network, self.optimizer, self.generator)
        log = self.folder / LOG
        if log.exists():
            lines = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= self.progress.step]
            log.write_text("".join(f"{line}\n" for line in lines))
        return True

    def draw(self, pictures: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """A random training picture and its mask: which image, which crop (and phase on the grid), mirrored or not."""
        u = torch.rand(_DRAWS, generator=self.generator).tolist()
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
        mask = torch.ones_like(padded) if mask is None else mask
        return padded.to(self.device), mask.to(self.device)

    def update(self, pictures: Sequence[Tensor]) -> tuple[float, float]:
        """One update; mean loss and PSNR of its batch."""
        settings = self.settings
        share = self.progress.step / settings.steps
        factor = 0.5 * (1 + math.cos(math.pi * share)) * min(1.0, (self.progress.step + 1) / 20)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()
        loss = psnr = 0.0
        for _ in range(settings.batch):
            picture, mask = self.draw(pictures)
            found = picture_objective(
                self.network,
                picture,
                mask,
                step=settings.step,
                sweeps=settings.sweeps,
                bank_weight=settings.bank_weight,
                autocast=self.autocast,
            )
            (found.loss / settings.batch).backward()  # type: ignore[no-untyped-call]
            loss += float(found.loss.detach()) / settings.batch
            psnr += found.psnr / settings.batch
        self.optimizer.step()
        self.network.retract()
        self.progress.step += 1
        return loss, psnr

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

    def run(
        self, training: Sequence[Tensor], validation: Sequence[Tensor], report: Callable[[LogEntry], None] | None
    ) -> str:
        """Train to the end of the schedule or until validation is stale; why it ended."""
        sums, count = [0.0, 0.0], 0
        last = time.monotonic()
        while self.progress.step < self.settings.steps:
            sums = [a + b for a, b in zip(sums, self.update(training), strict=True)]
            count += 1
            if self.progress.step % self.settings.validate_every and self.progress.step < self.settings.steps:
                continue
            psnr = self.validate(validation) if validation else sums[1] / count
            now = time.monotonic()
            self.progress.seconds += now - last
            last = now
            loss, train_psnr = (round(value / count, 4) for value in sums)
            entry = LogEntry(self.progress.step, loss, train_psnr, round(psnr, 4), round(self.progress.seconds, 1))
            sums, count = [0.0, 0.0], 0
            self._note(entry, report)
            if self.progress.stale >= self.settings.patience:
                return "validation no longer improves"
        return "schedule done"

    def _note(self, entry: LogEntry, report: Callable[[LogEntry], None] | None) -> None:
        progress = self.progress
        if entry.validation_psnr > progress.best_psnr:
            progress.best_psnr, progress.stale = entry.validation_psnr, 0
            progress.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        else:
            progress.stale += 1
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps(asdict(entry)) + "\n")
        save_checkpoint(self.folder / CHECKPOINT, self.identity, self.network, self.optimizer, self.generator, progress)
        if report:
            report(entry)
