"""Synthetic pictures for tests."""

import numpy as np


def picture(seed, height=80, width=96, bits=8):
    """A smooth picture with some texture."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    shape = (
        np.sin(rows / (9 + seed % 5)) + np.cos(columns / (7 + seed % 3)) + 0.05 * generator.standard_normal(rows.shape)
    )
    scaled = (shape - shape.min()) / (shape.max() - shape.min()) * ((1 << bits) - 1)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)
