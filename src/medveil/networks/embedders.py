"""Embedders: pictures (n, 1, S, S) to vectors that are near each other where they are of one person. Untrained.

`PlaceEmbedder` is small and reads local contrast; `SiameseBranch` and `RetrievalEmbedder` are published ones, on
ResNets from MONAI, which has no ImageNet weights for them: they start untrained.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from medveil.registry import unknown

RESNETS = ("resnet18", "resnet34", "resnet50")
"""Bodies of the published embedders, by name."""
_PLACES = 6
_LEAST_VARIANCE = 0.01  # of pictures of variance 1; below it an area is even, and stays so


class LocalContrast(nn.Module):
    """A picture less its local mean, over its local standard deviation: what brightness and contrast leave as it is.

    Args:
        share: of the side over which mean and deviation are taken.
    """

    def __init__(self, share: float = 0.15) -> None:
        super().__init__()
        self.share = share

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, S, S) -> the same."""
        width = 2 * max(1, round(self.share * pictures.shape[-1] / 2)) + 1
        centred = pictures - _local_mean(pictures, width)
        return centred / (_local_mean(centred * centred, width).clamp_min(0) + _LEAST_VARIANCE).sqrt()


def _local_mean(pictures: Tensor, width: int) -> Tensor:
    """Means over squares, beyond the border those of the border: differences of running sums, at no cost of width."""
    half, found = width // 2, pictures
    for pad, axis in (((half + 1, half, 0, 0), 3), ((0, 0, half + 1, half), 2)):
        sums = functional.pad(found, pad, mode="replicate").cumsum(axis)
        found = sums.narrow(axis, width, sums.shape[axis] - width) - sums.narrow(axis, 0, sums.shape[axis] - width)
        found = found / width
    return found


class _Block(nn.Module):
    """Two convolutions with a way around them (He et al., CVPR 2016), the first one halving the side.

    Group instead of batch normalisation: a batch is of one data set, and in use pictures come one by one.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, 2, 1, bias=False)
        self.second = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.around = nn.Conv2d(inner, outer, 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(8, outer) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        found = functional.relu(self.norms[0](self.first(x)))
        found = self.norms[1](self.second(found)) + self.around(functional.avg_pool2d(x, 2, ceil_mode=True))
        return functional.relu(found)


class PlaceEmbedder(nn.Module):
    """Four halvings, then a map of 6 × 6 places that is not averaged: where something is tells who it is.

    Args:
        width: channels of the first stage; 2, 4 and 6 times as many follow.
        size: of the vectors.
    """

    def __init__(self, width: int = 32, size: int = 256) -> None:
        super().__init__()
        self.contrast = LocalContrast()
        self.stem = nn.Conv2d(2, width, 5, 2, 2)
        self.body = nn.Sequential(_Block(width, 2 * width), _Block(2 * width, 4 * width), _Block(4 * width, 6 * width))
        self.narrow = nn.Conv2d(6 * width, 2 * width, 1)
        self.head = nn.Linear(2 * width * _PLACES**2, size)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, S, S) of mean 0 and variance 1 -> (n, size)."""
        planes = torch.cat([pictures, self.contrast(pictures)], 1)
        found = self.narrow(self.body(functional.relu(self.stem(planes))))
        places = functional.relu(functional.adaptive_avg_pool2d(found, _PLACES))
        return cast(Tensor, self.head(places.flatten(1)))


class SiameseBranch(nn.Module):
    """The branch that both pictures of a pair go through: ResNet, then features between 0 and 1 (Packhäuser et al.,
    Sci. Rep. 12, 2022; the sigmoid as in their program).

    Args:
        resnet: one of `RESNETS`.
        size: features.

    Raises:
        UsageError: there is no ResNet of that name.
    """

    def __init__(self, resnet: str, size: int = 128) -> None:
        super().__init__()
        self.body, channels = _resnet(resnet)
        self.head = nn.Linear(channels, size)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, S, S) -> (n, size), 0 … 1."""
        return torch.sigmoid(cast(Tensor, self.head(self.body(pictures).mean((2, 3)))))


class SiameseVerifier(nn.Module):
    """Says of two pictures whether they are of one person: both through one branch, the absolute difference of their
    features, one linear unit (Packhäuser et al., Sci. Rep. 12, 2022).

    Args:
        resnet: one of `RESNETS`.
        size: features of the branch.

    Raises:
        UsageError: there is no ResNet of that name.
    """

    def __init__(self, resnet: str, size: int = 128) -> None:
        super().__init__()
        self.branch = SiameseBranch(resnet, size)
        self.merge = nn.Linear(size, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two times (n, 1, S, S) -> (n,) log odds of "one person"."""
        one, other = cast(Tensor, self.branch(torch.cat([first, second]))).chunk(2)
        return cast(Tensor, self.merge((one - other).abs()))[:, 0]


class RetrievalEmbedder(nn.Module):
    """ResNet, whose map is pooled to a few places by mean and by maximum, and three layers to a vector (Packhäuser et
    al., Sci. Rep. 12, 2022).

    Args:
        resnet: one of `RESNETS`.
        places: a side of the pooled map; 5 as published.
        narrow: channels to which both maps are brought; 100 as published.
        hidden: features of the middle layer; 2048 as published.
        size: of the vectors; 128 as published.

    Raises:
        UsageError: there is no ResNet of that name.
    """

    def __init__(self, resnet: str, places: int = 5, narrow: int = 100, hidden: int = 2048, size: int = 128) -> None:
        super().__init__()
        self.body, channels = _resnet(resnet)
        self.places = places
        self.narrow = nn.Conv2d(channels, narrow, 1, bias=False)
        flat = 2 * narrow * places**2
        self.head = nn.Sequential(
            nn.BatchNorm1d(flat), nn.Dropout(0.5), nn.Linear(flat, hidden), nn.ReLU(),
            nn.BatchNorm1d(hidden), nn.Dropout(0.25), nn.Linear(hidden, size),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, S, S) -> (n, size)."""
        found = self.body(pictures)
        pooled = (
            functional.adaptive_avg_pool2d(found, self.places),
            functional.adaptive_max_pool2d(found, self.places),
        )
        return cast(Tensor, self.head(self.narrow(torch.cat(pooled, 2)).flatten(1)))


def _resnet(name: str) -> tuple[nn.Module, int]:
    """A ResNet up to its last map, and the channels of that."""
    from monai.networks import nets

    if name not in RESNETS:
        raise unknown("ResNet", name, RESNETS)
    whole = getattr(nets, name)(spatial_dims=2, n_input_channels=1, conv1_t_stride=2, feed_forward=False)
    stages = (whole.layer1, whole.layer2, whole.layer3, whole.layer4)
    return nn.Sequential(whole.conv1, whole.bn1, whole.act, whole.maxpool, *stages), int(whole.in_planes)
