"""Tables of tasks for the page, from what report.json holds: every number of them comes from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medveil.report.task_sentences import metric_name, number, percent, span, standing_words
from medveil.tasks.image_sets import ORIGINAL

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
        "same": [{"set": cell["test"], "cells": [_further(cell["values"].get(name)) for name in metrics]}
                 for cell in same] if metrics else [],
        "against": [f"{one['title']}: {_estimate(one)}" for one in question["baselines"]],
    }  # fmt: skip


def _cell(cell: Mapping[str, Any] | None, metric: str, question: Mapping[str, Any]) -> dict[str, str]:
    if cell is None or metric not in cell["values"]:
        return {"value": "–", "interval": "", "words": "", "standing": ""}
    value, difference = cell["values"][metric], cell["difference"]
    words = ""
    if difference is not None:
        standing = standing_words(difference["standing"], difference["margin"], question["patients"])
        words = f"{number(difference['difference'], signed=True)}: {standing}"
    elif (cell["train"], cell["test"]) == (ORIGINAL, ORIGINAL):
        words = "what the others are held against"
    return {
        "value": number(value["mean"]),
        "interval": span(value["ci"]),
        "words": words,
        "standing": difference["standing"] if difference is not None else "",
    }


def _metrics(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """In the order of the task where it is known; report.json sorts names."""
    return list(dict.fromkeys(name for cell in cells for name in cell["values"]))


def _further(value: Mapping[str, Any] | None) -> str:
    return f"{number(value['mean'])} ± {number(value['sd'])}" if value is not None else "–"


def _estimate(value: Mapping[str, Any]) -> str:
    return f"{number(value['mean'])} ({span(value['ci'])})"


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
