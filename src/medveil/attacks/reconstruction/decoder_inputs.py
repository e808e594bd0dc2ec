"""What a learned decoder is given: the public code over the grid of its bucket, and features without a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import ON_CODE_MAPS, unmet_need
from medveil.attacks.attack import Knowledge
from medveil.attacks.reconstruction.image_extent import Size
from medveil.attacks.support.cell_statistics import Plane
from medveil.attacks.support.decoding import with_revealed
from medveil.attacks.support.likelihood import CellOdds
from medveil.attacks.views import code_features, own_size, size_of
from medveil.errors import IntegrityError
from medveil.mechanisms.observation import Case, Observation, Shown

_BLOCK = 8
_CLIP = 20.0
_EMPTY = 6


@dataclass(frozen=True)
class Inputs:
    """(C, rows, columns) float16 planes over the bucket's grid, and (d,) features, of one observation."""

    planes: NDArray[np.float16]
    features: NDArray[np.float32]


class Preparation:
    """Brings observations to inputs of one shape and scale.

    The planes are the public values over the code grid, at face value; where entries are in their own cells, once more
    weighted with their likelihood (attack 2); where cells are told, those by themselves. Encoded pixels are cut into
    blocks. What is encrypted has no planes but an empty one. Two more planes say where a location is.

    Args:
        knowledge: of the attacker; scales are those of her own images.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._mechanism = knowledge.mechanism
        self._own = knowledge.own
        in_place = self._mechanism.in_place and unmet_need(ON_CODE_MAPS, knowledge) is None
        self._odds = CellOdds(knowledge) if in_place else None
        self._revealed = any(case.observation.revealed for case in knowledge.own)
        first = [self._raw(case.observation, own_size(self._mechanism, case)) for case in knowledge.own[:24]]
        views = 1 + (self._odds is not None) + self._revealed
        self._scale = _scale(first, views)
        features = np.stack([code_features(case.observation, self._mechanism.space) for case in self._own])
        self._centre, self._spread = features.mean(0), features.std(0) + 1e-3

    def own(self, case: Case) -> Inputs:
        """Inputs of one of the attacker's own images."""
        return self._inputs(case.observation, own_size(self._mechanism, case))

    def seen(self, observation: Observation) -> Inputs:
        """Inputs of an image under attack."""
        return self._inputs(observation, size_of(self._mechanism, observation, self._own))

    def _inputs(self, observation: Observation, size: Size | None) -> Inputs:
        planes = np.clip(self._raw(observation, size) / self._scale[:, None, None], -_CLIP, _CLIP)
        features = (code_features(observation, self._mechanism.space) - self._centre) / self._spread
        placed = np.concatenate([planes, _coordinates(*planes.shape[1:])]).astype(np.float16)
        return Inputs(placed, np.clip(features, -_CLIP, _CLIP).astype(np.float32))

    def _raw(self, observation: Observation, size: Size | None) -> Plane:
        if observation.pixels is not None:
            return blocks(observation.pixels)
        space, maps = self._mechanism.space, observation.maps
        if space is None or not maps:
            return np.zeros((1, _EMPTY, _EMPTY), np.float32)
        views = [with_revealed(maps, observation.revealed)]
        if self._odds is not None:
            odds = self._odds(observation)
            views.append(tuple(_weighted(shown, plane) for shown, plane in zip(maps, odds, strict=True)))
        if self._revealed:
            views.append(observation.revealed or tuple(_weighted(shown, None) for shown in maps))
        try:
            return np.concatenate([space.tensor(view, observation.bucket, size) for view in views])
        except (IntegrityError, ValueError):
            return np.concatenate([_pooled(shown) for shown in maps])


def blocks(encoding: NDArray[np.float32]) -> Plane:
    """(64, rows / 8, columns / 8): the pixels of each block as channels."""
    rows, columns = (side // _BLOCK for side in encoding.shape)
    cut = encoding[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return np.ascontiguousarray(cut.transpose(1, 3, 0, 2).reshape(_BLOCK**2, rows, columns)).astype(np.float32)


def _coordinates(rows: int, columns: int) -> Plane:
    """(2, rows, columns): how far down and across, -1 … 1."""
    down, across = np.linspace(-1, 1, rows), np.linspace(-1, 1, columns)
    return np.stack(np.broadcast_arrays(down[:, None], across[None, :])).astype(np.float32)


def _scale(planes: Sequence[Plane], views: int) -> Plane:
    """For each channel the spread of the entries of its view, empty cells aside: codes are sparse."""
    found = []
    for channels in np.array_split(np.arange(len(planes[0])), views):
        power = sum(float(np.square(each[channels]).sum()) for each in planes)
        entries = sum(int(np.count_nonzero(each[channels])) for each in planes)
        found.append(np.full(len(channels), max(np.sqrt(power / max(entries, 1)), 1e-6), np.float32))
    return np.concatenate(found)


def _weighted(shown: Shown, odds: Plane | None) -> Shown:
    """A map with its values times their probability of being true; without odds an empty one."""
    if odds is None:
        return shown.kept(np.zeros(len(shown.values), bool))
    share = 1 / (1 + np.exp(-np.clip(odds[shown.positions], -30, 30)))
    values = np.round(shown.values * share).astype(np.int32)
    return replace(shown, values=values).kept(values != 0)


def _pooled(shown: Shown) -> Plane:
    """(2, 8, 8): sum and number of the values in each 64th of a map, for cells that have no place of their own."""
    parts = np.minimum(shown.positions * 64 // max(shown.cells, 1), 63)
    sums = [np.bincount(parts, weights=weights, minlength=64) for weights in (shown.values, np.ones(len(parts)))]
    return np.stack(sums).reshape(2, 8, 8).astype(np.float32)
