"""Small drawing tools on numpy arrays: tubes along curves, blurs, smooth noise, resampling.

Coordinates are (u, v): u runs from -1 (left edge of the picture) to 1, v down, with the same unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Canvas:
    """Pixel grid with coordinates.

    Attributes:
        u, v: (height, width) float32 coordinates of the pixel centres.
        unit: pixels in one unit of u and v.
    """

    u: Plane
    v: Plane
    unit: float

    @classmethod
    def of(cls, height: int, width: int, margin: float = 0.0) -> Canvas:
        """Grid of `height` x `width` pixels that covers [-1 - margin, 1 + margin] across."""
        unit = width / (2.0 * (1.0 + margin))
        u = (np.arange(width) + 0.5 - width / 2) / unit
        v = (np.arange(height) + 0.5 - height / 2) / unit
        grid_u, grid_v = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
        return cls(grid_u, grid_v, unit)

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.u.shape
        return height, width

    def zeros(self) -> Plane:
        return np.zeros(self.shape, dtype=np.float32)


def curve(knots: Points, count: int) -> Points:
    """`count` points along a Catmull-Rom spline through `knots` (n, 2)."""
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    at = np.linspace(0, len(knots) - 1, count)
    index = np.minimum(at.astype(int), len(knots) - 2)
    t = (at - index)[:, None]
    p0, p1, p2, p3 = (padded[index + i] for i in range(4))
    return np.asarray(
        0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    )


def add_tube(plane: Plane, canvas: Canvas, points: Points, radius: Points, amount: float, *, wall: float = 0.0) -> None:
    """Add the projected thickness of a round tube along `points`.

    Args:
        plane: added to, in place.
        points: (n, 2) places (u, v).
        radius: (n,) radius at each.
        amount: value added in the middle of the tube.
        wall: 0 for a solid tube; else the thickness of the wall as a fraction of the radius, whose rims come out
            brighter than the middle, as cortical bone does.
    """
    reach = float(radius.max()) * 1.3
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    height, width = canvas.shape
    left, right = (int(np.clip(x * canvas.unit + width / 2, 0, width)) for x in (low[0], high[0] + 1 / canvas.unit))
    top, bottom = (int(np.clip(y * canvas.unit + height / 2, 0, height)) for y in (low[1], high[1] + 1 / canvas.unit))
    if left >= right or top >= bottom:
        return
    box = np.s_[top:bottom, left:right]
    u, v = canvas.u[box], canvas.v[box]
    nearest = np.full(u.shape, np.inf, dtype=np.float32)
    for (pu, pv), r in zip(points, radius, strict=True):
        np.minimum(nearest, ((u - np.float32(pu)) ** 2 + (v - np.float32(pv)) ** 2) / np.float32(r * r), out=nearest)
    thickness = np.sqrt(np.clip(1 - nearest, 0, None))
    if wall > 0:
        inner = 1 - wall
        hollow = inner * np.sqrt(np.clip(1 - nearest / inner**2, 0, None))
        thickness = thickness - 0.8 * hollow
    plane[box] += np.float32(amount) * thickness


def ellipsoid(canvas: Canvas, centre: tuple[float, float], half: tuple[float, float], angle: float = 0.0) -> Plane:
    """Projected thickness of an ellipsoid, 1 in its middle, 0 outside. `angle` in radians."""
    du, dv = canvas.u - np.float32(centre[0]), canvas.v - np.float32(centre[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    a, b = (du * cos + dv * sin) / np.float32(half[0]), (dv * cos - du * sin) / np.float32(half[1])
    return np.asarray(np.sqrt(np.clip(1 - a * a - b * b, 0, None)), dtype=np.float32)


def step(x: Plane, softness: float) -> Plane:
    """Smooth step from 0 to 1 around 0."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x / np.float32(softness), -30, 30))), dtype=np.float32)


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur, sigma in pixels, edges reflected."""
    if sigma <= 0:
        return plane
    reach = int(np.ceil(4 * sigma))
    padded = np.pad(plane, reach, mode="symmetric")
    height, width = padded.shape
    fy = np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(height)) ** 2)[:, None]
    fx = np.exp(-2 * (np.pi * sigma * np.fft.rfftfreq(width)) ** 2)[None, :]
    smooth = np.fft.irfft2(np.fft.rfft2(padded) * fy * fx, s=(height, width))
    return np.asarray(smooth[reach : height - reach, reach : width - reach], dtype=np.float32)


def clouds(shape: tuple[int, int], rng: np.random.Generator, sigma: float, octaves: int = 3) -> Plane:
    """Smooth noise of mean 0 and deviation 1, with structure from `sigma` pixels downward."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        layer = blur(rng.standard_normal(shape).astype(np.float32), sigma / 2**octave)
        total += layer / (layer.std() + 1e-6) * np.float32(0.6**octave)
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), dtype=np.float32)


def resample(plane: Plane, rows: Plane, columns: Plane) -> Plane:
    """Bilinear samples of `plane` at fractional (rows, columns); outside, the nearest edge."""
    height, width = plane.shape
    rows = np.clip(rows, 0, height - 1.001)
    columns = np.clip(columns, 0, width - 1.001)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    fy, fx = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    upper = plane[top, left] * (1 - fx) + plane[top, left + 1] * fx
    lower = plane[top + 1, left] * (1 - fx) + plane[top + 1, left + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, dtype=np.float32)
