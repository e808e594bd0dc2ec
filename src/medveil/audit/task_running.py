"""Running tasks: each part kept when it is done, and one that fails does not take the report with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.audit.fidelity import MOST_DB, PEAK
from medveil.audit.keeping import Keeper
from medveil.audit.progress import Progress as AuditProgress
from medveil.audit.task_sets import Tasking
from medveil.experiments.progress import Progress
from medveil.experiments.runner import run
from medveil.experiments.sampling import drawn_by_patient, generator_of, seed_of
from medveil.experiments.unit import Key, Plan, Product, Tick, Unit
from medveil.metrics.image_quality import psnr, ssim
from medveil.metrics.inference import LeastPatients
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import TaskResult
from medveil.tasks.task import Assignment, PlannedTask, TaskEffort

_SSIM_SIDE = 11


class _Told(Progress):
    """Tells the progress of an audit, which knows of the units of tasks, what is being done."""

    def __init__(self, told: AuditProgress) -> None:
        super().__init__()
        self._told = told
        self._began = 0.0

    def begin(self, text: str) -> None:
        self._began = self._told.begin(text)

    def end(self, cost: float, *, found: bool = False) -> None:
        self._told.end(None if found else self._began)

    def tick(self) -> None:
        self._told.tick()


def assignment_of(tasking: Tasking, effort: TaskEffort, seed: int, least: LeastPatients) -> Assignment:
    """What every task of an audit is given; keeping and telling come later."""
    return Assignment(tasking.gallery, effort, seed_of(seed, "tasks"), least=least)


def run_tasks(tasks: Sequence[PlannedTask], keeper: Keeper, told: AuditProgress) -> tuple[TaskResult, ...]:
    """Do the units of tasks, and what each task says of them.

    Args:
        tasks: what is done.
        keeper: where finished units are found and kept.
        told: has been told of the units of these tasks.
    """
    units = tuple(replace(unit, key=_key(task, unit)) for task in tasks for unit in task.units)
    results = run(Plan(keeper.units.settings, units), keeper.units, progress=_Told(told))
    return tuple(task.result({unit.key: results[_key(task, unit)] for unit in task.units}) for task in tasks)


def _key(task: PlannedTask, unit: Unit) -> Key:
    return ("task", task.task.name, *unit.key)


def set_fidelity(tasking: Tasking, limit: int, seed: int, keeper: Keeper) -> list[dict[str, Any]]:
    """What each set is, and how near its pictures come to the originals: means over images drawn by patient.

    Returns:
        one mapping a set: name, kind, title, and but for the originals psnr (dB, peak 255), ssim and images.
    """
    images = tasking.gallery.images
    drawn = drawn_by_patient([image.patient for image in images], limit, generator_of(seed, "task fidelity"))
    numbers = [images[index].number for index in drawn]
    units = tuple(
        Unit(("task fidelity", one.name), "fidelity", one.name, partial(_figures, tasking, one.name, numbers))
        for one in tasking.sets if one.name != ORIGINAL
    )  # fmt: skip
    found = run(Plan(keeper.units.settings, units), keeper.units)
    told = []
    for one in tasking.sets:
        entry: dict[str, Any] = {"name": one.name, "kind": one.kind, "title": one.title}
        if one.name != ORIGINAL:
            entry |= {name: _mean(values) for name, values in found["task fidelity", one.name].product.arrays.items()}
            entry |= {"images": len(numbers)}
        told.append(entry)
    return told


def _figures(tasking: Tasking, name: str, numbers: Sequence[int], tick: Tick) -> Product:
    decibels, likeness = [], []
    for number in numbers:
        original = tasking.gallery.picture(ORIGINAL, number).astype(np.float64)
        opened = tasking.gallery.picture(name, number).astype(np.float64)
        decibels.append(min(psnr(original, opened, PEAK), MOST_DB))
        likeness.append(ssim(original, opened, PEAK) if min(original.shape) >= _SSIM_SIDE else float("nan"))
        tick()
    return Product({"psnr": np.array(decibels), "ssim": np.array(likeness)})


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
