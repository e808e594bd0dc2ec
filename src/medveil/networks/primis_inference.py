"""Whole pictures through a PRIMIS network: padding, tiles with overlap (so bounded memory), quantisation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from medveil.networks.lapped_bases import OVERLAP, STRIDE, Frame
from medveil.networks.primis import PrimisNetwork

# Locations a side of one tile: 512 pixels.
TILE = 32


@dataclass(frozen=True)
class Tile:
    """A part of the code grid that is coded as one: its first row and column, and its frame."""

    row: int
    column: int
    frame: Frame

    @property
    def rows(self) -> slice:
        """Pixel rows of the region, the neighbours' overlap included."""
        start, stop = self.row * STRIDE, (self.row + self.frame.rows) * STRIDE
        return slice(start - (0 if self.frame.top else OVERLAP), stop + (0 if self.frame.bottom else OVERLAP))

    @property
    def columns(self) -> slice:
        start, stop = self.column * STRIDE, (self.column + self.frame.columns) * STRIDE
        return slice(start - (0 if self.frame.left else OVERLAP), stop + (0 if self.frame.right else OVERLAP))


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the code grid of a picture."""
    return -(-height // STRIDE), -(-width // STRIDE)


def _parts(count: int, limit: int) -> list[tuple[int, int]]:
    pieces = -(-count // limit)
    edges = [count * i // pieces for i in range(pieces + 1)]
    return list(itertools.pairwise(edges))


def tiles(grid: tuple[int, int], limit: int = TILE) -> Iterator[Tile]:
    """The grid cut into tiles of nearly equal size, at most `limit` locations a side, in raster order."""
    for top, bottom in _parts(grid[0], limit):
        for left, right in _parts(grid[1], limit):
            frame = Frame(bottom - top, right - left, top == 0, bottom == grid[0], left == 0, right == grid[1])
            yield Tile(top, left, frame)


def pad_to_grid(picture: Tensor) -> tuple[Tensor, Tensor | None]:
    """(H, W) -> the picture continued by its last row and column to multiples of 16, and the mask of true pixels."""
    height, width = picture.shape
    rows, columns = grid_of(height, width)
    if (rows * STRIDE, columns * STRIDE) == (height, width):
        return picture, None
    below, right = rows * STRIDE - height, columns * STRIDE - width
    padded = torch.nn.functional.pad(picture[None, None], (0, right, 0, below), mode="replicate")[0, 0]
    mask = torch.zeros_like(padded)
    mask[:height, :width] = 1
    return padded, mask


@torch.no_grad()
def encode_picture(network: PrimisNetwork, picture: Tensor, step: float, limit: int = TILE) -> list[Tensor]:
    """Picture (H, W) in 8-bit grey values minus the offset -> for each tile (L, locations, 256) int32 levels.

    Tiles are coded one after the other, each on what the ones before it left over in the shared overlap.
    """
    residual, mask = pad_to_grid(picture)
    residual = residual.clone()
    grid = grid_of(*picture.shape)
    found = []
    for tile in tiles(grid, limit):
        here = (tile.rows, tile.columns)
        inner = None if mask is None else mask[here]
        codes = network.pursue(residual[here], tile.frame, inner).codes
        levels = torch.round(codes / step)
        residual[here] -= network.synthesise(levels * step, tile.frame)
        found.append(levels.to(torch.int32))
    return found


@torch.no_grad()
def decode_picture(
    network: PrimisNetwork, levels: list[Tensor], shape: tuple[int, int], step: float, *, maps: int | None = None,
    limit: int = TILE
) -> Tensor:  # fmt: skip
    """Levels of every tile -> picture (H, W) in 8-bit grey values minus the offset.

    Args:
        maps: how many code maps to use (a lower tier has fewer); all by default.
    """
    grid = grid_of(*shape)
    picture = network.projection.new_zeros(grid[0] * STRIDE, grid[1] * STRIDE)
    for tile, part in zip(tiles(grid, limit), levels, strict=True):
        picture[tile.rows, tile.columns] += network.synthesise(part * step, tile.frame, maps)
    return picture[: shape[0], : shape[1]]
