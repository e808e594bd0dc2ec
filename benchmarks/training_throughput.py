"""Images a second of a training that reads a sealed release, beside the same training from plain PNG files.

Both data sets give the same tensors to the same network through the same DataLoader with two workers. The ways take
turns, so that whatever else the machine does falls on both. A round makes data set, workers and network anew; its first
epoch opens every package, and the later ones find the pixels in memory. PNG files are read each epoch, and the
system keeps them in memory after the first reading.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from benchmarks.benchmark import Measured
from benchmarks.program import Program
from benchmarks.shared_images import Radiograph, grey, radiographs

SEED = 0
ROUNDS = 3
EPOCHS = 3  # of a round; the first one is cold
TRAINING_EPOCHS = 20
"""A training of so many epochs is reckoned from the first epoch and the later ones."""
WORKERS = 2
BATCH = 16
SIDES = (128, 224)
EVERY = 4  # n-th image of the fold; as many of them as make whole batches


class PlainFiles(Dataset[Tensor]):
    """PNG files read by Pillow: float32 (1, side, side) in 0 … 1, resized as the other way does it."""

    def __init__(self, paths: Sequence[Path], side: int) -> None:
        self._paths, self._size = list(paths), (side, side)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Tensor:
        image = torch.from_numpy(grey(self._paths[index]).astype(np.float32))[None]
        if image.shape[1:] != self._size:
            image = functional.interpolate(image[None], self._size, mode="bilinear", antialias=True)[0]
        return image.mul_(1 / 255)


def measure(
    images: Sequence[Radiograph], work: Path, rounds: int, epochs: int, sides: Sequence[int] = SIDES
) -> dict[str, Any]:
    """All figures; files are made below `work`."""
    import medveil

    program, release = Program.prepare(work), work / "release"
    program.share([image.path for image in images], release)
    paths = [image.path for image in images]

    def sealed(side: int) -> Dataset[Any]:
        return medveil.Release(release).dataset(program.key("alice"), size=side)

    def plain(side: int) -> Dataset[Any]:
        return PlainFiles(paths, side)

    ways = {"sealed": sealed, "png": plain}
    single = {name: _one_by_one(make(128)) for name, make in ways.items()}
    rows = []
    for name, side, make in _networks(sides):
        start = time.monotonic()
        seconds = _taking_turns({way: partial(one, side) for way, one in ways.items()}, make, rounds, epochs)
        rows.append(_row(name, side, make, seconds, len(images)))
        print(f"  {name}, {side} px: {time.monotonic() - start:.0f} s", flush=True)
    return {
        "workers": WORKERS, "batch": BATCH, "rounds": rounds, "epochs": epochs, "training_epochs": TRAINING_EPOCHS,
        "threads": torch.get_num_threads(), "seconds_an_image": single, "rows": rows,
    }  # fmt: skip


def _networks(sides: Sequence[int]) -> list[tuple[str, int, Callable[[], nn.Module]]]:
    from monai.networks.nets import DenseNet121

    def dense() -> nn.Module:
        return DenseNet121(spatial_dims=2, in_channels=1, out_channels=2)

    def tiny() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 2)
        )

    return [*(("DenseNet-121", side, dense) for side in sides), ("one convolution", sides[0], tiny)]


def _taking_turns(
    ways: dict[str, Callable[[], Dataset[Any]]], make: Callable[[], nn.Module], rounds: int, epochs: int
) -> dict[str, list[list[float]]]:
    """Seconds of each epoch of each round, by way. The way that begins changes from round to round."""
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    _train(ways["png"](), make, 1)  # not counted: imports, first touches of the files
    for turn in range(rounds):
        for name in sorted(ways, reverse=bool(turn % 2)):
            found[name].append(_train(ways[name](), make, epochs))
    return found


def _train(data: Dataset[Any], make: Callable[[], nn.Module], epochs: int) -> list[float]:
    """Seconds of each epoch, from asking for the first batch to the last step; the first one starts the workers."""
    torch.manual_seed(SEED)
    network = make().train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    loader = DataLoader(
        data, batch_size=BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )  # fmt: skip
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        for batch in loader:
            loss = functional.cross_entropy(network(batch), (batch.mean((1, 2, 3)) > 0.5).long())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        seconds.append(time.perf_counter() - start)
    return seconds


def _one_by_one(data: Dataset[Any]) -> float:
    """Median seconds of an item in this process, of items that nothing has asked for before."""
    seconds = []
    for index in range(min(len(data), 24)):  # type: ignore[arg-type]
        start = time.perf_counter()
        data[index]
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _row(
    name: str, side: int, make: Callable[[], nn.Module], seconds: dict[str, list[list[float]]], images: int
) -> dict[str, Any]:
    """Images a second and their ratio: of the first epoch, of the later ones, and of a whole training."""

    def later(epochs: list[float]) -> float:
        return statistics.fmean(epochs[1:])

    regimes: dict[str, Callable[[list[float]], float]] = {
        "first": lambda epochs: epochs[0], "later": later,
        "training": lambda epochs: (epochs[0] + (TRAINING_EPOCHS - 1) * later(epochs)) / TRAINING_EPOCHS,
    }  # fmt: skip
    found = {}
    for regime, of in regimes.items():
        speed = {way: [images / of(epochs) for epochs in rounds] for way, rounds in seconds.items()}
        ratios = [ours / theirs for ours, theirs in zip(speed["sealed"], speed["png"], strict=True)]
        found[regime] = {
            "sealed_images_a_second": statistics.median(speed["sealed"]),
            "png_images_a_second": statistics.median(speed["png"]), "ratio": statistics.median(ratios),
            "ratio_lowest": min(ratios), "ratio_highest": max(ratios),
        }  # fmt: skip
    parameters = sum(each.numel() for each in make().parameters())
    return {"network": name, "side": side, "parameters": parameters, "regimes": found, "seconds": seconds}


def run(work: Path, *, quick: bool = False) -> Measured:
    """Images a second of a training that reads a sealed release, beside the same training from plain PNG files."""
    images = radiographs("test", every=2 * EVERY if quick else EVERY)
    images = images[: len(images) // BATCH * BATCH]
    rounds, epochs, sides = (1, 2, SIDES[:1]) if quick else (ROUNDS, EPOCHS, SIDES)
    return Measured(measure(images, work, rounds, epochs, sides), len(images), SEED)
