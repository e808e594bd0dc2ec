"""Methods of open release by name: built-in ones, and those of other packages (entry points "medveil.anonymizers")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medveil.anonymizers.anonymizer import Anonymizer
from medveil.anonymizers.model import AnonymizerModel, read_model
from medveil.errors import UsageError
from medveil.registry import Registry

ANONYMIZERS: Registry[Anonymizer] = Registry(
    "method",
    {
        "pixelate": "medveil.anonymizers.pixelate:Pixelate",
        "dp-pix": "medveil.anonymizers.dp_pix:DPPix",
        "warp": "medveil.anonymizers.warp:Warp",
        "mixup": "medveil.anonymizers.mixup:Mixup",
        "k-same": "medveil.anonymizers.k_same:KSame",
        "prichexy": "medveil.anonymizers.prichexy:Prichexy",
        "cohort": "medveil.anonymizers.cohort:Cohort",
    },
    group="medveil.anonymizers",
    hint="see medveil anonymizers",
)
register_anonymizer = ANONYMIZERS.register


def get_anonymizer(
    name: str, settings: Mapping[str, str] | None = None, model: AnonymizerModel | None = None
) -> Anonymizer:
    """The method of a name, with settings as the command line gives them.

    Args:
        name: of the method.
        settings: by name; those that are left out have the model's value, else their default.
        model: what the method learned, see `model_for`.

    Raises:
        UsageError: there is no such method or setting, a value is not allowed, or the model does not fit.
        MissingDependencyError: it needs something that is not installed.

    >>> get_anonymizer("pixelate", {"cells": "8"}).stated
    {'cells': 8}
    """
    kind = type(ANONYMIZERS.make(name))
    if model is None:
        return kind.of_words(settings or {})
    learned = {each: word_of(value) for each, value in model.settings.items()} if model.method == name else {}
    return kind.of_words({**learned, **(settings or {})}).with_model(model)


def model_for(name: str, folder: Path | None, wanted: bytes | None = None) -> AnonymizerModel | None:
    """The model that a method is to use: that of a folder, else one that comes with medveil; None where it needs none.

    Args:
        name: of the method.
        folder: that `medveil train --anonymizer` wrote; None where none is named.
        wanted: SHA-256 of the model that a release was made with, empty where it was made with none; None where a
            release is to be made.

    Raises:
        UsageError: the method learns and there is no model, or it does not and one is named, or it is not the wanted
            one; no such method.
        Others: as of `medveil.anonymizers.model.read_model`.
    """
    kind = type(ANONYMIZERS.make(name))
    if not kind.learns or wanted == b"":
        if folder is not None:
            what = "the release was made without one" if kind.learns else f"the method {name} uses none"
            raise UsageError(f"a model is named, and {what}", hint="leave --model out")
        return None
    if folder is not None:
        model = read_model(folder)
        if wanted is not None and model.digest != wanted:
            raise UsageError(
                "the release was made with another model than this one",
                hint="name with --model the one it was made with",
            )
        return model
    shipped = kind.shipped_models()
    if wanted is None:
        if not shipped:
            raise kind.lacks_model()
        return shipped[0]
    found = [model for model in shipped if model.digest == wanted]
    if not found:
        raise UsageError(
            "the release was made with a model that does not come with this medveil",
            hint="name with --model the folder that medveil train --anonymizer wrote; an attacker is taken to have it",
        )
    return found[0]


def word_of(value: object) -> str:
    """A stated setting as the command line would give it."""
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def settings_of(pairs: list[str]) -> dict[str, str]:
    """Settings given as name=value.

    Raises:
        UsageError: one is not, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise UsageError("a setting is name=value", hint="for example --set cells=16")
        if name in found:
            raise UsageError(f"the setting {name} is given twice", hint="give it once")
        found[name] = value
    return found
