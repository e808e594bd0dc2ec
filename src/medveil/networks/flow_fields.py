"""Flow fields of PriCheXy-Net: a U-Net that says from where each pixel of a picture is taken, and the picture so moved.

Offsets are (n, 2, S, S), first to the right and then down, in half sides of the picture: the outer pixels lie at -1 and
at 1. A pixel shows what lies at its own place plus its offset.
"""

from __future__ import annotations

import contextlib
import io
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

KNOTS = 8
"""Random numbers a side of each plane of noise."""
NOISES = 2
"""Planes of noise that a network with noise sees beside the picture."""
_TAPS, _SIGMA = 9, 2.0  # of the Gaussian, in pixels


class FlowGenerator(nn.Module):
    """The generator of PriCheXy-Net (Packhäuser et al., MICCAI 2023): the U-Net of Buda et al. (2019), its sigmoid
    replaced by a hyperbolic tangent.

    Built of MONAI's blocks: two 3 × 3 convolutions a stage without bias, batch normalisation, ReLU; four halvings by
    maxima; transposed convolutions back, each of which halves the channels. 7,762,498 weights at a width of 32.

    Deviations: the Gaussian smooths the *offset*, whose border it repeats, and the identity is added afterwards (their
    program smooths both together over a border of zeros, so that the outer four pixels look far inside even where
    nothing moves); smaller widths; noise, which is ours.

    Args:
        width: channels of the first stage; 32 as published.
        mu: largest offset, in half sides.
        noise: whether it sees planes of noise beside the picture.
    """

    def __init__(self, width: int = 32, mu: float = 0.01, *, noise: bool = False) -> None:
        super().__init__()
        from monai.networks.nets.basic_unet import BasicUNet, UpCat

        features = (width, 2 * width, 4 * width, 8 * width, 16 * width, width)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its features
            self.body = BasicUNet(
                2, 1 + NOISES * noise, 2, features=features, act="relu", norm="BATCH", bias=False
            )  # fmt: skip
        self.body.upcat_1 = UpCat(2, 2 * width, width, width, "relu", "BATCH", False, 0.0)  # MONAI's keeps the channels
        self.mu = mu
        self.noise = noise

    def offsets(self, pictures: Tensor, noise: Tensor | None = None) -> Tensor:
        """Where the pixels are taken from.

        Args:
            pictures: (n, 1, S, S), 0 … 1; S a multiple of 16.
            noise: (n, NOISES, KNOTS, KNOTS) standard normal numbers, for a network that sees noise.

        Returns:
            (n, 2, S, S) float32, each at most `mu`.
        """
        if self.noise:
            if noise is None:
                raise ValueError("this network sees noise beside the picture")
            side = pictures.shape[-1]
            smooth = functional.interpolate(noise, (side, side), mode="bicubic", align_corners=True)
            pictures = torch.cat([pictures, smooth.to(pictures.dtype)], 1)
        found = cast(Tensor, self.body(pictures)).float()
        return smoothed(-self.mu * torch.tanh(found))

    def forward(self, pictures: Tensor, noise: Tensor | None = None) -> Tensor:
        """(n, 1, S, S), 0 … 1 -> the same pictures, moved."""
        return moved(pictures, self.offsets(pictures, noise))


def smoothed(offsets: Tensor) -> Tensor:
    """(n, 2, H, W) offsets after a Gaussian of 9 × 9 pixels and a deviation of 2, the border repeated beyond itself.

    Offsets that are equal everywhere stay as they are.
    """
    places = torch.arange(_TAPS, dtype=torch.float32, device=offsets.device) - _TAPS // 2
    line = torch.exp(-places.square() / (2 * _SIGMA**2))
    line = line / line.sum()
    around = functional.pad(offsets.float(), (_TAPS // 2,) * 4, mode="replicate")
    kernel = torch.outer(line, line).expand(2, 1, _TAPS, _TAPS)
    with torch.autocast(offsets.device.type, enabled=False):
        return functional.conv2d(around, kernel, groups=2)


def moved(pictures: Tensor, offsets: Tensor) -> Tensor:
    """Pictures whose pixels are taken from elsewhere, linear between pixels, beyond the border that of the border.

    Args:
        pictures: (n, channels, H, W).
        offsets: (n, 2, H, W).
    """
    height, width = pictures.shape[2:]
    down = torch.linspace(-1, 1, height, device=offsets.device)
    right = torch.linspace(-1, 1, width, device=offsets.device)
    rows, columns = torch.meshgrid(down, right, indexing="ij")
    grid = torch.stack([columns, rows]) + offsets.float()
    return functional.grid_sample(
        pictures.float(), grid.permute(0, 2, 3, 1), mode="bilinear", padding_mode="border", align_corners=True
    )
