"""What the residual coder expects of a pixel: position and scale of a distribution, by a small integer network.

Everything is an integer. Sums and products are held in float64, each below 2**53, so that they are exact in whatever
order a matrix product is summed.

Units. The encoder states `unit`, the mean |true value less base| of the image in 1/64 grey value. The network sees
differences of grey values in 1/32 of that mean, rounded down and held to -511 … 511, and says position and scale of a
logistic law in the same measure: what it knows of radiographs holds for images of any depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from medveil.codecs.residual import tables as tables

MARGIN = 3
"""Pixels around a plane that features may look at."""
LIMIT = 511
BEFORE = (
    *((0, -1), (0, -2), (0, -3), (-1, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1)),
    *((-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2), (-3, -1), (-3, 0), (-3, 1)),
)
"""(down, across) of the errors that features hold: pixels that come before."""
AROUND = tuple(
    (down, across) for down in range(-3, 4) for across in range(-3, 4) if 0 < down * down + across * across <= 10
)
"""(down, across) of the base pixels that features hold, less the base pixel itself."""
ACTIVITY = ((0, -1), (-1, 0), (-1, 1))
"""(down, across) of the activities that features hold."""
FEATURES = len(BEFORE) + len(AROUND) + len(ACTIVITY) + 2
LARGEST_UNIT = 1 << 22
SMALLEST_UNIT = 4

_Plane = NDArray[np.float64]
_Integers = NDArray[np.int64]


def gain_of(unit: int) -> int:
    """By what grey values are multiplied, times 2**16, to be seen by the network: 32 * 64 / unit."""
    return (1 << 27) // unit


def logarithm(unit: int) -> int:
    """8 log2(unit), linear between the powers of two, rounded down."""
    bits = unit.bit_length() - 1
    return 8 * bits + ((unit << 3 >> bits) & 7)


@dataclass(frozen=True)
class Network:
    """Integer weights: inputs to first, first to second, second and inputs to the two outputs.

    Attributes:
        first, first_bias: (inputs, m), (m,), weights in 2**-9.
        second, second_bias: (m, n), (n,), weights in 2**-9.
        last, last_bias: (n, 2), (2,), weights in 2**-8.
        direct: (inputs,), from the inputs to the position, in 2**-10.
    """

    first: _Plane
    first_bias: _Plane
    second: _Plane
    second_bias: _Plane
    last: _Plane
    last_bias: _Plane
    direct: _Plane

    def __call__(self, features: _Plane) -> tuple[_Plane, _Plane]:
        """(position in 2**-15 units, binary logarithm of the scale in 2**-15) of each row of features."""
        hidden = _activated(features @ self.first + self.first_bias, 2.0**-7)
        hidden = _activated(hidden @ self.second + self.second_bias, 2.0**-9)
        out = hidden @ self.last + self.last_bias
        return out[:, 0] + features @ self.direct, out[:, 1]


def _activated(sums: _Plane, scale: float) -> _Plane:
    sums *= scale
    np.floor(sums, out=sums)
    np.maximum(sums, 0.0, out=sums)
    return np.minimum(sums, 2047.0, out=sums)


@cache
def network() -> Network:
    """The network of the tables."""
    at, weights = 0, tables.weights()
    inputs, m, n = FEATURES, tables.FIRST, tables.SECOND
    parts = []
    for shape in ((inputs, m), (m,), (m, n), (n,), (n, 2), (2,), (inputs,)):
        size = int(np.prod(shape))
        parts.append(weights[at : at + size].reshape(shape).astype(np.float64))
        at += size
    return Network(*parts)


@cache
def distributions() -> _Plane:
    """(8 * scales, symbols): probabilities, multiples of 2**-20, in row 8 k + f + 4 those of scale k and a position
    f / 8 above the centre, f = -4 … 3.

    Scale k is a logistic law of scale 2**(k / 8 - 4) symbols.
    """
    reach = tables.REACH
    steps = 8 * reach + 8
    out = np.empty((tables.SCALES, 8, 2 * reach + 2), np.int64)
    for scale, ratio in enumerate(tables.RATIOS):
        power, above = 1 << 32, []
        for _ in range(steps + 1):
            above.append((power << 30) // ((1 << 32) + power))
            power = power * ratio >> 32
        cumulated = np.array([*above[:0:-1], *((1 << 30) - share for share in above)], np.int64)
        for index in range(8):
            shift = index - 4
            edges = cumulated[steps + 8 * np.arange(-reach, reach + 2) - 4 - shift]
            shares = 1 + (np.diff(edges) * ((1 << 20) - 2 * reach - 2) >> 30)
            out[scale, index, :-1] = shares
            out[scale, index, -1] = (1 << 20) - int(shares.sum())
    return out.reshape(8 * tables.SCALES, -1).astype(np.float64) * 2.0**-20
