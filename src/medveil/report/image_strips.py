"""The report's pictures of patients: what attackers make of packages, and the worst images that recipients open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medveil.audit.record import ranked
from medveil.audit.results import AttackResult, Audit, TierFidelity
from medveil.mechanisms.observation import Picture
from medveil.report.charts import Drawing, drawing_style, finished

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_STRONGEST = 3
_ALWAYS = ("naive-decode",)
_ROWS = 3
_SIDE = 1.75
_PEAK = 255.0


def strips(audit: Audit) -> tuple[Drawing, ...]:
    """Pictures of the strongest attacks and of the naive one, and the worst images of each tier."""
    shown = [result for result in ranked(audit.attacks) if result.examples]
    chosen = shown[:_STRONGEST] + [result for result in shown[_STRONGEST:] if result.name in _ALWAYS]
    drawn = [attack_strip(result) for result in chosen]
    drawn += [difference_maps(tier) for tier in audit.fidelity if tier.examples]
    return tuple(drawn)


def attack_strip(result: AttackResult) -> Drawing:
    """Original | the attacker with this package | the same attacker with another package."""
    examples = result.examples[:_ROWS]
    with drawing_style():
        canvas, grid = _grid(len(examples), 3)
        for row, example in zip(grid, examples, strict=True):
            pictures = (example.original, example.attacker, example.baseline)
            for axis, picture in zip(row, pictures, strict=True):
                axis.imshow(picture, cmap="gray", vmin=0, vmax=_PEAK, interpolation="nearest")
            row[0].set_ylabel(f"#{example.number}")
            for axis, picture in zip(row[1:], pictures[1:], strict=True):
                axis.set_xlabel(_psnr_words(example.original, picture))
        _heads(grid[0], ("original", "attacker, this package", "attacker, another package"))
        caption = (
            f"{result.title}: the original, what the attacker makes of its package, and what the same attacker makes "
            "of another package with the same visible header. Where the last two are alike, she has learned nothing."
        )
        return finished(canvas, f"strip-{result.name}", caption, patients=True, attack=result.name)


def difference_maps(tier: TierFidelity) -> Drawing:
    """Original | opened | size of the difference, for the images that came out worst."""
    examples = tier.examples[:_ROWS]
    gaps = [np.abs(example.attacker - example.original) for example in examples]
    top = max(1.0, max(float(np.percentile(gap, 99.5)) for gap in gaps))
    with drawing_style():
        canvas, grid = _grid(len(examples), 3)
        for row, example, gap in zip(grid, examples, gaps, strict=True):
            for axis, picture in zip(row, (example.original, example.attacker), strict=False):
                axis.imshow(picture, cmap="gray", vmin=0, vmax=_PEAK, interpolation="nearest")
            shown = row[2].imshow(gap, cmap="Greys", vmin=0, vmax=top, interpolation="nearest")
            row[0].set_ylabel(f"#{example.number}")
            row[1].set_xlabel(_psnr_words(example.original, example.attacker))
        _heads(grid[0], ("original", "opened", "difference"))
        canvas.colorbar(shown, ax=[row[2] for row in grid], label="size of difference, grey values", shrink=0.8)
        caption = (
            f"The images that come out worst at tier {tier.tier}: original, what recipients open, and the size of the "
            f"difference (black: {top:.0f} grey values or more)."
        )
        return finished(canvas, f"worst-{tier.tier}", caption, patients=True)


def psnr_between(first: Picture, second: Picture) -> float:
    """dB against 255; infinite where equal."""
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(_PEAK**2 / error)


def _psnr_words(original: Picture, picture: Picture) -> str:
    psnr = psnr_between(original, picture)
    return "equal" if math.isinf(psnr) else f"{psnr:.1f} dB"


def _heads(row: Sequence[Axes], words: Sequence[str]) -> None:
    for axis, text in zip(row, words, strict=True):
        axis.set_title(text, fontsize=8)


def _grid(rows: int, columns: int) -> tuple[Canvas, Any]:
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(columns * _SIDE + 0.6, rows * (_SIDE + 0.15) + 0.2), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False)
    for axis in grid.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return canvas, grid
