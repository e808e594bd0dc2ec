"""Running tasks: each part kept when it is done, and one that fails does not take the report with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.audit.fidelity import MOST_DB, PEAK
from medveil.audit.keeping import Keeper
from medveil.audit.progress import Progress
from medveil.audit.task_sets import Tasking
from medveil.errors import IntegrityError, MedveilError
from medveil.experiments.sampling import drawn_by_patient, generator_of, seed_of
from medveil.metrics.image_quality import psnr, ssim
from medveil.metrics.inference import LeastPatients
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import TaskResult
from medveil.tasks.task import Arrays, Assignment, Task, TaskEffort

_SSIM_SIDE = 11


class NotKeptError(MedveilError):
    """A finished part could not be written: going on would lose more."""


class TaskParts:
    """Parts of one task: they are told of, and kept when they are done.

    A part ends when the next one begins. What was found done takes no time, and is not taken for a measure of it.

    Args:
        keeper: of the audit.
        told: has been told of `count` parts.
        name: of the task.
        digest: of what only tasks see.
        count: how many parts there are.
    """

    def __init__(self, keeper: Keeper, told: Progress, name: str, digest: str, count: int) -> None:
        self._keeper, self._told, self._name, self._digest, self._left = keeper, told, name, digest, count
        self._since: float | None = None
        self._open = False

    def find(self, *unit: str) -> Arrays | None:
        found = self._keeper.find_arrays("task", self._name, self._digest, *unit)
        self._since = self._since if found is None else None
        return found

    def keep(self, arrays: Arrays, *unit: str) -> None:
        try:
            self._keeper.keep_arrays(arrays, "task", self._name, self._digest, *unit)
        except MedveilError as error:
            raise NotKeptError(error.message, hint="see to space and permissions, and run it with --resume") from None

    def begin(self, text: str) -> None:
        self._finish()
        words = text.removeprefix(self._name).lstrip(":, ")
        self._since, self._open = self._told.begin(f"{self._name}: {words}"), True

    def close(self) -> None:
        """The task is done, with all of its parts."""
        self._finish()
        for _ in range(self._left):
            self._told.end(None)
        self._left = 0

    def _finish(self) -> None:
        if self._open and self._left > 0:
            self._told.end(self._since)
            self._left -= 1
        self._open = False


def assignment_of(tasking: Tasking, effort: TaskEffort, seed: int, least: LeastPatients) -> Assignment:
    """What every task of an audit is given; keeping and telling come later."""
    return Assignment(tasking.gallery, effort, seed_of(seed, "tasks"), least=least)


def parts_of(tasks: Sequence[Task], assignment: Assignment) -> list[int]:
    """How many long parts each task has; what cannot be counted will fail when it runs, and is one."""
    return [_counted(task, assignment) for task in tasks]


def refusal_of(task: Task, assignment: Assignment) -> str:
    """Why a task cannot be done with these images, where that is known beforehand: it has no part to do then."""
    try:
        return "" if task.parts(assignment) else task.run(assignment).refusal
    except MedveilError as error:
        return f"{type(error).__name__}: {error.message}"


def run_tasks(
    tasks: Sequence[Task], assignment: Assignment, tasking: Tasking, keeper: Keeper, told: Progress,
) -> tuple[TaskResult, ...]:  # fmt: skip
    """Run tasks one after the other.

    Args:
        tasks: what is run.
        assignment: of `assignment_of`.
        tasking: the images.
        keeper: where finished parts are found and kept.
        told: has been told of `parts_of` these tasks.
    """
    found = []
    for task, count in zip(tasks, parts_of(tasks, assignment), strict=True):
        parts = TaskParts(keeper, told, task.name, tasking.digest.hex(), count)
        given = replace(assignment, keep=parts, tell=parts.begin, tick=told.tick)
        start = time.perf_counter()
        result = _guarded(task, given)
        found.append(replace(result, seconds=time.perf_counter() - start))
        parts.close()
    return tuple(found)


def _counted(task: Task, assignment: Assignment) -> int:
    try:
        return max(int(task.parts(assignment)), 1)
    except Exception:
        if os.environ.get("MEDVEIL_DEBUG") == "1":
            raise
        return 1


def _guarded(task: Task, assignment: Assignment) -> TaskResult:
    """What medveil refuses, running out of memory and errors of the program are the task's failure: attacks took hours.

    Only medveil's own messages are told; others may hold values of images or of people.
    """
    try:
        return task.run(assignment)
    except (
        IntegrityError,
        NotKeptError,
        OSError,
    ):  # of the release or the disk: what is finished is kept, to go on with
        raise
    except MedveilError as error:
        return _failed(task, f"{type(error).__name__}: {error.message}")
    except MemoryError:
        return _failed(task, "MemoryError: it needs more memory than there is")
    except Exception as error:
        if os.environ.get("MEDVEIL_DEBUG") == "1":
            raise
        return _failed(task, f"{type(error).__name__}: the program failed; MEDVEIL_DEBUG=1 shows where")


def _failed(task: Task, words: str) -> TaskResult:
    return TaskResult(task.name, task.title, refusal=words)


def set_fidelity(
    tasking: Tasking, limit: int, seed: int, keeper: Keeper, tick: Callable[[], None]
) -> list[dict[str, Any]]:
    """What each set is, and how near its pictures come to the originals: means over images drawn by patient.

    Returns:
        one mapping a set: name, kind, title, and but for the originals psnr (dB, peak 255), ssim and images.
    """
    images = tasking.gallery.images
    drawn = drawn_by_patient([image.patient for image in images], limit, generator_of(seed, "task fidelity"))
    numbers = [images[index].number for index in drawn]
    told = []
    for one in tasking.sets:
        entry: dict[str, Any] = {"name": one.name, "kind": one.kind, "title": one.title}
        if one.name != ORIGINAL:
            unit = ("task", "fidelity", tasking.digest.hex(), one.name)
            found: Mapping[str, NDArray[Any]] | None = keeper.find_arrays(*unit)
            if found is None:
                found = _figures(tasking, one.name, numbers, tick)
                keeper.keep_arrays(found, *unit)
            entry |= {name: _mean(values) for name, values in found.items()} | {"images": len(numbers)}
        told.append(entry)
    return told


def _figures(
    tasking: Tasking, name: str, numbers: Sequence[int], tick: Callable[[], None]
) -> dict[str, NDArray[np.float64]]:
    decibels, likeness = [], []
    for number in numbers:
        original = tasking.gallery.picture(ORIGINAL, number).astype(np.float64)
        opened = tasking.gallery.picture(name, number).astype(np.float64)
        decibels.append(min(psnr(original, opened, PEAK), MOST_DB))
        likeness.append(ssim(original, opened, PEAK) if min(original.shape) >= _SSIM_SIDE else float("nan"))
        tick()
    return {"psnr": np.array(decibels), "ssim": np.array(likeness)}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
