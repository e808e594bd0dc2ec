"""Finished parts of a benchmark, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.provenance import clean_commit
from medveil.experiments.runner import run
from medveil.experiments.unit import Plan, Product, Unit
from medveil.experiments.unit_store import UnitStore


class Parts:
    """Parts in a folder, each under the commit that made it.

    Args:
        folder: None, or code that is at no commit, keeps nothing.
        settings: what every part depends on, beside the code.

    Attributes:
        store: of the parts, or None.
        seconds: that all of them took, those of earlier runs too.
    """

    def __init__(self, folder: Path | None, **settings: Any) -> None:
        commit = clean_commit()
        self.store = UnitStore(folder, {"commit": commit, **settings}) if folder and commit else None
        self.seconds = 0.0

    def part(self, name: str, make: Callable[[], Any]) -> Any:
        """The part of this name as JSON gives it back, made if it is not there."""
        print(f"  {name}", flush=True)
        unit = Unit((name,), "part", name, lambda _: Product(values={"made": make()}))
        result = run(Plan(self.store.settings if self.store else {}, (unit,)), self.store)[unit.key]
        self.seconds += result.seconds
        return result.required().values["made"]
