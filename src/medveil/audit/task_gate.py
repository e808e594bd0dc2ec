"""Thresholds of a gate on tasks: how much may be lost at the tiers of a release."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medveil.audit.results import Audit
from medveil.audit.task_schema import excellent_share
from medveil.errors import UsageError
from medveil.keys.tiers import Tier
from medveil.tasks.results import FeatureAgreement, Question, TaskResult

_KEYS = ("max_loss", "min_excellent", "tiers")
_TEXTURE = "radiomics"
_BUILT_IN = ("classification", "segmentation", _TEXTURE)
_TIERS = tuple(tier.value for tier in Tier)


@dataclass(frozen=True)
class TaskLimits:
    """Thresholds of one task.

    Attributes:
        max_loss: most that may be lost of the deciding metric, at 95 % certainty, where training and testing are of
            one set; None for no such threshold.
        min_excellent: least share of features that agree excellently; None likewise.
        tiers: that are held against them; none for all of the release.
    """

    max_loss: float | None
    min_excellent: float | None
    tiers: tuple[str, ...]


def task_limits(name: str, table: Mapping[str, Any]) -> TaskLimits:
    """Read the table of a task. Raises UsageError where a key or value means nothing, or no threshold is in it."""
    where = f"[tasks.{name[:40]}]"
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{where} has the unknown key {key[:40]!r}; allowed are {', '.join(_KEYS)}")
    limits = [_share(table, key, where) for key in _KEYS[:2]]
    if limits == [None, None]:
        raise UsageError(f"{where} of the gate has no threshold; {' and '.join(_KEYS[:2])} are some")
    tiers = table.get("tiers", [])
    if not isinstance(tiers, list) or any(tier not in _TIERS for tier in tiers) or (not tiers and "tiers" in table):
        raise UsageError(f"tiers in {where} of the gate is not a list of some of {', '.join(_TIERS)}")
    return TaskLimits(limits[0], limits[1], tuple(tiers))


def check_asked(limits: Mapping[str, TaskLimits], asked: Sequence[str]) -> None:
    """Whether every task that a gate holds against something is done. Raises UsageError where one is not."""
    for name, limit in limits.items():
        if name not in asked:
            raise UsageError(
                f"the gate has thresholds for the task {name[:40]!r}, which was not asked for",
                hint="name it with --tasks, or correct the gate",
            )
        kind = "max_loss" if name == _TEXTURE else "min_excellent"
        if name in _BUILT_IN and (limit.max_loss if name == _TEXTURE else limit.min_excellent) is not None:
            raise UsageError(f"{kind} in [tasks.{name}] of the gate means nothing for this task")


def too_much_lost(limits: Mapping[str, TaskLimits], audit: Audit) -> list[str]:
    """A sentence for each threshold that is passed over, or that nothing was measured for."""
    results = {result.name: result for result in audit.tasks}
    found = []
    for name, limit in limits.items():
        result = results.get(name)
        if result is None or result.refusal:
            found.append(f"task {name} was not done, and the gate has thresholds for it")
            continue
        for tier in limit.tiers or tuple(str(tier) for tier in audit.release.get("tiers", [])):
            found += _lost(result, limit, tier) + _unlike(result, limit, tier)
    return found


def _share(table: Mapping[str, Any], key: str, where: str) -> float | None:
    if key not in table:
        return None
    value = table[key]
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise UsageError(f"{key} in {where} of the gate is not a number from 0 to 1")
    return float(value)


def _lost(result: TaskResult, limit: TaskLimits, tier: str) -> list[str]:
    if limit.max_loss is None:
        return []
    bounds = [(question.name, _bound(question, tier)) for question in result.questions]
    if not bounds:
        return [f"task {result.name} has no question, and the gate has a threshold for its loss"]
    return [
        f"{name} at tier {tier} may lose {_amount(bound)}; the gate allows {limit.max_loss:g}"
        for name, bound in bounds
        if not bound >= -limit.max_loss
    ]


def _bound(question: Question, tier: str) -> float:
    """One-sided lower bound of the difference to originals; NaN where it was not measured."""
    try:
        compared = question.cell(tier, tier).compared
    except KeyError:
        compared = None
    return compared.lower if compared is not None else math.nan


def _amount(bound: float) -> str:
    return f"{-bound:.4g}" if math.isfinite(bound) else "any amount (not measured)"


def _unlike(result: TaskResult, limit: TaskLimits, tier: str) -> list[str]:
    if limit.min_excellent is None:
        return []
    least = limit.min_excellent
    measured: list[FeatureAgreement] = [each for each in result.agreements if each.set_name == tier]
    if not measured:
        return [f"texture at tier {tier} was not measured, and the gate has a threshold for it"]
    return [
        f"{excellent_share(each):.4g} of the texture features at tier {tier} agree excellently ({each.bins}); the gate "
        f"asks for {least:g}"
        for each in measured
        if not excellent_share(each) >= least
    ]
