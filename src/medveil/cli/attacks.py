"""`medveil attacks`: which attacks an audit can run, and which recognizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session

if TYPE_CHECKING:
    from medveil.attacks.attack import Attack
    from medveil.attacks.reidentification.recognizer import Recognizer


def attacks(json: Json = False, quiet: Quiet = False) -> None:
    """Show the attacks of an audit, and the recognizers, which hold pictures of an open release against each other.

    For each: what it knows, needs and costs, and which controls it is expected to break, or what it learns.
    """
    with session("attacks", as_json=json, quiet=quiet) as run:
        from medveil.attacks import registry

        found, people = registry.all_attacks(), registry.all_recognizers()
        broken = (*registry.unavailable_attacks(), *registry.unavailable_recognizers())
        run.result(
            [
                *(line for attack in found for line in _lines(attack)),
                *(line for recognizer in people for line in _recognizer_lines(recognizer)),
                *(each.told for each in broken),
            ],
            done=len(found) + len(people),
            attacks=[_entry(attack) for attack in found],
            recognizers=[_recognizer_entry(recognizer) for recognizer in people],
            unavailable=[{"name": each.name, "because": each.because} for each in broken],
        )


def _lines(attack: Attack) -> list[str]:
    from medveil.mechanisms.expected_breaks import expected_breaks

    told = {
        "knows": attack.knows,
        "needs": attack.needs,
        "costs": attack.cost,
        "expected to break": ", ".join(expected_breaks(attack)),
    }
    return _table(f"{attack.name} ({attack.goal}): {attack.title}", told)


def _recognizer_lines(recognizer: Recognizer) -> list[str]:
    learns = "trains a network on own pictures" if recognizer.trains else "own pictures" if recognizer.learns else ""
    told = {
        "looks at": "pairs, one by one" if recognizer.pairwise else "pictures, one by one",
        "learns": learns,
        "costs": recognizer.cost,
        "source": recognizer.source or "medveil's own",
    }
    return _table(f"{recognizer.name} (recognizer): {recognizer.title}", told)


def _table(head: str, told: Mapping[str, str]) -> list[str]:
    return [head, *(f"      {name + ':':19}{words or 'nothing'}" for name, words in told.items())]


def _entry(attack: Attack) -> dict[str, object]:
    from medveil.mechanisms.expected_breaks import expected_breaks

    told = {name: getattr(attack, name) for name in ("goal", "name", "title", "knows", "needs", "cost")}
    return {**told, "expected_to_break": list(expected_breaks(attack))}


def _recognizer_entry(recognizer: Recognizer) -> dict[str, object]:
    names = ("name", "title", "source", "cost", "learns", "trains", "pairwise")
    return {name: getattr(recognizer, name) for name in names}
