"""Classifying: one network learns the classes of pictures, and says how likely each is in others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medveil.networks.classifiers import build_classifier
from medveil.training.loop import Turn, seeded, train

BATCH = 16
_SMOOTHING = 0.1
_TESTED_AT_ONCE = 64
_TURN, _SCALE, _STRETCH, _SHIFT = 12.0, (0.8, 1.15), 0.05, 0.08  # degrees; factors; share of the side
_CONTRAST, _BRIGHTNESS = (0.8, 1.25), 0.2  # in SDs of the picture
_LEAST_SD = 1e-3


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        network: by name.
        side: of the pictures in pixels.
        epochs: how often each picture is seen.
        rate: learning rate of Adam, which falls along half a cosine.
    """

    network: str
    side: int
    epochs: float
    rate: float = 1e-3


def picture_stack(pictures: Sequence[NDArray[np.float32]], side: int) -> Tensor:
    """(n, 1, side, side) float32: each picture stretched to a square with antialiasing, mean 0, SD 1."""
    return torch.cat([_standard(torch.from_numpy(np.ascontiguousarray(picture)), side) for picture in pictures])


def _standard(picture: Tensor, side: int) -> Tensor:
    small = functional.interpolate(picture.float()[None, None], (side, side), mode="bilinear", antialias=True)
    return (small - small.mean()) / small.std().clamp_min(_LEAST_SD)


def learn_classes(
    pictures: Tensor, targets: NDArray[np.int64], classes: int, recipe: Recipe, seed: int,
    tick: Callable[[], None] = lambda: None,
) -> nn.Module:  # fmt: skip
    """Train a network: cross-entropy with smoothed labels; each class is drawn as often as every other.

    Args:
        pictures: (n, 1, side, side) of `picture_stack`.
        targets: (n,) class of each, 0 … classes − 1.
        classes: how many there are.
        recipe: how.
        seed: of first weights and all that is drawn.
        tick: called after each step.
    """
    with seeded(seed):
        network = build_classifier(recipe.network, classes).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    goals = torch.from_numpy(targets)
    batches = _Batches(targets, classes)

    def draw(generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        tick()
        taken = batches.draw(generator)
        return varied(pictures[taken], generator), goals[taken]

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(_scores(network, batch[0]), batch[1], label_smoothing=_SMOOTHING)

    steps = max(1, round(len(targets) * recipe.epochs / BATCH))
    train([Turn([network], loss)], draw, steps=steps, seed=seed, rate=recipe.rate, keep_best=False)
    return network  # type: ignore[no-any-return]


@torch.no_grad()
def class_log_odds(network: nn.Module, pictures: Tensor) -> NDArray[np.float64]:
    """(n, classes) log of the probability of each class, the mean of a picture and its mirror image."""
    found = []
    for start in range(0, len(pictures), _TESTED_AT_ONCE):
        part = pictures[start : start + _TESTED_AT_ONCE]
        both = [functional.log_softmax(_scores(network, view), dim=1).exp() for view in (part, part.flip(-1))]
        found.append(((both[0] + both[1]) / 2).double().clamp_min(1e-12).log())
    return torch.cat(found).numpy()


def varied(pictures: Tensor, generator: np.random.Generator) -> Tensor:
    """Pictures turned, scaled, shifted, mirrored, and with other contrast, each at random."""
    count, side = len(pictures), pictures.shape[-1]
    angle = np.deg2rad(generator.uniform(-_TURN, _TURN, count))
    scale = generator.uniform(*_SCALE, (count, 1)) * generator.uniform(1 - _STRETCH, 1 + _STRETCH, (count, 2))
    mirror = generator.choice([-1.0, 1.0], count)
    matrix = np.zeros((count, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * scale[:, 0] * mirror, -np.sin(angle) * scale[:, 1]
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * scale[:, 0] * mirror, np.cos(angle) * scale[:, 1]
    matrix[:, :, 2] = generator.uniform(-_SHIFT, _SHIFT, (count, 2))
    grid = functional.affine_grid(torch.from_numpy(matrix), [count, 1, side, side], align_corners=False)
    moved = functional.grid_sample(pictures, grid, align_corners=False, padding_mode="border")
    contrast = generator.uniform(*_CONTRAST, (count, 1, 1, 1)).astype(np.float32)
    brightness = generator.uniform(-_BRIGHTNESS, _BRIGHTNESS, (count, 1, 1, 1)).astype(np.float32)
    return moved * torch.from_numpy(contrast) + torch.from_numpy(brightness)


def _scores(network: nn.Module, pictures: Tensor) -> Tensor:
    """(n, classes) scores; bfloat16 inside, which trains about twice as fast on a CPU."""
    with torch.autocast("cpu", torch.bfloat16):
        scores: Tensor = network(pictures.contiguous(memory_format=torch.channels_last))
    return scores.float()


class _Batches:
    """Batches in which every class comes up equally often, and the pictures of a class in turn."""

    def __init__(self, targets: NDArray[np.int64], classes: int) -> None:
        self._members = [np.flatnonzero(targets == number) for number in range(classes)]
        self._members = [members for members in self._members if len(members)]
        self._waiting: list[list[int]] = [[] for _ in self._members]
        self._next: list[int] = []

    def draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        return np.array([self._one(generator) for _ in range(BATCH)], np.int64)

    def _one(self, generator: np.random.Generator) -> int:
        if not self._next:
            self._next = [int(number) for number in generator.permutation(len(self._members))]
        kind = self._next.pop()
        if not self._waiting[kind]:
            self._waiting[kind] = [int(index) for index in generator.permutation(self._members[kind])]
        return self._waiting[kind].pop()
