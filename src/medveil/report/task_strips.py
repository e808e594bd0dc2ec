"""Contours over pictures of patients: what segmentation found, where it did best, in the middle and worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medveil.report.charts import Drawing, drawing_style, finished
from medveil.tasks.results import Overlay, TaskResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRUE, _FOUND = "#56B4E9", "#E69F00"
_SIDE = 2.1
_PEAK = 255.0


def task_strips(results: Sequence[TaskResult]) -> tuple[Drawing, ...]:
    """One strip a set."""
    found = []
    for result in results:
        names = list(dict.fromkeys(overlay.set_name for overlay in result.overlays))
        found += [contours([one for one in result.overlays if one.set_name == name], name) for name in names]
    return tuple(found)


def contours(overlays: Sequence[Overlay], name: str) -> Drawing:
    """Images side by side with the true outline and the one that was found."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with drawing_style():
        canvas = Figure(figsize=(_SIDE * max(len(overlays), 2), _SIDE + 0.6), layout="constrained")
        axes: list[Axes] = list(canvas.subplots(1, len(overlays), squeeze=False)[0])
        for axis, overlay in zip(axes, overlays, strict=True):
            axis.imshow(overlay.picture, cmap="gray", vmin=0, vmax=_PEAK, interpolation="nearest")
            for mask, colour, line in ((overlay.truth, _TRUE, "-"), (overlay.found, _FOUND, "--")):
                if mask.any() and not mask.all():
                    axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linestyles=[line], linewidths=1.2)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_title(f"{overlay.rank}: {overlay.value:.3f}", fontsize=8)
            axis.set_xlabel(f"#{overlay.number}")
        handles = [Line2D([], [], color=_TRUE), Line2D([], [], color=_FOUND, linestyle="--")]
        canvas.legend(handles, ["true outline", "outline found"], loc="outside lower center", ncols=2)
        caption = (
            f"Outlines of the set {name}, found by a network that was trained on it: images of the first run, with "
            "their Dice."
        )
        return finished(canvas, f"contours-{name}", caption, patients=True)
