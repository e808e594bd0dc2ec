"""The generator of PriCheXy-Net: its published size, how far it moves pixels, and that nothing moves where mu is 0."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.networks.embedders import SiameseVerifier  # noqa: E402
from medveil.networks.flow_fields import KNOTS, NOISES, FlowGenerator, moved, smoothed  # noqa: E402


def built(**options: object) -> FlowGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FlowGenerator(2, **options).eval()


def pictures(count: int = 2, side: int = 32) -> torch.Tensor:
    return torch.rand((count, 1, side, side), generator=torch.Generator().manual_seed(1))


def test_it_has_as_many_weights_as_published() -> None:
    with torch.device("meta"):
        assert sum(each.numel() for each in FlowGenerator().parameters()) == 7_762_498


def test_at_mu_0_the_picture_stays_border_included() -> None:
    seen = pictures()
    assert (built(mu=0.0)(seen) - seen).abs().max() < 1e-4


def test_pixels_move_and_by_no_more_than_mu() -> None:
    generator = built(mu=0.05)
    torch.nn.init.normal_(generator.body.final_conv.weight, std=50.0)
    offsets = generator.offsets(pictures())
    assert offsets.shape == (2, 2, 32, 32)
    assert 0.02 < offsets.abs().max() <= 0.05
    assert (generator(pictures()) - pictures()).abs().max() > 0.01


def test_equal_offsets_stay_equal_up_to_the_border_and_a_single_one_is_spread() -> None:
    assert torch.allclose(smoothed(torch.full((1, 2, 20, 24), 0.3)), torch.tensor(0.3))
    single = torch.zeros(1, 2, 21, 21)
    single[0, 1, 10, 10] = 1.0
    spread = smoothed(single)
    assert not spread[0, 0].any()
    assert spread[0, 1].sum() == pytest.approx(1.0, abs=1e-5)
    assert spread[0, 1, 10, 14] / spread[0, 1, 10, 10] == pytest.approx(2.718281828**-2, rel=1e-3)  # 4 pixels, sigma 2


def test_a_pixel_shows_what_lies_at_its_place_plus_its_offset() -> None:
    ramp = torch.arange(11.0).expand(1, 1, 11, 11)
    right = torch.zeros(1, 2, 11, 11)
    right[:, 0] = 0.2  # half sides: a tenth of the side, one pixel
    assert torch.allclose(moved(ramp, right)[0, 0, 5], (torch.arange(11.0) + 1).clamp(max=10), atol=1e-4)
    assert torch.allclose(moved(ramp.transpose(2, 3), right), ramp.transpose(2, 3), atol=1e-4)


def test_noise_has_a_part_in_it_where_it_is_asked_for() -> None:
    generator = built(noise=True)
    with pytest.raises(ValueError, match="noise"):
        generator(pictures())
    noise = torch.randn((2, 2, NOISES, KNOTS, KNOTS), generator=torch.Generator().manual_seed(2))
    one, other = (generator.offsets(pictures(), each) for each in noise)
    assert torch.equal(one, generator.offsets(pictures(), noise[0]))
    assert not torch.allclose(one, other)


def test_the_verifier_is_symmetric_and_sees_both_pictures() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        verifier = SiameseVerifier("resnet18").eval()
    one, other = pictures(side=32), pictures(side=32).flip(2)
    found = verifier(one, other)
    assert found.shape == (2,)
    assert torch.allclose(found, verifier(other, one), atol=1e-5)
    assert not torch.allclose(found, verifier(one, one), atol=1e-5)
