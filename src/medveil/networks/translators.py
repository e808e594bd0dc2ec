"""Image-to-image networks of the picture attacks, from MONAI: U-Net, V-Net, patch discriminator.

A translator takes one standardised plane to one plane of the same size. Its last layer starts at zero, so an untrained
one adds nothing to what it is added to.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from medveil.networks.segmenters import Segmenter

_VNET_STAGES = 4
_UNET_STRIDES = (2, 2, 2)
_VNET_WIDTH = 16
# Adam moves a weight by about the learning rate a step: a layer that starts at zero would take most of a short run.
_HEAD_GAIN = 10.0


class Translator(Segmenter):
    """A network of any size, as segmenters are, with a last layer that also sees the plane: (n, 1, H, W) -> the same.

    Args:
        body: (n, fold², h, w) -> (n, features, h, w).
        features: channels that the body gives.
        multiple, fold: as of a segmenter.
    """

    def __init__(self, body: nn.Module, features: int, multiple: int, fold: int = 1) -> None:
        super().__init__(body, multiple, fold)
        self.head = nn.Conv2d(features + fold**2, fold**2, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def folded(self, x: Tensor) -> Tensor:
        return _HEAD_GAIN * cast(Tensor, self.head(torch.cat([self.body(x), x], 1)))


def unet(width: int) -> Translator:
    """MONAI's U-Net with residual units: stages of 1, 2, 4, 8 × `width` channels, batch normalisation.

    Batch and not instance normalisation, which takes each picture's own brightness and contrast away.
    """
    from monai.networks.nets.unet import UNet

    channels = [width << stage for stage in range(len(_UNET_STRIDES) + 1)]
    body = UNet(2, 1, width, channels, _UNET_STRIDES, num_res_units=1, norm="BATCH")
    return Translator(body, width, 1 << len(_UNET_STRIDES))


def vnet(fold: int) -> Translator:
    """MONAI's V-Net, without its dropout, under which few steps on few images learn next to nothing.

    Its widths are fixed (16 … 256 channels, 9 million weights). At full size an update with 8 pictures of 96 × 96 takes
    90 GFLOP, beyond small machines; with fold 2 it works at half the size on squares of 2 × 2 pixels, for a quarter.
    """
    from monai.networks.nets.vnet import VNet

    body = VNet(2, fold**2, _VNET_WIDTH, dropout_dim=2)
    for module in body.modules():  # its arguments don't reach the dropout of the last two stages
        if isinstance(module, nn.Dropout2d | nn.Dropout3d):
            module.p = 0.0
    return Translator(body, _VNET_WIDTH, 1 << _VNET_STAGES, fold)


class Discriminator(nn.Module):
    """MONAI's patch discriminator: (n, planes, H, W) -> (n, 1, h, w), high where a patch looks real."""

    def __init__(self, width: int, planes: int) -> None:
        super().__init__()
        from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

        self.body = PatchDiscriminator(2, width, planes, num_layers_d=2, norm="INSTANCE")

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.body(x)[-1])
