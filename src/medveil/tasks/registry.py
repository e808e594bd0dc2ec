"""Tasks by name: built-in ones, and those of other packages (entry points "medveil.tasks")."""

from __future__ import annotations

from collections.abc import Sequence

from medveil.registry import Availability, Registry
from medveil.tasks.task import Task

TASKS: Registry[Task] = Registry(
    "task",
    {
        "classification": "medveil.tasks.classification:Classification",
        "segmentation": "medveil.tasks.segmentation:Segmentation",
        "radiomics": "medveil.tasks.radiomics:Radiomics",
    },
    group="medveil.tasks",
    extra="audit",
    hint="see medveil tasks",
)
register_task = TASKS.register


def all_tasks() -> tuple[Task, ...]:
    """Every task that can be made, built-in ones first.

    Raises:
        MissingDependencyError: a built-in one cannot.
    """
    return tuple(TASKS.make_all())


def unavailable_tasks() -> tuple[Availability, ...]:
    """Tasks of other packages that cannot be used, and why."""
    return tuple(each for each in TASKS.availabilities() if not each.ok)


def chosen_tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of these names, in their order.

    Raises:
        UsageError: there is no task of a name.
        MissingDependencyError: there is one, and it cannot be used here.
    """
    return tuple(TASKS.make(name) for name in dict.fromkeys(names))
