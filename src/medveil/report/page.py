"""Writing a report: report.html for whoever signs it, the figures, and report.json, which comes last."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medveil.audit.record import FIGURES, HTML, JSON, OWN_FIGURE, canonical, record_of
from medveil.audit.results import Audit, Verdict
from medveil.errors import MedveilError, MissingDependencyError
from medveil.files.atomic import make_folder, remove_all, write_bytes
from medveil.report import published_values, sentences
from medveil.report.findings import because
from medveil.report.tables import task_sections
from medveil.report.task_sentences import image_sentences, loss_table

if TYPE_CHECKING:
    from medveil.report.charts import Drawing

_TEMPLATE = "report.html.j2"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_LIKE_PUBLISHED = ("matched-decoys", "reference-decoys")


def write_report(audit: Audit, folder: Path, *, pictures: bool = True) -> None:
    """Write report.html, figures/ and report.json into a folder that its user alone can read.

    An earlier report in the folder is replaced. report.json is removed first and written last: where it is, the report
    is whole.

    Args:
        audit: what was found.
        folder: made if need be; gets mode 0700, its files 0600.
        pictures: whether pictures of patients may be in the report.

    Raises:
        MissingDependencyError: jinja2 or matplotlib is not installed.
        MedveilError: the system refused to write.
    """
    record = full_record(audit)
    drawings = _drawings(audit, pictures=pictures)
    html = html_of(audit, record, drawings, pictures=pictures)
    figures = folder / FIGURES
    try:
        remove_all([folder / JSON])
        for place in (folder, figures):
            make_folder(place)
            os.chmod(place, _PRIVATE_FOLDER)
        remove_all(path for path in sorted(figures.iterdir()) if OWN_FIGURE.fullmatch(path.name))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise MedveilError(f"the report's folder could not be prepared: {reason}") from None
    for drawing in drawings:
        _write(figures / f"{drawing.name}.svg", drawing.svg)
        _write(figures / f"{drawing.name}.png", drawing.png)
    _write(folder / HTML, html.encode("utf-8"))
    _write(folder / JSON, canonical(record))


def full_record(audit: Audit) -> dict[str, Any]:
    """What report.json holds: codes and numbers, and beside them the sentences that say what led to the conclusion."""
    return {**record_of(audit), "because": because(audit)}


def html_of(audit: Audit, record: Mapping[str, Any], drawings: Sequence[Drawing], *, pictures: bool) -> str:
    """The report as one self-contained page: no script, and nothing that is loaded from anywhere.

    Args:
        audit: what was found.
        record: the same as `full_record` gives it; every number of the tables comes from here.
        drawings: the figures.
        pictures: whether there are pictures of patients among them, or may be.
    """
    by_name = {drawing.name: drawing for drawing in drawings}
    template = _environment().get_template(_TEMPLATE)
    page: str = template.render(
        audit=audit,
        record=record,
        drawings=by_name,
        strips=[drawing for drawing in drawings if drawing.attack],
        histograms=[drawing for drawing in drawings if drawing.name.startswith("fidelity-")],
        worst=[drawing for drawing in drawings if drawing.name.startswith("worst-")],
        contours=[drawing for drawing in drawings if drawing.name.startswith("contours-")],
        attacked=audit.attacked,
        loss=loss_table(audit, record),
        seen=image_sentences(record["data"].get("tasks", {})),
        tasks=task_sections(record),
        pictures=pictures and any(drawing.patients for drawing in drawings),
        fidelity=_fidelity_rows(audit),
        translated=_translated_rows(record),
        published=published_values,
    )
    return page


def _drawings(audit: Audit, *, pictures: bool) -> tuple[Drawing, ...]:
    try:
        from medveil.report.charts import charts
        from medveil.report.image_strips import strips
        from medveil.report.task_charts import task_charts
        from medveil.report.task_strips import task_strips

        results = audit.tasks
        drawn = charts(audit) + task_charts(results)
        return drawn + strips(audit) + task_strips(results) if pictures else drawn
    except ImportError as error:
        raise _missing(error) from None


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise _missing(error) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": lambda value, metric, signed=False: sentences.amount(metric, value, signed=signed),
        "interval": lambda ends, metric: sentences.interval(metric, ends),
        "chance": sentences.chance,
        "metric": lambda name: sentences.METRIC_NAMES.get(name, name),
        "verdict": lambda word: sentences.VERDICT_WORDS[Verdict(word)],
        "duration": sentences.duration,
        "svg": lambda drawing: _data_uri("image/svg+xml", drawing.svg),
        "png": lambda drawing: _data_uri("image/png", drawing.png),
        "flat": _flat,
    }
    environment.globals |= {
        name: getattr(sentences, name)
        for name in ("question", "answer", "measured_risk", "grounds", "not_shown", "repeat_command")
    }
    return environment


def _missing(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"the report needs {error.name or 'a package'}, which is not installed", hint='pip install "medveil[audit]"'
    )


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested settings as (name, words) lines: {"a": {"b": 1}} → ("a, b", "1")."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{before}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            lines += _flat(value, f"{label}, ")
        elif isinstance(value, list):
            lines.append((label, ", ".join(str(one) for one in value) or "none"))
        else:
            lines.append((label, _word(value)))
    return lines


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _fidelity_rows(audit: Audit) -> list[dict[str, str]]:
    """One line a tier, each metric as mean ± SD (95 % interval)."""
    rows = []
    for tier in audit.fidelity:
        cells = {
            row.metric: f"{sentences.amount(row.metric, row.mean)} ± {sentences.amount(row.metric, row.sd)} "
            f"({sentences.amount(row.metric, row.ci[0])} to {sentences.amount(row.metric, row.ci[1])})"
            for row in tier.rows
        }
        images = max((row.images for row in tier.rows), default=0)
        rows.append({"tier": tier.tier, "images": str(images), "r_squared": f"{tier.r_squared:.4f}", **cells})
    return rows


def _translated_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attackers of PRIMIS Table 4: as printed, on this release, and on the controls that are like the published
    method."""
    rows: list[dict[str, Any]] = []
    places = [("this release", record["attacks"])]
    places += [
        (control["name"], control["attacks"]) for control in record["controls"] if control["name"] in _LIKE_PUBLISHED
    ]
    for name, printed in published_values.ATTACKS.items():
        ours = [(place, found) for place, attacks in places for found in attacks if found["name"] == name]
        rows.append({"printed": printed, "ours": ours})
    return rows


def _write(path: Path, data: bytes) -> None:
    write_bytes(path, data, mode=_PRIVATE_FILE, overwrite=True)
