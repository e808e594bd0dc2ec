"""Asking: which attacks are run."""

from __future__ import annotations

from collections.abc import Sequence

from medveil.attacks.attack import Attack
from medveil.attacks.registry import chosen_attacks
from medveil.errors import UsageError

NO_ATTACK = "none"
"""The name that stands for no attack at all."""


def asked_attacks(names: Sequence[str]) -> tuple[Attack, ...]:
    """The attacks of these names; all where none is named, and none for the one name `none`.

    Raises:
        UsageError: there is no attack of a name, or `none` stands beside others.
    """
    if NO_ATTACK not in names:
        return chosen_attacks(names)
    if set(names) != {NO_ATTACK}:
        raise UsageError("none stands for no attack at all, and not beside others")
    return ()


def was_attacked(settings_attacks: object) -> bool:
    """Whether an audit with these attacks in its settings asked for any."""
    return not isinstance(settings_attacks, list | tuple) or bool(settings_attacks)
