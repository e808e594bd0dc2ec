"""report.json: an audit as plain values, in one canonical form.

Keys are sorted, numbers have six significant digits, what is not a number is null, and times stand under keys named
`seconds` only: two runs with the same seed agree in everything else.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from medveil.audit.results import (
    METRICS,
    NULL_LEVEL,
    PAIRED_DRAWS,
    AttackResult,
    Audit,
    Best,
    ControlResult,
    Measured,
    Recognized,
    RecognizerRow,
    TierFidelity,
    Verdict,
    failed_checks,
)
from medveil.errors import IntegrityError, UsageError
from medveil.experiments.unit import Status
from medveil.files.atomic import write_bytes
from medveil.files.reading import read_regular
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE
from medveil.tasks.results import FeatureAgreement, MatrixCell, Question, TaskResult

SCHEMA = 2
HTML, JSON, FIGURES = "report.html", "report.json", "figures"
"""What the folder of an audit holds; the page and the figures only where a report was asked for."""
OWN_FIGURE = re.compile(
    r"(advantage|linkage|identification|matrix|sensitivity|fidelity-.+|strip-.+|worst-.+|loss|roc-.+|texture|contours-.+)\.(svg|png)"
)
EXCELLENT = "excellent"
"""The group of features whose ICC is above 0.75 by the lower bound of its interval."""
SIGNIFICANT_DIGITS = 6
OPEN = "open"
"""The kind of a release that everybody may have; see `medveil.audit.targets.target.Kind`."""
POOLING = "all pixels of all opened images of the tier, as working pictures, in one histogram"

_SEVERITY = dict.fromkeys(Verdict, 0) | {Verdict.BROKEN: 3, Verdict.TOO_WEAK: 2, Verdict.INCONCLUSIVE: 1}
_OWN_KEYS: Mapping[str, type] = {
    "schema": int, "release": dict, "settings": dict, "data": dict, "attacks": list, "controls": list,
    "conclusion": str,
}  # fmt: skip
_SINCE_2: Mapping[str, type] = {
    "target": dict, "refused": list, "checks": list, "fidelity": list, "tasks": list, "grounds": list,
    "broken_by": list,
}  # fmt: skip
_MAX_BYTES = 1 << 28
_UNTRIED = ("Not tried: ", "no two packages of one size class")
"""How what was found begins in schema 1 where a check was not tried."""
_CURVE = "revealed-"
_MUST_BREAK = 10.0


def record_of(audit: Audit) -> dict[str, Any]:
    """The audit as report.json holds it: dicts, lists, strings, rounded numbers and None."""
    record = {
        "schema": SCHEMA,
        **_some(audit, "target", "release", "settings", "data", "checks", "conclusion", "seconds"),
        **_attacks(audit.attacks),
        "controls": [_control(control) for control in audit.controls],
        "matrix": {control.name: matrix_column(control.attacks) for control in audit.controls},
        "sensitivity": sensitivity(audit.controls),
        "fidelity": [_fidelity(tier) for tier in audit.fidelity],
        "tasks": [task_record(task, draws=audit.target.get("kind") == OPEN) for task in audit.tasks],
        "grounds": [{"code": code, "names": names} for code, names in audit.grounds.items()],
        "broken_by": broken_by(audit),
    }
    if audit.identification is not None:
        record["identification"] = identification_record(audit.identification)
    return dict(_plain(record))


def is_record(value: Any) -> bool:
    """Whether a value that was read is that of a report.json: of this schema or an earlier one."""
    if not isinstance(value, dict) or type(value.get("schema")) is not int or not 1 <= value["schema"] <= SCHEMA:
        return False
    asked = {**_OWN_KEYS, **(_SINCE_2 if value["schema"] >= 2 else {})}
    return all(isinstance(value.get(name), kind) for name, kind in asked.items())


def read_record(path: Path) -> dict[str, Any]:
    """What a report.json holds, in the form of today: one of schema 1 is brought to it.

    Raises:
        UsageError: it cannot be read, is no report, or is of a later schema.
    """
    try:
        value = json.loads(read_regular(path, limit=_MAX_BYTES, what="report"))
    except FileNotFoundError:
        raise UsageError(f"there is no {JSON} there", hint="name the folder that medveil audit wrote") from None
    except (IntegrityError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the report cannot be read: {type(error).__name__}", hint="name the report.json of an audit"
        ) from None
    if not is_record(value):
        raise UsageError(
            f"this is no report.json of schema 1 to {SCHEMA}",
            hint="name one that medveil audit wrote, or update medveil",
        )
    return value if value["schema"] == SCHEMA else _of_schema_1(value)


def _of_schema_1(old: Mapping[str, Any]) -> dict[str, Any]:
    """The same in schema 2; grounds were sentences only, and there were none but keyed releases."""

    def refused(found: Mapping[str, Any]) -> dict[str, Any]:
        undone = [
            {**each, "status": Status.FAILED.value if each["failed"] else Status.REFUSED.value}
            for each in found["refused"]
        ]
        return {**found, "refused": undone}

    def task(found: Mapping[str, Any]) -> dict[str, Any]:
        undone = Status.FAILED if found["failed"] else Status.REFUSED
        status = undone if found["refused"] else Status.DONE
        return {**found, "status": status.value, "reason": found["refused"]}

    return {
        **refused(old),
        "schema": SCHEMA,
        "target": {"kind": "keyed", "mechanism": old["release"]["protection"]},
        "grounds": [],
        "controls": [refused(control) for control in old["controls"]],
        "checks": [{**check, "tried": not check["found"].startswith(_UNTRIED)} for check in old["checks"]],
        "tasks": [task(each) for each in old["tasks"]],
    }


def canonical(record: Mapping[str, Any]) -> bytes:
    """The bytes of report.json."""
    return (json.dumps(_plain(record), sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def write_record(audit: Audit, folder: Path) -> None:
    """Write report.json alone, for its user alone: codes and numbers, without the report's sentences."""
    write_bytes(folder / JSON, canonical(record_of(audit)), mode=0o600, overwrite=True)


