"""Networks of the audit's attackers: which entries are true, and what picture a public code is of."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class SupportNetwork(nn.Module):
    """A correction of the log-odds of every cell by what is shown around it.

    The network gives for each cell a correction and an expectation of its value, which counts as far as the shown value
    agrees with it. Both start at zero: untrained, the odds stay as they are.

    Args:
        cells: channels of the code at a location.
        width: of the trunk.
        dilations: of its layers.
        line: cells lie in a line, not in a grid.
        extra: further planes.
    """

    def __init__(
        self, cells: int, width: int, dilations: tuple[int, ...], *, line: bool = False, extra: int = 0
    ) -> None:
        super().__init__()
        layer = nn.Conv1d if line else nn.Conv2d
        self.enter = layer(3 * cells + extra, width, 1)
        self.context = nn.ModuleList(layer(width, width, 3, padding=each, dilation=each) for each in dilations)
        self.leave = layer(width, 2 * cells, 1)
        for weights in self.leave.parameters():
            nn.init.zeros_(weights)

    def forward(self, odds: Tensor, values: Tensor, shown: Tensor, extra: Tensor | None = None) -> Tensor:
        """Log-odds of every cell.

        Args:
            odds, values, shown: (B, cells, ...) log-odds by themselves, signed values about 1, 1 where one is shown.
            extra: (B, extra, ...) of further planes.
        """
        weighed = values * torch.sigmoid(odds)
        planes = [weighed, torch.sigmoid(odds) * shown, values]
        found: Tensor = self.enter(torch.cat(planes if extra is None else [*planes, extra], 1))
        for layer in self.context:
            found = found + layer(torch.relu(found))
        correction, wanted = self.leave(torch.relu(found)).chunk(2, 1)
        total: Tensor = odds + correction + wanted * values
        return total


class CodeDecoder(nn.Module):
    """From planes over a code grid, and features without a place, to a picture; untrained it gives zero.

    Args:
        planes: channels of the grid.
        features: of the whole observation.
        width: of the last stage, at 8 pixels a location; earlier ones are wider.
        side: S of the pictures.
    """

    DOUBLINGS = 3

    def __init__(self, planes: int, features: int, width: int, side: int) -> None:
        super().__init__()
        wide = width * 4
        self.side = side
        self.enter = nn.Conv2d(planes, wide, 1)
        self.everywhere = nn.Linear(features, wide)
        self.context = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for _ in range(2))
        widths = [max(width, wide >> number) for number in range(self.DOUBLINGS + 1)]
        self.rising = nn.ModuleList(nn.Conv2d(before, 4 * after, 3, padding=1) for before, after in pairwise(widths))
        self.leave = nn.Conv2d(widths[-1], 1, 3, padding=1)
        for weights in self.leave.parameters():
            nn.init.zeros_(weights)

    def forward(self, planes: Tensor, features: Tensor) -> Tensor:
        """(B, planes, rows, columns) and (B, features) -> (B, S, S)."""
        found: Tensor = self.enter(planes) + self.everywhere(features)[:, :, None, None]
        for layer in self.context:
            found = found + layer(torch.relu(found))
        for layer in self.rising:
            found = nn.functional.pixel_shuffle(layer(torch.relu(found)), 2)
        picture = self.leave(torch.relu(found))
        return nn.functional.interpolate(picture, (self.side, self.side), mode="bilinear", align_corners=False)[:, 0]
