"""Training pictures: read on demand, as 8-bit grey values, as many of them kept as fit into the stated memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import Tensor

from medveil.errors import InputError
from medveil.images import intensity
from medveil.images.image import Image

CACHE_BYTES = 1 << 30


def read_grey(path: Path) -> Tensor:
    """An image file -> (H, W): uint8 for 8-bit images, else float32 with its value range scaled to 0 … 255."""
    from medveil import images

    return grey_of(images.read(path))


def grey_of(image: Image) -> Tensor:
    """See `read_grey`."""
    if image.pixels.dtype.name == "uint8" and image.bits_stored == 8:
        return torch.from_numpy(image.pixels.copy())
    return torch.from_numpy(intensity.grey_of(image, np.float32))


class Pictures(Sequence[Tensor]):
    """Pictures of a list of files.

    Args:
        paths: the files, all of them readable.
        read: how one is read.
        cache_bytes: how much is kept in memory.
    """

    def __init__(
        self, paths: Sequence[Path], read: Callable[[Path], Tensor] = read_grey, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.paths = tuple(paths)
        self._read = read
        self._room = cache_bytes
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> Tensor | Pictures:
        if isinstance(index, slice):
            return Pictures(self.paths[index], self._read, self._room)
        if index in self._kept:
            return self._kept[index]
        picture = self._read(self.paths[index])
        size = picture.numel() * picture.element_size()
        if size <= self._room:
            self._room -= size
            self._kept[index] = picture
        return picture


def readable(paths: Sequence[Path], read: Callable[[Path], Tensor] = read_grey) -> tuple[Path, ...]:
    """Those of the files that can be read as grey images."""
    found = []
    for path in paths:
        try:
            read(path)
        except InputError:
            continue
        found.append(path)
    return tuple(found)
