"""Fidelity of the codec `primis` on the test fold, beside untrained transforms of the same L, S and M.

Geometry: L = 4 code maps of M = 256 channels at stride 16, that is 4 code vectors of 256 per 16x16 pixels, each with
at most S nonzeros. In the codec a code vector is spread over the grid: its 256 cells, one a channel, come from
different locations. `*_local` rows are without spreading, each vector at one location.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.benchmark import Measured, in_processes
from benchmarks.shared_images import grey, radiographs
from medveil.codecs.code import Bucket, CodeMap, SparseCode
from medveil.codecs.entropy import pack
from medveil.codecs.primis.cells import to_cells
from medveil.codecs.primis.codec import shipped_weights
from medveil.codecs.primis.weights_file import Model, load_model
from medveil.networks.lapped_bases import Frame, dct_matrix
from medveil.networks.primis import PrimisConfig, PrimisNetwork
from medveil.networks.primis_inference import decode_picture, grid_of, pad_to_grid

SPARSITIES = (4, 8, 16)
# Rows that need a pursuit of their own are measured on every n-th image.
SUBSET = 12
_TILE = 64
_WINDOW = 32
_MAPS = 4
_SWEEPS = 4


def psnr(mse: float) -> float:
    """PSNR in dB, peak 255."""
    return 20 * math.log10(255) - 10 * math.log10(max(mse, 1e-6))


def block_dct(picture: Tensor, count: int) -> float:
    """PSNR of the 16x16 block DCT of which each block keeps its `count` largest coefficients, unquantised."""
    padded, _ = pad_to_grid(picture)
    dct = dct_matrix(16).float()
    rows, columns = padded.shape[0] // 16, padded.shape[1] // 16
    blocks = padded.reshape(rows, 16, columns, 16).permute(0, 2, 1, 3)
    cells = (dct @ blocks @ dct.T).reshape(-1, 256)
    least = cells.abs().topk(count, dim=1)[0][:, -1:]
    kept = (cells * (cells.abs() >= least)).reshape(rows, columns, 16, 16)
    back = (dct.T @ kept @ dct).permute(0, 2, 1, 3).reshape(padded.shape)
    return _psnr_of(back, picture)


def _psnr_of(back: Tensor, picture: Tensor) -> float:
    height, width = picture.shape
    return psnr(float((back[:height, :width] - picture).square().mean()))


def linear_psnr(network: PrimisNetwork, picture: Tensor) -> float:
    """PSNR of the linear decoder on unquantised codes."""
    padded, mask = pad_to_grid(picture)
    frame = Frame(*grid_of(*picture.shape))
    residual = network.pursue(padded, frame, mask).residual[: picture.shape[0], : picture.shape[1]]
    return psnr(float(residual.square().mean()))


def trained_rows(model: Model, picture: Tensor, offset: float) -> dict[str, float]:
    """The rows of the trained network; one pursuit serves them all."""
    network, step = model.network, model.step
    padded, mask = pad_to_grid(picture)
    grid = grid_of(*picture.shape)
    frame = Frame(*grid)
    codes = network.pursue(padded, frame, mask).codes
    levels = torch.round(codes / step).int()
    shape = (picture.shape[0], picture.shape[1])
    unquantised = network.synthesise(codes, frame)
    quantised = decode_picture(network, [levels], shape, step)
    decoded = (quantised + offset).round().clamp(0, 255)
    values, counts = np.unique(levels[levels != 0].numpy(), return_counts=True)
    shares = counts / counts.sum()
    bucket = Bucket.of(*shape)
    cells = (bucket.height // 16) * (bucket.width // 16) * 256
    maps = tuple(CodeMap(cells, *entry) for entry in to_cells([levels], grid, network))
    return {
        "trained_unquantised": _psnr_of(unquantised, picture), "trained_unrounded": _psnr_of(quantised, picture),
        "trained": psnr(float((decoded - picture - offset).square().mean())),
        "entropy_bits_per_level": float(-(shares * np.log2(shares)).sum()) if len(values) else 0.0,
        "nonzeros_per_pixel": int(counts.sum()) / picture.numel(),
        "packed_bpp": 8 * len(pack(SparseCode(maps, b""))) / picture.numel(),
    }  # fmt: skip


def published_error(picture: Tensor, sparsity: int) -> float:
    """Mean squared error of a picture (H, W) in the published geometry, untrained, with `sparsity` of 256 cells kept.

    Geometry: 64x64 tiles, 5x5 locations of 32x32 pixels at stride 8, 4 maps of 256: one tile has 100 code vectors.
    Channel c of map m is the DCT frequency of rank 4 c + m of the window, so that the maps of a location together hold
    all 1024 frequencies. Windows that don't overlap form an orthonormal set; the code is found by cyclic projection
    over the 16 such sets with a support that grows over the sweeps.
    """
    height, width = picture.shape
    padded = torch.nn.functional.pad(picture[None, None], (0, -width % _TILE, 0, -height % _TILE), mode="replicate")[
        0, 0
    ]
    rows, columns = padded.shape[0] // _TILE, padded.shape[1] // _TILE
    tiles = padded.reshape(rows, _TILE, columns, _TILE).permute(0, 2, 1, 3).reshape(-1, _TILE, _TILE)
    offset = tiles.mean()
    residual = _pursue(tiles - offset, sparsity)
    error = residual.reshape(rows, columns, _TILE, _TILE).permute(0, 2, 1, 3).reshape(padded.shape)
    return float(error[:height, :width].square().mean())


def _pursue(tiles: Tensor, sparsity: int) -> Tensor:
    """Tiles (n, 64, 64) -> what their codes leave over."""
    dct = dct_matrix(_WINDOW).float()
    order = torch.tensor(sorted(range(_WINDOW**2), key=lambda c: (c // _WINDOW + c % _WINDOW, c // _WINDOW)))
    residual = tiles.clone()
    offsets = [(0, 32), (8,), (16,), (24,)]
    codes: dict[tuple[int, int], Tensor] = {}
    for sweep in range(_SWEEPS):
        kept = max(1, round(sparsity * ((sweep + 1) / _SWEEPS) ** 0.5))
        for place in ((y, x) for ys in offsets for xs in offsets for y in ys for x in xs):
            window = residual[:, place[0] : place[0] + _WINDOW, place[1] : place[1] + _WINDOW]
            before = codes.get(place, torch.zeros(len(tiles), _WINDOW**2))
            found = before + (dct @ window @ dct.T).reshape(-1, _WINDOW**2)[:, order]
            vectors = found.reshape(-1, 256, _MAPS).transpose(1, 2)
            least = vectors.abs().topk(kept, dim=2)[0].amin(2, keepdim=True)
            chosen = (vectors * (vectors.abs() >= least)).transpose(1, 2).reshape(-1, _WINDOW**2)
            change = torch.zeros_like(found)
            change[:, order] = chosen - before
            window -= dct.T @ change.reshape(-1, _WINDOW, _WINDOW) @ dct
            codes[place] = chosen
    return residual


def untrained(config: PrimisConfig, **changes: Any) -> PrimisNetwork:
    """The network of a configuration before any training."""
    return PrimisNetwork(replace(config, **changes)).eval()


@torch.inference_mode()
def measure(sparsity: int, every: int) -> dict[str, Any]:
    """All rows of one sparsity: mean over images, and the number of images of each."""
    torch.set_num_threads(1)
    model = load_model(shipped_weights(sparsity))
    lapped = {"blocks": ((16, 16),) * model.network.maps, "sweeps": 1, "polish": 0}
    always = {
        "untrained_lapped_local": untrained(model.config, **lapped, spread=False),
        "untrained_lapped_spread": untrained(model.config, **lapped),
    }
    local = PrimisNetwork(replace(model.config, spread=False)).eval()
    local.load_state_dict(model.network.state_dict())
    sometimes = {"untrained_network": untrained(model.config), "trained_linear_local": local}
    found: dict[str, list[float]] = {}
    for number, image in enumerate(radiographs("test", every=every)):
        whole = torch.from_numpy(np.asarray(grey(image.path), dtype=np.float32))
        offset = float(whole.mean().round())
        picture = whole - offset
        row = {"untrained_block_dct": block_dct(picture, sparsity * model.network.maps)}
        row |= {name: linear_psnr(network, picture) for name, network in always.items()}
        row |= trained_rows(model, picture, offset)
        if number % SUBSET == 0:
            row |= {name: linear_psnr(network, picture) for name, network in sometimes.items()}
            row["published_geometry_untrained"] = psnr(published_error(picture, sparsity))
            row["subset_trained"] = row["trained"]
            row["subset_untrained_block_dct"] = row["untrained_block_dct"]
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    means = {name: round(float(np.mean(values)), 3) for name, values in found.items()}
    return {
        "sparsity": sparsity, "maps": model.network.maps, "vectors_per_16x16": model.network.maps,
        "published_vectors_per_16x16": 6.25, "sweeps": model.config.sweeps, "step": model.step,
        "weights": model.digest.hex(), "means": means, "images": {name: len(values) for name, values in found.items()},
        "lowest_trained": round(min(found["trained"]), 3),
        "margin_over_block_dct": round(means["trained"] - means["untrained_block_dct"], 3),
        "margin_over_lapped_spread": round(means["trained"] - means["untrained_lapped_spread"], 3),
    }  # fmt: skip


def run(every: int = 1, jobs: int = 1, sparsities: tuple[int, ...] = SPARSITIES) -> Measured:
    """Fidelity of the codec `primis`, beside untrained transforms of the same L, S and M."""
    rows = list(in_processes(measure, jobs, sparsities, [every] * len(sparsities)))
    images = max(rows[0]["images"].values())
    return Measured({"fold": "test", "rows": rows}, images, settings={"fold": "test", "subset": SUBSET})
