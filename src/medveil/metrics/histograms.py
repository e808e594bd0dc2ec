"""Grey value against grey value: the joint histogram of two pictures, and R² over the pixels of many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def joint_histogram(
    first: NDArray[np.generic], second: NDArray[np.generic], bins: int = 256, high: float = 255.0
) -> NDArray[np.int64]:
    """How many pixels have one grey value in the first picture (rows) and another in the second (columns).

    Args:
        first, second: pictures of one shape, values 0 … high; what lies outside counts in the outermost bin.
        bins: number of bins a side; bin k holds what rounds to k·high/(bins − 1), a half upwards.
        high: centre of the last bin.

    Returns:
        (bins, bins) int64. The sum of several is the histogram pooled over all their pixels.

    Raises:
        ValueError: the shapes differ.
    """
    _comparable(first, second)
    scale = (bins - 1) / high
    rows, columns = (
        np.clip(np.floor(picture.astype(np.float64) * scale + 0.5), 0, bins - 1).astype(np.int64).ravel()
        for picture in (first, second)
    )
    return np.bincount(rows * bins + columns, minlength=bins * bins).reshape(bins, bins).astype(np.int64)


@dataclass(frozen=True)
class PooledCorrelation:
    """Pearson correlation over the pixel pairs of many pictures, pooled: every pixel weighs the same.

    Means and centred sums are kept, not raw sums of squares, so that nothing cancels however many pixels there are
    (pairwise update of Chan, Golub, LeVeque, 1979).

    Attributes:
        count: pixel pairs so far.
        means: of the first and of the second pictures.
        squares: sums of squared deviations from the means, of the first and of the second.
        product: sum of the products of both deviations.
    """

    count: int = 0
    means: tuple[float, float] = (0.0, 0.0)
    squares: tuple[float, float] = (0.0, 0.0)
    product: float = 0.0

    def add(self, first: NDArray[np.generic], second: NDArray[np.generic]) -> PooledCorrelation:
        """The same with the pixels of another pair of pictures.

        Raises:
            ValueError: the shapes differ.
        """
        _comparable(first, second)
        if not first.size:
            return self
        x, y = first.astype(np.float64), second.astype(np.float64)
        mean_x, mean_y = float(x.mean()), float(y.mean())
        x, y = x - mean_x, y - mean_y
        apart_x, apart_y = mean_x - self.means[0], mean_y - self.means[1]
        total = self.count + first.size
        between = self.count * first.size / total
        return PooledCorrelation(
            total,
            (self.means[0] + apart_x * first.size / total, self.means[1] + apart_y * first.size / total),
            (
                self.squares[0] + float(np.sum(x * x)) + between * apart_x**2,
                self.squares[1] + float(np.sum(y * y)) + between * apart_y**2,
            ),
            self.product + float(np.sum(x * y)) + between * apart_x * apart_y,
        )

    @property
    def r_squared(self) -> float:
        """Squared correlation, 0 … 1; NaN where either side is of one grey value throughout."""
        spread = self.squares[0] * self.squares[1]
        return min(self.product**2 / spread, 1.0) if spread > 0 else float("nan")


def r_squared(*pairs: tuple[NDArray[np.generic], NDArray[np.generic]]) -> float:
    """Squared Pearson correlation over the pooled pixels of all pairs of pictures; NaN where a side is constant.

    It is blind to a wrong offset or gain: read it beside the mean error.
    """
    pooled = PooledCorrelation()
    for first, second in pairs:
        pooled = pooled.add(first, second)
    return pooled.r_squared


def _comparable(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"pictures of shapes {first.shape} and {second.shape} cannot be compared")
