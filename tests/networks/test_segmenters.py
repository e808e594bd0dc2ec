"""Segmentation networks by name: any size goes through, every weight learns, and an unknown name is told."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.errors import UsageError  # noqa: E402
from medveil.networks.segmenters import build_segmenter, segmenter_names  # noqa: E402


def built(name: str) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_segmenter(name)


@pytest.mark.parametrize("name", segmenter_names())
def test_any_size_goes_through_and_every_weight_has_a_part_in_it(name: str) -> None:
    network = built(name)
    found = network(torch.randn((2, 1, 41, 59), generator=torch.Generator().manual_seed(1)))
    assert found.shape == (2, 1, 41, 59)
    found.square().mean().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_logits_stay_where_their_pixels_are() -> None:
    network = built("unet-half")
    network.body = torch.nn.Identity()
    x = torch.randn((1, 1, 34, 50))
    assert torch.equal(network(x), x)


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="there are unet,") as caught:
        build_segmenter("segresnt")
    assert "segresnet" in caught.value.hint
