"""The darkroom of the picture attacks: stranger's pictures, standardised for networks, and the way back."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medveil.attacks.attack import Knowledge
from medveil.attacks.reconstruction.keyless_view import stranger_picture
from medveil.attacks.views import published_again
from medveil.codecs.code import Bucket
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture
from medveil.mechanisms.public_codec import STRIDE
from medveil.training.loop import choose_device

_LARGEST_INPUT = 6.0
_PASSES_A_PUBLICATION = 10
_MOST_PUBLICATIONS = 7


@dataclass(frozen=True)
class Plates:
    """Standardised pictures to learn from.

    Attributes:
        shown: (publications, n, 1, S, S): the stranger's pictures of n images, of one or more publications each.
        wanted: (n, 1, S, S): what is to be added to the mean picture, in its own deviations.
    """

    shown: Tensor
    wanted: Tensor


class Darkroom:
    """Observations to standardised stranger's pictures, and what networks give to pictures. Learned from own images.

    Args:
        knowledge: of the attacker.
        device: where the networks are.
    """

    def __init__(self, knowledge: Knowledge, device: str) -> None:
        self._mechanism = knowledge.mechanism
        self._side = knowledge.effort.working
        self._known: dict[int, tuple[Observation, Tensor]] = {}
        self.device = device
        pictures = np.stack([case.subject.picture for case in knowledge.own])
        self._mean = pictures.mean(0)
        self._spread = max(float((pictures - self._mean).std()), 1.0)
        self._sizes = _sizes(knowledge)
        rounds = _publications(knowledge)
        seen = [np.stack([self._own(case) for case in cases]) for cases in rounds]
        low, self._centre, high = (float(value) for value in np.percentile(seen[0], (10, 50, 90)))
        self._scale = (high - low) / 2 or max(float(seen[0].std()), 1.0)
        if len(seen) > 1 and np.array_equal(seen[0], seen[1]):
            seen = seen[:1]
        self.own = Plates(self._standardised(np.stack(seen)), self._differences(knowledge.own))
        checked = np.stack([self._own(case) for case in knowledge.validation or knowledge.own])
        self.validation = Plates(
            self._standardised(checked[None]), self._differences(knowledge.validation or knowledge.own)
        )

    def plate(self, observation: Observation) -> Tensor:
        """(1, 1, S, S): the stranger's picture, standardised by what is usual among the attacker's own."""
        known = self._known.get(id(observation))
        if known is None:
            seen = stranger_picture(observation, self._mechanism, self._side, self._sizes.get(observation.bucket))
            known = self._known[id(observation)] = observation, self._standardised(seen[None])
        return known[1]

    def as_shown(self, differences: Tensor) -> Tensor:
        """Pictures, given by what they differ from the mean, standardised as if they were the stranger's."""
        mean = torch.from_numpy(self._mean).to(differences)
        shown = (mean + self._spread * differences - self._centre) / self._scale
        return shown.clamp(-_LARGEST_INPUT, _LARGEST_INPUT)

    def picture(self, found: Tensor) -> Picture:
        """What a network gives, (1, 1, S, S), as a working picture."""
        added = found[0, 0].cpu().numpy() * self._spread
        return np.asarray(np.clip(self._mean + added, 0.0, 255.0), np.float32)

    def _own(self, case: Case) -> Picture:
        seen = case.observation
        return stranger_picture(seen, self._mechanism, self._side, _true_size(self._mechanism, case))

    def _standardised(self, seen: NDArray[np.float32]) -> Tensor:
        """(…, S, S) -> (…, 1, S, S)."""
        scaled = np.clip((seen - self._centre) / self._scale, -_LARGEST_INPUT, _LARGEST_INPUT)
        return torch.from_numpy(scaled.astype(np.float32)).unsqueeze(-3).to(self.device)

    def _differences(self, cases: Sequence[Case]) -> Tensor:
        pictures = np.stack([case.subject.picture for case in cases])
        scaled = ((pictures - self._mean) / self._spread).astype(np.float32)
        return torch.from_numpy(scaled).unsqueeze(1).to(self.device)


_darkrooms: dict[int, Darkroom] = {}


def darkroom_of(knowledge: Knowledge) -> Darkroom:
    """The darkroom of this knowledge, the same one for all four attacks: decoding takes as long as learning does."""
    if id(knowledge) not in _darkrooms:
        _darkrooms[id(knowledge)] = Darkroom(knowledge, choose_device())
        weakref.finalize(knowledge, _darkrooms.pop, id(knowledge), None)
    return _darkrooms[id(knowledge)]


def _true_size(mechanism: Mechanism, case: Case) -> tuple[int, int] | None:
    """Size (to 16 pixels) of what was published of an own image, whose code the attacker has; None where it is of no
    use, since what is seen is not in its own cells."""
    seen, space = case.observation, mechanism.space
    if space is None or case.code is None or not (seen.revealed or (seen.maps and mechanism.in_place)):
        return None
    height, width = space.pixels(case.code, seen.bucket).shape
    return height + -height % STRIDE, width + -width % STRIDE


def _sizes(knowledge: Knowledge) -> dict[Bucket, tuple[int, int]]:
    """For each bucket of which all own images have one size, that size: it need not be looked for."""
    found: dict[Bucket, set[tuple[int, int]]] = {}
    for case in knowledge.own:
        size = _true_size(knowledge.mechanism, case)
        if size is not None:
            found.setdefault(case.observation.bucket, set()).add(size)
    return {bucket: next(iter(sizes)) for bucket, sizes in found.items() if len(sizes) == 1}


def _publications(knowledge: Knowledge) -> list[Sequence[Case]]:
    """The own images as they were published, and again under other keys: once for about ten passes over them."""
    effort = knowledge.effort
    passes = effort.steps * effort.batch // len(knowledge.own)
    again = min(max(1, passes // _PASSES_A_PUBLICATION), _MOST_PUBLICATIONS)
    return [
        knowledge.own,
        *(published_again(knowledge, knowledge.own, f"translation {number}") for number in range(again)),
    ]
