import hashlib

import numpy as np
import pytest

from medveil.codecs.lapped.transform import CHANNELS, LIMIT, SCALE_BITS, STRIDE, UNIT, forward, inverse, matrices

_MATRICES = "3b9f82e1dd25ff82833911fc8cc0af9b995f3d01983910f93f62e247a7374ae5"


def test_the_matrices_are_orthogonal_to_their_precision() -> None:
    for matrix in matrices():
        product = matrix @ matrix.T / 4.0**SCALE_BITS
        assert np.abs(product - np.eye(STRIDE)).max() < 1e-5


def test_the_matrices_are_the_same_integers_everywhere() -> None:
    digest = hashlib.sha256(b"".join(matrix.astype("<i8").tobytes() for matrix in matrices())).hexdigest()
    assert digest == _MATRICES


def test_no_partial_sum_leaves_the_integers_that_float64_holds() -> None:
    greatest = max(np.abs(matrix).sum(axis=axis).max() for matrix in matrices() for axis in (0, 1))
    assert greatest <= 4 << SCALE_BITS
    assert LIMIT * int(greatest) < 1 << 53


@pytest.mark.parametrize("shape", [(16, 16), (32, 48), (16, 160), (112, 64)])
def test_perfect_reconstruction_before_sparsification(shape: tuple[int, int]) -> None:
    samples = np.random.default_rng(2).integers(0, 256, shape).astype(np.float32)
    coefficients = forward(samples)
    assert coefficients.shape == (CHANNELS, shape[0] // STRIDE, shape[1] // STRIDE)
    back = inverse(np.round(coefficients * UNIT).astype(np.int32))
    assert np.abs(back / UNIT - samples).max() < 0.1


def test_energy_is_kept() -> None:
    samples = np.random.default_rng(3).normal(0, 20, (64, 96)).astype(np.float32)
    assert np.sum(forward(samples) ** 2) == pytest.approx(np.sum(samples**2), rel=1e-4)


def test_a_constant_is_all_in_the_dc_channel() -> None:
    coefficients = forward(np.full((48, 64), 201, np.float32))
    assert np.abs(coefficients[1:]).max() < 0.01
    assert np.allclose(coefficients[0], 201 * STRIDE, atol=0.01)


def test_windows_overlap() -> None:
    """One coefficient spreads over 32 x 32 samples, half a block beyond its own on every side."""
    coefficients = np.zeros((CHANNELS, 4, 4), np.int32)
    coefficients[17, 1, 1] = 1 << 20
    touched = np.argwhere(np.abs(inverse(coefficients)) > 1 << 8)
    assert touched.min(axis=0).tolist() == [8, 8]
    assert touched.max(axis=0).tolist() == [39, 39]


def test_the_inverse_gives_the_same_integers_in_any_order_of_summation() -> None:
    rng = np.random.default_rng(4)
    coefficients = rng.integers(-(1 << 22), 1 << 22, (CHANNELS, 3, 2)).astype(np.int32)
    assert np.array_equal(inverse(coefficients), _slow_inverse(coefficients))


def test_hostile_coefficients_stay_in_range() -> None:
    coefficients = np.full((CHANNELS, 2, 2), np.iinfo(np.int32).max, np.int32)
    assert np.abs(inverse(coefficients).astype(np.int64)).max() <= 1 << 29


def _slow_inverse(coefficients: np.ndarray) -> np.ndarray:
    """The inverse in Python's own integers."""
    _, rows, columns = coefficients.shape
    plane = coefficients.reshape(STRIDE, STRIDE, rows, columns).transpose(2, 0, 3, 1).reshape(rows * 16, columns * 16)
    values = plane.astype(object)
    prefilter, dct = (matrix.astype(np.int64).astype(object) for matrix in matrices())
    for _ in range(2):
        blocks = values.reshape(-1, STRIDE) @ dct
        values = ((blocks + (1 << SCALE_BITS - 1)) >> SCALE_BITS).reshape(values.shape)
        inner = values[:, 8:-8].reshape(-1, STRIDE) @ prefilter
        values[:, 8:-8] = ((inner + (1 << SCALE_BITS - 1)) >> SCALE_BITS).reshape(values.shape[0], -1)
        values = values.T.copy()
    return values.astype(np.int32)
