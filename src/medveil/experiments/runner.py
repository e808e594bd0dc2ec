"""run: all units of a plan, one after the other or by any executor, each kept when it is finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed

from medveil.experiments.progress import Progress
from medveil.experiments.unit import Key, Plan, Result, Unit
from medveil.experiments.unit_store import UnitStore


def run(
    plan: Plan, store: UnitStore | None = None, executor: Executor | None = None, progress: Progress | None = None
) -> dict[Key, Result]:
    """Do what of a plan is not finished yet.

    A unit that is refused or fails is told as such, and the others go on. What ends the run at once is raised:
    KeyboardInterrupt, MemoryError, a full disk, a unit that could not be kept. Everything that was finished before is
    kept then, and the same call goes on from there with the same results.

    Args:
        plan: what is to be done.
        store: where finished units are found and kept; None keeps nothing.
        executor: of `concurrent.futures`; None does one unit after the other. Units go to other processes by pickle.
        progress: is told of every unit; what a unit ticks reaches it without an executor only.

    Returns:
        the result of every unit by its key, in the order of the plan.

    Raises:
        ValueError: the store is of other settings than the plan.
        NotKeptError: a finished unit could not be written.
    """
    if store is not None and store.settings != dict(plan.settings):
        raise ValueError("the store was made for other settings than the plan's; make one with plan.settings")
    told = progress or Progress()
    told.expect([unit.cost for unit in plan.units], seconds=plan.in_seconds)
    results: dict[Key, Result] = {}

    def finish(unit: Unit, result: Result) -> None:
        if store is not None:
            store.keep(unit.key, result)
        results[unit.key] = result
        told.end(unit.cost)

    left = []
    for unit in plan.units:
        found = store.find(unit.key) if store is not None else None
        if found is None:
            left.append(unit)
        else:
            results[unit.key] = found
            told.end(unit.cost, found=True)
    if executor is None:
        for unit in left:
            told.begin(unit.title)
            finish(unit, unit.attempt(told.tick))
    else:
        _run_on(executor, left, told, finish)
    return {unit.key: results[unit.key] for unit in plan.units}


def _run_on(
    executor: Executor, units: Sequence[Unit], told: Progress, finish: Callable[[Unit, Result], None]
) -> None:  # fmt: skip
    """Finish units in the order in which they end. What was not begun when one ends the run is not begun any more."""
    futures = {executor.submit(unit.attempt): unit for unit in units}
    try:
        for future in as_completed(futures):
            told.begin(futures[future].title)
            finish(futures[future], future.result())
    finally:
        for future in futures:
            future.cancel()
