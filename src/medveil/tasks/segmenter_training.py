"""Segmenting: one network learns to outline a region in pictures, and outlines it in others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medveil.networks.segmenters import build_segmenter
from medveil.training.augmentation import Recipe, balanced, variation
from medveil.training.loop import OnDevice, Turn, seeded, train

BATCH = 8
THRESHOLD = 0.5
"""Probability above which a pixel is the region's."""

_CHECKS = 4
_ATTEMPTS = 2
_LEARNED = 0.2
"""Dice on validation pictures below which a network has learned nothing."""
_SEED_STEP = 1_000_003
_APPLIED_AT_ONCE = 16
_MOST_CHECKED = 96

Plates = tuple[Tensor, Tensor]
"""Pictures, standardised, and masks, the share of each pixel: (n, 1, side, side) float32 both."""


@dataclass(frozen=True)
class Segmented:
    """A network that was trained, and how that went.

    Attributes:
        network: (n, 1, side, side) pictures to logits.
        dice: on the pictures that it was chosen with, at working size.
        attempts: trainings that it took; more than 1 where a network learned nothing.
    """

    network: nn.Module
    dice: float
    attempts: int

    @property
    def learned(self) -> bool:
        """Whether it finds the region at all."""
        return self.dice >= _LEARNED


def learn_region(
    training: Plates, validation: Plates | None, recipe: Recipe, seed: int, tick: Callable[[], None] = lambda: None
) -> Segmented:
    """Train a network: Dice loss and cross-entropy; the weights kept are those with the best validation.

    A network that has learned nothing is trained once more, from another seed and at a third of the learning rate;
    `attempts` and `learned` tell.

    Args:
        training: at least one.
        validation: others; None: it is judged by its own training pictures, and the last weights are kept.
        recipe: how.
        seed: of first weights and all that is drawn.
        tick: called after each step.
    """
    tries: list[tuple[nn.Module, float]] = []
    while not tries or (tries[-1][1] < _LEARNED and len(tries) < _ATTEMPTS):
        number = len(tries)
        tries.append(_learned_once(training, validation, recipe, seed + number * _SEED_STEP, 3.0**-number, tick))
    return Segmented(*max(tries, key=lambda one: one[1]), attempts=len(tries))


def _learned_once(
    training: Plates, validation: Plates | None, recipe: Recipe, seed: int, slower: float, tick: Callable[[], None]
) -> tuple[nn.Module, float]:
    from monai.losses.dice import DiceCELoss

    with seeded(seed):
        network = OnDevice(build_segmenter(recipe.network))
    pictures, goals = training
    batch, vary = balanced(np.zeros(len(pictures), np.int64), BATCH), variation(recipe.side)
    criterion = DiceCELoss(sigmoid=True)
    judged = validation if validation is not None else (pictures[:_MOST_CHECKED], goals[:_MOST_CHECKED])

    def draw(generator: np.random.Generator) -> Plates:
        tick()
        taken = batch(generator)
        varied = vary(torch.cat([pictures[taken], goals[taken]], 1), generator).to(network.device)
        return varied[:, :1], varied[:, 1:]

    def loss(drawn: Plates) -> Tensor:
        found: Tensor = criterion(network(drawn[0]), drawn[1])
        return found

    course = train(
        [Turn([network], loss)], draw, steps=recipe.steps(len(pictures), BATCH), seed=seed,
        rate=recipe.rate * slower, validate=lambda: 1 - _dice(network, judged), checks=_CHECKS,
        keep_best=validation is not None,
    )  # fmt: skip
    with torch.no_grad():
        dice = _dice(network, judged)
    finite = all(math.isfinite(value) for losses in course.losses for value in losses)
    return network, dice if finite else 0.0


@torch.no_grad()
def region_found(network: nn.Module, plates: Tensor, shapes: list[tuple[int, int]]) -> Iterator[NDArray[np.bool_]]:
    """The region in each picture, (H, W) bool: probabilities brought to its size by linear interpolation, above ½.

    Args:
        network: trained.
        plates: (n, 1, side, side) of `standardised`.
        shapes: (H, W) of each.
    """
    for start in range(0, len(plates), _APPLIED_AT_ONCE):
        likely = torch.sigmoid(network(plates[start : start + _APPLIED_AT_ONCE])).cpu()
        for number, one in enumerate(likely, start):
            sized = functional.interpolate(one[None], shapes[number], mode="bilinear", align_corners=False)
            yield (sized[0, 0] > THRESHOLD).numpy()


def _dice(network: nn.Module, plates: Plates) -> float:
    """Mean Dice at working size."""
    found = torch.cat([(network(part) > 0).cpu() for part in torch.split(plates[0], _APPLIED_AT_ONCE)])
    true = plates[1] > THRESHOLD
    both, either = (found & true).sum((1, 2, 3)), found.sum((1, 2, 3)) + true.sum((1, 2, 3))
    return float((2 * both / either.clamp_min(1)).mean())
