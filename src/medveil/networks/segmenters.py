"""Segmentation networks by name, from MONAI: one plane in, one plane of logits of the same size out."""

from __future__ import annotations

from torch import Tensor, nn

from medveil.registry import Registry

_STAGES = 5


class Segmenter(nn.Module):
    """A network between the layers that make it fit any size: (n, 1, H, W) -> (n, 1, H, W) logits.

    Args:
        body: (n, fold², h, w) -> (n, fold², h, w).
        multiple: the sides that the body sees are multiples of this.
        fold: squares of fold × fold pixels become channels before the body and pixels again after it: the body works
            at a fraction of the size, and nothing is lost.
    """

    def __init__(self, body: nn.Module, multiple: int, fold: int = 1) -> None:
        super().__init__()
        self.body = body
        self.fold = fold
        self.multiple = multiple * fold

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        folded = nn.functional.pixel_unshuffle(nn.functional.pad(x, padding, mode="replicate"), self.fold)
        return nn.functional.pixel_shuffle(self.folded(folded), self.fold)[:, :, :height, :width]

    def folded(self, x: Tensor) -> Tensor:
        """(n, fold², h, w) -> (n, fold², h, w), of sides that fit."""
        found: Tensor = self.body(x)
        return found


def segmenter_names() -> tuple[str, ...]:
    """The names that `build_segmenter` knows."""
    return SEGMENTERS.names()


def build_segmenter(name: str) -> Segmenter:
    """An untrained network; weights are drawn from torch's own generator.

    Args:
        name: `unet`, MONAI's U-Net with two residual units a stage (Kerfoot et al. 2019), 8 … 128 channels;
            `unet-wide`, the same with 16 … 256; `unet-half`, with 16 … 256 at half the size; `basic-unet`, MONAI's
            U-Net without residual units (Falk et al. 2019), 16 … 128 channels; `attention-unet` (Oktay et al. 2018),
            8 … 128; `segresnet` (Myronenko 2018), 8 … 64.

    Raises:
        UsageError: there is no network of that name.
    """
    return SEGMENTERS.make(name)


def _unet(width: int, fold: int = 1) -> Segmenter:
    from monai.networks.nets.unet import UNet

    body = UNet(2, fold**2, fold**2, _widths(width), _halving(), num_res_units=2, norm="BATCH")
    return Segmenter(body, 1 << (_STAGES - 1), fold)


def _basic_unet() -> Segmenter:
    from monai.networks.nets.basic_unet import BasicUNet

    return Segmenter(BasicUNet(2, 1, 1, features=(16, 16, 32, 64, 128, 16)), 16)


def _attention_unet() -> Segmenter:
    from monai.networks.nets.attentionunet import AttentionUnet

    return Segmenter(AttentionUnet(2, 1, 1, _widths(8), _halving()), 1 << (_STAGES - 1))


def _segresnet() -> Segmenter:
    from monai.networks.nets.segresnet import SegResNet

    return Segmenter(SegResNet(2, 8, 1, 1), 8)


def _widths(width: int) -> list[int]:
    return [width << stage for stage in range(_STAGES)]


def _halving() -> list[int]:
    return [2] * (_STAGES - 1)


SEGMENTERS: Registry[Segmenter] = Registry(
    "segmentation network",
    {
        "unet": lambda: _unet(8),
        "unet-wide": lambda: _unet(16),
        "unet-half": lambda: _unet(16, 2),
        "basic-unet": _basic_unet,
        "attention-unet": _attention_unet,
        "segresnet": _segresnet,
    },
    hint="choose one of these",
)
