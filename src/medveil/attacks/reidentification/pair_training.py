"""What trained recognizers share: pairs of pictures of one person to learn from, and a network applied to views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.picture_features import moved_picture
from medveil.attacks.reidentification.recognizer import Known, Learned, RecognizerEffort, Scores, View
from medveil.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

LEAST_PEOPLE = 4
"""Of one stratum, at least: with fewer there is next to nobody to be told from."""

STRATA = 2
"""Of a batch of a published network: its batch normalisation takes one mean of all."""
_SHARE = 3  # a ResNet-18 takes as many times what a small network takes
_BATCH_OF_USE = 64
Numbers = NDArray[np.int64]
_Kinds = tuple[tuple[int, ...], ...]
"""Numbers of the pictures of one image: real ones, released ones; a kind that is not learned from is left out."""


@dataclass(frozen=True)
class Batch:
    """Two pictures of each of m people, disturbed.

    Attributes:
        pictures: (2 m, 1, side, side): one of each person, then the other of each in the same order.
        patients: (m,) whose they are.
        strangers: (m,) for each the place of somebody else of the same stratum.
    """

    pictures: Tensor
    patients: Tensor
    strangers: Tensor


class OwnPairs:
    """The people that a network learns from.

    Each draw is of one stratum, so that telling data sets and views apart does not count; half of it are patients with
    several images, as far as there are any. Of an image on its own both pictures are copies, disturbed otherwise. With
    `Learned.BOTH` each of the two is real or released, by a coin of its own: all combinations come up.

    Args:
        own, learned: as of a recognizer.
        side: of the pictures.

    Attributes:
        pictures: (n, 1, side, side) of mean 0 and SD 1.

    Raises:
        InputError: no stratum has pictures of `LEAST_PEOPLE` people.
    """

    pictures: Tensor

    def __init__(self, own: Sequence[Known], learned: Learned, side: int) -> None:
        views: list[View] = []
        self._images: dict[int, list[_Kinds]] = {}
        self._strata: dict[int, dict[int, list[int]]] = {}
        for known in own:
            kinds: list[tuple[int, ...]] = []
            for wanted, found in ((Learned.REAL, (known.real,)), (Learned.RELEASED, known.released)):
                if learned in (wanted, Learned.BOTH) and found:
                    kinds.append(tuple(range(len(views), len(views) + len(found))))
                    views += found
            if kinds:
                images = self._images.setdefault(known.patient, [])
                members = self._strata.setdefault(known.real.stratum, {})
                members.setdefault(known.patient, []).append(len(images))
                images.append(tuple(kinds))
        self._strata = {number: each for number, each in self._strata.items() if len(each) >= LEAST_PEOPLE}
        if not self._strata:
            raise InputError(
                f"a network that knows people again learns from {LEAST_PEOPLE} or more people of one data set and "
                "view, and no data set and view here has so many",
                hint="give more people to learn from, or choose recognizers that do not train",
            )
        self.pictures = _standardised(views, side)

    @property
    def people(self) -> str:
        """Which pictures are whose, in words that are the same where all of it is."""
        return repr((self._images, self._strata))

    def draw(self, people: int, strata: int, generator: np.random.Generator) -> Batch:
        """Pairs of so many people, or of all that there are.

        Args:
            people: at least 2 a stratum.
            strata: how often a stratum is drawn, by how many people it has; each time for an equal part.
            generator: of all that is drawn.
        """
        import torch

        from medveil.training.augmentation import disturbance

        parts = [self._drawn(people // strata, generator) for _ in range(strata)]
        first, second, patients = (torch.from_numpy(np.concatenate(each)) for each in zip(*parts, strict=True))
        starts = np.cumsum([0] + [len(part[0]) for part in parts])
        strangers = [start + np.roll(np.arange(len(part[0])), 1) for start, part in zip(starts, parts, strict=False)]
        pictures = disturbance(self.pictures[torch.cat([first, second])], generator)
        return Batch(pictures, patients, torch.from_numpy(np.concatenate(strangers)))

    def _drawn(self, people: int, generator: np.random.Generator) -> tuple[Numbers, Numbers, Numbers]:
        """Numbers of two pictures of each of so many people of one stratum, and whose they are."""
        sizes = np.array([len(each) for each in self._strata.values()])
        members = list(self._strata.values())[int(generator.choice(len(sizes), p=sizes / sizes.sum()))]
        several = [patient for patient in members if len(self._images[patient]) > 1]
        chosen = [int(each) for each in generator.permutation(np.array(several, np.int64))[: people // 2]]
        others = generator.permutation(np.array(sorted(set(members) - set(chosen)), np.int64))
        chosen += [int(each) for each in others[: people - len(chosen)]]
        first, second = [], []
        for patient in chosen:
            images = self._images[patient]
            one = int(generator.choice(members[patient]))
            rest = [number for number in range(len(images)) if number != one] or [one]
            first.append(_picture(images[one], generator))
            second.append(_picture(images[int(generator.choice(rest))], generator))
        return np.array(first, np.int64), np.array(second, np.int64), np.array(chosen, np.int64)


def people_of(effort: RecognizerEffort) -> int:
    """People in a batch of a published network, each with two pictures."""
    return max(2 * STRATA, effort.batch // (2 * _SHARE))


def embedded(network: nn.Module, views: Sequence[View], side: int, move: int = 0) -> Scores:
    """(n, d): what a network in evaluation mode makes of each picture, after one of the `MOVES`."""
    import torch

    parts = (views[first : first + _BATCH_OF_USE] for first in range(0, len(views), _BATCH_OF_USE))
    with torch.inference_mode():
        return np.concatenate([network(_standardised(part, side, move)).cpu().numpy() for part in parts])


def _standardised(views: Sequence[View], side: int, move: int = 0) -> Tensor:
    """(n, 1, side, side): each picture stretched to a square, of mean 0 and SD 1, and moved then."""
    import torch

    from medveil.training.augmentation import standardised

    pictures = torch.cat([standardised(view.plane, side) for view in views])
    if not move:
        return pictures
    return torch.from_numpy(np.stack([moved_picture(picture[0], move) for picture in pictures.numpy()]))[:, None]


def _picture(kinds: _Kinds, generator: np.random.Generator) -> int:
    numbers = kinds[int(generator.integers(len(kinds)))]
    return numbers[int(generator.integers(len(numbers)))]
