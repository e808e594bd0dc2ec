"""The training of the picture attacks: networks that make the original of the stranger's picture. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from medveil.attacks.attack import Attacker, Guess, Knowledge
from medveil.attacks.reconstruction.translation_data import Darkroom, Plates, darkroom_of
from medveil.mechanisms.observation import Observation
from medveil.networks.translators import Discriminator, Translator, unet, vnet
from medveil.training.loop import Turn, seeded, train

_RATE = 1e-3
_WEIGHT_DECAY = 1e-4
_GAN_RATE = 2e-4  # of discriminators, and of a CycleGAN: Isola et al. 2017, Zhu et al. 2017
_GAN_BETAS = (0.5, 0.999)
_ADVERSARIAL = 0.01  # a hundredth of the other terms, the ratio of Isola et al.
_HOME, _STAYS = 10.0, 5.0  # weights of Zhu et al. 2017
_FULL_VNET_WIDTH = 32
_BATCH_OF_USE = 16


@dataclass(frozen=True)
class Translation:
    """A network that has learned to make pictures of stranger's pictures.

    Attributes:
        network: the network.
        share: how much of what it gives is added to the mean picture.
        darkroom: of the attacker.
    """

    network: nn.Module
    share: float
    darkroom: Darkroom

    def predict(self, observation: Observation) -> Guess:
        with torch.inference_mode():
            found = self.network(self.darkroom.plate(observation)) * self.share
        return Guess(picture=self.darkroom.picture(found))


Pair = tuple[Tensor, Tensor]
Turns = Callable[[Translator, int], list[Turn[Pair]]]


def fit_pairs(name: str, knowledge: Knowledge) -> Attacker:
    """Learn from pairs of stranger's picture and original; `name` is that of the attack: unet, vnet or cgan."""
    build, turns_of = _PAIRED[name]
    darkroom, effort, seed = darkroom_of(knowledge), knowledge.effort, _seed(name, knowledge)
    own, held = darkroom.own, darkroom.validation

    def draw(generator: np.random.Generator) -> Pair:
        count = len(own.wanted)
        chosen = generator.choice(count, min(effort.batch, count), replace=False)
        rounds = generator.integers(len(own.shown), size=len(chosen))
        return own.shown[rounds, chosen], own.wanted[torch.from_numpy(chosen)]

    with seeded(seed):
        network = build(effort.width).to(darkroom.device)
        turns = turns_of(network, effort.width)
    for turn in turns:
        for each in turn.networks:
            each.to(darkroom.device)
    train(
        turns, draw, steps=effort.steps, seed=seed, rate=_RATE, weight_decay=_WEIGHT_DECAY,
        validate=lambda: float((_applied(network, held.shown[0]) - held.wanted).square().mean()),
    )  # fmt: skip
    with torch.no_grad():
        return Translation(network, _best_share(_applied(network, held.shown[0]), held.wanted), darkroom)


def fit_cycle(name: str, knowledge: Knowledge) -> Attacker:
    """Learn without pairs, see `translation.CycleGanAttack`; `name` is that of the attack."""
    darkroom, effort, seed = darkroom_of(knowledge), knowledge.effort, _seed(name, knowledge)
    shown, wanted = unpaired(darkroom.own, knowledge.generator("halves"))
    held_shown, held_wanted = unpaired(darkroom.validation, knowledge.generator("held halves"))
    with seeded(seed):
        ring = _Ring(darkroom.as_shown, effort.width).to(darkroom.device)

    def draw(generator: np.random.Generator) -> Pair:
        chosen = torch.from_numpy(generator.integers(len(shown), size=effort.batch))
        others = torch.from_numpy(generator.integers(len(wanted), size=effort.batch))
        return shown[chosen], wanted[others]

    train(
        [Turn([ring.judges], ring.judged, _GAN_RATE, _GAN_BETAS), Turn([ring.ways], ring.made, _RATE, _GAN_BETAS)],
        draw, steps=effort.steps, seed=seed, weight_decay=_WEIGHT_DECAY,
        validate=lambda: float(ring.cycled(held_shown, held_wanted)),
    )  # fmt: skip
    return Translation(ring.there, 1.0, darkroom)


def _seed(name: str, knowledge: Knowledge) -> int:
    return int(knowledge.generator(f"translation {name}").integers(2**31))


def _applied(network: nn.Module, shown: Tensor) -> Tensor:
    return torch.cat([network(part) for part in torch.split(shown, _BATCH_OF_USE)])


def _squared(found: Tensor, wanted: Tensor) -> Tensor:
    return nn.functional.mse_loss(found, wanted)


