"""`medveil anonymizers`: by which methods pictures can be changed for everybody."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from medveil.cli.options import Json, Quiet
from medveil.cli.session import session

if TYPE_CHECKING:
    from medveil.anonymizers.anonymizer import Anonymizer


def anonymizers(json: Json = False, quiet: Quiet = False) -> None:
    """Show the methods of open release.

    For each: what it does and promises, what was measured, what it needs and costs, and its settings. None makes
    pictures anonymous; what a release of your images risks has to be measured.
    """
    with session("anonymizers", as_json=json, quiet=quiet) as run:
        from medveil.anonymizers.registry import ANONYMIZERS

        broken = [each for each in ANONYMIZERS.availabilities() if not each.ok]
        found = [type(method) for method in ANONYMIZERS.make_all()]
        run.result(
            [*(line for method in found for line in _lines(method)), *(each.because for each in broken)],
            done=len(found),
            anonymizers=[_entry(method) for method in found],
            unavailable=[{"name": each.name, "because": each.because} for each in broken],
        )


def _lines(method: type[Anonymizer]) -> list[str]:
    told = [
        ("promises", method.promise), ("measured", method.measured or _UNMEASURED), ("needs", _needs(method)),
        ("labels", _LABELS[method.labels]), ("costs", method.cost or "not told"), ("published in", method.source),
    ]  # fmt: skip
    settings = [
        f"      --set {each.name}=…  {each.about}: {each.allowed}; default {_plain(each.default)}"
        for each in method.settings()
    ]
    return [f"{method.name}: {method.title}", *(f"      {name + ':':14}{words}" for name, words in told), *settings]


_UNMEASURED = "nothing yet: audit what it makes of your images"
_LABELS = {
    "kept": "kept",
    "mixed": "mixed, each with its share",
    "merged": "merged, each that occurs in a group",
    "common": "kept where all of a group share them, which have one of the column label",
}


def _needs(method: type[Anonymizer]) -> str:
    needs = ["a manifest that says whose an image is"] if method.needs_patients else []
    if method.learns:
        needs.append(
            f"a model: {'the one that comes with medveil, or ' if method.shipped_models() else ''}"
            f"{method.how_to_learn()}, with images of other people"
        )
    return ", and ".join(needs) or "nothing but the images"


def _plain(value: int | Fraction | str) -> str:
    return f"{float(value):g}" if isinstance(value, Fraction) else str(value)


def _entry(method: type[Anonymizer]) -> dict[str, object]:
    settings = [
        {"name": each.name, "default": _plain(each.default), "allowed": each.allowed, "about": each.about}
        for each in method.settings()
    ]
    return {
        "name": method.name, "title": method.title, "promise": method.promise, "source": method.source,
        "measured": method.measured, "cost": method.cost,
        "needs_patients": method.needs_patients, "learns": method.learns,
        "shipped_models": [model.digest.hex() for model in method.shipped_models()], "secret": method.secret,
        "redraws": method.redraws, "labels": method.labels.value, "settings": settings,
    }  # fmt: skip
