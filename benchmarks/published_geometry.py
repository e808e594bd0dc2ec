"""The published geometry of PRIMIS, untrained: 64x64 tiles, 5x5 locations of 32x32 pixels at stride 8, 4 maps of 256.

One tile has 100 code vectors of 256. Channel c of map m is the DCT frequency of rank 4 c + m of the 32x32 window, so
that the four maps of a location together hold all 1024 frequencies. Windows that don't overlap form an orthonormal
set; the code is found by cyclic projection over the 16 such sets with a support that grows over the sweeps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medveil.networks.lapped_bases import dct_matrix

TILE = 64
WINDOW = 32
STRIDE = 8
MAPS = 4
SWEEPS = 4


def fidelity(picture: Tensor, sparsity: int) -> float:
    """Mean squared error of a picture (H, W) when every code vector keeps `sparsity` of its 256 cells."""
    height, width = picture.shape
    padded = torch.nn.functional.pad(picture[None, None], (0, -width % TILE, 0, -height % TILE), mode="replicate")[0, 0]
    rows, columns = padded.shape[0] // TILE, padded.shape[1] // TILE
    tiles = padded.reshape(rows, TILE, columns, TILE).permute(0, 2, 1, 3).reshape(-1, TILE, TILE)
    offset = tiles.mean()
    residual = pursue(tiles - offset, sparsity)
    error = residual.reshape(rows, columns, TILE, TILE).permute(0, 2, 1, 3).reshape(padded.shape)
    return float(error[:height, :width].square().mean())


def pursue(tiles: Tensor, sparsity: int) -> Tensor:
    """Tiles (n, 64, 64) -> what their codes leave over."""
    dct = dct_matrix(WINDOW).float()
    order = torch.tensor(sorted(range(WINDOW**2), key=lambda c: (c // WINDOW + c % WINDOW, c // WINDOW)))
    residual = tiles.clone()
    offsets = [(0, 32), (8,), (16,), (24,)]
    codes: dict[tuple[int, int], Tensor] = {}
    for sweep in range(SWEEPS):
        kept = max(1, round(sparsity * ((sweep + 1) / SWEEPS) ** 0.5))
        for place in ((y, x) for ys in offsets for xs in offsets for y in ys for x in xs):
            window = residual[:, place[0] : place[0] + WINDOW, place[1] : place[1] + WINDOW]
            before = codes.get(place, torch.zeros(len(tiles), WINDOW**2))
            found = before + (dct @ window @ dct.T).reshape(-1, WINDOW**2)[:, order]
            vectors = found.reshape(-1, 256, MAPS).transpose(1, 2)
            least = vectors.abs().topk(kept, dim=2)[0].amin(2, keepdim=True)
            chosen = (vectors * (vectors.abs() >= least)).transpose(1, 2).reshape(-1, WINDOW**2)
            change = torch.zeros_like(found)
            change[:, order] = chosen - before
            window -= dct.T @ change.reshape(-1, WINDOW, WINDOW) @ dct
            codes[place] = chosen
    return residual
