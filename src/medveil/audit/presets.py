"""Presets: how much an audit spends. One place for every number that trades time against power."""

from __future__ import annotations

from dataclasses import dataclass

from medveil.attacks.attack import Effort
from medveil.attacks.reidentification.recognizer import RecognizerEffort
from medveil.metrics.inference import LEAST, LeastPatients
from medveil.registry import unknown
from medveil.tasks.task import TaskEffort


@dataclass(frozen=True)
class TaskBudget:
    """What the tasks of one audit may spend.

    Attributes:
        images: most images that they see, whole patients.
        effort: of each task.
    """

    images: int
    effort: TaskEffort


QUICK_RECOGNITION = RecognizerEffort(112, 130, 64, "resnet18", 512, 20_000)


@dataclass(frozen=True)
class Preset:
    """What one audit spends.

    Attributes:
        name: quick, standard or paper.
        purpose: what it is for, and how long it takes.
        effort: of an attacker on the release.
        control_effort: of an attacker on a control; its working size is that of `effort`.
        folds: K of the cross-fitting, where the attacker has too few images of her own. Folds are attacked until
            `tested_images` is about reached.
        validation: share of the attacker's patients that she chooses with.
        own_images: most images an attacker has of her own, in one round.
        tested_images: most images under attack, in all rounds together.
        control_own, control_tested: the same on a control, one round each.
        control_patients: invented patients, under attack and of the attacker's own each, for controls that leak little.
        fidelity_images: most images of which fidelity is measured, a tier.
        resamples: of every bootstrap and permutation.
        repeats: how often every attack is learned anew, from another seed.
        all_controls: run every cheap attack on every control, not only what is needed to judge attacks and controls.
        tasks: what tasks spend.
        least: patients that verdicts and figures rest on.
        recognition: what a recognizer may spend on an open release.
        recognition_own, recognition_tested: most images that recognizers learn from, in one round, and that they look
            for, in all rounds together.
    """

    name: str
    purpose: str
    effort: Effort
    control_effort: Effort
    folds: int
    validation: float
    own_images: int
    tested_images: int
    control_own: int
    control_tested: int
    control_patients: int
    fidelity_images: int
    resamples: int
    repeats: int
    all_controls: bool
    tasks: TaskBudget
    least: LeastPatients = LEAST
    recognition: RecognizerEffort = QUICK_RECOGNITION
    recognition_own: int = 1200
    recognition_tested: int = 400


_DENSENET, _UNET = "densenet121", "unet"
_PRESETS = (
    Preset(
        "quick",
        "a first look: at most 10 minutes on two cores for 200 images of 128 to 256 pixels; more for an open release",
        effort=Effort(working=64, steps=80, batch=8, width=8, seed_bits=12, targets=400),
        control_effort=Effort(working=64, steps=60, batch=8, width=8, seed_bits=12, targets=400),
        folds=2, validation=0.15, own_images=100, tested_images=200, control_own=90, control_tested=90,
        control_patients=90, fidelity_images=60, resamples=2000, repeats=1, all_controls=False,
        tasks=TaskBudget(400, TaskEffort(3, _DENSENET, _UNET, 96, 96, 12.0, 16.0, 2000, 60)),
    ),
    Preset(
        "standard", "for a decision: about half an hour on two cores for 400 images",
        effort=Effort(working=128, steps=200, batch=8, width=8, seed_bits=16, targets=400),
        control_effort=Effort(working=128, steps=100, batch=8, width=8, seed_bits=16, targets=400),
        folds=3, validation=0.15, own_images=250, tested_images=400, control_own=120, control_tested=100,
        control_patients=90, fidelity_images=300, resamples=5000, repeats=1, all_controls=False,
        tasks=TaskBudget(2000, TaskEffort(5, _DENSENET, _UNET, 128, 128, 10.0, 10.0, 5000, 300)),
        recognition=RecognizerEffort(112, 650, 64, "resnet18", 512, 100_000), recognition_tested=1000,
    ),
    Preset(
        "paper", "the published protocol (batch 30, 256 pixels, 70/10/20); meant for a GPU",
        effort=Effort(working=256, steps=20_000, batch=30, width=32, seed_bits=24, targets=2000),
        control_effort=Effort(working=256, steps=3_000, batch=30, width=32, seed_bits=24, targets=500),
        folds=5, validation=0.125, own_images=100_000, tested_images=100_000, control_own=400, control_tested=200,
        control_patients=120, fidelity_images=100_000, resamples=10_000, repeats=3, all_controls=True,
        tasks=TaskBudget(100_000, TaskEffort(5, _DENSENET, _UNET, 224, 256, 60.0, 60.0, 10_000, 100_000)),
        recognition=RecognizerEffort(256, 8000, 64, "resnet50", 1024, 1_000_000),
        recognition_own=100_000, recognition_tested=100_000,
    ),
)  # fmt: skip


def preset_names() -> tuple[str, ...]:
    """From the quickest to the most thorough."""
    return tuple(preset.name for preset in _PRESETS)


def find_preset(name: str | Preset) -> Preset:
    """The preset of a name; one that is given stays what it is. Raises UsageError for a name that none has."""
    if isinstance(name, Preset):
        return name
    found = {preset.name: preset for preset in _PRESETS}
    if name not in found:
        raise unknown("preset", name, found)
    return found[name]