def _best_share(found: Tensor, wanted: Tensor) -> float:
    """Which multiple of what was found, 0 … 1, comes nearest to what is wanted (least squares)."""
    power = float(found.square().sum())
    return min(max(float((found * wanted).sum()) / power, 0.0), 1.0) if power > 0 else 0.0


def _vnet(width: int) -> Translator:
    return vnet(1 if width >= _FULL_VNET_WIDTH else 2)


def _paired_turns(network: Translator, width: int) -> list[Turn[Pair]]:
    """What is trained in a step, of which loss."""
    return [Turn([network], lambda pair: _squared(network(pair[0]), pair[1]))]


def _deceiving_turns(network: Translator, width: int) -> list[Turn[Pair]]:
    """The same, and what tells true pairs from the network's own."""
    judge = Discriminator(width, 2)

    def judged(pair: Pair) -> Tensor:
        with torch.no_grad():
            found = network(pair[0])
        return (_called(judge(torch.cat([pair[0], pair[1]], 1)), 1.0)
                + _called(judge(torch.cat([pair[0], found], 1)), 0.0)) / 2  # fmt: skip

    def made(pair: Pair) -> Tensor:
        found = network(pair[0])
        deceived = _called(judge(torch.cat([pair[0], found], 1)), 1.0)
        return _squared(found, pair[1]) + nn.functional.l1_loss(found, pair[1]) + _ADVERSARIAL * deceived

    return [Turn([judge], judged, _GAN_RATE, _GAN_BETAS), Turn([network], made)]


_PAIRED: dict[str, tuple[Callable[[int], Translator], Turns]] = {
    "unet": (unet, _paired_turns),
    "vnet": (_vnet, _paired_turns),
    "cgan": (unet, _deceiving_turns),
}


def unpaired(plates: Plates, generator: np.random.Generator) -> Pair:
    """Stranger's pictures of one half of the images, chosen at random, and the pictures of the others alone."""
    order = torch.from_numpy(generator.permutation(len(plates.wanted)))
    first, second = order[: -(-len(order) // 2)], order[-(-len(order) // 2) :]
    return plates.shown[:, first].flatten(0, 1), plates.wanted[second]


class _Ring(nn.Module):
    """The four networks of a CycleGAN.

    Args:
        as_shown: pictures as if they were stranger's pictures; the way back adds to that.
        width: of the networks.
    """

    def __init__(self, as_shown: Callable[[Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.ways = nn.ModuleList([unet(width), unet(width)])
        self.judges = nn.ModuleList([Discriminator(width, 1), Discriminator(width, 1)])
        self.there = self.ways[0]
        self._as_shown = as_shown

    def back(self, differences: Tensor) -> Tensor:
        """Pictures to stranger's pictures."""
        as_shown = self._as_shown(differences)
        found: Tensor = as_shown + self.ways[1](as_shown)
        return found

    def judged(self, batch: Pair) -> Tensor:
        """Loss of the judges: of pictures, and of stranger's pictures."""
        shown, wanted = batch
        with torch.no_grad():
            made, made_shown = self.there(shown), self.back(wanted)
        of_pictures = _called(self.judges[0](wanted), 1.0) + _called(self.judges[0](made), 0.0)
        return (of_pictures + _called(self.judges[1](shown), 1.0) + _called(self.judges[1](made_shown), 0.0)) / 2

    def made(self, batch: Pair) -> Tensor:
        """Loss of the translators."""
        shown, wanted = batch
        made, made_shown = self.there(shown), self.back(wanted)
        deceived = _called(self.judges[0](made), 1.0) + _called(self.judges[1](made_shown), 1.0)
        home = nn.functional.l1_loss(self.back(made), shown) + nn.functional.l1_loss(self.there(made_shown), wanted)
        return deceived + _HOME * home + _STAYS * self.moved(wanted)

    def moved(self, wanted: Tensor) -> Tensor:
        """How far pictures that are taken for stranger's pictures are from staying as they are."""
        return nn.functional.l1_loss(self.there(self._as_shown(wanted)), wanted)

    def cycled(self, shown: Tensor, wanted: Tensor) -> Tensor:
        """What can be checked without pairs: the way home, and whether pictures stay as they are."""
        home = nn.functional.l1_loss(self.back(_applied(self.there, shown)), shown)
        return home + self.moved(wanted)


def _called(verdicts: Tensor, wanted: float) -> Tensor:
    """How far verdicts on patches are from what they should be (least squares)."""
    return (verdicts - wanted).square().mean()
