"""Retrieval: the published network whose vectors of one person's pictures are near each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medveil.attacks.reidentification.pair_training import STRATA, Batch, OwnPairs, embedded, people_of
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

_RATE = 1e-3
_WEIGHT_DECAY = 1e-5
_WARM_UP = 0.3  # share of the run
_MARGIN = 1.0  # beyond which two people are far enough from each other
_MEMORY = 128  # vectors of earlier batches
_SMALL = {"places": 3, "narrow": 64, "hidden": 512}  # of the head on a ResNet-18


@dataclass(frozen=True)
class Distances:
    """A network that has learned; likeness is the Euclidean distance of its vectors, less than nothing.

    Attributes:
        network: (n, 1, side, side) -> (n, d).
        side: of the pictures.
    """

    network: nn.Module
    side: int

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        from scipy.spatial.distance import cdist

        first, second = (embedded(self.network, views, self.side) for views in (queries, gallery))
        return np.asarray(-cdist(first, second), np.float32)


class Memory:
    """Vectors of earlier batches, and whose they are (cross-batch memory; Wang et al., CVPR 2020); the oldest go."""

    def __init__(self) -> None:
        self.vectors: Tensor | None = None
        self.patients: Tensor | None = None

    def loss(self, vectors: Tensor, patients: Tensor) -> Tensor:
        """Contrastive loss of vectors among each other and with the memory, which they then join.

        Args:
            vectors: (n, d), scaled to length 1 here.
            patients: (n,) whose they are.
        """
        import torch
        from torch.nn import functional

        own = functional.normalize(vectors, dim=1)
        others, theirs = own, patients
        if self.vectors is not None and self.patients is not None:
            others, theirs = torch.cat([own, self.vectors]), torch.cat([patients, self.patients])
        distance = (2 - 2 * own @ others.T).clamp_min(1e-8).sqrt()
        same = patients[:, None] == theirs
        itself = torch.eye(len(own), len(others), dtype=torch.bool, device=own.device)
        self.vectors, self.patients = others.detach()[:_MEMORY], theirs[:_MEMORY]
        return _mean_of_what_counts(distance[same & ~itself]) + _mean_of_what_counts((_MARGIN - distance[~same]).relu())


def _mean_of_what_counts(losses: Tensor) -> Tensor:
    """Mean of those above 0."""
    return losses.sum() / (losses > 0).sum().clamp_min(1)


class Retrieval:
    """Retrieval by a ResNet and the contrastive loss of Hadsell et al. (CVPR 2006) with a cross-batch memory, after
    Packhäuser et al. (Sci. Rep. 12, 2022): positive margin 0, negative margin 1, memory 128, weight decay 1e-5.

    Deviations: no ImageNet weights, so no phase in which the ResNet is frozen; squares of the effort's side instead of
    1024 pixels, and for a ResNet-18 a head that is smaller by as much (3 × 3 places, 64 channels, 512 features); Adam
    along half a cosine after the published warm-up instead of SGD with one cycle; batches are of pairs of pictures of
    some data sets and views; people with one image take part with disturbed copies instead of being left out.
    """

    name = "retrieval"
    title = "the published retrieval network"
    source = "Packhäuser et al., 2022"
    cost = "minutes a network"
    learns = True
    trains = True
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        from medveil.networks.embedders import RetrievalEmbedder
        from medveil.training.loop import OnDevice, Turn, seeded, train

        pairs, memory = OwnPairs(own, learned, effort.side), Memory()
        with seeded(seed):
            head = _SMALL if effort.network == "resnet18" else {}
            network = OnDevice(RetrievalEmbedder(effort.network, **head))

        def loss(batch: Batch) -> Tensor:
            return memory.loss(network(batch.pictures), batch.patients.repeat(2).to(network.device))

        train(
            [Turn([network], loss)], lambda generator: pairs.draw(people_of(effort), STRATA, generator),
            steps=effort.steps, seed=seed, rate=_RATE, weight_decay=_WEIGHT_DECAY,
            warm_up=max(1, round(_WARM_UP * effort.steps)), keep_best=False,
        )  # fmt: skip
        return Distances(network, effort.side)
