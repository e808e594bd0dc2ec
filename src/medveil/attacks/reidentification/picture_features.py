"""Features of working pictures by which a person is known again: closed form, nothing is trained.

Five blocks, each computed at one fixed size: a small picture with its local contrast evened out, histograms of gradient
directions in cells of two sizes (HOG; Dalal & Triggs, CVPR 2005), local binary patterns (Ojala et al., TPAMI 2002) and
the energy of bands of fineness in a grid. Shape and place of bones and borders are in the first ones; the last two also
tell the apparatus and its processing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from medveil.mechanisms.observation import Picture
from medveil.mechanisms.working_pictures import resized

SIDE = 128

Seen = TypeVar("Seen")

_BATCH = 64
_DIRECTIONS = 8
_NEIGHBOURHOOD = 33  # pixels over which contrast is evened out
_LEAST_VARIANCE = 25.0  # of grey values; below it an area is even, and stays so
_RING = ((0, 2), (2, 2), (2, 0), (2, -2), (0, -2), (-2, -2), (-2, 0), (-2, 2))
MOVES = (
    (0.0, 0.0, 1.0),
    *((0.05, 0.0, 1.0), (-0.05, 0.0, 1.0), (0.0, 0.05, 1.0), (0.0, -0.05, 1.0)),
    *((0.0, 0.0, 0.94), (0.0, 0.0, 1.06)),
)
"""Down and right, in sides, and scale of one picture of a pair, of which the best counts; the first leaves it alone."""
Blocks = tuple[NDArray[np.float32], ...]
"""(n, d) arrays: the same n things in several kinds of features."""


def picture_features(pictures: Sequence[Picture]) -> Blocks:
    """Features of n pictures.

    Args:
        pictures: (S, S) each, 0 … 255; of any side.

    Returns:
        Five blocks (n, 256), (n, 2048), (n, 512), (n, 640), (n, 1024).
    """
    parts = [_features(_stack(pictures[first : first + _BATCH])) for first in range(0, len(pictures), _BATCH)]
    return tuple(np.concatenate(block) for block in zip(*parts, strict=True))


def disturbed(picture: Picture, generator: np.random.Generator) -> Picture:
    """The picture as it might have been taken another time: moved, turned and scaled a little, another tone curve."""
    from scipy import ndimage

    side = len(picture)
    angle, scale, gamma = generator.normal(0.0, (0.04, 0.04, 0.2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (1.0 + scale)
    centre = np.full(2, (side - 1) / 2)
    offset = centre - turn @ centre + generator.normal(0.0, 0.03 * side, 2)
    moved = ndimage.affine_transform(picture, turn, offset=offset, order=1, mode="nearest")
    return np.asarray(255.0 * (np.clip(moved, 0.0, 255.0) / 255.0) ** np.exp(gamma), np.float32)


def moved_picture(picture: Picture, move: int) -> Picture:
    """A square picture after one of the moves; beyond its border it goes on as it ends."""
    from scipy import ndimage

    if not move:
        return picture
    side = len(picture)
    down, right, scale = MOVES[move]
    middle = (side - 1) / 2
    offset = [middle * (1 - 1 / scale) - shift * side for shift in (down, right)]
    moved = ndimage.affine_transform(picture, [1 / scale, 1 / scale], offset=offset, order=1, mode="nearest")
    return np.asarray(moved, np.float32)


def at_best(
    embedded: Callable[[Sequence[Seen], int], NDArray[np.float32]], queries: Sequence[Seen], gallery: Sequence[Seen]
) -> NDArray[np.float32]:
    """(queries, gallery) cosines at the best position of the query and at the best one of the other: the mean of both.

    Args:
        embedded: (n, d) of length 1, of pictures after one of the `MOVES`.
        queries, gallery: may be the same.
    """
    still, seen = embedded(queries, 0), embedded(gallery, 0)
    moved = still @ seen.T
    against = moved.copy()
    for move in range(1, len(MOVES)):
        np.maximum(moved, embedded(queries, move) @ seen.T, out=moved)
        if queries is not gallery:
            np.maximum(against, still @ embedded(gallery, move).T, out=against)
    return np.asarray((moved + (moved.T if queries is gallery else against)) / 2, np.float32)


def _stack(pictures: Sequence[Picture]) -> NDArray[np.float32]:
    clean = (np.clip(np.nan_to_num(picture), 0.0, 255.0).astype(np.float32) for picture in pictures)
    return np.stack([resized(picture, SIDE, SIDE, smooth=True) for picture in clean])


def _features(pictures: NDArray[np.float32]) -> Blocks:
    blocks = (
        _pooled(_evened(pictures), 16),
        _directions(pictures, 8, 1.0),
        _directions(pictures, 16, 2.0),
        _patterns(pictures),
        _bands(pictures),
    )
    return tuple(block.reshape(len(pictures), -1).astype(np.float32) for block in blocks)


def _pooled(pictures: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """Means over the cells of a grid: (n, grid, grid)."""
    cell = pictures.shape[-1] // grid
    means: NDArray[np.float32] = pictures.reshape(len(pictures), grid, cell, grid, cell).mean((2, 4))
    return means


def _evened(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Less the local mean, divided by the local standard deviation."""
    from scipy import ndimage

    area = (0, _NEIGHBOURHOOD, _NEIGHBOURHOOD)
    centred = pictures - ndimage.uniform_filter(pictures, area, mode="nearest")
    variance = np.abs(ndimage.uniform_filter(centred * centred, area, mode="nearest"))
    evened: NDArray[np.float32] = centred / np.sqrt(variance + _LEAST_VARIANCE)
    return evened


