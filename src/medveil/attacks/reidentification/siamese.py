"""Siamese: the published network that says of two pictures whether they are of one person."""

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
_FEATURES = 128


@dataclass(frozen=True)
class Comparison:
    """A siamese network that has learned; likeness is the logit of "one person".

    Attributes:
        branch: (n, 1, side, side) -> (n, features).
        merge: (n, features) of differences -> (n, 1) logits.
        side: of the pictures.
    """

    branch: nn.Module
    merge: nn.Module
    side: int

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        import torch

        device = next(self.merge.parameters()).device
        first, second = (torch.from_numpy(embedded(self.branch, views, self.side)) for views in (queries, gallery))
        with torch.inference_mode():
            rows = [self.merge((row - second).abs().to(device))[:, 0].cpu().numpy() for row in first]
        return np.stack(rows)


class Siamese:
    """Verification by a siamese network (Packhäuser et al., Sci. Rep. 12, 2022): features of both pictures between 0
    and 1, their absolute difference, one linear unit; binary cross-entropy, Adam, half of the pairs of one person.

    Deviations: no ImageNet weights; ResNet-18 and few steps but for the preset `paper`; a learning rate of 1e-3 along
    half a cosine and no early stopping, since what starts untrained has to move further; copies are disturbed; each
    pair is of one data set and view.
    """

    name = "siamese"
    title = "the published siamese network"
    source = "Packhäuser et al., 2022"
    cost = "minutes a network"
    learns = True
    trains = True
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        import torch
        from torch.nn import functional

        from medveil.networks.embedders import SiameseVerifier
        from medveil.training.loop import OnDevice, Turn, seeded, train

        pairs = OwnPairs(own, learned, effort.side)
        with seeded(seed):
            verifier = SiameseVerifier(effort.network, _FEATURES)
        branch = OnDevice(verifier.branch)
        merge = verifier.merge.to(branch.device)

        def loss(batch: Batch) -> Tensor:
            first, second = branch(batch.pictures).chunk(2)
            differences = torch.cat([first - second, first - second[batch.strangers]]).abs()
            same = torch.cat([torch.ones(len(first)), torch.zeros(len(first))]).to(branch.device)
            return functional.binary_cross_entropy_with_logits(merge(differences)[:, 0], same)

        train(
            [Turn([branch, merge], loss)], lambda generator: pairs.draw(people_of(effort), STRATA, generator),
            steps=effort.steps, seed=seed, rate=_RATE, keep_best=False,
        )  # fmt: skip
        return Comparison(branch, merge, effort.side)
