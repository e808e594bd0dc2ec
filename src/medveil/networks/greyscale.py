"""Integer pixels of any depth <-> the 8-bit grey values that the networks work in."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_grey(pixels: NDArray[np.generic], value_range: tuple[int, int], offset: int) -> Tensor:
    """Pixels (H, W), integer -> (H, W) float32: (pixel - offset) scaled so that the value range spans 255."""
    low, high = value_range
    scale = 255.0 / (high - low)
    return torch.from_numpy((pixels.astype(np.float32) - np.float32(offset)) * np.float32(scale))


def from_grey(
    grey: Tensor, value_range: tuple[int, int], offset: int, dtype: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Inverse of `to_grey`, rounded to the nearest integer and clipped to the value range."""
    low, high = value_range
    values = grey.double().numpy() * ((high - low) / 255.0) + offset
    return np.asarray(np.clip(np.rint(values), low, high).astype(dtype))
