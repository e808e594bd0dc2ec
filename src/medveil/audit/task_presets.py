"""What tasks spend, by preset. Apart from the presets of attacks: neither depends on the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medveil.audit.presets import Preset
from medveil.tasks.task import TaskEffort


@dataclass(frozen=True)
class TaskBudget:
    """What the tasks of one audit may spend.

    Attributes:
        images: most images that they see, whole patients.
        effort: of each task.
    """

    images: int
    effort: TaskEffort


_DENSENET, _UNET = "densenet121", "unet"
_BUDGETS = {
    "quick": TaskBudget(400, TaskEffort(3, _DENSENET, _UNET, 96, 96, 12.0, 16.0, 0, 60)),
    "standard": TaskBudget(2000, TaskEffort(5, _DENSENET, _UNET, 128, 128, 10.0, 10.0, 0, 300)),
    "paper": TaskBudget(100_000, TaskEffort(5, _DENSENET, _UNET, 224, 256, 60.0, 60.0, 0, 100_000)),
}


def budget_of(preset: Preset) -> TaskBudget:
    """The budget that goes with a preset; resamples are the preset's."""
    budget = _BUDGETS[preset.name]
    return replace(budget, effort=replace(budget.effort, resamples=preset.resamples))
