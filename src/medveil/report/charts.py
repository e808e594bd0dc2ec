"""The report's charts of attacks and tasks, as SVG and PNG. The same audit gives the same bytes.

Verdicts differ by shape as well as by colour (Okabe and Ito's palette), so that a grey print and a colour-blind reader
lose nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medveil.audit.record import expected_of, ranked, sensitivity
from medveil.audit.results import METRICS, AttackResult, Audit, ControlResult, Measured, Pairs, TierFidelity, Verdict
from medveil.metrics.inference import Compared, Standing
from medveil.report.amounts import metric_name
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import FeatureAgreement, Question

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_INK, _BLUE, _RED, _GREY = "#222222", "#0072B2", "#D55E00", "#777777"
BAD, _OPEN, GOOD = ("s", _RED, _RED), ("D", _GREY, "white"), ("o", _BLUE, _BLUE)  # marker, edge, face
_VERDICTS = {
    Verdict.BROKEN: ("broken", BAD),
    Verdict.INCONCLUSIVE: ("inconclusive", _OPEN),
    Verdict.NO_EVIDENCE: ("no evidence", GOOD),
}
_STANDINGS = {
    Standing.INFERIOR: ("worse", BAD),
    Standing.INCONCLUSIVE: ("not decided", _OPEN),
    Standing.NON_INFERIOR: ("non-inferior", GOOD),
}
_AXES = {
    "psnr": "PSNR of the attacker's picture, dB more than no information",
    "ssim": "SSIM of the attacker's picture, more than no information",
    "support_auc": "AUC of telling true cells, more than no information",
    "linkage_auc": "AUC of “same patient?”, more than no information",
}
_LINES = (
    (_BLUE, "-", "o"), (_RED, "--", "s"), ("#009E73", "-.", "^"), ("#CC79A7", ":", "D"), (_INK, (0, (5, 1)), "v"),
    ("#56B4E9", (0, (1, 1)), "<"), ("#E69F00", (0, (3, 1, 1, 1)), ">"), (_GREY, (0, (8, 2)), "*"),
)  # fmt: skip
_CURVES = 5  # of attacks in one panel
_GROUPS = {
    "poor": (-np.inf, 0.4, "#fde725"),
    "fair": (0.4, 0.6, "#5ec962"),
    "good": (0.6, 0.75, "#21918c"),
    "excellent": (0.75, np.inf, "#3b528b"),
}
"""ICC above and at most, and colour: viridis, darker is better, which a grey print keeps in order."""
_UNDEFINED = "#ffffff"
_ROW, _CELL = 0.27, 0.115  # inches a row of a panel, and of the features
_WIDE = 6.9
_STYLE = {
    "svg.hashsalt": "medveil",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "path.simplify": False,
    "text.parse_math": False,  # a class may be called "$5"
}


@dataclass(frozen=True)
class Drawing:
    """One figure of the report.

    Attributes:
        name: of its files, without suffix.
        caption: what is to be seen; also read to those who do not see it.
        svg, png: its two forms.
        patients: whether it shows pictures of patients.
        attack: name of the attack that it belongs to; empty for the others.
    """

    name: str
    caption: str
    svg: bytes = field(repr=False)
    png: bytes = field(repr=False)
    patients: bool = False
    attack: str = ""


@dataclass(frozen=True)
class Bar:
    """A row of a panel: a point with its interval and a bound, and how it was judged: its name and look."""

    label: str
    point: float
    ends: tuple[float, float]
    bound: float
    judged: tuple[str, tuple[str, str, str]]


def charts(audit: Audit) -> tuple[Drawing, ...]:
    """All charts for which the audit has numbers."""
    questions = [question for result in audit.tasks for question in result.questions]
    drawn = [advantages(audit.attacks), linkage_curves(audit.attacks), matrix(audit), sensitivity_curve(audit.controls)]
    drawn += [joint_histogram(tier) for tier in audit.fidelity]
    drawn += [losses(questions), *(roc_curves(question, place) for place, question in enumerate(questions, 1))]
    drawn += [texture(result.agreements) for result in audit.tasks]
    return tuple(one for one in drawn if one is not None)


def advantages(attacks: Sequence[AttackResult]) -> Drawing | None:
    """Advantage of every attack with its interval, a panel a metric, and the margin as a band."""
    order = ranked(attacks)
    groups = {metric: [(a, m) for a in order for m in a.measured if m.metric == metric] for metric in METRICS}
    groups = {metric: rows for metric, rows in groups.items() if rows}
    if not groups:
        return None
    with drawing_style():
        canvas, axes = bar_canvas([len(rows) for rows in groups.values()])
        for axis, (metric, rows) in zip(axes, groups.items(), strict=True):
            margin = max(measured.margin for _, measured in rows)
            draw_bars(axis, (-margin, margin), [_advantage(a, measured) for a, measured in rows])
            axis.set_xlabel(_AXES[metric])
        caption = (
            "Advantage over no information: point and 95 % interval of each attack; tick: corrected upper bound; "
            "grey band: the margin within which an advantage counts as none."
        )
        return finished(canvas, "advantage", caption)


def _advantage(attack: AttackResult, measured: Measured) -> Bar:
    return Bar(attack.name, measured.advantage, measured.ci, measured.upper, _VERDICTS[measured.verdict])


def losses(questions: Sequence[Question]) -> Drawing | None:
    """Difference to the originals at each quality with its interval, a panel a question, and the margin as a band."""
    panels = [(question, rows) for question in questions if (rows := _compared(question))]
    if not panels:
        return None
    with drawing_style():
        canvas, axes = bar_canvas([len(rows) for _, rows in panels])
        for axis, (question, rows) in zip(axes, panels, strict=True):
            bars = [Bar(name, one.difference, one.ci, one.lower, _STANDINGS[one.standing]) for name, one in rows]
            margin = max(compared.margin for _, compared in rows)
            draw_bars(axis, (-margin, margin), bars)
            axis.set_title(question.title, fontsize=8, loc="left")
            axis.set_xlabel(f"{metric_name(question.metric)}, difference to originals")
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


def bar_canvas(rows: Sequence[int]) -> tuple[Canvas, list[Axes]]:
    heights = [count + 2.1 for count in rows]
    size = (_WIDE, sum(heights) * _ROW + 0.55 * len(heights))
    return canvas_of(size, (len(heights), 1), height_ratios=heights)


def draw_bars(axis: Axes, band: tuple[float, float], bars: Sequence[Bar], none: float = 0.0) -> None:
    """The rows of a panel, over a band of what counts as nothing and a line where there is none."""
    axis.axvspan(*band, color="#DDDDDD", linewidth=0)
    axis.axvline(none, color=_INK, linewidth=0.6)
    for place, bar in enumerate(bars):
        marker, edge, face = bar.judged[1]
        if not np.isfinite(bar.point):
            axis.text(none, place, " not measured", va="center", fontsize=7)
            continue
        if np.isfinite([*bar.ends, bar.bound]).all():
            axis.plot(bar.ends, [place, place], color=edge, linewidth=1.2)
            axis.plot(bar.bound, place, marker="|", color=edge, markersize=7)
        axis.plot(bar.point, place, marker=marker, color=edge, markerfacecolor=face, markersize=5)
    axis.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.margins(x=0.08)
    axis.tick_params(axis="y", length=0)
    handles = [
        handle(name, linestyle="none", marker=marker, color=edge, markerfacecolor=face)
        for name, (marker, edge, face) in dict.fromkeys(bar.judged for bar in bars)
    ]
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0, handletextpad=0.2)


def handle(label: str, **look: Any) -> Any:
    """An entry of a legend, of that look."""
    from matplotlib.lines import Line2D

    line = Line2D([], [], **({"markersize": 5} | look))
    line.set_label(label)
    return line


def linkage_curves(attacks: Sequence[AttackResult]) -> Drawing | None:
    """ROC of “are these two of one patient?”, where the pairs were kept."""
    kept = [(result, result.pairs) for result in ranked(attacks) if result.pairs is not None]
    curves = [(result.name, *roc(pairs)) for result, pairs in kept if pairs.same.any() and not pairs.same.all()]
    if not curves:
        return None
    words = ("share of other pairs taken for one patient", "share of one patient's pairs found")
    caption = "Linkage: which pairs of packages are taken to be of one patient. On the diagonal, by chance."
    return _rocs("linkage", "", curves[:_CURVES], words, caption)


def roc_curves(question: Question, place: int) -> Drawing | None:
    """ROC of a question, a line a set, and those of baselines."""
    if not question.curves:
        return None
    caption = f"{question.title}: ROC where training and testing are of one set. On the diagonal, by chance."
    left_out = len(question.curves) - len(_LINES)
    caption += f" {left_out} further lines are not drawn." if left_out > 0 else ""
    curves = [(curve.name, curve.x, curve.y) for curve in question.curves]
    return _rocs(f"roc-{place}", question.title, curves, ("false-positive rate", "sensitivity"), caption)


def _rocs(name: str, title: str, curves: Sequence[Any], words: tuple[str, str], caption: str) -> Drawing:
    with drawing_style():
        canvas, (axis,) = canvas_of((5.4, 3.4))
        axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for (label, false, true), (colour, line, _) in zip(curves, _LINES, strict=False):
            axis.plot(false, true, color=colour, linestyle=line, linewidth=1.2, label=label)
        axis.set(xlabel=words[0], ylabel=words[1], xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axis.set_title(title, fontsize=8, loc="left")
        axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
        return finished(canvas, name, caption)


def roc(pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(false, true) positive rates at every threshold, from (0, 0) to (1, 1); equal scores are one threshold."""
    order = np.argsort(-pairs.score.astype(np.float64), kind="stable")
    same, score = pairs.same[order], pairs.score[order]
    last = np.append(score[1:] != score[:-1], True)
    true, false = np.cumsum(same)[last], np.cumsum(~same)[last]
    return np.append(0.0, false / max(false[-1], 1)), np.append(0.0, true / max(true[-1], 1))


