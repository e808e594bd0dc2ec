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
from medveil.report import amounts, first_page, sentences, tables
from medveil.report.findings import because
from medveil.report.first_page import method_of

if TYPE_CHECKING:
    from medveil.report.charts import Drawing

_TEMPLATE = "page.html.j2"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


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
    drawings = _drawings(audit, record, pictures=pictures)
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

    from medveil.report import identification

    found = record.get("identification")

    def named(beginning: str) -> list[Drawing]:
        return [drawing for drawing in drawings if drawing.name.startswith(beginning)]

    return page_of(
        _TEMPLATE,
        audit=audit,
        record=record,
        drawings={drawing.name: drawing for drawing in drawings},
        strips=[drawing for drawing in drawings if drawing.attack],
        histograms=named("fidelity-"),
        worst=named("worst-"),
        contours=named("contours-"),
        attacked=audit.attacked,
        loss=tables.loss_table(audit, record),
        seen=sentences.image_sentences(record["data"].get("tasks", {})),
        tasks=tables.task_sections(record),
        pictures=pictures and any(drawing.patients for drawing in drawings),
        fidelity=tables.fidelity_rows(audit),
        risk=None if not found else identification.risk_sentence(
            found, method_of(audit.release), whole=not audit.settings.get("left_out")
        ),
        thing=amounts.thing_of(audit.release),
        people=None if not found else {
            "lines": identification.risk_lines(found),
            "controls": identification.control_lines(found),
            "rows": identification.table_rows(found),
        },
    )  # fmt: skip


def page_of(template: str, **values: Any) -> str:
    """A page of the room's templates. Raises MissingDependencyError where jinja2 is not installed."""
    page: str = _environment().get_template(template).render(**values)
    return page


def _drawings(audit: Audit, record: Mapping[str, Any], *, pictures: bool) -> tuple[Drawing, ...]:
    try:
        from medveil.report.charts import charts
        from medveil.report.identification import chart
        from medveil.report.image_strips import strips

        found = record.get("identification")
        people = chart(found) if found else None
        return charts(audit) + ((people,) if people else ()) + (strips(audit) if pictures else ())
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
        "amount": lambda value, metric, signed=False: amounts.amount(metric, value, signed=signed),
        "interval": lambda ends, metric, signed=True: amounts.interval(metric, ends, signed=signed),
        "percent": amounts.percent,
        "chance": amounts.chance,
        "metric": amounts.metric_name,
        "verdict": lambda word: sentences.VERDICT_WORDS[Verdict(word)],
        "duration": amounts.duration,
        "svg": lambda drawing: _data_uri("image/svg+xml", drawing.svg),
        "png": lambda drawing: _data_uri("image/png", drawing.png),
        "flat": _flat,
    }
    for module, names in (
        (first_page, ("released", "recipients", "gets", "tried")),
        (
            sentences,
            (
                "control_images",
                "question",
                "headline",
                "answer",
                "measured_risk",
                "grounds",
                "not_shown",
                "repeat_command",
            ),
        ),
    ):
        environment.globals |= {name: getattr(module, name) for name in names}
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
            lines.append((label, ", ".join(_word(one) for one in value) or "none"))
        else:
            lines.append((label, _word(value)))
    return lines


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_word(one)};" for name, one in value.items()).rstrip(";")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _write(path: Path, data: bytes) -> None:
    write_bytes(path, data, mode=_PRIVATE_FILE, overwrite=True, unnamed=True)
