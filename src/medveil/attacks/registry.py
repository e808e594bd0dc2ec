"""Attacks by name: built-in ones, and those of other packages (entry points "medveil.attacks")."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from typing import TypeVar

from medveil.attacks.attack import Attack
from medveil.errors import MissingDependencyError, UsageError

_ENTRY_POINTS = "medveil.attacks"
_MODULES = (
    "thresholds",
    "plain_streams",
    "likelihood",
    "support_network",
    "code_decoder",
    "translation",
    "intersection",
    "seeds",
    "side_channels",
    "linkage",
    "wrong_keys",
)
_registered: dict[str, Callable[[], Attack]] = {}

_Factory = TypeVar("_Factory", bound=Callable[[], object])


def register_attack(name: str) -> Callable[[_Factory], _Factory]:
    """Decorator: make a class, or a function without arguments that returns an attack, known under a name."""

    def register(factory: _Factory) -> _Factory:
        _registered[name] = factory  # type: ignore[assignment]
        return factory

    return register


def attack_names() -> tuple[str, ...]:
    """The names of all attacks, by family and then in the order of their definition."""
    return tuple(attack.name for attack in all_attacks())


def all_attacks() -> tuple[Attack, ...]:
    """Every attack that can be loaded."""
    _load()
    return tuple(sorted((make() for make in _registered.values()), key=lambda attack: attack.family))


def chosen_attacks(names: Sequence[str]) -> tuple[Attack, ...]:
    """The attacks of these names; all of them where none is named.

    Raises:
        UsageError: there is no attack of a name.
    """
    found = {attack.name: attack for attack in all_attacks()}
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, 1)
            raise UsageError(
                f"there is no attack of that name; there are {', '.join(found)}",
                hint=f"did you mean {near[0]}?" if near else "see medveil attacks",
            )
    return tuple(attack for name, attack in found.items() if not names or name in names)


def _load() -> None:
    for module in _MODULES:
        try:
            importlib.import_module(f"medveil.attacks.{module}")
        except ImportError as error:
            raise MissingDependencyError(
                f"the audit needs {error.name or 'a package'}, which is not installed",
                hint='pip install "medveil[audit]"',
            ) from error
    for entry in importlib.metadata.entry_points(group=_ENTRY_POINTS):
        _registered.setdefault(entry.name, entry.load())
