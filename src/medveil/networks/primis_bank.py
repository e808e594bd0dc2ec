"""The bank encoder of PRIMIS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class InternalDown(nn.Module):
    """Internal block: 3x3 conv, LeakyReLU, 5x5 conv with stride; plus a strided 1x1 residual; then LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.LeakyReLU(0.01),
            nn.Conv2d(outputs, outputs, 5, stride=stride, padding=2),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.main(x) + self.skip(x), 0.01)


class ExternalDown(nn.Module):
    """External block: 3x3 conv, LeakyReLU, 5x5 conv, 1x1 conv with all remaining strides; 1x1 residual; LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1),
            nn.LeakyReLU(0.01),
            nn.Conv2d(inputs, inputs, 5, padding=2),
            nn.Conv2d(inputs, outputs, 1, stride=stride),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.main(x) + self.skip(x), 0.01)


class BankEncoder(nn.Module):
    """(1, 1, H, W) -> (1, code maps * 256, H/16, W/16): how much each cell deserves to be chosen, in log units.

    Block i of both kinds reads the same input; the outputs of all external blocks and of the last internal one are
    concatenated and mixed by a 1x1 convolution (spec section 3.1: the published code has strides 2, 2 and channels
    1, 32, 64). Deviations: the strides multiply to 16, the grid of the code; one LeakyReLU in place of ReLU and
    LeakyReLU; no batch normalisation, since batches are single images; the last layer starts at zero, so that the
    untrained network is the orthogonal transform.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], outputs: int) -> None:
        super().__init__()
        last = channels[-1]
        remaining = 1
        for stride in strides:
            remaining *= stride
        self.internal = nn.ModuleList()
        self.external = nn.ModuleList()
        for inputs, following, stride in zip(channels[:-1], channels[1:], strides, strict=True):
            self.internal.append(InternalDown(inputs, following, stride))
            self.external.append(ExternalDown(inputs, last, remaining))
            remaining //= stride
        self.head = nn.Conv2d(last * (len(strides) + 1), outputs, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for internal, external in zip(self.internal, self.external, strict=True):
            found.append(external(x))
            x = internal(x)
        return cast(Tensor, self.head(torch.cat([*found, x], 1)))
