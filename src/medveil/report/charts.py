"""The report's charts, as SVG and PNG. The same audit gives the same bytes.

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

INK = "#222222"
_LOOKS = {
    Verdict.BROKEN: ("s", "#D55E00", "#D55E00", "broken"),
    Verdict.INCONCLUSIVE: ("D", "#777777", "white", "inconclusive"),
    Verdict.NO_EVIDENCE: ("o", "#0072B2", "#0072B2", "no evidence"),
}
_AXES = {
    "psnr": "PSNR of the attacker's picture, dB more than no information",
    "ssim": "SSIM of the attacker's picture, more than no information",
    "support_auc": "AUC of telling true cells, more than no information",
    "linkage_auc": "AUC of “same patient?”, more than no information",
}
_LINES = (("#0072B2", "-", "o"), ("#D55E00", "--", "s"), ("#009E73", "-.", "^"), ("#CC79A7", ":", "D"), (INK, "-", "v"))
_CURVES = len(_LINES)
_ROW = 0.27
_STYLE = {
    "svg.hashsalt": "medveil",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
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


def charts(audit: Audit) -> tuple[Drawing, ...]:
    """All charts for which the audit has numbers."""
    drawn = [advantages(audit.attacks), linkage_curves(audit.attacks), matrix(audit), sensitivity_curve(audit.controls)]
    drawn += [joint_histogram(tier) for tier in audit.fidelity]
    return tuple(one for one in drawn if one is not None)


def advantages(attacks: Sequence[AttackResult]) -> Drawing | None:
    """Advantage of every attack with its interval, a panel a metric, and the margin as a band."""
    order = ranked(attacks)
    groups = [(metric, [(a, m) for a in order for m in a.measured if m.metric == metric]) for metric in METRICS]
    groups = [(metric, rows) for metric, rows in groups if rows]
    if not groups:
        return None
    heights = [len(rows) + 1.6 for _, rows in groups]
    with drawing_style():
        canvas, axes = _canvas(6.9, sum(heights) * _ROW + 0.5 * len(groups), heights)
        for axis, (metric, rows) in zip(axes, groups, strict=True):
            _advantage_panel(axis, metric, rows)
        caption = (
            "Advantage over no information: point and 95 % interval of each attack; tick: corrected upper bound; "
            "grey band: the margin within which an advantage counts as none."
        )
        return finished(canvas, "advantage", caption)


def _advantage_panel(axis: Axes, metric: str, rows: Sequence[tuple[AttackResult, Measured]]) -> None:
    margin = max(measured.margin for _, measured in rows)
    axis.axvspan(-margin, margin, color="#DDDDDD", linewidth=0)
    axis.axvline(0.0, color=INK, linewidth=0.6)
    for place, (_, measured) in enumerate(rows):
        marker, edge, face, _ = _LOOKS[measured.verdict]
        if np.isfinite([*measured.ci, measured.advantage]).all():
            axis.plot(measured.ci, [place, place], color=edge, linewidth=1.2)
            axis.plot(measured.advantage, place, marker=marker, color=edge, markerfacecolor=face, markersize=5)
            axis.plot(measured.upper, place, marker="|", color=edge, markersize=7)
        else:
            axis.text(0.0, place, " not measured", va="center", fontsize=7)
    axis.set_yticks(range(len(rows)), [result.name for result, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel(_AXES[metric])
    axis.margins(x=0.08)
    axis.tick_params(axis="y", length=0)
    _verdict_legend(axis, [measured.verdict for _, measured in rows])


def _verdict_legend(axis: Axes, verdicts: Sequence[Verdict]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for verdict, (marker, edge, face, label) in _LOOKS.items():
        if verdict in verdicts:
            look = Line2D([], [], linestyle="none", marker=marker, color=edge, markerfacecolor=face, markersize=5)
            look.set_label(label)
            handles.append(look)
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderpad=0, handletextpad=0.2)


def linkage_curves(attacks: Sequence[AttackResult]) -> Drawing | None:
    """ROC of “are these two of one patient?”, where the pairs were kept."""
    kept = [(result, result.pairs) for result in ranked(attacks) if result.pairs is not None]
    kept = [(result, pairs) for result, pairs in kept if pairs.same.any() and not pairs.same.all()][:_CURVES]
    if not kept:
        return None
    with drawing_style():
        canvas, (axis,) = _canvas(3.6, 3.4, [1.0])
        axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for (result, pairs), (colour, line, _) in zip(kept, _LINES, strict=False):
            false, true = roc(pairs)
            axis.plot(false, true, color=colour, linestyle=line, linewidth=1.2, label=result.name)
        axis.set(xlabel="share of other pairs taken for one patient", ylabel="share of one patient's pairs found")
        axis.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axis.legend(loc="lower right")
        caption = "Linkage: which pairs of packages are taken to be of one patient. On the diagonal, by chance."
        return finished(canvas, "linkage", caption)


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
        canvas, (axis,) = _canvas(1.5 + 0.27 * len(columns), 1.9 + 0.24 * len(names), [1.0])
        for column, (_, _, results) in enumerate(columns):
            found = {result.name: result.verdict for result in results}
            for row, name in enumerate(names):
                _cell(axis, column, row, name in found, found.get(name))
        axis.axvline(0.5, color=INK, linewidth=1.0)
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


def _cell(axis: Axes, column: int, row: int, ran: bool, verdict: Verdict | None) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor="#BBBBBB", linewidth=0.5))
    if ran and verdict is Verdict.BROKEN:
        axis.plot(column, row, marker="s", markersize=10, color="#D55E00")
    elif ran and verdict is not None:
        axis.plot(column, row, marker="o", markersize=5, color="#0072B2", markerfacecolor="white")


def sensitivity_curve(controls: Sequence[ControlResult]) -> Drawing | None:
    """Advantage against the share of true cells that the attacker is told: where this audit begins to see."""
    points = [point for point in sensitivity(controls) if np.isfinite(point["advantage"])]
    metrics = [metric for metric in METRICS if any(point["metric"] == metric for point in points)]
    if not metrics:
        return None
    with drawing_style():
        canvas, axes = _canvas(6.9, 2.2 * len(metrics), [1.0] * len(metrics))
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
    axis.axhline(0.0, color=INK, linewidth=0.6)
    curves: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for point in points:
        curves.setdefault((point["attack"], point["control"].endswith("@release")), []).append(point)
    strongest = sorted(curves.items(), key=lambda curve: -max(point["advantage"] for point in curve[1]))[:_CURVES]
    for ((attack, own), curve), (colour, line, marker) in zip(strongest, _LINES, strict=False):
        x, y = [point["percent"] for point in curve], [point["advantage"] for point in curve]
        label = f"{attack}, the release's codec" if own else attack
        axis.plot(x, y, color=colour, linestyle=line, linewidth=1.2)
        for point in curve:
            axis.plot([point["percent"]] * 2, point["ci"], color=colour, linewidth=0.8)
            face = colour if point["verdict"] is Verdict.BROKEN else "white"
            axis.plot(point["percent"], point["advantage"], marker=marker, color=colour, markerfacecolor=face)
        axis.plot([], [], color=colour, linestyle=line, marker=marker, label=label)
    axis.set_xscale("log")
    shares = sorted({point["percent"] for point in points})
    axis.set_xticks(shares, [f"{share:g}" for share in shares])
    axis.minorticks_off()
    axis.set_xlabel("true cells told to the attacker, %")
    axis.set_ylabel(
        {"psnr": "PSNR, dB"}.get(metric, metric.replace("_", " ").replace("auc", "AUC").replace("ssim", "SSIM"))
    )
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def joint_histogram(tier: TierFidelity) -> Drawing | None:
    """Grey values of originals against those of what recipients open."""
    if not tier.histogram.any():
        return None
    from matplotlib.colors import LogNorm

    with drawing_style():
        canvas, (axis,) = _canvas(3.9, 3.4, [1.0])
        counts = np.ma.masked_equal(tier.histogram.T, 0)
        shown = axis.imshow(
            counts, origin="lower", cmap="Greys", norm=LogNorm(vmin=0.5, vmax=max(int(tier.histogram.max()), 2)),
            extent=(-0.5, 255.5, -0.5, 255.5), interpolation="nearest",
        )  # fmt: skip
        axis.plot([0, 255], [0, 255], color="#D55E00", linewidth=0.5)
        axis.set(xlabel="original, grey value 0 … 255", ylabel="opened, grey value 0 … 255")
        axis.set_title(f"tier {tier.tier}: R² = {tier.r_squared:.4f}", fontsize=8)
        canvas.colorbar(shown, ax=axis, label="pixels", shrink=0.8)
        caption = (
            f"Fidelity at tier {tier.tier}: joint histogram of {tier.histogram.sum():,} pixels of originals and of "
            "what recipients open, all images pooled; line: equal values."
        )
        return finished(canvas, f"fidelity-{tier.tier}", caption)


def drawing_style() -> Any:
    """Context in which every figure is drawn: the same fonts and looks on every machine, whatever the user's are."""
    import matplotlib as mpl

    style: Any = {**mpl.rcParamsDefault, **_STYLE, "backend": "agg"}
    return mpl.rc_context(style)


def finished(canvas: Canvas, name: str, caption: str, *, patients: bool = False, attack: str = "") -> Drawing:
    """The canvas as a Drawing. Nothing of time or machine goes into its bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    svg, png = io.BytesIO(), io.BytesIO()
    FigureCanvasSVG(canvas).print_figure(svg, format="svg", metadata={"Date": None, "Creator": None}, dpi=150)
    FigureCanvasAgg(canvas).print_figure(png, format="png", metadata={"Software": None}, dpi=150)
    safe = re.sub(r"[^a-z0-9.-]+", "-", name.lower())  # attacks of other packages have names of their own
    return Drawing(safe, caption, svg.getvalue(), png.getvalue(), patients, attack)


def _canvas(width: float, height: float, ratios: Sequence[float]) -> tuple[Canvas, list[Axes]]:
    """An empty figure in inches with panels one below the other."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), layout="constrained")
    grid = canvas.subplots(len(ratios), 1, squeeze=False, height_ratios=list(ratios))
    return canvas, list(grid[:, 0])
