"""The report's pictures of patients: what attackers make of packages, the worst images that recipients open, and the
outlines that segmentation found in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medveil.audit.record import ranked
from medveil.audit.results import AttackResult, Audit, TierFidelity
from medveil.mechanisms.observation import Picture
from medveil.metrics.image_quality import PEAK
from medveil.report.amounts import thing_of
from medveil.report.charts import Drawing, canvas_of, drawing_style, finished
from medveil.tasks.results import Overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_STRONGEST = 3
_ALWAYS = ("naive-decode",)
_ROWS = 3
_SIDE, _OUTLINED_SIDE = 1.75, 2.1
_TRUE, _FOUND = "#56B4E9", "#E69F00"


def shows_patients(audit: Audit) -> bool:
    """Whether there is any picture of a patient to be shown."""
    shown = [*(each.examples for each in ranked(audit.attacks)), *(each.examples for each in audit.fidelity)]
    return any(shown) or any(task.overlays for task in audit.tasks)


def strips(audit: Audit) -> tuple[Drawing, ...]:
    """Pictures of the strongest attacks and of the naive one, the worst images of each tier, and outlines."""
    shown = [result for result in ranked(audit.attacks) if result.examples]
    chosen = shown[:_STRONGEST] + [result for result in shown[_STRONGEST:] if result.name in _ALWAYS]
    thing = thing_of(audit.release)
    drawn = [attack_strip(result, thing) for result in chosen]
    drawn += [difference_maps(tier) for tier in audit.fidelity if tier.examples]
    for result in audit.tasks:
        names = dict.fromkeys(overlay.set_name for overlay in result.overlays)
        drawn += [contours([one for one in result.overlays if one.set_name == name], name) for name in names]
    return tuple(drawn)


def attack_strip(result: AttackResult, thing: str = "package") -> Drawing:
    """Original | the attacker with this package | the same attacker with another package; or pictures instead."""
    examples = result.examples[:_ROWS]
    with drawing_style():
        canvas, rows = _rows(len(examples), ("original", f"attacker, this {thing}", f"attacker, another {thing}"))
        for row, example in zip(rows, examples, strict=True):
            _show(row[0], example.original)
            row[0].set_ylabel(f"#{example.number}")
            for axis, picture in zip(row[1:], (example.attacker, example.baseline), strict=True):
                _show(axis, picture)
                axis.set_xlabel(_psnr_words(example.original, picture))
        caption = (
            f"{result.title}: the original, what the attacker makes of its {thing}, and what the same attacker makes "
            f"of another {thing} with the same visible header. Where the last two are alike, she has learned nothing."
        )
        return finished(canvas, f"strip-{result.name}", caption, patients=True, attack=result.name)


def difference_maps(tier: TierFidelity) -> Drawing:
    """Original | opened | size of the difference, for the images that came out worst."""
    examples = tier.examples[:_ROWS]
    gaps = [np.abs(example.attacker - example.original) for example in examples]
    top = max(1.0, max(float(np.percentile(gap, 99.5)) for gap in gaps))
    with drawing_style():
        canvas, rows = _rows(len(examples), ("original", "opened", "difference"))
        for row, example, gap in zip(rows, examples, gaps, strict=True):
            _show(row[0], example.original)
            _show(row[1], example.attacker)
            shown = row[2].imshow(gap, cmap="Greys", vmin=0, vmax=top, interpolation="nearest")
            row[0].set_ylabel(f"#{example.number}")
            row[1].set_xlabel(_psnr_words(example.original, example.attacker))
        canvas.colorbar(shown, ax=[row[2] for row in rows], label="size of difference, grey values", shrink=0.8)
        caption = (
            f"The images that come out worst at tier {tier.tier}: original, what recipients open, and the size of the "
            f"difference (black: {top:.0f} grey values or more)."
        )
        return finished(canvas, f"worst-{tier.tier}", caption, patients=True)


def contours(overlays: Sequence[Overlay], name: str) -> Drawing:
    """Images side by side with the true outline and the one that was found."""
    from matplotlib.lines import Line2D

    with drawing_style():
        size = (_OUTLINED_SIDE * max(len(overlays), 2), _OUTLINED_SIDE + 0.6)
        canvas, axes = canvas_of(size, (1, len(overlays)))
        for axis, overlay in zip(axes, overlays, strict=True):
            _show(axis, overlay.picture)
            for mask, colour, line in ((overlay.truth, _TRUE, "-"), (overlay.found, _FOUND, "--")):
                if mask.any() and not mask.all():
                    axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linestyles=[line], linewidths=1.2)
            axis.set_title(f"{overlay.rank}: {overlay.value:.3f}", fontsize=8)
            axis.set_xlabel(f"#{overlay.number}")
        handles = [Line2D([], [], color=_TRUE), Line2D([], [], color=_FOUND, linestyle="--")]
        canvas.legend(handles, ["true outline", "outline found"], loc="outside lower center", ncols=2)
        caption = (
            f"Outlines of the set {name}, found by a network that was trained on it: images of the first run, with "
            "their Dice."
        )
        return finished(canvas, f"contours-{name}", caption, patients=True)


def psnr_between(first: Picture, second: Picture) -> float:
    """dB against 255; infinite where equal."""
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def _psnr_words(original: Picture, picture: Picture) -> str:
    psnr = psnr_between(original, picture)
    return "equal" if math.isinf(psnr) else f"{psnr:.1f} dB"


def _show(axis: Axes, picture: Picture) -> None:
    axis.imshow(picture, cmap="gray", vmin=0, vmax=PEAK, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _rows(count: int, heads: Sequence[str]) -> tuple[Canvas, list[list[Axes]]]:
    columns = len(heads)
    canvas, axes = canvas_of((columns * _SIDE + 0.6, count * (_SIDE + 0.15) + 0.2), (count, columns))
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis, words in zip(axes, heads, strict=False):
        axis.set_title(words, fontsize=8)
    return canvas, [axes[start : start + columns] for start in range(0, len(axes), columns)]
