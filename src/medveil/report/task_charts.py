"""Charts of tasks: what is lost, ROC curves, and which texture features are kept. Drawn as those of attacks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medveil.metrics.inference import Compared, Standing
from medveil.report.charts import INK, Drawing, drawing_style, finished
from medveil.report.task_sentences import metric_name
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import FeatureAgreement, Question, TaskResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_LOOKS = {
    Standing.NON_INFERIOR: ("o", "#0072B2", "#0072B2", "non-inferior"),
    Standing.INCONCLUSIVE: ("D", "#777777", "white", "not decided"),
    Standing.INFERIOR: ("s", "#D55E00", "#D55E00", "worse"),
}
_LINES = (
    ("#222222", "-"), ("#0072B2", "--"), ("#D55E00", "-."), ("#009E73", ":"), ("#CC79A7", (0, (5, 1))),
    ("#56B4E9", (0, (1, 1))), ("#E69F00", (0, (3, 1, 1, 1))), ("#777777", (0, (8, 2))),
)  # fmt: skip
_GROUPS = {
    "poor": (-np.inf, 0.4, "#fde725"),
    "fair": (0.4, 0.6, "#5ec962"),
    "good": (0.6, 0.75, "#21918c"),
    "excellent": (0.75, np.inf, "#3b528b"),
}
"""ICC above and at most, and colour: viridis, darker is better, which a grey print keeps in order."""
_UNDEFINED = "#ffffff"
_ROW = 0.27
_CELL = 0.115


def task_charts(results: Sequence[TaskResult]) -> tuple[Drawing, ...]:
    """All charts for which the tasks have numbers."""
    questions = [question for result in results for question in result.questions]
    drawn = [losses(questions)]
    drawn += [roc_curves(question, place) for place, question in enumerate(questions, 1)]
    drawn += [texture(result.agreements) for result in results]
    return tuple(one for one in drawn if one is not None)


def losses(questions: Sequence[Question]) -> Drawing | None:
    """Difference to the originals at each quality with its interval, a panel a question, and the margin as a band."""
    panels = [(question, rows) for question in questions if (rows := _compared(question))]
    if not panels:
        return None
    heights = [len(rows) + 1.9 for _, rows in panels]
    with drawing_style():
        canvas, axes = _panels(6.9, sum(heights) * _ROW + 0.55 * len(panels), heights)
        for axis, (question, rows) in zip(axes, panels, strict=True):
            _loss_panel(axis, question, rows)
        caption = (
            "What is lost: difference to training and testing on originals, where both are of one set; point and "
            "95 % interval, tick: one-sided 95 % lower bound; grey band: the margin within which a loss counts as none."
        )
        return finished(canvas, "loss", caption)


def _compared(question: Question) -> list[tuple[str, Compared]]:
    return [
        (cell.test, cell.compared)
        for cell in question.cells
        if cell.train == cell.test != ORIGINAL and cell.compared is not None and np.isfinite(cell.compared.difference)
    ]


def _loss_panel(axis: Axes, question: Question, rows: Sequence[tuple[str, Compared]]) -> None:
    margin = max(compared.margin for _, compared in rows)
    axis.axvspan(-margin, margin, color="#DDDDDD", linewidth=0)
    axis.axvline(0.0, color=INK, linewidth=0.6)
    for place, (_, compared) in enumerate(rows):
        marker, edge, face, _ = _LOOKS[compared.standing]
        if np.isfinite([*compared.ci, compared.lower]).all():
            axis.plot(compared.ci, [place, place], color=edge, linewidth=1.2)
            axis.plot(compared.lower, place, marker="|", color=edge, markersize=7)
        axis.plot(compared.difference, place, marker=marker, color=edge, markerfacecolor=face, markersize=5)
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_title(question.title, fontsize=8, loc="left")
    axis.set_xlabel(f"{metric_name(question.metric)}, difference to originals")
    axis.margins(x=0.08)
    axis.tick_params(axis="y", length=0)
    _standing_legend(axis, {compared.standing for _, compared in rows})


def _standing_legend(axis: Axes, standings: set[Standing]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for standing, (marker, edge, face, label) in _LOOKS.items():
        if standing in standings:
            look = Line2D([], [], linestyle="none", marker=marker, color=edge, markerfacecolor=face, markersize=5)
            look.set_label(label)
            handles.append(look)
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0, handletextpad=0.2)


def roc_curves(question: Question, place: int) -> Drawing | None:
    """ROC of a question, a line a set, and those of baselines."""
    if not question.curves:
        return None
    with drawing_style():
        canvas, (axis,) = _panels(5.4, 3.4, [1.0])
        axis.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=0.8)
        for curve, (colour, line) in zip(question.curves, _LINES, strict=False):
            axis.plot(curve.x, curve.y, color=colour, linestyle=line, linewidth=1.2, label=curve.name)
        axis.set(xlabel="false-positive rate", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axis.set_title(question.title, fontsize=8, loc="left")
        axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
        left_out = max(len(question.curves) - len(_LINES), 0)
        caption = f"{question.title}: ROC where training and testing are of one set. On the diagonal, by chance."
        caption += f" {left_out} further lines are not drawn." if left_out else ""
        return finished(canvas, f"roc-{place}", caption)


def texture(agreements: Sequence[FeatureAgreement]) -> Drawing | None:
    """Features × sets, coloured by the group of the lower bound of the ICC; a panel for each way to make levels."""
    if not agreements:
        return None
    kinds = list(dict.fromkeys(agreement.bins for agreement in agreements))
    features = agreements[0].features
    columns = {kind: [each for each in agreements if each.bins == kind] for kind in kinds}
    widest = max(len(every) for every in columns.values())
    with drawing_style():
        width = 2.6 + len(kinds) * max(0.5, 0.24 * widest) + 1.2
        canvas, axes = _columns(width, 1.4 + _CELL * len(features), [len(columns[kind]) for kind in kinds])
        for axis, kind in zip(axes, kinds, strict=True):
            _texture_panel(axis, kind, columns[kind], named=axis is axes[0])
        canvas.legend(handles=_group_handles(), loc="outside lower center", ncols=5)
        caption = (
            "Texture features (rows) by quality (columns): group of the lower bound of the 95 % interval of the ICC "
            "between original and opened image. Poor: at most 0.4. Fair: at most 0.6. Good: at most 0.75. Excellent: "
            "above. White with a cross: not defined."
        )
        return finished(canvas, "texture", caption)


def _texture_panel(axis: Axes, kind: str, agreements: Sequence[FeatureAgreement], *, named: bool) -> None:
    from matplotlib.colors import to_rgb

    features = agreements[0].features
    shown = np.ones((len(features), len(agreements), 3))
    for column, agreement in enumerate(agreements):
        for row, lower in enumerate(agreement.lower):
            shown[row, column] = to_rgb(_colour(float(lower)))
            if not np.isfinite(lower):
                axis.plot(column, row, marker="x", color="#777777", markersize=3, markeredgewidth=0.6)
    axis.imshow(shown, aspect="auto", interpolation="nearest")
    for row in range(1, len(features)):
        if _family(features[row]) != _family(features[row - 1]):
            axis.axhline(row - 0.5, color="white", linewidth=1.6)
    for column in range(1, len(agreements)):
        axis.axvline(column - 0.5, color="white", linewidth=1.0)
    axis.set_xticks(range(len(agreements)), [agreement.set_name for agreement in agreements], rotation=90)
    axis.xaxis.tick_top()
    axis.set_yticks(range(len(features)), [name.replace("_", " ") for name in features] if named else [])
    axis.tick_params(length=0, labelsize=6)
    axis.spines[:].set_visible(False)
    axis.set_title(kind, fontsize=8)


def _colour(lower: float) -> str:
    return next((colour for low, high, colour in _GROUPS.values() if low < lower <= high), _UNDEFINED)


def _family(feature: str) -> str:
    return feature.replace(" ", "_").partition("_")[0]


def _group_handles() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: list[Any] = [Patch(facecolor=colour, label=name) for name, (_, _, colour) in _GROUPS.items()]
    undefined = Line2D([], [], linestyle="none", marker="x", color="#777777", markersize=4)
    undefined.set_label("not defined")
    return [*found, undefined]


def _panels(width: float, height: float, ratios: Sequence[float]) -> tuple[Canvas, list[Axes]]:
    """An empty figure in inches with panels one below the other."""
    return _grid((width, height), (len(ratios), 1), {"height_ratios": list(ratios)})


def _columns(width: float, height: float, ratios: Sequence[float]) -> tuple[Canvas, list[Axes]]:
    """The same side by side."""
    return _grid((width, height), (1, len(ratios)), {"width_ratios": list(ratios)})


def _grid(size: tuple[float, float], shape: tuple[int, int], ratios: Mapping[str, Any]) -> tuple[Canvas, list[Axes]]:
    from matplotlib.figure import Figure

    canvas = Figure(figsize=size, layout="constrained")
    grid = canvas.subplots(*shape, squeeze=False, **ratios)
    return canvas, list(grid.ravel())
