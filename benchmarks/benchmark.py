"""One way to run every benchmark: its options are the arguments of its function, and its evidence is recorded.

    python -m benchmarks                                 # all, and their tables
    python -m benchmarks NAME [--save] [its options]     # one; --save writes evidence/NAME.json

A benchmark is a function of keyword arguments with defaults, and of `work`, an empty folder; it gives `Measured`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import multiprocessing
import sys
import tempfile
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.provenance import SaveOption, clean_commit, record, save
from benchmarks.tables import NAMES, text_of
from medveil.experiments import runner
from medveil.experiments.unit import Plan, Product, Unit
from medveil.experiments.unit_store import UnitStore

_ROOMS = {"audit": "audits", "utility": "utility"}
"""Modules that hold several benchmarks, by how their names begin; any other benchmark is `run` of its own module."""


@dataclass(frozen=True)
class Measured:
    """What a benchmark found.

    Attributes:
        results: the figures.
        images: number of images.
        seed: of every generator in it; None where nothing is drawn.
        settings: what it was measured with, beside its options.
        seconds: that it took with earlier runs on which it went on; 0 where it has none.
    """

    results: Mapping[str, Any]
    images: int
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def find(name: str) -> Callable[..., Measured]:
    """The function of a benchmark."""
    room = _ROOMS.get(name.partition("_")[0])
    module = importlib.import_module(f"benchmarks.{room or name}")
    return typing.cast("Callable[..., Measured]", getattr(module, name if room else "run"))


def evidence_of(name: str, **options: Any) -> dict[str, Any]:
    """Run a benchmark; its `work` folder is a temporary one."""
    function, start = find(name), time.monotonic()
    known = _parameters(function)
    with tempfile.TemporaryDirectory() as place:
        found = function(**({"work": Path(place)} if "work" in known else {}), **options)
    settings: dict[str, Any] = {}
    defaults = {each: default for each, (_, default) in known.items() if each != "work"}
    for option, value in {**defaults, **options}.items():
        settings |= dataclasses.asdict(value) if dataclasses.is_dataclass(value) else {option: value}  # type: ignore[arg-type]
    kept = {option: value for option, value in settings.items() if not isinstance(value, Path) and value is not None}
    return record(
        name, seconds=max(found.seconds, time.monotonic() - start), images=found.images, seed=found.seed,
        settings={**kept, **found.settings}, results=found.results,
    )  # fmt: skip


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
        result = runner.run(Plan(self.store.settings if self.store else {}, (unit,)), self.store)[unit.key]
        self.seconds += result.seconds
        return result.required().values["made"]


def in_processes(work: Callable[..., Any], jobs: int, *columns: Sequence[Any]) -> Iterator[Any]:
    """`map` over columns, in so many processes; in this one for one."""
    if jobs <= 1:
        yield from map(work, *columns)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:  # torch and forks part
        yield from pool.map(work, *columns, chunksize=max(1, min(8, len(columns[0]) // jobs)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print; save where it is asked for."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name not in NAMES:
        parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n\n")[0])
        parser.add_argument("name", nargs="?", choices=NAMES, help="all where none is named")
        parser.parse_args([name, *rest] if name else [])
        _all()
        return
    function = find(name)
    purpose = (getattr(function, "func", function).__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=purpose)
    parser.add_argument("--save", action=SaveOption, help=f"write evidence/{name}.json")
    makers = [_add(parser, each, kind) for each, kind in _parameters(function).items() if each != "work"]
    given = parser.parse_args(rest)
    options = {each: value for maker in makers for each, value in maker(given).items()}
    evidence = evidence_of(name, **options)
    if given.save:
        save(evidence)
    print(text_of(evidence))


def _all() -> None:
    for name in NAMES:
        print(f"{name}:", flush=True)
        print(f"\n{text_of(evidence_of(name))}\n", flush=True)


def _parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Option -> type and default."""
    signature = inspect.signature(function, eval_str=True)
    return {name: (each.annotation, each.default) for name, each in signature.parameters.items()}


def _add(
    parser: argparse.ArgumentParser, name: str, kind: tuple[Any, Any]
) -> Callable[[argparse.Namespace], dict[str, Any]]:
    """Add one option, or those of a dataclass; returns what reads its value."""
    hint, default = kind
    if dataclasses.is_dataclass(hint):
        fields = typing.get_type_hints(hint)
        for each, form in fields.items():
            _add(parser, each, (form, getattr(default, each)))
        return lambda given: {name: dataclasses.replace(default, **{each: getattr(given, each) for each in fields})}
    flag, inner = f"--{name.replace('_', '-')}", [each for each in typing.get_args(hint) if each is not type(None)]
    shown = f"instead of {default}" if default else ""
    if hint is bool:
        parser.add_argument(flag, action="store_true")
    elif typing.get_origin(hint) is tuple:
        parser.add_argument(flag, nargs="+", type=inner[0], default=default, help=shown)
    else:
        parser.add_argument(flag, type=inner[0] if inner else hint, default=default, help=shown)
    return lambda given: {name: tuple(value) if isinstance(value := getattr(given, name), list) else value}
