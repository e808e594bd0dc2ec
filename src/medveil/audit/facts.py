"""What a report tells of the release, the settings and the data. Public facts and counts; no names."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from medveil.attacks.attack import Attack
from medveil.attacks.reidentification.recognizer import Recognizer
from medveil.audit.judging.pooling import partners_of
from medveil.audit.presets import Preset
from medveil.audit.protocol import RoundPlan
from medveil.audit.results import Sample
from medveil.audit.targets.people import People
from medveil.audit.targets.target import Target
from medveil.registry import Availability

_NOT_OF_ATTACKS = ("purpose", "tasks", "least", "recognition", "recognition_own", "recognition_tested")
"""What no attack depends on: tasks and recognizers have settings of their own, and judging comes after."""
_OF_TASKS = ("tasks", "compare", "networks", "task effort", "recognizers")
_PACKAGES = ("medveil", "numpy", "scipy", "scikit-learn", "torch", "monai")


def settings_of(target: Target, preset: Preset, seed: int, attacks: Sequence[Attack], threads: int) -> dict[str, Any]:
    """All that the result of a unit depends on, for resuming; as JSON knows it."""
    return {
        "preset": {name: value for name, value in asdict(preset).items() if name not in _NOT_OF_ATTACKS},
        "seed": seed,
        "threads": threads,
        "attacks": [attack.name for attack in attacks],
        "release or images": target.digest.hex(),
        "version": _versions(),
    }


def settings_of_recognizers(recognizers: Sequence[Recognizer], people: People, preset: Preset) -> dict[str, Any]:
    """The same for recognizers; nothing without any."""
    if not recognizers:
        return {}
    return {
        "recognizers": {
            "names": [each.name for each in recognizers],
            "effort": asdict(preset.recognition),
            "own_images": preset.recognition_own,
            "tested_images": preset.recognition_tested,
        },
        "people": people.digest.hex(),
    }


def told_settings(
    settings: Mapping[str, Any], *, chosen: bool, left_out: Sequence[str] = (), unavailable: Sequence[Availability] = ()
) -> dict[str, Any]:
    """The same for a report: without the digest of the images, which would tell whoever has them that they are these.

    Args:
        chosen: whether the user named the attacks.
        left_out: names of those that there are and that were not asked for.
        unavailable: attacks of other packages that could not be loaded; told where there are any.
    """
    preset = {name: value for name, value in settings["preset"].items() if name != "name"}
    return {
        "preset": settings["preset"]["name"],
        "seed": settings["seed"],
        "threads": settings["threads"],
        "attacks": settings["attacks"],
        "chosen": chosen,
        "left_out": list(left_out),
        **({"unavailable": [asdict(each) for each in unavailable]} if unavailable else {}),
        "limits": preset,
        **{name.replace(" ", "_"): settings[name] for name in _OF_TASKS if name in settings},
        **settings["version"],
    }


def data_facts(target: Target, plans: Sequence[RoundPlan], preset: Preset, samples: Sequence[Sample]) -> dict[str, Any]:
    """Counts of what went in."""
    first = [plan for plan in plans if plan.repeat == 0]
    tested = [subject for plan in first for subject in plan.tested]
    return {
        "images": len(tested),
        "packages": target.counts.get("packages", 0),
        "patients": len({subject.patient for subject in tested}),
        "patients_with_several": _several([subject.patient for subject in tested]),
        "strata": len({subject.stratum for subject in tested}),
        "patients_known": target.patients_known,
        "rounds": len(first),
        "protocol": "cross-fitting over the release's own patients" if len(first) > 1 else "images of other patients",
        "repeats": preset.repeats,
        "own_images": [len(plan.own) for plan in first],
        "validation_images": [len(plan.validation) for plan in first],
        "images_outside": len(target.outside),
        "packages_with_original": len(target.subjects),
        "window": [target.window.low, target.window.high],
        "other_packages": partners_of(samples),
        "found": dict(sorted(target.counts.items())),
    }


def manifest_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """What of a manifest and a release did not find each other."""
    by_name = {"by_name": counts["rows_by_name"]} if "rows_by_name" in counts else {}
    if "manifest_rows" not in counts:
        return by_name
    names = {"rows": "manifest_rows", "unmatched": "manifest_rows_unmatched"}
    return (
        {name: counts[of] for name, of in names.items()}
        | by_name
        | {"unlisted": counts.get("packages_unlisted_in_manifest", 0)}
    )


def _several(patients: Sequence[int]) -> int:
    return len({patient for patient in patients if patients.count(patient) > 1})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
