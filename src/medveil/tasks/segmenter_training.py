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
from medveil.training.loop import Turn, bfloat16_pays, seeded, train

BATCH = 8
RATE = 3e-3
THRESHOLD = 0.5
"""Probability above which a pixel is the region's."""

_CHECKS = 4
_ATTEMPTS = 2
_LEARNED = 0.2
"""Dice on validation pictures below which a network has learned nothing."""
_SEED_STEP = 1_000_003
_APPLIED_AT_ONCE = 16
_TURN, _SCALE, _SHIFT = 6.0, 0.08, 0.06  # SDs: degrees, logarithm of the factor, share of half the side
_CONTRAST, _BRIGHTNESS = 0.15, 0.15  # SDs: logarithm of the factor, SDs of the picture
_LEAST_SD = 1.0  # grey values
_MOST_CHECKED = 96

Plates = tuple[Tensor, Tensor]
"""Pictures, standardised, and masks, the share of each pixel: (n, 1, side, side) float32 both."""


@dataclass(frozen=True)
class Recipe:
    """How a segmentation network is trained.

    Attributes:
        network: by name.
        side: of the pictures in pixels.
        epochs: how often each picture is seen.
        rate: learning rate of Adam, which falls along half a cosine.
    """

    network: str
    side: int
    epochs: float
    rate: float = RATE


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


def plate_of(picture: NDArray[np.float32], side: int) -> Tensor:
    """(1, 1, side, side): the picture stretched to a square by area averages, of mean 0 and SD 1."""
    small = _averaged(picture, side)
    return torch.from_numpy((small - small.mean()) / max(float(small.std()), _LEAST_SD))[None, None]


def goal_of(mask: NDArray[np.bool_], side: int) -> Tensor:
    """(1, 1, side, side): the share of each pixel of the square that the mask covers."""
    return torch.from_numpy(_averaged(mask.astype(np.float32), side))[None, None]


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
        network = build_segmenter(recipe.network)
    pictures, goals = training
    batches = _batches(len(pictures))
    criterion = DiceCELoss(sigmoid=True)
    judged = validation if validation is not None else (pictures[:_MOST_CHECKED], goals[:_MOST_CHECKED])

    def draw(generator: np.random.Generator) -> Plates:
        tick()
        taken = batches(generator)
        return varied(pictures[taken], goals[taken], generator)

    def loss(batch: Plates) -> Tensor:
        found: Tensor = criterion(_logits(network, batch[0]), batch[1])
        return found

    course = train(
        [Turn([network], loss)], draw, steps=max(1, round(len(pictures) * recipe.epochs / BATCH)), seed=seed,
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
        plates: (n, 1, side, side) of `plate_of`.
        shapes: (H, W) of each.
    """
    for start in range(0, len(plates), _APPLIED_AT_ONCE):
        likely = torch.sigmoid(_logits(network, plates[start : start + _APPLIED_AT_ONCE]))
        for number, one in enumerate(likely, start):
            sized = functional.interpolate(one[None], shapes[number], mode="bilinear", align_corners=False)
            yield (sized[0, 0] > THRESHOLD).numpy()


def varied(pictures: Tensor, goals: Tensor, generator: np.random.Generator) -> Plates:
    """Pictures and their masks turned, stretched and shifted alike, and pictures of other contrast, each at random."""
    count = len(pictures)
    angle = np.deg2rad(generator.normal(0, _TURN, count))
    scale, shift = np.exp(generator.normal(0, _SCALE, (count, 2))), generator.normal(0, _SHIFT, (count, 2))
    matrix = np.zeros((count, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * scale[:, 0], -np.sin(angle) * scale[:, 0]
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * scale[:, 1], np.cos(angle) * scale[:, 1]
    matrix[:, :, 2] = shift
    grid = functional.affine_grid(torch.from_numpy(matrix), list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(torch.cat([pictures, goals], 1), grid, padding_mode="border", align_corners=False)
    contrast = np.exp(generator.normal(0, _CONTRAST, (count, 1, 1, 1))).astype(np.float32)
    brightness = generator.normal(0, _BRIGHTNESS, (count, 1, 1, 1)).astype(np.float32)
    return moved[:, :1] * torch.from_numpy(contrast) + torch.from_numpy(brightness), moved[:, 1:]


def _batches(count: int) -> Callable[[np.random.Generator], Tensor]:
    """Draws batches in which every picture comes up once before any comes up again."""
    waiting: list[int] = []

    def draw(generator: np.random.Generator) -> Tensor:
        while len(waiting) < min(BATCH, count):
            waiting.extend(generator.permutation(count).tolist())
        taken = torch.tensor(waiting[:BATCH])
        del waiting[:BATCH]
        return taken

    return draw


def _dice(network: nn.Module, plates: Plates) -> float:
    """Mean Dice at working size."""
    found = torch.cat([_logits(network, part) > 0 for part in torch.split(plates[0], _APPLIED_AT_ONCE)])
    true = plates[1] > THRESHOLD
    both, either = (found & true).sum((1, 2, 3)), found.sum((1, 2, 3)) + true.sum((1, 2, 3))
    return float((2 * both / either.clamp_min(1)).mean())


def _logits(network: nn.Module, plates: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_pays("cpu")):
        logits: Tensor = network(plates)
    return logits.float()


def _averaged(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    rows, columns = (_area_weights(size, side) for size in plane.shape)
    return np.asarray(rows @ plane @ columns.T, np.float32)


def _area_weights(size: int, side: int) -> NDArray[np.float32]:
    """(side, size): how much of each of `size` pixels lies in each of `side` equal parts of their length."""
    edges = np.linspace(0, size, side + 1)
    pixels = np.arange(size)
    inside = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(inside, 0, None) * (side / size), np.float32)
