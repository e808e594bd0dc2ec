"""Top-S and the spreading of code vectors."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from medveil.networks.top_s import Selection, spreading, top_s_mask  # noqa: E402


@settings(max_examples=20, deadline=None)
@given(sparsity=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_magnitude_keeps_the_largest(sparsity: int, seed: int) -> None:
    scores = torch.randn(5, 256, generator=torch.Generator().manual_seed(seed))
    mask = top_s_mask(scores, sparsity, Selection.MAGNITUDE)
    assert (mask.sum(1) == sparsity).all()
    for row, kept in zip(scores.abs(), mask, strict=True):
        assert row[kept].min() >= row[~kept].max()


def test_signed_keeps_half_of_each_sign_and_no_value_of_the_other() -> None:
    scores = torch.randn(7, 256, generator=torch.Generator().manual_seed(0))
    mask = top_s_mask(scores, 8, Selection.SIGNED)
    assert ((scores > 0) & mask).sum(1).tolist() == [4] * 7
    assert ((scores < 0) & mask).sum(1).tolist() == [4] * 7
    assert top_s_mask(scores.abs(), 8, Selection.SIGNED).sum(1).tolist() == [4] * 7


def test_zeros_are_never_chosen() -> None:
    scores = torch.zeros(3, 256)
    scores[1, 5] = -2.0
    for selection in Selection:
        assert top_s_mask(scores, 16, selection).sum() == 1


@pytest.mark.parametrize("grid", [(1, 1), (2, 7), (28, 23)])
def test_spreading_is_a_permutation_and_every_vector_has_each_channel_once(grid: tuple[int, int]) -> None:
    forward, inverse = spreading(*grid, 1, tuple(range(256)))
    assert torch.equal(forward[inverse], torch.arange(grid[0] * grid[1] * 256))
    assert torch.equal(forward.reshape(-1, 256) % 256, torch.arange(256).expand(grid[0] * grid[1], 256))


def test_a_vector_is_spread_evenly_over_the_grid() -> None:
    forward, _ = spreading(16, 16, 0, tuple(range(256)))
    places = forward.reshape(-1, 256)[0] // 256
    quadrant = (places // 16 // 8) * 2 + places % 16 // 8
    assert torch.bincount(quadrant).tolist() == pytest.approx([64] * 4, abs=8)
