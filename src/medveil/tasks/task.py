"""Task: the interface of what a researcher does with opened images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from medveil.experiments.cache import ByteCache
from medveil.experiments.progress import Progress
from medveil.experiments.runner import run
from medveil.experiments.unit import Key, Plan, Product, Result, Status, Unit, attempt
from medveil.experiments.unit_store import UnitStore
from medveil.metrics.inference import LEAST, LeastPatients
from medveil.tasks.image_sets import Gallery
from medveil.tasks.results import TaskResult


@dataclass(frozen=True)
class TaskEffort:
    """What a task may spend.

    Attributes:
        seeds: trainings a set, each from another seed; without folds in the manifest each has other test patients too.
        classifier, segmenter: networks by name.
        classify_side, segment_side: side in pixels of what the networks see.
        classify_epochs, segment_epochs: how often each training image is seen.
        resamples: of every bootstrap.
        radiomics_images: most images whose features are measured.
    """

    seeds: int
    classifier: str
    segmenter: str
    classify_side: int
    segment_side: int
    classify_epochs: float
    segment_epochs: float
    resamples: int
    radiomics_images: int


@dataclass(frozen=True)
class Assignment:
    """All that a task is given.

    Attributes:
        gallery: the images.
        effort: what it may spend.
        seed: of everything that is drawn.
        margin: of non-inferiority, in AUC and Dice.
        least: patients that figures rest on.
        learned: names of the sets that networks learn from, the original first; all of them where empty.
        stacks: what the networks of one task see at a time, by task and data set, and then by set.
    """

    gallery: Gallery
    effort: TaskEffort
    seed: int = 0
    margin: float = 0.02
    least: LeastPatients = LEAST
    learned: tuple[str, ...] = ()
    stacks: ByteCache[str, dict[str, Any]] = field(default_factory=lambda: ByteCache(0, lambda _: 1), repr=False)

    @property
    def training_sets(self) -> tuple[str, ...]:
        """Names of the sets that networks learn from."""
        return self.learned or self.gallery.sets


class Task(Protocol):
    """What a researcher does with images.

    Attributes:
        name, title: classification, for one.
        needs: of the manifest and the images, in words.
        measures: what comes out, in words.
        cost: about how long, in words.
    """

    name: str
    title: str
    needs: str
    measures: str
    cost: str

    def units(self, assignment: Assignment) -> tuple[Unit, ...]:
        """What is to be done: trainings, measurements. A key names all that a product depends on, but for the pixels.

        Raises:
            InputError: these images don't allow the task; the message says why.
        """
        ...

    def result(self, assignment: Assignment, products: Mapping[Key, Product]) -> TaskResult:
        """What the products of all units say. Raises InputError where they don't allow an answer."""
        ...


@dataclass(frozen=True)
class PlannedTask:
    """A task with its units; none, and a reason, where it cannot be done."""

    task: Task
    assignment: Assignment
    units: tuple[Unit, ...] = ()
    status: Status = Status.DONE
    reason: str = ""

    @classmethod
    def of(cls, task: Task, assignment: Assignment) -> PlannedTask:
        """Ask a task for its units."""
        units, status, reason = attempt(lambda: task.units(assignment))
        return cls(task, assignment, units or (), status, reason)

    def result(self, results: Mapping[Key, Result]) -> TaskResult:
        """What the task says of the results of its units. One that was refused or failed is the whole task's end."""
        start = time.perf_counter()
        own = [results[unit.key] for unit in self.units]
        status, reason = self.status, self.reason
        for each in own:
            if status is not Status.FAILED and each.status is not Status.DONE:
                status, reason = each.status, each.reason
        found = None
        if status is Status.DONE:
            products = {unit.key: each.product for unit, each in zip(self.units, own, strict=True)}
            found, status, reason = attempt(lambda: self.task.result(self.assignment, products))
        seconds = sum(each.seconds for each in own) + time.perf_counter() - start
        empty = TaskResult(self.task.name, self.task.title, refusal=reason, status=status)
        return replace(found or empty, seconds=seconds)


def do_task(
    task: Task, assignment: Assignment, store: UnitStore | None = None, executor: Executor | None = None,
    progress: Progress | None = None,
) -> TaskResult:  # fmt: skip
    """Do one task alone. Store, executor, progress and what is raised: see `medveil.experiments.runner.run`."""
    planned = PlannedTask.of(task, assignment)
    plan = Plan(store.settings if store is not None else {}, planned.units)
    return planned.result(run(plan, store, executor, progress))
