"""Entries and scores of cells as arrays that networks take: over the code grid, or along the maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reconstruction.image_extent import Size
from medveil.attacks.support.cell_statistics import Plane
from medveil.codecs.code import Bucket
from medveil.mechanisms.observation import Shown
from medveil.mechanisms.public_codec import STRIDE, PublicCodec

_SCALE = 4.0
"""Bits of magnitude that count as 1."""


@lru_cache(maxsize=128)
def grid_order(space: PublicCodec, cells: tuple[int, ...], bucket: Bucket, size: Size | None) -> NDArray[np.int64]:
    """(maps * channels, rows, columns): which cell of all maps, one after the other, is at each place of the grid.

    Args:
        space: of a codec with code vectors and without preview.
        cells: of each map.
        bucket, size: of the picture.
    """
    height, width = size or (bucket.height, bucket.width)
    end = -(-height // STRIDE) * -(-width // STRIDE) * space.vector_length
    numbers = np.arange(end, dtype=np.int32)
    found = space.tensor([Shown(count, numbers.astype(np.int64), numbers + 1) for count in cells], bucket, size)
    inside = np.rint(found[:, : -(-height // STRIDE), : -(-width // STRIDE)]).astype(np.int64) - 1
    starts = np.concatenate([[0], np.cumsum(cells)])[:-1]
    order: NDArray[np.int64] = inside + np.repeat(starts, len(inside) // len(cells))[:, None, None]
    return order


def laid_out(maps: Sequence[Shown], odds: Sequence[Plane]) -> tuple[Plane, Plane, Plane]:
    """(odds, values, shown) of the cells of all maps, one after the other; values on a logarithmic scale."""
    cells = sum(shown.cells for shown in maps)
    values, there = np.zeros(cells, np.float32), np.zeros(cells, np.float32)
    start = 0
    for shown in maps:
        at = start + shown.positions
        values[at] = np.sign(shown.values) * np.log2(1.0 + np.abs(shown.values)) / _SCALE
        there[at] = 1.0
        start += shown.cells
    return np.concatenate(list(odds)).astype(np.float32), values, there


def ranks(maps: Sequence[Shown]) -> Plane:
    """(2, cells): which map, and how far down in it, each cell is; both 0 … 1."""
    parts = [
        np.stack([np.full(shown.cells, index / len(maps)), np.arange(shown.cells) / max(shown.cells, 1)])
        for index, shown in enumerate(maps)
    ]
    return np.concatenate(parts, 1).astype(np.float32)


def cut(flat: Plane, maps: Sequence[Shown]) -> tuple[Plane, ...]:
    """What belongs to each map of an array over all cells."""
    stops = np.cumsum([shown.cells for shown in maps])[:-1]
    return tuple(np.split(flat, stops))
