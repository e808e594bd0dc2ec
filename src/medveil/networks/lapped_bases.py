"""Separable lapped orthogonal bases at stride 16, and the frame that makes them orthogonal up to the image's border."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

STRIDE = 16
CHANNELS = STRIDE * STRIDE
OVERLAP = STRIDE // 2
SUPPORT = STRIDE + 2 * OVERLAP


def dct_matrix(size: int) -> Tensor:
    """Orthonormal DCT-II, (size, size) float64, row k = frequency k."""
    k = torch.arange(size, dtype=torch.float64)[:, None]
    i = torch.arange(size, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi * (2 * i + 1) * k / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def boundary_rotation(size: int) -> Tensor:
    """The orthogonal pre-filter over one block boundary, (size, size) float64.

    Time-domain lapped transform of Tran, Liang and Tu (IEEE Trans. Signal Processing 51(6), 2003), with the rotation
    of the type-II lapped orthogonal transform (Malvar 1992): V = J (C_II)^T C_IV J. It leaves even-symmetric signals
    alone, so a half-sample symmetric extension at the image's border needs no filter of its own.
    """
    half = size // 2
    eye = torch.eye(half, dtype=torch.float64)
    flip = eye.flip(0)
    k = torch.arange(half, dtype=torch.float64)
    dct_iv = torch.cos(math.pi * (2 * k[None] + 1) * (2 * k[:, None] + 1) / (4 * half)) * math.sqrt(2 / half)
    rotation = flip @ dct_matrix(half).T @ dct_iv @ flip
    butterfly = torch.cat([torch.cat([eye, flip], 1), torch.cat([flip, -eye], 1)]) / math.sqrt(2)
    return butterfly @ _block_diagonal(eye, rotation) @ butterfly


def lapped_rows(block: int) -> Tensor:
    """The analysis rows of one stride of 16 samples, (16, 32) float64, for DCT blocks of `block` samples.

    Row f + block * s is frequency f of sub-block s. With block < 16 the 16 samples hold 16 / block small blocks.
    """
    if STRIDE % block or block < 2:
        raise ValueError(f"block is {block}; it must be 2, 4, 8 or 16")
    length = 2 * SUPPORT
    blocks = length // block
    half = torch.eye(block // 2, dtype=torch.float64)
    transform = _block_diagonal(*[dct_matrix(block)] * blocks)
    transform = transform @ _block_diagonal(half, *[boundary_rotation(block)] * (blocks - 1), half)
    start = SUPPORT - STRIDE
    return transform[start : start + STRIDE, start - OVERLAP : start + STRIDE + OVERLAP]


def frequency_order(blocks: tuple[int, int]) -> Tensor:
    """Channels (row * 16 + column) of a separable basis, lowest frequency first; (256,) int64."""
    vertical, horizontal = blocks

    def key(channel: int) -> tuple[float, int, int, int]:
        row, column = divmod(channel, STRIDE)
        v, h = row % vertical, column % horizontal
        return (v * STRIDE / vertical + h * STRIDE / horizontal, v, row // vertical, column // horizontal)

    return torch.tensor(sorted(range(CHANNELS), key=key))


def _block_diagonal(*blocks: Tensor) -> Tensor:
    size = sum(len(block) for block in blocks)
    out = torch.zeros(size, size, dtype=torch.float64)
    start = 0
    for block in blocks:
        stop = start + len(block)
        out[start:stop, start:stop] = block
        start = stop
    return out


@dataclass(frozen=True)
class Frame:
    """A part of the image as a grid of rows x columns locations of 16x16 pixels, and which of its sides are borders.

    At a border the pixels are continued by half-sample symmetry; at an inner side the region carries 8 pixels of its
    neighbour. `extend` and `fold` are exact adjoints of each other.
    """

    rows: int
    columns: int
    top: bool = True
    bottom: bool = True
    left: bool = True
    right: bool = True

    @property
    def locations(self) -> int:
        return self.rows * self.columns

    def extend(self, region: Tensor) -> Tensor:
        """Region -> canvas (16 rows + 16, 16 columns + 16)."""
        return _extend(_extend(region, self.top, self.bottom).T, self.left, self.right).T

    def fold(self, canvas: Tensor) -> Tensor:
        """Adjoint of `extend`: canvas -> region."""
        return _fold(_fold(canvas, self.top, self.bottom).T, self.left, self.right).T


def _extend(x: Tensor, head: bool, tail: bool) -> Tensor:
    parts = [x[:OVERLAP].flip(0)] if head else []
    parts.append(x)
    if tail:
        parts.append(x[-OVERLAP:].flip(0))
    return torch.cat(parts)


def _fold(x: Tensor, head: bool, tail: bool) -> Tensor:
    middle = x[OVERLAP if head else 0 : len(x) - OVERLAP if tail else len(x)].clone()
    if head:
        middle[:OVERLAP] += x[:OVERLAP].flip(0)
    if tail:
        middle[-OVERLAP:] += x[-OVERLAP:].flip(0)
    return middle


def analyse(canvas: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Canvas (16 rows + 16, 16 columns + 16) -> coefficients (rows * columns, 256) of one separable basis."""
    lines = canvas.unfold(0, SUPPORT, STRIDE) @ vertical.T
    cells = lines.unfold(1, SUPPORT, STRIDE) @ horizontal.T
    return cells.reshape(-1, CHANNELS)


def synthesise(coefficients: Tensor, rows: int, columns: int, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Adjoint of `analyse`: (rows * columns, 256) -> canvas."""
    cells = coefficients.reshape(rows, columns, STRIDE, STRIDE) @ horizontal
    cells = cells.reshape(rows, columns, STRIDE, 2, STRIDE).permute(0, 2, 1, 3, 4)
    lines = cells.new_zeros(rows, STRIDE, columns + 1, STRIDE)
    lines[:, :, :-1] += cells[:, :, :, 0]
    lines[:, :, 1:] += cells[:, :, :, 1]
    tall = (vertical.T @ lines.reshape(rows, STRIDE, -1)).reshape(rows, 2, STRIDE, -1)
    canvas = tall.new_zeros(rows + 1, STRIDE, tall.shape[-1])
    canvas[:-1] += tall[:, 0]
    canvas[1:] += tall[:, 1]
    return canvas.reshape((rows + 1) * STRIDE, -1)
