"""The demo's one picture: original | what a stranger gets | opened | difference, a row an image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medveil.files.atomic import write_bytes

if TYPE_CHECKING:
    from PIL import Image

_HEIGHT, _GAP, _LABEL = 360, 8, 26
_GAIN = 8
_TITLES = ("original", "a stranger", "Alice, with her key", f"difference x {_GAIN}")


@dataclass(frozen=True)
class Panel:
    """One row.

    Attributes:
        original, opened: (H, W) with values from 0 to 1.
        stranger: (H', W') uint8, what decoding the public part gives.
    """

    original: NDArray[np.float64]
    stranger: NDArray[np.uint8]
    opened: NDArray[np.float64]

    def columns(self) -> list[NDArray[np.uint8]]:
        difference = np.clip(0.5 + _GAIN * (self.opened - self.original), 0, 1)
        height, width = self.original.shape
        return [_grey(self.original), self.stranger[:height, :width], _grey(self.opened), _grey(difference)]


def draw(panels: Sequence[Panel], target: Path) -> None:
    """Write the picture as a PNG, over the one of an earlier demo."""
    from PIL import Image, ImageDraw, ImageFont

    rows = [[_scaled(column) for column in panel.columns()] for panel in panels]
    widths = [max(row[i].width for row in rows) for i in range(len(_TITLES))]
    size = (sum(widths) + _GAP * (len(widths) + 1), _LABEL + (_HEIGHT + _GAP) * len(rows))
    picture = Image.new("L", size, 255)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    left = _GAP
    for index, (title, width) in enumerate(zip(_TITLES, widths, strict=True)):
        pen.text((left, 4), title, fill=0, font=font)
        for number, row in enumerate(rows):
            picture.paste(row[index], (left + (width - row[index].width) // 2, _LABEL + number * (_HEIGHT + _GAP)))
        left += width + _GAP
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    write_bytes(target, out.getvalue(), overwrite=True)


def _scaled(pixels: NDArray[np.uint8]) -> Image.Image:
    from PIL import Image

    picture = Image.fromarray(pixels)
    return picture.resize((round(picture.width * _HEIGHT / picture.height), _HEIGHT), Image.Resampling.BICUBIC)


def _grey(unit: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(unit, 0, 1) * 255), dtype=np.uint8)
