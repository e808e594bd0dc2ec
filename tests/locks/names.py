"""Names that others build on: the public API, plug-in groups, registry entries, exit codes, purposes of what is drawn.

A purpose decides what is drawn: renaming one changes the figures of every audit with the same seed.
"""

from __future__ import annotations

import ast
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SOURCES = Path(__file__).resolve().parents[2] / "src" / "medveil"
_DRAWING = ("generator_of", "seed_of", "simulated_key", "simulated", "generator")
_LABEL = "medveil/audit/"


def names() -> dict[str, Any]:
    """Every kind of name."""
    import medveil
    from medveil import errors
    from medveil.attacks.registry import all_attacks
    from medveil.audit.presets import preset_names
    from medveil.codecs.registry import available
    from medveil.mechanisms.controls import all_controls
    from medveil.networks.classifiers import classifier_names
    from medveil.networks.segmenters import segmenter_names
    from medveil.tasks.registry import all_tasks

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    groups: set[str] = set()
    installed = importlib.metadata.entry_points

    def asked(**wanted: str) -> Any:
        groups.add(wanted["group"])
        return installed(**wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "entry_points", asked)
        attacks, tasks, codecs = all_attacks(), all_tasks(), available()
    return {
        "public": sorted(medveil.__all__),
        "plug-in groups": sorted(groups),
        "attacks": [f"{attack.goal} {attack.name}" for attack in attacks],
        "codecs": [codec.name for codec in codecs],
        "tasks": [task.name for task in tasks],
        "controls": [control.name for control in all_controls(seed_bits=4, release=True)],
        "presets": list(preset_names()),
        "classifiers": list(classifier_names()),
        "segmenters": list(segmenter_names()),
        "exit codes": {kind.__name__: kind.exit_code for kind in kinds if hasattr(kind, "exit_code")},
    }


def purposes() -> list[str]:
    """What is drawn for what, and the labels of the audit's own keys, wherever they stand in the source."""
    found = set()
    for path in _SOURCES.rglob("*.py"):
        found.update(_purposes(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(found)


def _purposes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes) and node.value.startswith(_LABEL.encode()):
            yield repr(node.value)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            texts = [text for argument in node.args if (text := _text(argument))]
            if name in _DRAWING and texts:
                yield f"{name}: {', '.join(texts)}"


def _text(node: ast.expr) -> str:
    """A string as it is, one with values in it with {} in their place, and nothing for the rest."""
    if isinstance(node, ast.Constant):
        return repr(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return repr("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
    return ""