def leading(result: AttackResult) -> Measured | None:
    """The metric that decides an attack's verdict: the worst one, and of equals the largest advantage in margins."""
    return max(result.measured, key=_weight, default=None)


def ranked(results: Iterable[AttackResult]) -> list[AttackResult]:
    """The attacks that were run, strongest first; equals stay in their order."""
    ran = [result for result in results if result.verdict is not None]
    return sorted(ran, key=_strength, reverse=True)


def broken_by(audit: Audit) -> tuple[str, ...]:
    """What broke the release, strongest first, whatever the controls say and the conclusion is; then failed checks."""
    broken = (result.name for result in ranked(audit.attacks) if result.verdict is Verdict.BROKEN)
    return (*broken, *(check.name for check in failed_checks(audit.checks)))


def sensitivity(controls: Iterable[ControlResult]) -> list[dict[str, Any]]:
    """What the audit sees where a known share of the true cells is told to the attacker, by rising share."""
    points = [
        {
            "control": control.name, "percent": share, "attack": result.name,
            **_some(measured, "metric", "advantage", "ci", "margin", "verdict"),
        }
        for control in controls
        if (share := revealed_percent(control.name)) is not None
        for result in control.attacks
        for measured in result.measured
    ]  # fmt: skip
    return sorted(points, key=itemgetter("metric", "attack", "control", "percent"))


def revealed_percent(control: str) -> float | None:
    """revealed-0.1 and revealed-0.1@release → 0.1; None for the name of another control."""
    if not control.startswith(_CURVE):
        return None
    try:
        return float(control.removeprefix(_CURVE).partition("@")[0])
    except ValueError:
        return None


def expected_of(control: ControlResult) -> str:
    """`broken`, `not-broken`, or `either` for the points of a curve, which only show where this audit begins to see."""
    if not control.positive:
        return "not-broken"
    share = revealed_percent(control.name)
    weak = share is not None and share < _MUST_BREAK
    return "either" if weak or (control.ok and not control.by) else "broken"


def matrix_column(results: Iterable[AttackResult]) -> dict[str, str]:
    """Attack → its verdict on one mechanism; `refused` where it makes no sense there, `failed` where it did."""
    return {result.name: (result.verdict or result.status).value for result in results}


def task_record(result: TaskResult, *, draws: bool = False) -> dict[str, Any]:
    """A task as report.json holds it; numbers are rounded with the rest of the report.

    Args:
        result: of the task.
        draws: whether the deciding metric of resampled patients is kept, by which releases are compared.
    """
    return {
        **_some(result, "name", "title", "status", "settings", "seconds", "notes"),
        "reason": result.refusal,
        "questions": [_question(question, draws=draws) for question in result.questions],
        "agreements": [_agreement(agreement) for agreement in result.agreements],
    }


def identification_record(found: Recognized) -> dict[str, Any]:
    """Whom recognizers find, as report.json holds it: keys are those of docs/reference.md."""
    return {
        **_some(found, "people", "images", "pictures", "own_people", "own_images", "recognizers", "controls", "undone"),
        "people_digest": found.people_digest,
        "rounds": len(found.own_images),
        "rows": [_recognizer_row(row) for row in found.rows],
        "raw_rows": [_recognizer_row(row) for row in found.raw_rows],
        "maximum": {question: _best(best) for question, best in found.maximum.items()},
        "raw": None if found.raw is None else _best(found.raw),
        "metadata": {question: _recognizer_row(row) for question, row in found.metadata.items()},
        "null": {"shuffles": found.shuffles, "level": NULL_LEVEL, "within": ["source", "label", "view", "sex"]},
    }


def _recognizer_row(row: RecognizerRow) -> dict[str, Any]:
    figures = {each.name: getattr(row.found, each.name) for each in fields(row.found)}
    return {**row.who, "title": row.title, **figures}


