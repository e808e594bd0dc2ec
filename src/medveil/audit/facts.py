"""What a report tells of the release, the settings and the data. Public facts and counts; no names."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from medveil.attacks.attack import Attack
from medveil.audit.pooling import partners_of
from medveil.audit.results import Sample
from medveil.audit.targets.target import Subjected
from medveil.audit.wording import plural
from medveil.releases.release import Release

_OF_TASKS = ("tasks", "compare", "networks", "task effort")
_PACKAGES = ("medveil", "numpy", "scipy", "scikit-learn", "torch", "monai")


def public_facts(release: Release) -> dict[str, Any]:
    """What everybody can read of a release."""
    manifest = release.manifest
    return {
        "id": manifest.release.hex(),
        "protection": manifest.protection,
        "codec": manifest.profile.codec,
        "quality": manifest.profile.quality_centidb / 100 or None,
        "sparsity": manifest.profile.sparsity or None,
        "decoys": manifest.decoys or None,
        "deep": bool(manifest.profile.deep),
        "tiers": [tier.value for tier in manifest.tiers],
        "created": manifest.created,
        "epoch": manifest.epoch,
        "packages": len(manifest.packages),
        "bytes": sum(entry.length for entry in manifest.packages),
    }


def settings_of(subjected: Subjected, attacks: Sequence[Attack], threads: int) -> dict[str, Any]:
    """All that the result of a unit depends on, for resuming; as JSON knows it."""
    return {
        "preset": {**asdict(subjected.preset), "purpose": ""},
        "seed": subjected.seed,
        "threads": threads,
        "attacks": [attack.name for attack in attacks],
        "release or images": subjected.material.digest.hex(),
        "version": _versions(),
    }


def told_settings(settings: Mapping[str, Any], *, chosen: bool, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """The same for a report: without the digest of the images, which would tell whoever has them that they are these.

    Args:
        chosen: whether the user named the attacks.
        left_out: names of those that there are and that were not asked for.
    """
    preset = {name: value for name, value in settings["preset"].items() if name not in ("name", "purpose")}
    return {
        "preset": settings["preset"]["name"],
        "seed": settings["seed"],
        "threads": settings["threads"],
        "attacks": settings["attacks"],
        "chosen": chosen,
        "left_out": list(left_out),
        "limits": preset,
        **{name.replace(" ", "_"): settings[name] for name in _OF_TASKS if name in settings},
        **settings["version"],
    }


def data_facts(subjected: Subjected, samples: Sequence[Sample]) -> dict[str, Any]:
    """Counts of what went in."""
    material, plans = subjected.material, subjected.plans
    first = [plan for plan in plans if plan.repeat == 0]
    tested = [subject for plan in first for subject in plan.tested]
    return {
        "images": len(tested),
        "packages": material.counts.get("packages", 0),
        "patients": len({subject.patient for subject in tested}),
        "patients_with_several": _several([subject.patient for subject in tested]),
        "strata": len({subject.stratum for subject in tested}),
        "patients_known": material.patients_known,
        "rounds": len(first),
        "protocol": "cross-fitting over the release's own patients" if len(first) > 1 else "images of other patients",
        "repeats": subjected.preset.repeats,
        "own_images": [len(plan.own) for plan in first],
        "validation_images": [len(plan.validation) for plan in first],
        "images_outside": len(material.outside),
        "packages_with_original": len(material.holdings),
        "window": [material.window.low, material.window.high],
        "other_packages": partners_of(samples),
        "found": dict(sorted(material.counts.items())),
    }


def cautions(subjected: Subjected) -> tuple[str, ...]:
    """Sentences on what the data cannot show."""
    material, told = subjected.material, []
    if not material.patients_known:
        told.append(
            "No manifest said who is who: every image counts as a patient of its own. Linkage could not be tested, and "
            "intervals are too narrow where patients have several images."
        )
    unlisted = material.counts.get("packages_unlisted_in_manifest", 0)
    if unlisted:
        told.append(f"{unlisted} packages are of images that the manifest does not list: each counts as a patient.")
    lost = material.counts.get("packages_without_original", 0)
    if lost:
        told.append(f"{lost} packages were not attacked, since their originals are not among those that were given.")
    closed = material.counts.get("packages_closed_to_key", 0)
    if closed:
        told.append(f"Not attacked, since this key does not say whose they are: {plural(closed, 'package')}.")
    other = material.counts.get("originals_of_another_size", 0)
    if other:
        told.append(
            "Not attacked, since their originals have another size now, and so have changed since they were shared: "
            f"{plural(other, 'package')}."
        )
    if material.counts.get("matched_by_path_only"):
        told.append("Some originals were found by their path alone: their files have changed since they were shared.")
    if material.counts.get("mixed_depths"):
        told.append(
            "The release mixes images of 8 bits with deeper ones. Working pictures have one range for all, in which "
            "those of 8 bits are dark: figures of pictures say less of them."
        )
    return tuple(told)


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
