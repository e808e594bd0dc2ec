"""`medveil tasks`: what an audit can do with opened images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session

if TYPE_CHECKING:
    from medveil.tasks.task import Task


def tasks(json: Json = False, quiet: Quiet = False) -> None:
    """Show the tasks of an audit.

    For each: what it needs, measures and costs.
    """
    with session("tasks", as_json=json, quiet=quiet) as run:
        from medveil.tasks.registry import all_tasks, unavailable_tasks

        found, broken = all_tasks(), unavailable_tasks()
        run.result(
            [*(line for task in found for line in _lines(task)), *(each.because for each in broken)],
            done=len(found),
            tasks=[_entry(task) for task in found],
            unavailable=[{"name": each.name, "because": each.because} for each in broken],
        )


def _lines(task: Task) -> list[str]:
    told = (("needs", task.needs), ("measures", task.measures), ("costs", task.cost))
    return [f"{task.name}: {task.title}", *(f"  {name + ':':10}{words or 'nothing'}" for name, words in told)]


def _entry(task: Task) -> dict[str, object]:
    return {name: getattr(task, name) for name in ("name", "title", "needs", "measures", "cost")}
