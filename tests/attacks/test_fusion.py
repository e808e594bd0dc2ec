"""Several attackers' likeness as one."""

from __future__ import annotations

import numpy as np
import pytest

from medveil.attacks.reidentification.fusion import fused
from medveil.metrics.ranking import auc


def attackers(count, people=40, strength=1.0):
    """So many attackers, each with errors of her own and with another unit; and which pairs are of one person."""
    generator = np.random.default_rng(4)
    same = np.eye(people, dtype=bool)
    return [
        (10.0**number * (strength * same + generator.normal(size=same.shape)) + 5.0).astype(np.float32)
        for number in range(count)
    ], same


def test_three_together_see_more_than_each():
    matrices, same = attackers(3, people=200)
    alone = [auc(matrix.ravel(), same.ravel()) for matrix in matrices]
    assert auc(fused(matrices).ravel(), same.ravel()) > max(alone) + 0.05


def test_units_do_not_count():
    (matrix, other), _ = attackers(2)
    np.testing.assert_allclose(fused([matrix, other]), fused([3 * matrix + 7, other]), atol=1e-3)


def test_of_one_attacker_the_order_stays():
    (matrix,), _ = attackers(1)
    assert np.array_equal(np.argsort(fused([matrix]).ravel()), np.argsort(matrix.ravel()))


def test_what_one_has_not_looked_at_is_not_known():
    (matrix, other), _ = attackers(2)
    matrix[0, 1], other[2, 3] = np.nan, np.nan
    missing = np.isnan(fused([matrix, other]))
    assert missing[0, 1]
    assert missing[2, 3]
    assert missing.sum() == 2


def test_who_says_the_same_of_all_adds_nothing():
    (matrix,), _ = attackers(1)
    np.testing.assert_array_equal(fused([matrix, np.full_like(matrix, 9)]), fused([matrix]))
    counts = np.where(np.eye(40, dtype=bool), 12, 0).astype(np.float32)  # no match but for the right ones
    assert fused([counts]).argmax(1).tolist() == list(range(40))


def test_a_reference_tells_what_is_usual():
    (matrix,), _ = attackers(1)
    usual = np.float32([[0.0, 10.0, 20.0, 30.0, 40.0]])
    np.testing.assert_allclose(fused([matrix], [usual]), (matrix - 20) / (1.4826 * 10), rtol=1e-4)


def test_matrices_have_to_fit():
    with pytest.raises(ValueError, match="of one shape"):
        fused([np.zeros((2, 2), np.float32), np.zeros((2, 3), np.float32)])
    with pytest.raises(ValueError, match="of one shape"):
        fused([])
    with pytest.raises(ValueError, match="as many references"):
        fused([np.zeros((2, 2), np.float32)], [np.zeros((1, 1), np.float32)] * 2)
