"""Methods of open release by name: built-in ones, and those of other packages (entry points "medveil.anonymizers")."""

from __future__ import annotations

from collections.abc import Mapping

from medveil.anonymizers.anonymizer import Anonymizer
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
    },
    group="medveil.anonymizers",
    hint="see medveil anonymizers",
)
register_anonymizer = ANONYMIZERS.register


def get_anonymizer(name: str, settings: Mapping[str, str] | None = None) -> Anonymizer:
    """The method of a name, with settings as the command line gives them.

    Raises:
        UsageError: there is no such method or setting, or a value is not allowed.
        MissingDependencyError: it needs something that is not installed.

    >>> get_anonymizer("pixelate", {"cells": "8"}).stated
    {'cells': 8}
    """
    return type(ANONYMIZERS.make(name)).of_words(settings or {})


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
