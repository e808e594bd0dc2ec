"""Pairs of an image and a base for tests of the exact section."""

import numpy as np

DEPTHS = [
    *((np.uint8, 8), (np.uint16, 9), (np.uint16, 12), (np.uint16, 16)),
    *((np.int16, 8), (np.int16, 11), (np.int16, 16)),
]


def limits_of(dtype, bits):
    """Lowest and highest value of a depth."""
    if np.dtype(dtype).kind == "i":
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def pair(dtype, bits, shape, kind, seed):
    """(pixels, base): near each other, noise, at the two ends, of few values, or flat."""
    generator = np.random.default_rng(seed)
    low, high = limits_of(dtype, bits)
    noise = generator.integers(low, high + 1, shape)
    walk = np.clip(np.cumsum(generator.integers(-9, 10, shape), axis=1) + (low + high) // 2, low, high)
    near = np.clip(walk + generator.normal(0, generator.choice([0.3, 2, 30]), shape).round(), low, high)
    pixels, base = {
        "near": (near, walk),
        "noise": (noise, generator.integers(low, high + 1, shape)),
        "far": (np.full(shape, high), np.full(shape, low)),
        "gaps": (np.clip(near // 3 * 3, low, high), walk),
        "flat": (np.full(shape, noise.flat[0]), np.full(shape, noise.flat[0])),
    }[kind]
    return pixels.astype(dtype), base.astype(dtype)


def golden_pair(bits, signed, flat):
    """(pixels, base) by formulas of integers."""
    y, x = np.mgrid[:45, :71].astype(np.int64)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    middle = (low + high) // 2 + (x * y >> 5) + 2 * x - 3 * y
    texture = (x * x * 31 + y * y * 17 + x * y * 7) % 11 + (x + y) % 7 - 8
    dtype = np.int16 if signed else np.uint8 if bits == 8 else np.uint16
    pixels = np.full_like(middle, high) if flat else np.clip((middle + texture * (bits - 7)) // 2 * 2, low, high)
    return pixels.astype(dtype), np.clip(middle, low, high).astype(dtype)