def _directions(pictures: NDArray[np.float32], cell: int, blur: float) -> NDArray[np.float32]:
    """Histogram of gradient directions (0 … 180°) a cell, relative to the energy of the 3 × 3 cells around it."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(pictures, (0, blur, blur))
    down, right = np.gradient(smooth, axis=(1, 2))
    strength = np.hypot(down, right)
    direction = np.mod(np.arctan2(down, right), np.pi) * (_DIRECTIONS / np.pi)
    planes = []
    for number in range(_DIRECTIONS):
        apart = np.abs((direction - number + _DIRECTIONS / 2) % _DIRECTIONS - _DIRECTIONS / 2)
        planes.append(_pooled(np.clip(1.0 - apart, 0.0, None) * strength, SIDE // cell))
    histogram = np.stack(planes, 1)
    energy = ndimage.uniform_filter((histogram**2).sum(1, keepdims=True), (0, 0, 3, 3), mode="nearest")
    energy = np.sqrt(np.abs(energy))
    floor = 0.02 * energy.mean((1, 2, 3), keepdims=True) + 1e-3
    relative: NDArray[np.float32] = np.sqrt(histogram / (energy + floor))
    return relative


def _patterns(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square root of how frequent each of ten local binary patterns is, in a grid of 8 × 8."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(pictures, (0, 1.0, 1.0))
    code = np.zeros(smooth.shape, np.int64)
    for bit, shift in enumerate(_RING):
        code |= (np.roll(smooth, shift, (1, 2)) > smooth).astype(np.int64) << bit
    kinds = np.array([_kind(pattern) for pattern in range(256)])[code]
    shares = [_pooled((kinds == kind).astype(np.float32), 8) for kind in range(10)]
    return np.sqrt(np.stack(shares, 1))


def _kind(pattern: int) -> int:
    """Number of ones of a uniform pattern (at most two changes around the ring), 9 for all others."""
    changes = pattern ^ ((pattern >> 1) | ((pattern & 1) << 7))
    return pattern.bit_count() if changes.bit_count() <= 2 else 9


def _bands(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithm of the energy of four bands of fineness, in a grid of 16 × 16."""
    from scipy import ndimage

    planes, finer = [], pictures
    for blur in (1.0, 2.0, 4.0, 8.0):
        coarser = ndimage.gaussian_filter(pictures, (0, blur, blur))
        planes.append(_pooled((finer - coarser) ** 2, 16))
        finer = coarser
    return np.asarray(0.5 * np.log(np.stack(planes, 1) + 0.1), np.float32)