def matrix(audit: Audit) -> Drawing | None:
    """Which attack broke which control, and the release beside them."""
    columns = [("this release", "", audit.attacks)]
    columns += [(control.name, _mark(control), control.attacks) for control in audit.controls]
    names = list(dict.fromkeys(result.name for _, _, results in columns for result in results))
    if not names or not audit.controls:
        return None
    with drawing_style():
        canvas, (axis,) = canvas_of((1.5 + 0.27 * len(columns), 1.9 + 0.24 * len(names)))
        for column, (_, _, results) in enumerate(columns):
            found = {result.name: result.verdict for result in results}
            for row, name in enumerate(names):
                _cell(axis, column, row, found.get(name))
        axis.axvline(0.5, color=_INK, linewidth=1.0)
        axis.set_xticks(range(len(columns)), [label + mark for label, mark, _ in columns], rotation=90)
        axis.set_yticks(range(len(names)), names)
        axis.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        caption = (
            "Attack × control. Filled square: broken. Open circle: ran, and did not break it. Empty: not run, or makes "
            "no sense there. (+): must be broken. (−): nothing may be found. (~): a point of a curve, need not "
            "be broken. !: did not come out as it must."
        )
        return finished(canvas, "matrix", caption)


def _mark(control: ControlResult) -> str:
    kind = {"broken": " (+)", "not-broken": " (−)", "either": " (~)"}[expected_of(control)]
    return kind if control.ok else f"{kind} !"


