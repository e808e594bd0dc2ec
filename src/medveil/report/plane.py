"""The plane: what releases give away against what they are good for, from the reports of their audits.

Risk is the AUC with which the best attacker tells a person's pictures from those of others who are alike in source,
label, view and sex; 0.5 is chance, and what luck alone reaches (the null of the maximum) is drawn as a band. Utility is
told twice: of the *population*, a network that learned from released pictures and is tested on real ones; and of the
*picture*, a network that learned from real pictures and is tested on released ones.
"""

from __future__ import annotations

import csv
import io
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medveil.audit.record import SIGNIFICANT_DIGITS
from medveil.audit.results import Verdict
from medveil.audit.targets.target import SetKind
from medveil.errors import TargetExistsError, UsageError
from medveil.files.atomic import make_folder, move_all, write_bytes
from medveil.releases.writing.staging import clear, held, staging_of
from medveil.report.amounts import metric_name
from medveil.report.charts import canvas_of, drawing_style, finished, handle
from medveil.report.page import page_of
from medveil.tasks.image_sets import ORIGINAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from medveil.report.charts import Drawing

MARGIN = 0.02
"""How much worse counts as no worse, of AUC and of Dice."""
INDEX, SVG, CSV = "index.html", "plane.svg", "plane.csv"
"""What the folder of a plane holds."""
_SURE = 0.95
_TITLE = 48  # signs of a line of a panel's title
_RELEASED = SetKind.ANONYMIZED.value
_COLUMNS = (
    "audit", "release", "question", "metric", "matched_auc", "matched_auc_low", "matched_auc_high", "null_of_maximum",
    "attacker", "untouched_auc", "top_1", "top_1_by_chance", "same_record_top_1", "same_record_top_1_by_chance",
    "population", "population_low", "population_high", "population_undominated", "picture", "picture_low",
    "picture_high", "picture_undominated", "originals", "conclusion", "people",
)  # fmt: skip
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Measure:
    """A figure with its 95 % interval, and the same of resampled patients where it was kept."""

    value: float
    ci: tuple[float, float]
    draws: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class Utility:
    """What the pictures of a release are good for, by one question of a task.

    Attributes:
        metric: AUC or Dice.
        originals: trained and tested on real pictures.
        population: trained on released ones, tested on real ones; None where it was not measured.
        picture: trained on real ones, tested on released ones; None likewise.
    """

    metric: str
    originals: float
    population: Measure | None
    picture: Measure | None

    def of(self, kind: str) -> Measure | None:
        """`population` or `picture`."""
        return self.population if kind == "population" else self.picture


@dataclass(frozen=True)
class Point:
    """One release on the plane.

    Attributes:
        number: of its audit, as they were named, from 1.
        name: method and settings.
        risk: matched AUC of the maximum over attackers.
        null: what the maximum reaches by luck, 97.5 % of it.
        found: top-1 and its chance of another image of a person, then of the very record; NaN where not measured.
        attacker: which one is the maximum.
        raw: the same maximum on untouched pictures.
        utilities: by question.
        conclusion, people, digest: of the audit.
    """

    number: int
    name: str
    risk: Measure
    null: float
    found: tuple[float, float, float, float]
    attacker: str
    raw: float
    utilities: Mapping[str, Utility]
    conclusion: str
    people: int
    digest: str


def point_of(record: Mapping[str, Any], number: int) -> Point:
    """What a report says of its release.

    Args:
        record: of `medveil.audit.record.read_record`.
        number: of the audit, from 1.

    Raises:
        UsageError: the audit let nobody recognise anybody: there is no figure of re-identification in it; or the report
            holds other things than medveil audit writes.
    """
    try:
        return _point(record, number)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise UsageError(
            "the report is damaged: it does not hold what medveil audit writes", hint="audit the release again"
        ) from None


def _point(record: Mapping[str, Any], number: int) -> Point:
    found = record.get("identification")
    best = (found or {}).get("maximum", {}).get("any")
    if not found or not best or best["matched_auc"] is None:
        raise UsageError(
            "there are no figures of re-identification in it",
            hint="name audits of open releases, made with a manifest that says who is who",
        )
    release = record["release"]
    settings = [f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                for name, value in release.get("settings", {}).items()]  # fmt: skip
    other, same = (found["maximum"].get(name) or {} for name in ("released-real", "same-record"))
    shares = [each.get(name) for each in (other, same) for name in ("top_1", "top_1_chance")]
    return Point(
        number, " ".join([str(release["protection"]), *settings]), _risk(best), _number(best["null"]),
        (_number(shares[0]), _number(shares[1]), _number(shares[2]), _number(shares[3])), str(best["recognizer"]),
        _number((found.get("raw") or {}).get("matched_auc")), _utilities(record), Verdict(record["conclusion"]).value,
        int(found["people"]), str(found.get("people_digest", "")),
    )  # fmt: skip


def _risk(best: Mapping[str, Any]) -> Measure:
    return Measure(_number(best["matched_auc"]), _ends(best["ci"]), _draws(best.get("draws")))


