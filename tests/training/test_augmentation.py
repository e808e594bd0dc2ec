"""What networks of pictures are shown."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.training.augmentation import Recipe, balanced, disturbance, square, standardised, variation  # noqa: E402


def _discs(side: int = 32) -> torch.Tensor:
    rows, columns = np.mgrid[:side, :side]
    return torch.cat([square((rows - 12 - n) ** 2 + (columns - 20) ** 2 < 60, side) for n in range(4)])


def test_a_square_keeps_what_a_picture_holds() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (70, 50)).astype(np.float32)
    for side in (20, 32, 96):
        assert float(square(picture > 99, side).mean()) == pytest.approx((picture > 99).mean(), abs=0.02)
    small = standardised(picture, 32)
    assert small.shape == (1, 1, 32, 32)
    assert float(small.mean()) == pytest.approx(0, abs=1e-4)
    assert float(small.std()) == pytest.approx(1, abs=1e-3)
    assert float(standardised(np.full((9, 9), 7.0, np.float32), 32).abs().max()) == pytest.approx(0, abs=1e-4)


def test_every_class_comes_up_equally_often_and_its_pictures_in_turn() -> None:
    targets = np.array([0] * 12 + [2] * 4)
    draw, generator = balanced(targets, 8), np.random.default_rng(0)
    taken = torch.cat([draw(generator) for _ in range(3)]).tolist()
    assert Counter(targets[taken].tolist()) == {0: 12, 2: 12}
    assert Counter(taken) == {**dict.fromkeys(range(12), 1), **dict.fromkeys(range(12, 16), 3)}


def test_picture_and_mask_are_varied_alike() -> None:
    discs = _discs()
    varied = variation(32, mirrored=True)(torch.cat([discs, discs], 1), np.random.default_rng(1))
    pictures, masks = varied[:, 0], varied[:, 1]
    assert not torch.allclose(masks, discs[:, 0], atol=0.1)
    assert float(masks.max()) == pytest.approx(1, abs=0.02)
    for picture, mask in zip(pictures, masks, strict=True):
        assert np.corrcoef(picture.flatten(), mask.flatten())[0, 1] == pytest.approx(1, abs=1e-4)


def test_only_mirroring_takes_a_picture_to_the_other_side() -> None:
    discs = _discs().repeat(8, 1, 1, 1)
    for mirrored, sides in ((False, {True}), (True, {True, False})):
        varied = variation(32, mirrored=mirrored)(torch.cat([discs, discs], 1), np.random.default_rng(2))[:, 1]
        assert {bool(each[:, 16:].sum() > each[:, :16].sum()) for each in varied} == sides


def test_a_generator_decides_everything() -> None:
    vary, discs = variation(32), _discs()
    first, second, other = (vary(discs, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_recipe_has_at_least_one_step() -> None:
    assert Recipe("unet", 32, 0.01, 1e-3).steps(10, 8) == 1
    assert Recipe("unet", 32, 4, 1e-3).steps(10, 8) == 5


def test_what_is_disturbed_can_still_be_known() -> None:
    fields = torch.cat(
        [standardised(np.random.default_rng(n).normal(size=(6, 6)).astype(np.float32), 32) for n in range(64)]
    )
    found = disturbance(fields, np.random.default_rng(5))
    assert found.shape == fields.shape
    assert torch.equal(found, disturbance(fields, np.random.default_rng(5)))
    likeness = np.corrcoef(fields.flatten(1).numpy(), found.flatten(1).numpy())[:64, 64:]
    assert (likeness.argmax(1) == np.arange(64)).mean() > 0.9
    assert 0.6 < np.diag(likeness).mean() < 0.99
    covered = (found == 0).flatten(1).sum(1) > 9
    assert 0.03 < float(covered.float().mean()) < 0.4
