"""Linear decoders from a public code to a picture: ridge regressions, by location or from the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reconstruction.decoder_inputs import Inputs
from medveil.mechanisms.working_pictures import resized

Deviation = NDArray[np.float32]
"""(S, S) difference of a picture from the mean of the attacker's own."""
Decoder = Callable[[Inputs], Deviation]

_ROWS = 9000
_BLOCK = 8
_CHANNELS = 1024
_PENALTIES = (1e-2, 1e-1, 1.0, 10.0)


def local_ridges(
    inputs: Sequence[Inputs], targets: NDArray[np.float32], generator: np.random.Generator
) -> list[Decoder]:
    """One decoder for each penalty: the pixels of a location are linear in its channels, the same everywhere.

    Args:
        inputs: of n images.
        targets: (n, S, S) deviations of their pictures from the mean.
        generator: which locations are learned from. Of very many channels the strongest are.
    """
    power = np.mean([np.square(each.planes.astype(np.float32)).mean((1, 2)) for each in inputs], axis=0)
    used = np.sort(np.argsort(-power, kind="stable")[:_CHANNELS])
    most = max(1, _ROWS // len(inputs))
    x_parts, y_parts = [], []
    for each, target in zip(inputs, targets, strict=True):
        chosen = np.sort(generator.permutation(each.planes[0].size)[:most])
        x_parts.append(_by_location(each, used)[chosen])
        y_parts.append(_cut(target, each.planes.shape[1:])[chosen])
    x, y = np.concatenate(x_parts), np.concatenate(y_parts)
    values, vectors = np.linalg.eigh((x.T @ x).astype(np.float64) / len(x))
    shared = vectors.T @ (x.T @ y) / len(x)
    level = max(float(values.mean()), 1e-9)
    return [
        _local(used, (vectors @ (shared / (np.maximum(values, 0) + each * level)[:, None])).astype(np.float32), targets)
        for each in _PENALTIES
    ]


def _local(used: NDArray[np.int64], weights: NDArray[np.float32], targets: NDArray[np.float32]) -> Decoder:
    side = targets.shape[1]

    def decode(inputs: Inputs) -> Deviation:
        rows, columns = inputs.planes.shape[1:]
        found = (_by_location(inputs, used) @ weights).reshape(rows, columns, _BLOCK, _BLOCK).transpose(0, 2, 1, 3)
        return resized(found.reshape(rows * _BLOCK, columns * _BLOCK), side, side, smooth=True)

    return decode


def _by_location(inputs: Inputs, used: NDArray[np.int64]) -> NDArray[np.float32]:
    """(locations, channels)."""
    return inputs.planes[used].reshape(len(used), -1).T.astype(np.float32)


def _cut(target: Deviation, grid: tuple[int, ...]) -> NDArray[np.float32]:
    """(locations, pixels): the part of a picture that each location of a grid stands for."""
    rows, columns = grid
    parts = resized(target, rows * _BLOCK, columns * _BLOCK, smooth=True).reshape(rows, _BLOCK, columns, _BLOCK)
    return parts.transpose(0, 2, 1, 3).reshape(rows * columns, _BLOCK**2)


def global_ridges(inputs: Sequence[Inputs], targets: NDArray[np.float32]) -> list[Decoder]:
    """One decoder for each penalty: the whole picture is linear in the features that have no place."""
    kernel = np.array([[_product(one, two) for two in inputs] for one in inputs])
    flat = targets.reshape(len(targets), -1).astype(np.float64)
    level = float(np.trace(kernel)) / len(kernel)
    found = []
    for penalty in _PENALTIES:
        weights = np.asarray(np.linalg.solve(kernel + penalty * level * np.eye(len(kernel)), flat), np.float64)
        found.append(_global(inputs, weights, targets.shape[1]))
    return found


def _global(known: Sequence[Inputs], weights: NDArray[np.float64], side: int) -> Decoder:
    def decode(inputs: Inputs) -> Deviation:
        products = np.array([_product(inputs, each) for each in known])
        return (products @ weights).reshape(side, side).astype(np.float32)

    return decode


def _product(one: Inputs, two: Inputs) -> float:
    return float(one.features @ two.features) / len(one.features)
