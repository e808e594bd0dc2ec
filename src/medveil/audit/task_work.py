"""The tasks of one audit: what was asked for, with what, and how it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from medveil.audit.keeping import Keeper
from medveil.audit.presets import Preset, TaskBudget
from medveil.audit.progress import Progress
from medveil.audit.reference_codecs import recodings
from medveil.audit.targets.target import Target
from medveil.audit.task_running import assignment_of, run_tasks, set_fidelity
from medveil.audit.task_sets import Tasking, tasking_of
from medveil.errors import UsageError
from medveil.networks.classifiers import build_classifier, classifier_names
from medveil.networks.segmenters import segmenter_names
from medveil.registry import unknown
from medveil.tasks.registry import chosen_tasks
from medveil.tasks.results import TaskResult
from medveil.tasks.task import PlannedTask, Task, TaskEffort


@dataclass(frozen=True)
class AskedWork:
    """What was asked for.

    Attributes:
        tasks: in their order; none where none was.
        compare: further codecs.
        networks: other ones than the preset's.
        budget: what they may spend; None without tasks.
    """

    tasks: tuple[Task, ...] = ()
    compare: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    budget: TaskBudget | None = None

    @property
    def images(self) -> int:
        """Most images that tasks see."""
        return self.budget.images if self.budget is not None else 0


@dataclass(frozen=True)
class Work:
    """The same with the images of a release.

    Attributes:
        asked: what was asked for.
        preset, seed: of the audit.
        tasking: the images as tasks see them; None without tasks.
        planned: the tasks with their units.
    """

    asked: AskedWork
    preset: Preset
    seed: int
    tasking: Tasking | None = None
    planned: tuple[PlannedTask, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """All that the result of a task depends on, for resuming; nothing without tasks."""
        if self.tasking is None or self.asked.budget is None:
            return {}
        return {
            "tasks": [task.name for task in self.asked.tasks],
            "compare": list(self.asked.compare),
            "networks": list(self.asked.networks),
            "task effort": {"images": self.asked.budget.images, **asdict(self.asked.budget.effort)},
            "labels or masks": self.tasking.digest.hex(),
        }

    def parts(self) -> int:
        """Units of all tasks together."""
        return sum(len(task.units) for task in self.planned)

    def done(self, keeper: Keeper, told: Progress) -> tuple[TaskResult, ...]:
        """Do the tasks."""
        return run_tasks(self.planned, keeper, told)

    def facts(self, keeper: Keeper, told: Progress) -> dict[str, Any]:
        """What the report tells of the images and of their sets, under `tasks`."""
        if self.tasking is None:
            return {}
        told.begin("how near the sets of the tasks come to the originals")
        sets = set_fidelity(self.tasking, self.preset.fidelity_images, self.seed, keeper)
        return {"tasks": {**self.tasking.found, "sets": sets}}

    def forecast(self) -> list[dict[str, Any]]:
        """For each task its name, title, how many units it has, and why it cannot be done, where that is known."""
        return [
            {"name": each.task.name, "title": each.task.title, "parts": len(each.units), "refused": each.reason}
            for each in self.planned
        ]


def asked_work(tasks: Sequence[str], compare: Sequence[str], networks: Sequence[str], preset: Preset) -> AskedWork:
    """What was asked for, before anything is read.

    Raises:
        UsageError: a task, codec or network that there is not, or one to compare with and no task.
        MissingDependencyError: one needs a package that is not installed.
    """
    if not tasks:
        if compare:
            raise UsageError("--compare is for tasks, and none was asked for", hint="name some with --tasks")
        if networks:
            raise UsageError("--networks is for tasks, and none was asked for", hint="name some with --tasks")
        return AskedWork()
    recodings(compare)
    budget = replace(preset.tasks, effort=with_networks(preset.tasks.effort, networks))
    return AskedWork(chosen_tasks(tasks), tuple(dict.fromkeys(compare)), tuple(dict.fromkeys(networks)), budget)


def with_networks(effort: TaskEffort, names: Sequence[str]) -> TaskEffort:
    """The same effort with other networks: a classifier, a segmentation network, or one of each.

    Raises:
        UsageError: there is no network of a name, or two of a kind were named.
        MissingDependencyError: its weights are not installed.
    """
    kinds = {"classifier": classifier_names(), "segmenter": segmenter_names()}
    chosen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        kind = next((kind for kind, known in kinds.items() if name in known), None)
        if kind is None:
            every = [known for names_of in kinds.values() for known in names_of]
            raise unknown("network", name, every)
        if kind in chosen:
            raise UsageError(f"two networks of one kind ({kind}) were named", hint="name one of each kind at most")
        chosen[kind] = name
    if "classifier" in chosen:
        build_classifier(chosen["classifier"], 2)  # whether it can be built here, before hours of work
    return replace(effort, **chosen)  # type: ignore[arg-type]


def work_of(
    asked: AskedWork, target: Target, preset: Preset, seed: int, tick: Callable[[], None] = lambda: None
) -> Work:
    """Prepare what was asked for: read labels and masks.

    Raises:
        UsageError: as `reference_codecs.recodings`.
    """
    if asked.budget is None:
        return Work(asked, preset, seed)
    tasking = tasking_of(target, asked.compare, preset.least.of_class, tick)
    assignment = assignment_of(tasking, asked.budget.effort, seed, preset.least)
    return Work(asked, preset, seed, tasking, tuple(PlannedTask.of(task, assignment) for task in asked.tasks))
