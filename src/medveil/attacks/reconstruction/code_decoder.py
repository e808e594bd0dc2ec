"""Attack 4: a decoder learned straight from the public code to the picture, whatever the codec's own decoder says.

What it sees is everything public: values and masked signs over the code grid, cells that it is told, encoded pixels,
the bytes of the stream and the section lengths. It learns, under an L2 loss, how far the picture is from the mean of
the attacker's own. It starts from the best of several linear decoders, and is taken if it does better than that one on
the images kept for choosing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Attacker, Goal, Guess, Knowledge
from medveil.attacks.reconstruction.decoder_inputs import Inputs, Preparation
from medveil.attacks.reconstruction.linear_decoders import Decoder, Deviation, global_ridges, local_ridges
from medveil.attacks.support.decoding import error
from medveil.attacks.support.purification import calibration_cases
from medveil.mechanisms.observation import Observation, Picture

if TYPE_CHECKING:
    from torch import Tensor

_UNIT = 64.0
"""Grey values that count as 1 in the network."""


@dataclass(frozen=True)
class DecodingAttacker:
    """The mean of the attacker's own pictures and what the chosen decoder adds to it."""

    preparation: Preparation
    decoder: Decoder
    mean: Picture

    def predict(self, observation: Observation) -> Guess:
        found = self.mean + self.decoder(self.preparation.seen(observation))
        return Guess(picture=np.clip(found, 0, 255).astype(np.float32))


def nothing(inputs: Inputs, side: int) -> Deviation:
    """The decoder that has found nothing."""
    return np.zeros((side, side), np.float32)


def network_decoder(
    knowledge: Knowledge, inputs: Sequence[Inputs], targets: NDArray[np.float32],
    kept: Sequence[Inputs], kept_targets: NDArray[np.float32],
) -> Decoder:  # fmt: skip
    """The trained network, at its best on the kept images.

    Args:
        knowledge: seed and effort.
        inputs, targets: to learn from; targets are (n, S, S) deviations from the mean picture.
        kept, kept_targets: to choose by.
    """
    import torch

    from medveil.networks.code_decoders import CodeDecoder
    from medveil.training.loop import Turn, choose_device, seeded, train

    device, effort = choose_device(), knowledge.effort
    planes, features, side = len(inputs[0].planes), len(inputs[0].features), targets.shape[1]
    with seeded(knowledge.seed):
        network = CodeDecoder(planes, features, effort.width, side).to(device)
    alike = [[i for i, each in enumerate(inputs) if each.planes.shape == one.planes.shape] for one in inputs]

    def batch(chosen: Sequence[Inputs], wanted: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        stacked = np.stack([each.planes for each in chosen]).astype(np.float32)
        features = np.stack([each.features for each in chosen]).astype(np.float32)
        arrays = (stacked, features, (wanted / _UNIT).astype(np.float32))
        first, second, third = (torch.from_numpy(array).to(device) for array in arrays)
        return first, second, third

    def draw(generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        chosen = generator.choice(alike[int(generator.integers(len(inputs)))], effort.batch)
        return batch([inputs[i] for i in chosen], targets[chosen])

    def loss(drawn: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        found: Tensor = (network(drawn[0], drawn[1]) - drawn[2]).square().mean()
        return found

    checks = [batch([one], wanted[None]) for one, wanted in zip(kept, kept_targets, strict=True)]
    train(
        [Turn([network], loss)], draw, steps=effort.steps, seed=knowledge.seed, rate=2e-3, clip=1.0,
        validate=lambda: float(np.mean([float(loss(check)) for check in checks])),
    )  # fmt: skip

    def decode(each: Inputs) -> Deviation:
        with torch.no_grad():
            first, second, _ = batch([each], np.zeros((1, *targets.shape[1:]), np.float32))
            found: Deviation = network(first, second)[0].cpu().numpy() * _UNIT
        return found

    return decode


class LearnedDecoder:
    """See `medveil.attacks.attack.Attack`.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(LearnedDecoder())[0], str(LearnedDecoder.goal)
    ('matched-decoys', 'reconstruction')
    """

    name = "code-decoder"
    title = "decoder learned straight from the public code"
    goal = Goal.RECONSTRUCTION
    knows = "codec, protection and parameters; own images, and what was published of them"
    needs = "own images"
    requires = (Need.OWN_IMAGES,)
    cost = "a minute, trains a network"
    trains = True

    def fit(self, knowledge: Knowledge) -> Attacker:
        preparation = Preparation(knowledge)
        cases = calibration_cases(knowledge)
        pictures = np.stack([case.subject.picture for case in knowledge.own])
        mean = pictures.mean(0)
        inputs, kept = [preparation.own(case) for case in knowledge.own], [preparation.own(case) for case in cases]
        truth = [case.subject.picture for case in cases]
        targets = pictures - mean
        linear = local_ridges(inputs, targets, knowledge.generator("local ridge")) + global_ridges(inputs, targets)
        base = _best([lambda each: nothing(each, len(mean)), *linear], kept, truth, mean)
        found = [base(each) for each in inputs], [base(each) for each in kept]
        left, kept_left = targets - np.stack(found[0]), np.stack(truth) - mean - np.stack(found[1])
        network = network_decoder(knowledge, inputs, left, kept, kept_left)
        chosen = _best([base, _sum_of(base, network)], kept, truth, mean)
        return DecodingAttacker(preparation, chosen, mean)


def _best(decoders: Sequence[Decoder], kept: Sequence[Inputs], truth: Sequence[Picture], mean: Picture) -> Decoder:
    """The decoder with the least error on the kept images."""
    errors = [error([mean + decoder(each) for each in kept], truth) for decoder in decoders]
    return decoders[int(np.argmin(errors))]


def _sum_of(first: Decoder, second: Decoder) -> Decoder:
    def decode(inputs: Inputs) -> Deviation:
        return first(inputs) + second(inputs)

    return decode
