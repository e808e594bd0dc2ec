"""Tables of the page, in words: what is lost at each quality, fidelity, and what tasks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medveil.audit.record import excellent_share, leading, ranked
from medveil.audit.results import Audit
from medveil.report.amounts import NOT_MEASURED, amount, interval, metric_name, percent
from medveil.report.sentences import VERDICT_WORDS, found_cell, standing_words
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import Question, TaskResult

_GROUPS = ("poor", "fair", "good", "excellent", "undefined")


def task_sections(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each task its words, and of each question the tables.

    Args:
        record: as report.json holds it.
    """
    figures = [drawn for task in record["tasks"] for drawn in task.get("questions", [])]
    places = {id(question): place for place, question in enumerate(figures, 1)}
    return [
        {
            **task,
            "questions": [
                {**question, **_question(question), "roc": f"roc-{places[id(question)]}"}
                for question in task.get("questions", [])
            ],
            "texture": _texture(task.get("agreements", [])),
        }
        for task in record["tasks"]
    ]


def _question(question: Mapping[str, Any]) -> dict[str, Any]:
    cells = question["matrix"]
    metric = question["metric"]
    tests = list(dict.fromkeys(cell["test"] for cell in cells))
    rows = []
    for train in dict.fromkeys(cell["train"] for cell in cells):
        found = {cell["test"]: cell for cell in cells if cell["train"] == train}
        rows.append({"train": train, "cells": [_cell(found.get(test), metric, question) for test in tests]})
    metrics = [name for name in _metrics(cells) if name != metric]
    same = [cell for cell in cells if cell["train"] == cell["test"]]
    return {
        "words": metric_name(metric),
        "tests": tests,
        "rows": rows,
        "further": [metric_name(name) for name in metrics],
        "same": [{"set": cell["test"], "cells": [_further(name, cell["values"].get(name)) for name in metrics]}
                 for cell in same] if metrics else [],
        "against": [
            f"{one['title']}: {amount(metric, one['mean'])} ({interval(metric, one['ci'], signed=False)})"
            for one in question["baselines"]
        ],
    }  # fmt: skip


def _cell(cell: Mapping[str, Any] | None, metric: str, question: Mapping[str, Any]) -> dict[str, str]:
    if cell is None or metric not in cell["values"]:
        return {"value": "–", "interval": "", "words": "", "standing": ""}
    value, difference = cell["values"][metric], cell["difference"]
    words = ""
    if difference is not None:
        standing = standing_words(difference["standing"], difference["margin"], question["patients"])
        words = f"{amount(metric, difference['difference'], signed=True)}: {standing}"
    elif (cell["train"], cell["test"]) == (ORIGINAL, ORIGINAL):
        words = "what the others are held against"
    return {
        "value": amount(metric, value["mean"]),
        "interval": interval(metric, value["ci"], signed=False),
        "words": words,
        "standing": difference["standing"] if difference is not None else "",
    }


def _metrics(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """In the order of the task where it is known; report.json sorts names."""
    return list(dict.fromkeys(name for cell in cells for name in cell["values"]))


def _further(metric: str, value: Mapping[str, Any] | None) -> str:
    return f"{amount(metric, value['mean'])} ± {amount(metric, value['sd'])}" if value is not None else "–"


def _texture(agreements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "set": one["set"],
            "bins": one["bins"],
            "people": f"{one['images']}, {one['patients']}",
            "groups": [one["groups"].get(group, 0) for group in _GROUPS],
            "share": percent(one["excellent_share"]),
            "strict": "–" if (strict := one.get("excellent_share_icc21")) is None else percent(strict),
        }
        for one in agreements
    ]


def loss_table(audit: Audit, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is lost at each quality beside what an attacker gains: head and one row a set, in words.

    Args:
        audit: what was found.
        record: the same as report.json holds it.
    """
    sets = record["data"].get("tasks", {}).get("sets", [])
    results = [result for result in audit.tasks if not result.refusal]
    if not sets or not results:
        return None
    questions = [question for result in results for question in result.questions]
    bins = list(dict.fromkeys(each.bins for result in results for each in result.agreements))
    head = ["images", "what an attacker gains", "PSNR, SSIM"]
    head += [f"{metric_name(question.metric)}: {question.title}" for question in questions]
    head += [f"texture features with ICC above 0.75, {kind}" for kind in bins]
    rows = []
    for one in sets:
        cells = [one["name"], _gain(audit, one["kind"]), _near(one)]
        cells += [_loss(question, one["name"]) for question in questions]
        cells += [_share(results, one["name"], kind) for kind in bins]
        rows.append({"cells": cells, "title": one["title"], "kind": one["kind"]})
    return {"head": head, "rows": rows}


def _gain(audit: Audit, kind: str) -> str:
    if kind != "tier":
        return "all of it" if kind == "original" else "not this release"
    if not audit.attacked:
        return "not attacked"
    lead = next(((a, found) for a in ranked(audit.attacks) if (found := leading(a)) is not None), None)
    if lead is None:
        return NOT_MEASURED
    result, measured = lead
    gain = amount(measured.metric, measured.advantage, signed=True)
    name = metric_name(measured.metric)
    return f"{gain} by the strongest, {result.name} ({name}). In all: {VERDICT_WORDS[audit.conclusion]}"


def _near(one: dict[str, Any]) -> str:
    if one["kind"] == "original":
        return "equal"
    return f"{amount('psnr', one.get('psnr'))}, {amount('ssim', one.get('ssim'))}"


def _loss(question: Question, name: str) -> str:
    found = found_cell(question, name)
    if found is None or question.metric not in found[0]:
        return NOT_MEASURED
    values, compared = found
    if compared is None:
        return amount(question.metric, values[question.metric].mean)
    words = standing_words(compared.standing.value, compared.margin, question.patients)
    return f"{amount(question.metric, compared.difference, signed=True)}: {words}"


def _share(results: Sequence[TaskResult], name: str, bins: str) -> str:
    if name == ORIGINAL:
        return "all"
    for result in results:
        for agreement in result.agreements:
            if (agreement.set_name, agreement.bins) == (name, bins):
                return percent(excellent_share(agreement))
    return NOT_MEASURED


def fidelity_rows(audit: Audit) -> list[dict[str, str]]:
    """One line a tier, each metric as mean ± SD (95 % interval)."""
    rows = []
    for tier in audit.fidelity:
        cells = {
            row.metric: f"{amount(row.metric, row.mean)} ± {amount(row.metric, row.sd)} "
            f"({interval(row.metric, row.ci, signed=False)})"
            for row in tier.rows
        }
        images = max((row.images for row in tier.rows), default=0)
        rows.append({"tier": tier.tier, "images": str(images), "r_squared": f"{tier.r_squared:.4f}", **cells})
    return rows
