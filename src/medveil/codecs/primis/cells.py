"""Levels of a PRIMIS network's tiles <-> cells of code maps.

Cell v * 256 + c of a map is the channel of rank c (lowest frequency first) of code vector v. Vectors are numbered
tile by tile, and within a tile in raster order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medveil.codecs.code import CodeMap
from medveil.errors import IntegrityError
from medveil.networks.lapped_bases import CHANNELS
from medveil.networks.primis import PrimisNetwork
from medveil.networks.primis_inference import tiles

Entries = tuple[NDArray[np.int64], NDArray[np.int32]]


def to_cells(levels: Sequence[Tensor], grid: tuple[int, int], network: PrimisNetwork) -> tuple[Entries, ...]:
    """Positions and levels of the nonzeros of each code map.

    Args:
        levels: for each tile (L, locations, 256) int32.
        grid: rows and columns of the whole code grid.
    """
    found = []
    for code_map in range(network.maps):
        positions, values, start = [], [], 0
        order = torch.tensor(network.order(code_map))
        for tile, part in zip(tiles(grid), levels, strict=True):
            vectors = network.to_vectors(part[code_map], tile.frame, code_map)[:, order].reshape(-1)
            where = vectors.nonzero()[:, 0]
            positions.append(where.numpy() + start)
            values.append(vectors[where].numpy().astype(np.int32))
            start += vectors.numel()
        found.append((np.concatenate(positions), np.concatenate(values)))
    return tuple(found)


def from_cells(maps: Sequence[CodeMap], grid: tuple[int, int], network: PrimisNetwork) -> list[Tensor]:
    """Inverse of `to_cells`. Raises IntegrityError for a nonzero outside of the grid."""
    end = grid[0] * grid[1] * CHANNELS
    if any(len(entry.positions) and int(entry.positions[-1]) >= end for entry in maps):
        raise IntegrityError("the code has nonzeros outside of the image that it states")
    orders = [torch.argsort(torch.tensor(network.order(i))) for i in range(network.maps)]
    found, start = [], 0
    for tile in tiles(grid):
        size = tile.frame.locations * CHANNELS
        parts = []
        for i, entry in enumerate(maps):
            first, last = np.searchsorted(entry.positions, (start, start + size))
            vectors = torch.zeros(size)
            vectors[torch.from_numpy(entry.positions[first:last] - start)] = torch.from_numpy(
                entry.levels[first:last].astype(np.float32)
            )
            ranked = vectors.reshape(-1, CHANNELS)[:, orders[i]]
            parts.append(network.from_vectors(ranked, tile.frame, i))
        found.append(torch.stack(parts))
        start += size
    return found