def _best(best: Best) -> dict[str, Any]:
    found, first, sharp = best.row.found, best.first, best.sharp
    return {
        **best.row.who,
        "matched_auc": found.matched_auc, "ci": found.matched_auc_ci, "null": best.null, "above_null": best.above_null,
        "draws": best.draws[:PAIRED_DRAWS],
        "top_1": first and first.found.patient_top[1], "top_1_ci": first and first.found.top_1_ci,
        "top_1_chance": first and first.found.patient_chance[1], "top_1_null": best.top_1_null,
        "top_1_above_null": best.top_1_above_null, "top_1_by": first and first.who,
        "people": (first or best.row).found.patients,
        "tpr_at_1": sharp and sharp.found.tpr_at_1, "tpr_at_1_by": sharp and sharp.who,
    }  # fmt: skip


def excellent_share(agreement: FeatureAgreement) -> float:
    """Share of all features that agree excellently; those that cannot be judged do not."""
    return agreement.groups.get(EXCELLENT, 0) / max(len(agreement.features), 1)


def strict_share(agreement: FeatureAgreement) -> float | None:
    """The same by agreement, ICC(2,1), which sees a shift that all images share; None where it was not measured."""
    lower = agreement.figures.get("icc21_low")
    return None if lower is None else float((lower > EXCELLENT_ABOVE).mean())


def _strength(result: AttackResult) -> tuple[float, float]:
    lead = leading(result)
    severity = _SEVERITY[result.verdict] if result.verdict else -1
    return float(severity), _weight(lead)[1] if lead else -math.inf


def _weight(measured: Measured) -> tuple[float, float]:
    ratio = measured.advantage / measured.margin if measured.margin > 0 else measured.advantage
    return float(_SEVERITY[measured.verdict]), ratio if math.isfinite(ratio) else -math.inf


def _some(thing: object, *names: str) -> dict[str, Any]:
    """Some fields of a result, by their own names."""
    return {name: getattr(thing, name) for name in names}


def _attacks(results: Sequence[AttackResult]) -> dict[str, Any]:
    """Those that were done, strongest first, and the others."""
    undone = [result for result in results if result.verdict is None]
    return {
        "attacks": [_attack(result) for result in ranked(results)],
        "refused": [
            {**_some(result, "name", "title", "status"), "level": result.mechanism, "reason": result.refusal}
            for result in undone
        ],
    }


def _attack(result: AttackResult) -> dict[str, Any]:
    lead = leading(result)
    means = {measured.metric: measured.attacker for measured in result.measured}
    deciding = ("metric", "baseline", "advantage", "ci")
    return {
        **_some(result, "name", "title", "verdict", "extra", "seconds"),
        "level": result.mechanism,
        **({"reason": result.refusal} if result.failed else {}),
        **{metric: means.get(metric) for metric in METRICS},
        **(_some(lead, *deciding) if lead else dict.fromkeys(deciding)),
        "measured": {measured.metric: measured for measured in result.measured},
    }


def _control(control: ControlResult) -> dict[str, Any]:
    return {
        **_some(control, "name", "title", "ok", "by", "on"),
        "kind": "positive" if control.positive else "negative",
        "expected": expected_of(control),
        "got": "broken" if control.by else "not-broken" if control.tried else "not-run",
        **_attacks(control.attacks),
    }


def _fidelity(tier: TierFidelity) -> dict[str, Any]:
    rows, pixels = {row.metric: row for row in tier.rows}, int(tier.histogram.sum())
    return {**_some(tier, "tier", "r_squared"), "metrics": rows, "pooling": POOLING, "pixels": pixels}


def _question(question: Question, *, draws: bool) -> dict[str, Any]:
    def cell(each: MatrixCell) -> dict[str, Any]:
        kept = {"draws": each.draws[:PAIRED_DRAWS]} if draws and each.draws is not None else {}
        return {**_some(each, "train", "test", "values"), "difference": each.compared, **kept}

    return {
        **_some(question, "name", "title", "classes", "images", "patients", "metric", "caution"),
        "baselines": [{**_some(each, "name", "title"), **asdict(each.value)} for each in question.baselines],
        "matrix": [cell(each) for each in question.cells],
    }


def _agreement(agreement: FeatureAgreement) -> dict[str, Any]:
    figures = {**_some(agreement, "are", "icc", "lower"), **agreement.figures}
    return {
        **_some(agreement, "bins", "images", "patients", "groups"),
        "set": agreement.set_name,
        "excellent_share": excellent_share(agreement),
        "excellent_share_icc21": strict_share(agreement),
        "features": {
            name: {figure: float(values[place]) for figure, values in figures.items()}
            for place, name in enumerate(agreement.features)
        },
    }


def _plain(value: Any) -> Any:
    """Any value of an audit as JSON knows it."""
    if value is None or (isinstance(value, bool | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(_some(value, *(each.name for each in fields(value))))
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=str)
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [_plain(one) for one in value]
    return str(value)


def _rounded(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0  # no negative zero
