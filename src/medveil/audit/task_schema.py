"""Tasks in report.json: what each found, as plain values. No pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from medveil.experiments.unit import Status
from medveil.metrics.inference import Compared
from medveil.tasks.radiomics_compare import EXCELLENT_ABOVE
from medveil.tasks.results import Baseline, Estimate, FeatureAgreement, MatrixCell, Question, TaskResult

EXCELLENT = "excellent"
"""The group of features whose ICC is above 0.75 by the lower bound of its interval."""


def task_record(result: TaskResult) -> dict[str, Any]:
    """A task as report.json holds it; numbers are rounded with the rest of the report."""
    return {
        "name": result.name,
        "title": result.title,
        "refused": result.refusal,
        "failed": result.status is Status.FAILED,
        "settings": dict(result.settings),
        "seconds": result.seconds,
        "notes": list(result.notes),
        "questions": [_question(question) for question in result.questions],
        "agreements": [_agreement(agreement) for agreement in result.agreements],
    }


def excellent_share(agreement: FeatureAgreement) -> float:
    """Share of all features that agree excellently; those that cannot be judged do not."""
    return agreement.groups.get(EXCELLENT, 0) / max(len(agreement.features), 1)


def strict_share(agreement: FeatureAgreement) -> float | None:
    """The same by agreement, ICC(2,1), which sees a shift that all images share; None where it was not measured."""
    lower = agreement.figures.get("icc21_low")
    return None if lower is None else float((lower > EXCELLENT_ABOVE).mean())


def _question(question: Question) -> dict[str, Any]:
    return {
        "name": question.name,
        "title": question.title,
        "classes": dict(question.classes),
        "images": question.images,
        "patients": question.patients,
        "metric": question.metric,
        "caution": question.caution,
        "baselines": [_baseline(baseline) for baseline in question.baselines],
        "matrix": [_cell(cell) for cell in question.cells],
    }


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {"name": baseline.name, "title": baseline.title, **_estimate(baseline.value)}


def _cell(cell: MatrixCell) -> dict[str, Any]:
    return {
        "train": cell.train,
        "test": cell.test,
        "values": {name: _estimate(estimate) for name, estimate in cell.values.items()},
        "difference": _difference(cell.compared),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "sd": estimate.sd, "ci": list(estimate.ci)}


def _difference(compared: Compared | None) -> dict[str, Any] | None:
    return None if compared is None else asdict(compared)


def _agreement(agreement: FeatureAgreement) -> dict[str, Any]:
    figures: Mapping[str, Any] = {"are": agreement.are, "icc": agreement.icc, "lower": agreement.lower}
    figures = {**figures, **agreement.figures}
    return {
        "set": agreement.set_name,
        "bins": agreement.bins,
        "images": agreement.images,
        "patients": agreement.patients,
        "groups": dict(agreement.groups),
        "excellent_share": excellent_share(agreement),
        "excellent_share_icc21": strict_share(agreement),
        "features": {
            name: {figure: float(values[place]) for figure, values in figures.items()}
            for place, name in enumerate(agreement.features)
        },
    }
