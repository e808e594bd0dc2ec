"""Top-S selection: which cells of a code vector stay nonzero, and over which locations a code vector is spread."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import torch
from torch import Tensor

from medveil.networks.lapped_bases import CHANNELS

# The two-dimensional low-discrepancy additive recurrence: 1/g and 1/g^2 with g^3 = g + 1.
_R2 = (0.7548776662466927, 0.5698402909980532)


class Selection(StrEnum):
    """Which S cells win: the largest magnitudes, or S/2 largest positive and S/2 largest negative values."""

    MAGNITUDE = "magnitude"
    SIGNED = "signed"


@lru_cache(maxsize=64)
def spreading(rows: int, columns: int, code_map: int, order: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The permutation that spreads every code vector over the grid, and its inverse; both (locations * 256,) int64.

    Vector (y, x) takes its cell c from location (y + dy(c), x + dx(c)), cyclically. The shifts follow a
    low-discrepancy sequence over the channels in order of frequency, so that each vector is a stratified sample of
    the whole grid: it holds every channel once, and the S nonzeros of a vector are shared out between busy and
    plain parts of the image. As a layer it is a grouped (one channel a group) convolution with one-hot kernels.
    """
    rank = torch.empty(CHANNELS, dtype=torch.int64)
    rank[torch.tensor(order)] = torch.arange(CHANNELS)
    number = (rank + 1 + code_map * CHANNELS).to(torch.float64)
    dy = ((number * _R2[0]) % 1 * rows).long()
    dx = ((number * _R2[1]) % 1 * columns).long()
    y = torch.arange(rows)[:, None, None]
    x = torch.arange(columns)[None, :, None]
    forward = ((((y + dy) % rows) * columns + (x + dx) % columns) * CHANNELS + torch.arange(CHANNELS)).reshape(-1)
    inverse = torch.empty_like(forward)
    inverse[forward] = torch.arange(forward.numel())
    return forward, inverse


def top_s_mask(scores: Tensor, sparsity: int, selection: Selection) -> Tensor:
    """Mask of the cells that stay, (vectors, 256) bool; at most `sparsity` a vector, and never a zero cell.

    Args:
        scores: (vectors, 256) signed scores; the sign decides in the signed variant only.
    """
    if selection is Selection.MAGNITUDE:
        return _largest(scores.abs(), sparsity)
    return _largest(scores.clamp_min(0), sparsity - sparsity // 2) | _largest((-scores).clamp_min(0), sparsity // 2)


def _largest(scores: Tensor, count: int) -> Tensor:
    mask = torch.zeros_like(scores, dtype=torch.bool)
    if count:
        value, index = scores.topk(count, dim=1, sorted=False)
        mask.scatter_(1, index, value > 0)
    return mask
