"""Codec primis with the places of its cells, and with a quantisation step of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medveil.codecs.code import Bucket, Budget, CodeMap, Profile, SparseCode
from medveil.codecs.primis.cells import from_cells
from medveil.codecs.primis.codec import PrimisCodec, _encode_at, _excess
from medveil.images.image import Image
from medveil.networks.lapped_bases import CHANNELS
from medveil.networks.primis import PrimisNetwork
from medveil.networks.primis_inference import grid_of, tiles


class ArrangedPrimis(PrimisCodec):
    """Codec primis, and the levels of a code where they are in the picture.

    Args:
        weights: as of `PrimisCodec`.
        step: quantisation step in 1/1024 of an 8-bit grey value; None for that of the weights.
    """

    def __init__(self, weights: Path | bytes | None = None, step: int | None = None) -> None:
        super().__init__(weights)
        self.step = step

    def encode(
        self, image: Image, profile: Profile, budget: Budget | None, base: SparseCode | None = None
    ) -> SparseCode:
        """As of `PrimisCodec`, at the step of one's own choice where that fits the budget."""
        if self.step is None:
            return super().encode(image, profile, budget, base)
        code = _encode_at(image, self._model(profile), Bucket.of(*image.pixels.shape), self.step)
        if budget is None or _excess(code, budget) <= 0:
            return code
        return super().encode(image, profile, budget, base)

    def planes(self, maps: Sequence[CodeMap], profile: Profile, size: tuple[int, int]) -> NDArray[np.float32]:
        """Levels of the maps of a picture of this size where they are in it: (L * 256, rows, columns), DCT row by row.

        Raises:
            IntegrityError: a nonzero lies outside of the picture.
        """
        grid = grid_of(*size)
        return _to_planes(from_cells(maps, grid, self._model(profile).network), grid)

    def scores(self, planes: NDArray[np.float32], profile: Profile) -> tuple[NDArray[np.float32], ...]:
        """For each map a value a cell, from one a channel and location (L * 256, rows, columns); undoes `planes`."""
        return _scores_of_planes(planes, self._model(profile).network)


def _to_planes(levels: Sequence[Tensor], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Values of tiles, as `from_cells` gives them, where they are in the picture: (L * 256, rows, columns)."""
    out = np.zeros((levels[0].shape[0], *grid, CHANNELS), np.float32)
    for tile, part in zip(tiles(grid), levels, strict=True):
        rows = slice(tile.row, tile.row + tile.frame.rows)
        columns = slice(tile.column, tile.column + tile.frame.columns)
        out[:, rows, columns] = part.reshape(-1, tile.frame.rows, tile.frame.columns, CHANNELS).numpy()
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2)).reshape(-1, *grid)


def _scores_of_planes(planes: NDArray[np.float32], network: PrimisNetwork) -> tuple[NDArray[np.float32], ...]:
    """A value for each cell of each map, from one for each channel and location: (L * 256, rows, columns)."""
    grid = (planes.shape[1], planes.shape[2])
    by_place = planes.reshape(network.maps, CHANNELS, *grid).transpose(0, 2, 3, 1)
    found = []
    for code_map in range(network.maps):
        order = torch.tensor(network.order(code_map))
        parts = []
        for tile in tiles(grid):
            rows = slice(tile.row, tile.row + tile.frame.rows)
            columns = slice(tile.column, tile.column + tile.frame.columns)
            part = torch.from_numpy(np.ascontiguousarray(by_place[code_map, rows, columns])).reshape(-1, CHANNELS)
            parts.append(network.to_vectors(part, tile.frame, code_map)[:, order].reshape(-1).numpy())
        found.append(np.concatenate(parts))
    return tuple(found)