def _cell(axis: Axes, column: int, row: int, verdict: Verdict | None) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor="#BBBBBB", linewidth=0.5))
    if verdict is Verdict.BROKEN:
        axis.plot(column, row, marker="s", markersize=10, color=_RED)
    elif verdict is not None:
        axis.plot(column, row, marker="o", markersize=5, color=_BLUE, markerfacecolor="white")


def sensitivity_curve(controls: Sequence[ControlResult]) -> Drawing | None:
    """Advantage against the share of true cells that the attacker is told: where this audit begins to see."""
    points = [point for point in sensitivity(controls) if np.isfinite(point["advantage"])]
    metrics = [metric for metric in METRICS if any(point["metric"] == metric for point in points)]
    if not metrics:
        return None
    with drawing_style():
        canvas, axes = canvas_of((_WIDE, 2.2 * len(metrics)), (len(metrics), 1))
        for axis, metric in zip(axes, metrics, strict=True):
            _sensitivity_panel(axis, metric, [point for point in points if point["metric"] == metric])
        caption = (
            "Sensitivity of this audit: advantage of the strongest attacks when a known share of the true cells is "
            "told to the attacker; bars: 95 % intervals; filled marker: broken; grey band: the margin."
        )
        return finished(canvas, "sensitivity", caption)


