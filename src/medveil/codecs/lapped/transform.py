"""Lapped orthogonal transform: 256 channels at stride 16 from windows of 32x32, integer-only on the way back.

In each direction an orthogonal pre-filter works across every interior block boundary, on the 8 samples at either side,
and a DCT of 16 points within each block (Tran, Liang, Tu, Lapped transform via time-domain pre- and post-processing,
IEEE Trans. Signal Processing 51(6), 2003, with the orthogonal V = J C2' C4 J, which makes it the type-II fast LOT of
Malvar and Staelin, The LOT, IEEE Trans. ASSP 37(4), 1989). The blocks at the rim of the image are not filtered
outwards, so that no sample beyond it is needed.

Exactness. Samples and coefficients are integers in units of 1/64 grey value, the matrices integers of scale 2**20, all
held in float64. Values are clipped to 2**27 before each product, and no row of a matrix has absolute entries that add
up to more than 4 * 2**20, so that every partial sum is at most 2**27 * 2**22 = 2**49 < 2**53: float64 is exact in
whatever order, with whatever instructions, a matrix product is summed. Scaling back by 2**-20 is exact, too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

STRIDE = 16
CHANNELS = STRIDE * STRIDE
UNIT = 64
"""Samples and coefficients are integers in units of 1/64 grey value."""
SCALE_BITS = 20
LIMIT = 1 << 27
"""Bound of every sample before a matrix product: 16 bits, a gain of 16 and UNIT make 2**26."""

_STRIP = 64
_Plane = NDArray[np.float64]


@cache
def matrices() -> tuple[_Plane, _Plane]:
    """(pre-filter, DCT), each (16, 16) integers of scale 2**20 as float64. The transposes invert them."""
    half = STRIDE // 2
    flip = np.eye(half)[::-1]
    rotation = flip @ _dct2(half).T @ _dct4(half) @ flip
    butterfly = np.block([[np.eye(half), flip], [flip, -np.eye(half)]])
    middle = np.block([[np.eye(half), np.zeros((half, half))], [np.zeros((half, half)), rotation]])
    scale = float(1 << SCALE_BITS)
    return np.round(butterfly @ middle @ butterfly / 2 * scale), np.round(_dct2(STRIDE) * scale)


def _dct2(size: int) -> _Plane:
    frequency, sample = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (2 * sample + 1) * frequency / (2 * size))
    matrix[0] /= np.sqrt(2)
    orthonormal: _Plane = matrix
    return orthonormal


def _dct4(size: int) -> _Plane:
    frequency, sample = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix: _Plane = np.sqrt(2 / size) * np.cos(np.pi * (2 * sample + 1) * (2 * frequency + 1) / (4 * size))
    return matrix


def forward(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coefficients of a plane; the encoder's side, in ordinary floats.

    Args:
        samples: (16 h, 16 w) grey values.

    Returns:
        (256, h, w) float32, the coefficients in grey values, channel 16 u + v for the frequency (u down, v across).
    """
    rows, columns = samples.shape[0] // STRIDE, samples.shape[1] // STRIDE
    plane = np.array(samples, dtype=np.float32)
    prefilter, dct = (matrix.astype(np.float32) / (1 << SCALE_BITS) for matrix in matrices())
    for _ in range(2):
        half, length = STRIDE // 2, plane.shape[1]
        if length > STRIDE:
            inner = plane[:, half : length - half].reshape(-1, STRIDE) @ prefilter.T
            plane[:, half : length - half] = inner.reshape(plane.shape[0], -1)
        plane = np.ascontiguousarray((plane.reshape(-1, STRIDE) @ dct.T).reshape(plane.shape).T)
    blocks = plane.reshape(rows, STRIDE, columns, STRIDE)
    return np.ascontiguousarray(blocks.transpose(1, 3, 0, 2)).reshape(CHANNELS, rows, columns)


def inverse(coefficients: NDArray[np.int32]) -> NDArray[np.int32]:
    """Samples of coefficients, bit-identical on every machine.

    Args:
        coefficients: (256, h, w) in units of 1/64 grey value; beyond +-2**27 they are clipped.

    Returns:
        (16 h, 16 w) int32, samples in units of 1/64 grey value, in [-2**29, 2**29].
    """
    _, rows, columns = coefficients.shape
    blocks = coefficients.reshape(STRIDE, STRIDE, rows, columns)
    plane = np.empty((rows * STRIDE, columns * STRIDE), np.int32)
    for row in range(rows):
        strip = blocks[:, :, row].transpose(0, 2, 1).reshape(STRIDE, -1)
        plane[row * STRIDE : (row + 1) * STRIDE] = _inverse_rows(strip)
    out = np.empty_like(plane)
    for column in range(0, plane.shape[1], _STRIP):
        strip = np.ascontiguousarray(plane[:, column : column + _STRIP].T)
        out[:, column : column + _STRIP] = _inverse_rows(strip).T
    return out


def _inverse_rows(strip: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inverse transform along the rows of (n, 16 w) integers."""
    prefilter, dct = matrices()
    values = np.clip(strip, -LIMIT, LIMIT).astype(np.float64)
    values = _rounded(values.reshape(-1, STRIDE) @ dct).reshape(strip.shape)
    half, length = STRIDE // 2, strip.shape[1]
    if length > STRIDE:
        np.clip(values, -LIMIT, LIMIT, out=values)
        inner = np.ascontiguousarray(values[:, half : length - half]).reshape(-1, STRIDE)
        values[:, half : length - half] = _rounded(inner @ prefilter).reshape(strip.shape[0], -1)
    return values.astype(np.int32)


def _rounded(products: _Plane) -> _Plane:
    """products / 2**20, halves up."""
    products *= 2.0**-SCALE_BITS
    products += 0.5
    return np.floor(products, out=products)
