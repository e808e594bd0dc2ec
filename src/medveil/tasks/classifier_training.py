"""Classifying: one network learns the classes of pictures, and says how likely each is in others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medveil.networks.classifiers import build_classifier
from medveil.training.augmentation import Recipe, balanced, variation
from medveil.training.loop import OnDevice, Turn, seeded, train

BATCH = 16
_SMOOTHING = 0.1
_TESTED_AT_ONCE = 64


def learn_classes(
    pictures: Tensor, targets: NDArray[np.int64], classes: int, recipe: Recipe, seed: int,
    tick: Callable[[], None] = lambda: None,
) -> nn.Module:  # fmt: skip
    """Train a network: cross-entropy with smoothed labels; each class is drawn as often as every other.

    Args:
        pictures: (n, 1, side, side) of `standardised`.
        targets: (n,) class of each, 0 … classes − 1.
        classes: how many there are.
        recipe: how.
        seed: of first weights and all that is drawn.
        tick: called after each step.
    """
    with seeded(seed):
        network = OnDevice(build_classifier(recipe.network, classes))
    goals = torch.from_numpy(targets)
    batch, vary = balanced(targets, BATCH), variation(recipe.side, mirrored=True)

    def draw(generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        tick()
        taken = batch(generator)
        return vary(pictures[taken], generator), goals[taken].to(network.device)

    def loss(drawn: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(network(drawn[0]), drawn[1], label_smoothing=_SMOOTHING)

    train(
        [Turn([network], loss)], draw, steps=recipe.steps(len(targets), BATCH), seed=seed, rate=recipe.rate,
        keep_best=False,
    )  # fmt: skip
    return network


@torch.no_grad()
def class_log_odds(network: nn.Module, pictures: Tensor) -> NDArray[np.float64]:
    """(n, classes) log of the probability of each class, the mean of a picture and its mirror image."""
    found = []
    for part in torch.split(pictures, _TESTED_AT_ONCE):
        both = [functional.softmax(network(view), dim=1) for view in (part, part.flip(-1))]
        found.append(((both[0] + both[1]) / 2).cpu().double().clamp_min(1e-12).log())
    return torch.cat(found).numpy()
