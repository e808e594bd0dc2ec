"""An audit in which tasks were done too."""

from __future__ import annotations

from dataclasses import dataclass

from medveil.audit.results import Audit
from medveil.tasks.results import TaskResult


@dataclass(frozen=True)
class TaskedAudit(Audit):
    """Everything that a report says, tasks included.

    Attributes:
        results: what the tasks found, with what figures need beside. `tasks` holds the same as report.json does.
        Others as in `Audit`.
    """

    results: tuple[TaskResult, ...] = ()


def results_of(audit: Audit) -> tuple[TaskResult, ...]:
    """What the tasks of an audit found; nothing where there were none."""
    return audit.results if isinstance(audit, TaskedAudit) else ()
