"""Contrastive: a small network for which pictures of one person are near each other, and those of others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from medveil.attacks.reidentification.linear_embedding import unit
from medveil.attacks.reidentification.pair_training import Batch, OwnPairs, embedded
from medveil.attacks.reidentification.picture_features import at_best
from medveil.attacks.reidentification.recognizer import (
    Known,
    Learned,
    Recognition,
    RecognizerEffort,
    Scores,
    View,
    Wanted,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

_TEMPERATURE = 0.1
_RATE = 1e-3


@dataclass(frozen=True)
class Embedding:
    """A network that has learned; likeness is the cosine of what it makes of two pictures, at the best of seven
    positions of either.

    Attributes:
        network: (n, 1, side, side) -> (n, d).
        side: of the pictures.
    """

    network: nn.Module
    side: int

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        return at_best(self.embed, queries, gallery)

    def embed(self, views: Sequence[View], move: int = 0) -> Scores:
        """(n, d) of length 1: of pictures after one of the `MOVES`."""
        return unit(embedded(self.network, views, self.side, move))


class Contrastive:
    """InfoNCE (van den Oord et al., 2018) in the form of SimCLR (Chen et al., ICML 2020), with people for classes.

    The network keeps a map of places, see `medveil.networks.embedders.PlaceEmbedder`.
    """

    name = "contrastive"
    title = "a small network trained by InfoNCE"
    source = "van den Oord et al., 2018"
    cost = "minutes a network"
    learns = True
    trains = True
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        from medveil.training.loop import learned_once

        pairs = OwnPairs(own, learned, effort.side)
        network = learned_once(
            partial(_learned, pairs, effort, seed), lambda made: made, "contrastive", pairs.pictures, pairs.people,
            effort, seed,
        )  # fmt: skip
        return Embedding(network, effort.side)


def _learned(pairs: OwnPairs, effort: RecognizerEffort, seed: int) -> nn.Module:
    from medveil.networks.embedders import PlaceEmbedder
    from medveil.training.loop import OnDevice, Turn, seeded, train

    with seeded(seed):
        network = OnDevice(PlaceEmbedder())

    def loss(batch: Batch) -> Tensor:
        return contrastive_loss(network(batch.pictures))

    train(
        [Turn([network], loss)], lambda generator: pairs.draw(effort.batch // 2, 1, generator),
        steps=effort.steps, seed=seed, rate=_RATE, keep_best=False,
    )  # fmt: skip
    return network


def contrastive_loss(embeddings: Tensor) -> Tensor:
    """Cross-entropy of each picture's partner among all others, by cosine over a temperature.

    Args:
        embeddings: (2 m, d); the partner of i is i + m.
    """
    import torch
    from torch.nn import functional

    count = len(embeddings)
    vectors = functional.normalize(embeddings, dim=1)
    likeness = (vectors @ vectors.T / _TEMPERATURE).masked_fill(
        torch.eye(count, dtype=torch.bool, device=vectors.device), -torch.inf
    )
    return functional.cross_entropy(likeness, torch.arange(count, device=vectors.device).roll(count // 2))
