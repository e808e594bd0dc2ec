"""Train the weights of the residual coder on the shared `train` fold (sources nih, kermany, hannover).

Samples are the features that the coder itself sees, beside the pictures of diagnostic codes of both protections; most
of 40 dB, some of 35, 46 and 52 dB. The loss is the ideal code length under the logistic law that the coder uses. The
result is an .npy file of integers in the order of `residual_model.Network`; its bytes in base 85 go into
`residual_tables`.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.shared_images import grey, radiographs
from numpy.typing import NDArray
from tools.train_weights import SOURCES

from medveil.codecs.residual import coder, tables
from medveil.codecs.residual.model import FEATURES

SETS = ((8, 0, 4000), (8, 4, 4000), (24, 6, 4600), (24, 10, 3500), (40, 14, 5200))
"""(every n-th image, first, quality in 1/100 dB)."""
SAMPLES = 12000
_ROWS = 2048
_RATE = 4e-3


def samples(generator: np.random.Generator) -> Iterator[tuple[NDArray[np.int16], NDArray[np.int16], int]]:
    """(features, pixels less base, unit) of some pixels of every picture."""
    from medveil.codecs.code import Bucket
    from medveil.codecs.lapped.codec import LappedCodec
    from medveil.images.image import FileKind, Image, Source

    codec = LappedCodec()
    for every, first, quality in SETS:
        profile = codec.profile(quality_centidb=quality, sparsity=None, deep=0)
        for radiograph in radiographs("train")[first::every]:
            if not radiograph.patient.startswith(SOURCES):
                continue
            pixels = np.ascontiguousarray(grey(radiograph.path))
            bucket = Bucket.of(*pixels.shape)
            for composition in (None, codec.composition(profile, bucket)):
                image = Image.of_pixels(pixels, 8, Source(FileKind.PNG, b""))
                base = codec.decode(codec.encode(image, profile, composition), profile, bucket)
                yield _of_picture(pixels, base, generator)


def _of_picture(pixels: Any, base: Any, generator: np.random.Generator) -> tuple[Any, Any, int]:
    values = pixels.astype(np.int32)
    _, unit, _ = coder._header(values, base.astype(np.int32), (0, 255))
    picture = coder._Picture(base, unit, (0, 255))
    features, differences = [], []
    for cells, flat in picture.waves():
        found = values.reshape(-1)[flat]
        chosen = generator.random(len(cells)) < SAMPLES / values.size
        features.append(picture.features(cells[chosen]).astype(np.int16))
        differences.append((found - picture.base[cells])[chosen].astype(np.int16))
        picture.learn(cells, found)
    return np.concatenate(features), np.concatenate(differences), unit


def trained(rows: list[tuple[Any, Any, int]], steps: int, seed: int) -> NDArray[np.int64]:
    """Weights, as integers."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    features = torch.from_numpy(np.concatenate([row[0] for row in rows]))
    differences = torch.from_numpy(np.concatenate([row[1] for row in rows]))
    units = torch.from_numpy(np.concatenate([np.full(len(row[1]), row[2] / 64, np.float32) for row in rows]))
    first, second = nn.Linear(FEATURES, tables.FIRST), nn.Linear(tables.FIRST, tables.SECOND)
    last, direct = nn.Linear(tables.SECOND, 2), nn.Linear(FEATURES, 1, bias=False)
    for weight in (direct.weight, last.weight, last.bias):
        nn.init.zeros_(weight)
    parameters = [each for layer in (first, second, last, direct) for each in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=_RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (1 - step / steps) + 1e-5
        chosen = torch.randint(0, len(differences), (_ROWS,))
        seen, unit = features[chosen].float() / 32, units[chosen]
        out = last(second(first(seen).clamp(0, 16)).clamp(0, 16))
        off = (differences[chosen].float() - unit * (out[:, 0] + direct(seen)[:, 0])).abs()
        scale = (torch.exp2((out[:, 1] - 0.5).clamp(-9, 5)) * unit).clamp(min=1 / 16)
        share = torch.sigmoid((0.5 - off) / scale) - torch.sigmoid((-0.5 - off) / scale)
        loss = -torch.log2(share * 0.9999 + 1e-6).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 1000 == 999:
            print(f"step {step + 1}: {float(loss.detach()):.3f} bits a pixel", flush=True)
    last.bias.data[1] -= 0.5
    parts = [
        *((first.weight.T, 9), (first.bias, 14), (second.weight.T, 9), (second.bias, 16)),
        *((last.weight.T, 8), (last.bias, 15), (direct.weight, 10)),
    ]
    integers = [np.round(part.detach().double().numpy() * 2.0**bits).reshape(-1) for part, bits in parts]
    return np.concatenate(integers).astype(np.int64)


def as_text(weights: NDArray[np.int64]) -> str:
    """The weights as `residual_tables` holds them."""
    from medveil.codecs.varints import varint

    return base64.b85encode(b"".join(varint(2 * w if w >= 0 else -2 * w - 1) for w in weights.tolist())).decode()


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(prog="python -m tools.train_residual", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the .npy file; the text for the tables goes beside it")
    parser.add_argument("--steps", type=int, default=60000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    weights = trained(list(samples(np.random.default_rng(asked.seed))), asked.steps, asked.seed)
    np.save(asked.out, weights)
    asked.out.with_suffix(".txt").write_text(as_text(weights) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