def _utilities(record: Mapping[str, Any]) -> dict[str, Utility]:
    told = {}
    for task in record["tasks"]:
        for question in task["questions"]:
            cells = {(cell["train"], cell["test"]): cell for cell in question["matrix"]}
            before = cells.get((ORIGINAL, ORIGINAL))
            if before is None:
                continue
            metric = question["metric"]
            told[f"{task['name']}: {question['title']}"] = Utility(
                metric, _number(before["values"][metric]["mean"]),
                _measure(cells.get((_RELEASED, ORIGINAL)), metric), _measure(cells.get((ORIGINAL, _RELEASED)), metric),
            )  # fmt: skip
    return told


def _measure(cell: Mapping[str, Any] | None, metric: str) -> Measure | None:
    if cell is None or cell["values"][metric]["mean"] is None:
        return None
    value = cell["values"][metric]
    return Measure(_number(value["mean"]), _ends(value["ci"]), _draws(cell.get("draws")))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _ends(ends: Sequence[float | None] | None) -> tuple[float, float]:
    low, high = ends or (None, None)
    return _number(low), _number(high)


def _draws(values: Sequence[float | None] | None) -> NDArray[np.float64]:
    return np.array([_number(value) for value in values or ()], np.float64)


def dominates(one: Point, other: Point, question: str, kind: str) -> bool:
    """Whether one release is better than another one: surely (95 %) less risky or more useful, and surely no worse in
    the other of the two, but for a margin of 0.02.

    By draws of the same patients where both audits are of the same images (paired); else the draws are independent.
    """
    used, spent = one.utilities[question].of(kind), other.utilities[question].of(kind)
    if used is None or spent is None:
        return False
    pairs = [(other.risk.draws, one.risk.draws), (used.draws, spent.draws)]
    if any(len(first) != len(second) or not len(first) for first, second in pairs):
        return False
    turned = 0 if one.digest == other.digest and one.digest else len(one.risk.draws) // 2
    gains = [first - np.roll(second, turned) for first, second in pairs]
    better = [float(np.mean(gain > 0)) >= _SURE for gain in gains]
    no_worse = [float(np.mean(gain > -MARGIN)) >= _SURE for gain in gains]
    return any(better) and all(no_worse)


def undominated(points: Sequence[Point], question: str, kind: str) -> set[int]:
    """Numbers of the audits whose release no other one is better than, by this question."""
    there = [each for each in points if question in each.utilities and each.utilities[question].of(kind) is not None]
    return {
        each.number for each in there if not any(dominates(other, each, question, kind) for other in there
                                                 if other is not each)
    }  # fmt: skip


def questions_of(points: Sequence[Point]) -> list[str]:
    """Every question that was asked of a release, in the order in which they come."""
    return list(dict.fromkeys(question for each in points for question in each.utilities))


def table_of(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A row a release and question; a release of which nothing was asked has one row. None: not measured."""
    rows = []
    best = {(question, kind): undominated(points, question, kind)
            for question in questions_of(points) for kind in ("population", "picture")}  # fmt: skip
    for each in points:
        known: dict[str, Any] = dict.fromkeys(_COLUMNS) | {
            "audit": each.number, "release": each.name, "matched_auc": each.risk.value,
            "matched_auc_low": each.risk.ci[0], "matched_auc_high": each.risk.ci[1], "null_of_maximum": each.null,
            "attacker": each.attacker, "conclusion": each.conclusion, "people": each.people,
            "untouched_auc": each.raw,
            **dict(zip(("top_1", "top_1_by_chance", "same_record_top_1", "same_record_top_1_by_chance"), each.found,
                       strict=True)),
        }  # fmt: skip
        for question, utility in each.utilities.items():
            row = {**known, "question": question, "metric": utility.metric, "originals": utility.originals}
            for kind in ("population", "picture"):
                measure = utility.of(kind)
                if measure is not None:
                    row |= {kind: measure.value, f"{kind}_low": measure.ci[0], f"{kind}_high": measure.ci[1],
                            f"{kind}_undominated": each.number in best[question, kind]}  # fmt: skip
            rows.append(row)
        if not each.utilities:
            rows.append(known)
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]


def csv_of(points: Sequence[Point]) -> bytes:
    """plane.csv: numbers to six digits; empty where nothing was measured. No cell can be a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in table_of(points))
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT_DIGITS}g}"
    if value is None:
        return ""
    return f"'{value}" if str(value)[:1] in "=+-@\t" else str(value)