def _sensitivity_panel(axis: Axes, metric: str, points: Sequence[dict[str, Any]]) -> None:
    margin = max(point["margin"] for point in points)
    axis.axhspan(-margin, margin, color="#DDDDDD", linewidth=0)
    axis.axhline(0.0, color=_INK, linewidth=0.6)
    curves: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for point in points:
        curves.setdefault((point["attack"], point["control"].endswith("@release")), []).append(point)
    strongest = sorted(curves.items(), key=lambda curve: -max(point["advantage"] for point in curve[1]))[:_CURVES]
    for ((attack, own), curve), (colour, line, marker) in zip(strongest, _LINES, strict=False):
        x, y = [point["percent"] for point in curve], [point["advantage"] for point in curve]
        axis.plot(x, y, color=colour, linestyle=line, linewidth=1.2)
        for point in curve:
            axis.plot([point["percent"]] * 2, point["ci"], color=colour, linewidth=0.8)
            face = colour if point["verdict"] is Verdict.BROKEN else "white"
            axis.plot(point["percent"], point["advantage"], marker=marker, color=colour, markerfacecolor=face)
        label = f"{attack}, the release's codec" if own else attack
        axis.plot([], [], color=colour, linestyle=line, marker=marker, label=label)
    axis.set_xscale("log")
    shares = sorted({point["percent"] for point in points})
    axis.set_xticks(shares, [f"{share:g}" for share in shares])
    axis.minorticks_off()
    axis.set_xlabel("true cells told to the attacker, %")
    axis.set_ylabel({"psnr": "PSNR, dB", "ssim": "SSIM"}.get(metric, metric.replace("_auc", " AUC")))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def joint_histogram(tier: TierFidelity) -> Drawing | None:
    """Grey values of originals against those of what recipients open."""
    if not tier.histogram.any():
        return None
    from matplotlib.colors import LogNorm

    most = max(int(tier.histogram.max()), 2)
    powers = [10**power for power in range(len(str(most)))]
    with drawing_style():
        canvas, (axis,) = canvas_of((4.4, 3.6))
        counts = np.ma.masked_equal(tier.histogram.T, 0)
        shown = axis.imshow(
            counts, origin="lower", cmap="Greys", norm=LogNorm(vmin=0.5, vmax=most),
            extent=(-0.5, 255.5, -0.5, 255.5), interpolation="nearest",
        )  # fmt: skip
        axis.plot([0, 255], [0, 255], color=_RED, linewidth=0.5)
        axis.set(xlabel="original, grey value 0 … 255", ylabel="opened, grey value 0 … 255")
        axis.set_title(f"tier {tier.tier}: R² = {tier.r_squared:.4f}", fontsize=8, loc="left", pad=8)
        bar = canvas.colorbar(shown, ax=axis, label="pixels", shrink=0.8)
        bar.set_ticks(powers, labels=[f"{power:,}" for power in powers])
        bar.minorticks_off()
        caption = (
            f"Fidelity at tier {tier.tier}: joint histogram of {tier.histogram.sum():,} pixels of originals and of "
            "what recipients open, all images pooled; line: equal values."
        )
        return finished(canvas, f"fidelity-{tier.tier}", caption)


def texture(agreements: Sequence[FeatureAgreement]) -> Drawing | None:
    """Features × sets, coloured by the group of the lower bound of the ICC; a panel for each way to make levels."""
    if not agreements:
        return None
    columns: dict[str, list[FeatureAgreement]] = {}
    for agreement in agreements:
        columns.setdefault(agreement.bins, []).append(agreement)
    widest = max(map(len, columns.values()))
    size = (3.8 + len(columns) * max(0.5, 0.24 * widest), 1.4 + _CELL * len(agreements[0].features))
    with drawing_style():
        canvas, axes = canvas_of(size, (1, len(columns)), width_ratios=[len(every) for every in columns.values()])
        for axis, (kind, every) in zip(axes, columns.items(), strict=True):
            _texture_panel(axis, kind, every, named=axis is axes[0])
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
                axis.plot(column, row, marker="x", color=_GREY, markersize=3, markeredgewidth=0.6)
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
    from matplotlib.patches import Patch

    found: list[Any] = [Patch(facecolor=colour, label=name) for name, (_, _, colour) in _GROUPS.items()]
    return [*found, handle("not defined", linestyle="none", marker="x", color=_GREY, markersize=4)]


def drawing_style() -> Any:
    """Context in which every figure is drawn: the same fonts and looks on every machine, whatever the user's are."""
    import matplotlib as mpl

    style: Any = {**mpl.rcParamsDefault, **_STYLE, "backend": "agg"}
    return mpl.rc_context(style)


def canvas_of(size: tuple[float, float], shape: tuple[int, int] = (1, 1), **ratios: Any) -> tuple[Canvas, list[Axes]]:
    """An empty figure of that size in inches, with (rows, columns) of panels, row by row."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=size, layout="constrained")
    grid = canvas.subplots(*shape, squeeze=False, **ratios)
    return canvas, list(grid.ravel())


def finished(canvas: Canvas, name: str, caption: str, *, patients: bool = False, attack: str = "") -> Drawing:
    """The canvas as a Drawing. Nothing of time or machine goes into its bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    svg, png = io.BytesIO(), io.BytesIO()
    FigureCanvasSVG(canvas).print_figure(svg, format="svg", metadata={"Date": None, "Creator": None}, dpi=150)
    FigureCanvasAgg(canvas).print_figure(png, format="png", metadata={"Software": None}, dpi=150)
    safe = re.sub(r"[^a-z0-9.-]+", "-", name.lower())  # attacks of other packages have names of their own
    return Drawing(safe, caption, svg.getvalue(), png.getvalue(), patients, attack)
