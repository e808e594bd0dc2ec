"""Tasks by name: built-in ones, and those of other packages (entry points "medveil.tasks")."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from typing import TypeVar

from medveil.errors import MissingDependencyError, UsageError
from medveil.tasks.task import Task

_ENTRY_POINTS = "medveil.tasks"
_MODULES = ("classification", "segmentation", "radiomics")
_registered: dict[str, Callable[[], Task]] = {}

_Factory = TypeVar("_Factory", bound=Callable[[], object])


def register_task(name: str) -> Callable[[_Factory], _Factory]:
    """Decorator: make a class, or a function without arguments that returns a task, known under a name."""

    def register(factory: _Factory) -> _Factory:
        _registered[name] = factory  # type: ignore[assignment]
        return factory

    return register


def all_tasks() -> tuple[Task, ...]:
    """Every task that can be loaded, built-in ones first."""
    _load()
    return tuple(make() for make in _registered.values())


def chosen_tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of these names, in their order.

    Raises:
        UsageError: there is no task of a name.
    """
    found = {task.name: task for task in all_tasks()}
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, 1)
            raise UsageError(
                f"there is no task of that name; there are {', '.join(found)}",
                hint=f"did you mean {near[0]}?" if near else "see medveil tasks",
            )
    return tuple(found[name] for name in dict.fromkeys(names))


def _load() -> None:
    for module in _MODULES:
        try:
            importlib.import_module(f"medveil.tasks.{module}")
        except ImportError as error:
            raise MissingDependencyError(
                f"tasks need {error.name or 'a package'}, which is not installed", hint='pip install "medveil[audit]"'
            ) from error
    for entry in importlib.metadata.entry_points(group=_ENTRY_POINTS):
        _registered.setdefault(entry.name, entry.load())
