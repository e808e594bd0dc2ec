"""The PRIMIS network: at step 0 it is the orthogonal transform; its decoder is the adjoint; its codes are S-sparse."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from medveil.networks.lapped_bases import Frame  # noqa: E402
from medveil.networks.primis import PrimisConfig, PrimisNetwork  # noqa: E402
from medveil.networks.primis_inference import decode_picture, encode_picture, grid_of, pad_to_grid, tiles  # noqa: E402
from medveil.networks.top_s import Selection  # noqa: E402

SMALL = PrimisConfig(8, bank_channels=(1, 4, 4), sweeps=2)


def network(config: PrimisConfig = SMALL) -> PrimisNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PrimisNetwork(config).eval()


def picture(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    rough = torch.randn(1, 1, height, width, generator=generator)
    return 60 * torch.nn.functional.avg_pool2d(rough, 5, 1, 2)[0, 0]


def turned(seed: int) -> PrimisNetwork:
    """A network whose projections are random rotations."""
    out = network()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for i in range(out.maps):
            out.projection[i] = torch.linalg.qr(torch.randn(256, 256, generator=generator))[0]
    return out


def test_the_decoder_is_the_adjoint_and_the_inverse_of_the_encoder() -> None:
    net, frame = turned(0), Frame(2, 3)
    x = picture(32, 48)
    z = torch.randn(frame.locations, 256, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        for i in range(net.maps):
            left = (net.analyse_map(x, frame, i) * z).sum()
            right = (x * net.synthesise_map(z, frame, i)).sum()
            assert left == pytest.approx(float(right), rel=1e-3)
            assert torch.allclose(net.synthesise_map(net.analyse_map(x, frame, i), frame, i), x, atol=1e-3)


def test_at_step_zero_the_non_linear_parts_add_nothing() -> None:
    net, frame = network(), Frame(2, 2)
    x = picture(32, 32)
    with torch.no_grad():
        assert not net.gains(x, frame).any()
    only = network(replace(SMALL, blocks=((16, 16),), sweeps=1, polish=0))
    found = only.pursue(x, frame).codes[0]
    full = only.analyse_map(x, frame, 0)
    chosen = found != 0
    assert torch.equal(found[chosen], full[chosen])


@pytest.mark.parametrize("selection", list(Selection))
@pytest.mark.parametrize("spread", [True, False])
def test_every_vector_has_at_most_s_nonzeros(selection: Selection, spread: bool) -> None:
    net, frame = network(replace(SMALL, selection=selection, spread=spread)), Frame(3, 2)
    codes = net.pursue(picture(48, 32), frame).codes
    for i in range(net.maps):
        assert int((net.to_vectors(codes[i], frame, i) != 0).sum(1).max()) <= 8


def test_residual_is_picture_minus_synthesis_and_more_maps_leave_less() -> None:
    net, frame = turned(1), Frame(4, 4)
    x = picture(64, 64)
    found = net.pursue(x, frame)
    with torch.no_grad():
        assert torch.allclose(x - net.synthesise(found.codes, frame), found.residual, atol=1e-3)
        left = [float((x - net.synthesise(found.codes, frame, maps)).square().mean()) for maps in range(1, 5)]
    assert left == sorted(left, reverse=True)


def test_retract_restores_orthogonality() -> None:
    net = turned(2)
    with torch.no_grad():
        net.projection += 1e-3 * torch.randn(net.projection.shape, generator=torch.Generator().manual_seed(0))
        net.retract()
        product = net.projection @ net.projection.transpose(1, 2)
    assert torch.allclose(product, torch.eye(256).expand_as(product), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (16, 16), (33, 17)])
def test_any_size_goes_through(shape: tuple[int, int]) -> None:
    net, x = network(), picture(*shape)
    back = decode_picture(net, encode_picture(net, x, 0.5), shape, 0.5)
    assert back.shape == shape
    assert float((back - x).square().mean()) < 0.1 * float(x.square().mean())


def test_windows_leave_no_seams() -> None:
    net, x = network(), picture(128, 192)
    whole, parts = (
        (decode_picture(net, encode_picture(net, x, 0.5, limit), (128, 192), 0.5, limit=limit) - x).square()
        for limit in (32, 4)
    )
    seams = torch.cat([parts[56:72].flatten(), parts[:, 56:72].flatten()])
    assert float(parts.mean()) < 1.5 * float(whole.mean())
    assert float(seams.mean()) < 1.5 * float(parts.mean())


def test_tiles_cover_the_grid_once() -> None:
    grid = grid_of(1111, 530)
    assert grid == (70, 34)
    seen = torch.zeros(grid)
    for tile in tiles(grid):
        seen[tile.row : tile.row + tile.frame.rows, tile.column : tile.column + tile.frame.columns] += 1
        assert tile.frame.rows <= 32
        assert tile.frame.columns <= 32
    assert (seen == 1).all()


def test_padding_does_not_count() -> None:
    padded, mask = pad_to_grid(picture(20, 31))
    assert padded.shape == (32, 32)
    assert mask is not None
    assert int(mask.sum()) == 20 * 31
    assert pad_to_grid(picture(16, 32))[1] is None


def test_a_configuration_survives_json() -> None:
    config = replace(SMALL, selection=Selection.SIGNED, blocks=((16, 8), (4, 4)))
    assert PrimisConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="has the fields"):
        PrimisConfig.from_json({"sparsity": 4})
