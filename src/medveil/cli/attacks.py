"""`medveil attacks`: which attacks an audit can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session

if TYPE_CHECKING:
    from medveil.attacks.attack import Attack


def attacks(json: Json = False, quiet: Quiet = False) -> None:
    """Show the attacks of an audit.

    For each: what it knows, needs and costs, and which controls it is expected to break.
    """
    with session("attacks", as_json=json, quiet=quiet) as run:
        from medveil.attacks.registry import all_attacks, unavailable_attacks

        found, broken = all_attacks(), unavailable_attacks()
        run.result(
            [*(line for attack in found for line in _lines(attack)), *(each.because for each in broken)],
            done=len(found),
            attacks=[_entry(attack) for attack in found],
            unavailable=[{"name": each.name, "because": each.because} for each in broken],
        )


def _lines(attack: Attack) -> list[str]:
    from medveil.mechanisms.expected_breaks import expected_breaks

    told = (
        ("knows", attack.knows),
        ("needs", attack.needs),
        ("costs", attack.cost),
        ("expected to break", ", ".join(expected_breaks(attack))),
    )
    head = f"{attack.name} ({attack.goal}): {attack.title}"
    return [head, *(f"      {name + ':':19}{words or 'nothing'}" for name, words in told)]


def _entry(attack: Attack) -> dict[str, object]:
    from medveil.mechanisms.expected_breaks import expected_breaks

    told = {name: getattr(attack, name) for name in ("goal", "name", "title", "knows", "needs", "cost")}
    return {**told, "expected_to_break": list(expected_breaks(attack))}
