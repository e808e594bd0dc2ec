"""The networks of the picture attacks: any size goes through, and untrained ones add nothing."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.networks.translators import Discriminator, unet, vnet  # noqa: E402

BUILDERS = {"unet": lambda: unet(4), "vnet-half": lambda: vnet(2), "vnet-full": lambda: vnet(1)}


def built(name: str) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BUILDERS[name]()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", BUILDERS)
def test_any_size_goes_through_and_an_untrained_network_adds_nothing(name: str) -> None:
    network = built(name)
    found = network(noise(2, 1, 33, 47))
    assert found.shape == (2, 1, 33, 47)
    assert not found.any()
    torch.nn.init.ones_(network.head.weight)
    changed = network(noise(2, 1, 33, 47))
    assert changed.shape == (2, 1, 33, 47)
    assert changed.std() > 0.1


@pytest.mark.parametrize("name", BUILDERS)
def test_every_weight_has_a_part_in_the_result(name: str) -> None:
    network = built(name)
    torch.nn.init.normal_(network.head.weight, generator=torch.Generator().manual_seed(2))
    network(noise(2, 1, 32, 32)).square().mean().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize("name", BUILDERS)
def test_nothing_is_drawn_while_it_learns(name: str) -> None:
    network = built(name)
    torch.nn.init.ones_(network.head.weight)
    x = noise(2, 1, 32, 32)
    assert torch.equal(network(x), network(x))


def test_folding_loses_no_pixel() -> None:
    network = built("vnet-half")
    torch.nn.init.zeros_(network.head.weight)
    with torch.no_grad():
        for channel in range(4):  # the head's way past the body, each channel to itself
            network.head.weight[channel, 16 + channel] = 1
    x = noise(2, 1, 30, 22)
    found = network(x).detach()
    assert torch.allclose(found / found.std(), x / x.std(), atol=1e-4)


def test_a_discriminator_judges_patches() -> None:
    verdicts = Discriminator(4, 2)(noise(3, 2, 32, 32))
    assert verdicts.shape[:2] == (3, 1)
    assert 1 < verdicts.shape[2] < 32
