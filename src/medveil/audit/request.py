"""Asking: which attacks are run, and what is said where none was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from medveil.attacks.attack import Attack
from medveil.attacks.registry import chosen_attacks
from medveil.audit.results import FormCheck, Verdict
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


def unattacked(checks: Sequence[FormCheck]) -> tuple[Verdict, tuple[str, ...]]:
    """The conclusion where no attack was asked for: *inconclusive*, since nothing was looked for but faults of the
    form; one of these breaks the release here too.

    It is not *too-weak*: no control failed, none was run.
    """
    failed = [check for check in checks if not (check.ok or check.of_copy)]
    told = [f"The form of the release fails a check ({check.name}). {check.title}: {check.found}" for check in failed]
    told.append("No attack was asked for: nothing is said of what somebody without a key gets from this release.")
    return Verdict.BROKEN if failed else Verdict.INCONCLUSIVE, tuple(told)


def was_attacked(settings_attacks: object) -> bool:
    """Whether an audit with these attacks in its settings asked for any."""
    return not isinstance(settings_attacks, list | tuple) or bool(settings_attacks)
