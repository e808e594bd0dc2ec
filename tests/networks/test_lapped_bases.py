"""The lapped bases are orthogonal up to the border, and synthesis is the exact adjoint of analysis."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from medveil.networks.lapped_bases import (  # noqa: E402
    Frame,
    analyse,
    dct_matrix,
    frequency_order,
    lapped_rows,
    synthesise,
)


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_the_dct_is_orthonormal(size: int) -> None:
    matrix = dct_matrix(size)
    assert torch.allclose(matrix @ matrix.T, torch.eye(size, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("blocks", [(16, 16), (8, 8), (4, 4), (16, 4), (2, 8)])
@pytest.mark.parametrize("grid", [(1, 1), (1, 3), (4, 2)])
def test_analysis_is_invertible_and_keeps_energy(blocks: tuple[int, int], grid: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    frame = Frame(*grid)
    region = torch.randn(16 * grid[0], 16 * grid[1], generator=generator, dtype=torch.float64)
    vertical, horizontal = (lapped_rows(block) for block in blocks)
    cells = analyse(frame.extend(region), vertical, horizontal)
    assert torch.allclose(cells.square().sum(), region.square().sum())
    back = frame.fold(synthesise(cells, *grid, vertical, horizontal))
    assert torch.allclose(back, region, atol=1e-10)


@pytest.mark.parametrize("borders", [(True, True, True, True), (False, True, True, False), (False,) * 4])
def test_fold_is_the_adjoint_of_extend(borders: tuple[bool, bool, bool, bool]) -> None:
    generator = torch.Generator().manual_seed(2)
    frame = Frame(2, 3, *borders)
    height = 32 + 8 * (2 - borders[0] - borders[1])
    width = 48 + 8 * (2 - borders[2] - borders[3])
    region = torch.randn(height, width, generator=generator, dtype=torch.float64)
    canvas = torch.randn(48, 64, generator=generator, dtype=torch.float64)
    assert frame.extend(region).shape == canvas.shape
    assert torch.allclose((frame.extend(region) * canvas).sum(), (region * frame.fold(canvas)).sum())


def test_an_impossible_block_is_refused() -> None:
    with pytest.raises(ValueError, match="2, 4, 8 or 16"):
        lapped_rows(5)


def test_the_order_of_frequencies_starts_with_the_means() -> None:
    assert frequency_order((16, 16))[:3].tolist() == [0, 1, 16]
    assert set(frequency_order((8, 8))[:4].tolist()) == {0, 8, 128, 136}
    assert sorted(frequency_order((4, 16)).tolist()) == list(range(256))