def plane_drawing(rows: Sequence[Mapping[str, Any]]) -> Drawing:
    """The plane as a figure: a row a question, the population's utility on the left and the picture's on the right.

    Where no task was done there is one panel, with the releases side by side.

    Args:
        rows: of `table_of`.
    """
    questions = list(dict.fromkeys(row["question"] for row in rows if row["question"]))
    panels = [(question, kind) for question in questions for kind in ("population", "picture")] or [("", "")]
    names = {row["audit"]: row["release"] for row in rows}
    looks = {number: _look(place) for place, number in enumerate(names)}
    with drawing_style():
        height = max(3.4 * max(len(questions), 1), 0.6 + 0.17 * len(names))
        canvas, axes = canvas_of((9.4, height), (max(len(questions), 1), 2 if questions else 1))
        for axis, (question, kind) in zip(axes, panels, strict=True):
            _panel(axis, [row for row in rows if not question or row["question"] == question], kind, looks)
            axis.set_title(textwrap.fill(question, _TITLE), fontsize=8, loc="left")
        entries = [handle(f"{number}  {name}", **looks[number]) for number, name in names.items()]
        canvas.legend(handles=entries, loc="outside right upper")
        return finished(canvas, "plane", _CAPTION)


_CAPTION = (
    "Risk against utility. Up: AUC of the best attacker who tells pictures of one person from those of others who are "
    "alike (source, label, view, sex); grey: what luck alone reaches. Right: more useful. Bars: 95 % intervals by "
    "patient. Filled: no other release here is better. Cross: the untouched pictures."
)
_AXES = {
    "population": "population: {metric},\ntrained on released, tested on real pictures",
    "picture": "picture: {metric},\ntrained on real, tested on released pictures",
    "": "release",
}


def _look(place: int) -> dict[str, Any]:
    colour = _COLOURS[place % len(_COLOURS)]
    return {"marker": _MARKS[place % len(_MARKS)], "color": colour, "linestyle": "none"}


def _panel(axis: Axes, rows: Sequence[Mapping[str, Any]], kind: str, looks: Mapping[int, Mapping[str, Any]]) -> None:
    """One panel; without a kind of utility releases stand by their number."""
    nulls = [row["null_of_maximum"] for row in rows if row["null_of_maximum"] is not None]
    if nulls:
        axis.axhspan(0.5, max(nulls), color="#DDDDDD", linewidth=0)
    for row in rows:
        value = row[kind] if kind else row["audit"]
        if value is None:
            continue
        look, risk = looks[row["audit"]], row["matched_auc"]
        axis.plot([value, value], _known(row, "matched_auc"), color=look["color"], linewidth=0.7)
        if kind:
            axis.plot(_known(row, kind), [risk, risk], color=look["color"], linewidth=0.7)
        filled = kind and row[f"{kind}_undominated"]
        axis.plot([value], [risk], markerfacecolor=look["color"] if filled else "white", **look)
    if not kind:
        axis.set_xticks([row["audit"] for row in rows])
    raw = [(row["originals"], row["untouched_auc"]) for row in rows]
    if kind and raw and None not in raw[0]:
        axis.plot(*raw[0], marker="x", color="#222222", linestyle="none")
    axis.set_ylabel("risk: matched AUC")
    axis.set_xlabel(_AXES[kind].format(metric=metric_name(next((row["metric"] for row in rows if kind), "") or "")))


def _known(row: Mapping[str, Any], name: str) -> list[float]:
    """The ends of an interval; nowhere where it was not measured."""
    return [float("nan") if (end := row[f"{name}_{side}"]) is None else end for side in ("low", "high")]


def check_plane(folder: Path, *, force: bool) -> None:
    """Whether a plane may be written there, before any work is done.

    Raises:
        TargetExistsError: something is there: other things than a plane, or a plane and no `force`.
    """
    there = {each.name for each in folder.iterdir()} if folder.is_dir() else {"a file"} if folder.exists() else set()
    if there - {INDEX, SVG, CSV}:
        raise TargetExistsError(
            "the folder for the plane holds other things; nothing was written", hint="choose another folder"
        )
    if there and not force:
        raise TargetExistsError("a plane is there already", hint="choose another folder or --force")


def write_plane(points: Sequence[Point], folder: Path) -> None:
    """Write plane.csv, plane.svg and index.html into a folder that its user alone can read (0700).

    All three are written to `<folder>.partial` first: where the system refuses that, no half of a plane is left, and
    one that was there stays as it was.

    Raises:
        UsageError: the folder's name ends with .partial.
        MissingDependencyError: jinja2 or matplotlib is not installed.
        MedveilError: the system refused to write.
    """
    folder = Path(os.path.realpath(folder))
    staging = staging_of(folder, "a plane")
    rows = table_of(points)
    drawing = plane_drawing(rows)
    page = page_of("plane.html.j2", points=points, rows=rows, drawing=drawing, paired=paired(points))
    files = {CSV: csv_of(points), SVG: drawing.svg, INDEX: page.encode()}
    with held(staging, "plane"):
        try:
            for name, data in files.items():
                write_bytes(staging / name, data, mode=0o600, overwrite=True)
            make_folder(folder, mode=0o700)
            move_all((staging / name, folder / name) for name in files)
        finally:
            clear(staging)


def paired(points: Sequence[Point]) -> bool:
    """Whether all audits are of the same images, so that differences between releases are not those of people."""
    return len({each.digest for each in points}) == 1 and bool(points[0].digest)
