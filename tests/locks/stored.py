"""Stored locks: one JSON file a kind, and what differs from it now.

Numbers of whole things are compared exactly; others may differ by TOLERANCE of their size, or by SMALL: two processors
need not round alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOLERANCE, SMALL = 1e-3, 1e-4
HOW_TO_ACCEPT = "If that is what the change is for: python -m tests.locks {kind}, and read the difference of the file."
_FOLDER = Path(__file__).resolve().parent / "stored"
_MOST_TOLD = 20


def read(kind: str) -> Any:
    """What is stored of a kind."""
    return json.loads((_FOLDER / f"{kind}.json").read_text(encoding="utf-8"))


def write(kind: str, value: Any) -> None:
    """Store a kind; one line a value, so that a difference can be read."""
    text = json.dumps(value, indent=0, sort_keys=True, ensure_ascii=False, allow_nan=False)
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / f"{kind}.json").write_text(text + "\n", encoding="utf-8")


def check(kind: str, found: Any, *place: str) -> None:
    """Fail, saying where, if what was found is not what is stored; `place` names a part of the kind."""
    stored = read(kind)
    for name in place:
        stored = stored[name]
    told = list(differences(stored, json.loads(json.dumps(found))))
    more = [f"… and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
    assert not told, "\n".join([*told[:_MOST_TOLD], *more, HOW_TO_ACCEPT.format(kind=kind)])


def differences(stored: Any, found: Any, where: str = "") -> Iterator[str]:
    """Each place where two values of JSON differ, in words."""
    if isinstance(stored, dict) and isinstance(found, dict):
        for key in sorted(stored.keys() | found.keys()):
            if key not in found:
                yield f"{where}/{key} is gone"
            elif key not in stored:
                yield f"{where}/{key} is new: {found[key]!r:.100}"
            else:
                yield from differences(stored[key], found[key], f"{where}/{key}")
    elif isinstance(stored, list) and isinstance(found, list):
        if len(stored) != len(found):
            yield f"{where} has {len(found)} entries and had {len(stored)}"
        for place, (one, other) in enumerate(zip(stored, found, strict=False)):
            yield from differences(one, other, f"{where}/{place}")
    elif isinstance(stored, float) and isinstance(found, float):
        if not math.isclose(stored, found, rel_tol=TOLERANCE, abs_tol=SMALL):
            yield f"{where} is {found} and was {stored}"
    elif type(stored) is not type(found) or stored != found:
        yield f"{where} is {found!r:.100} and was {stored!r:.100}"
