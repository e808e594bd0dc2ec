"""Unit and Plan: an experiment is a list of pieces, each of which is done, refused or failed by itself."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medveil.errors import InputError, MedveilError, MissingDependencyError, NotKeptError, UsageError
from medveil.files.atomic import NO_SPACE

Key = tuple[str | int | float | bool, ...]
Value = TypeVar("Value")
Tick = Callable[[], None]
REFUSALS = (InputError, MissingDependencyError, UsageError)
"""Errors that say that a unit makes no sense here. Any other one, such as damaged data, is no answer."""


class Status(Enum):
    """How a unit ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Product:
    """What a unit gives: arrays by name, none of objects, and values as JSON knows them."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Product:
        """A product of one value: dataclasses, enums, mappings, sequences, arrays and scalars in any nesting."""
        arrays: dict[str, NDArray[Any]] = {}
        return cls(arrays, {"value": _taken_apart(value, arrays)})

    def value(self, *classes: type) -> Any:
        """The value of a product that `of` made; sequences are tuples.

        Args:
            classes: all dataclasses and enums that may be in it.

        Raises:
            KeyError: there is another one in it.
        """
        return _put_together(self.values["value"], self.arrays, {each.__name__: each for each in classes})

    def as_kept(self) -> Product:
        """The same as it comes back from a store. Raises TypeError or ValueError for what cannot be kept."""
        arrays = {name: np.asarray(array) for name, array in self.arrays.items()}
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"the array {name} holds objects, which cannot be kept")
        return Product(arrays, json.loads(json.dumps(dict(self.values))))


def _taken_apart(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """A value as JSON knows it; its arrays are put into `arrays`."""
    if isinstance(value, np.ndarray):
        arrays[str(len(arrays))] = value
        return {"array": str(len(arrays) - 1)}
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "of": value.value}
    if is_dataclass(value):
        members = {each.name: _taken_apart(getattr(value, each.name), arrays) for each in fields(value)}
        return {"class": type(value).__name__, "of": members}
    if isinstance(value, Mapping):
        return {"map": {name: _taken_apart(each, arrays) for name, each in value.items()}}
    if isinstance(value, list | tuple):
        return [_taken_apart(each, arrays) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _put_together(kept: Any, arrays: Mapping[str, NDArray[Any]], classes: Mapping[str, Any]) -> Any:
    """The inverse of `_taken_apart`."""
    if isinstance(kept, list):
        return tuple(_put_together(each, arrays, classes) for each in kept)
    if not isinstance(kept, dict):
        return kept
    if "array" in kept:
        return arrays[kept["array"]]
    if "enum" in kept:
        return classes[kept["enum"]](kept["of"])
    members = kept["of"] if "class" in kept else kept["map"]
    found = {name: _put_together(each, arrays, classes) for name, each in members.items()}
    return classes[kept["class"]](**found) if "class" in kept else found


@dataclass(frozen=True)
class Result:
    """How a unit ended, and what it gave.

    Attributes:
        status: done; refused, by one of `REFUSALS`; or failed, by any other error.
        product: empty unless done.
        reason: the message of what refused it, or the name of the class of the error; never that error's own text,
            which may hold values of images or of people.
        seconds: that it took.
    """

    status: Status
    product: Product = field(default_factory=Product)
    reason: str = ""
    seconds: float = 0.0

    def required(self) -> Product:
        """The product, for those who cannot go on without it.

        Raises:
            InputError: it was refused.
            MedveilError: it failed.
        """
        if self.status is not Status.DONE:
            hint = "MEDVEIL_DEBUG=1 shows where" if self.status is Status.FAILED else ""
            kind = MedveilError if self.status is Status.FAILED else InputError
            raise kind(f"a part that is needed was {self.status.value}: {self.reason}", hint=hint)
        return self.product


@dataclass(frozen=True)
class Unit:
    """One piece of an experiment.

    Attributes:
        key: what it is among all units of its plan, stable from run to run. With the settings of the plan it names all
            that the product depends on.
        kind: of several that are counted together, such as `attack`.
        title: for the progress, a few words.
        cost: about how long it takes, in any unit that the plan shares.
        make: does it; given what is to be called now and then.
    """

    key: Key
    kind: str
    title: str
    make: Callable[[Tick], Product] = field(repr=False)
    cost: float = 1.0

    def attempt(self, tick: Tick = lambda: None) -> Result:
        """Do it. Raises as `attempt`."""
        start = perf_counter()
        product, status, reason = attempt(lambda: self.make(tick).as_kept())
        return Result(status, product or Product(), reason, perf_counter() - start)


def attempt(make: Callable[[], Value]) -> tuple[Value | None, Status, str]:
    """What is made, or why not, as in `Result`. Errors end this one piece of an experiment, but for those after which
    the next one would fail as well.

    With MEDVEIL_DEBUG=1 in the environment errors of the program are raised.

    Raises:
        MemoryError, NotKeptError: as they come.
        OSError: the disk is full.
    """
    try:
        return make(), Status.DONE, ""
    except (MemoryError, NotKeptError):
        raise
    except REFUSALS as error:
        return None, Status.REFUSED, error.message
    except Exception as error:
        if getattr(error, "errno", None) in NO_SPACE or os.environ.get("MEDVEIL_DEBUG") == "1":
            raise
        cause = error.__cause__ if isinstance(error.__cause__, MedveilError) else error
        return None, Status.FAILED, type(cause).__name__


@dataclass(frozen=True)
class Plan:
    """All units of an experiment, in the order in which they are best done.

    Attributes:
        settings: what every unit depends on, as JSON knows it.
        units: no two of one key.
        in_seconds: whether costs are seconds on this machine.

    Raises:
        ValueError: two units have one key.
    """

    settings: Mapping[str, Any]
    units: tuple[Unit, ...] = ()
    in_seconds: bool = False

    def __post_init__(self) -> None:
        twice = [key for key, count in Counter(unit.key for unit in self.units).items() if count > 1]
        if twice:
            raise ValueError(f"two units of a plan have the key {twice[0]}; each needs its own")

    def counts(self) -> dict[str, int]:
        """How many units there are of each kind."""
        return dict(Counter(unit.kind for unit in self.units))
