"""Small releases with known patients, and attacks that are quick and do exactly what a test wants."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as Picture
from tests.pictures import picture

from medveil.attacks import registry
from medveil.attacks.attack import Effort, Goal, Guess
from medveil.audit import presets
from medveil.audit.pace import Pace, Publishing
from medveil.audit.presets import Preset, TaskBudget
from medveil.audit.targets.target import Kind, Target
from medveil.codecs.code import Bucket, CodeMap, SparseCode
from medveil.images.image import FileKind, Image, Source
from medveil.keys.tiers import Tier
from medveil.mechanisms.controls import control_named
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Shown, Subject
from medveil.mechanisms.working_pictures import Window
from medveil.registry import Registry
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.tasks.task import TaskEffort

WORKING = 24
TASK_EFFORT = TaskEffort(1, "resnet18", "unet", 16, 16, 1.0, 1.0, 0, 6)


def effort(**changed):
    values = {"working": WORKING, "steps": 2, "batch": 2, "width": 2, "seed_bits": 4, "targets": 2}
    return Effort(**(values | changed))


def preset(**changed):
    values = {
        "name": "tiny", "purpose": "for tests", "effort": effort(), "control_effort": effort(), "folds": 2,
        "validation": 0.15, "own_images": 100, "tested_images": 100, "control_own": 8, "control_tested": 6,
        "control_patients": 2, "fidelity_images": 4, "resamples": 50, "repeats": 1, "all_controls": False,
        "tasks": TaskBudget(100, TASK_EFFORT),
    }  # fmt: skip
    return Preset(**(values | changed))


def use(monkeypatch, attacks, controls=("random-codes",), **changed):
    """Let audits know these attacks and controls only, and a preset `tiny`; no speed of this machine is measured."""
    monkeypatch.setattr("medveil.audit.plan.measured_pace", lambda *_: Pace(*[Publishing(2.0, 1.0)] * 2, 0.5))
    known = Registry(
        "attack", {attack.name: (lambda one=attack: one) for attack in attacks}, hint="see medveil attacks"
    )
    monkeypatch.setattr(registry, "ATTACKS", known)
    monkeypatch.setattr(presets, "_PRESETS", (preset(**changed),))
    chosen = tuple(control_named(name) for name in controls)
    monkeypatch.setattr("medveil.audit.control_plan.all_controls", lambda **_: chosen)


def use_small_effort(monkeypatch):
    """Let all presets have attackers of little effort, so that the speed of this machine is measured in a moment."""
    small = effort()
    few = tuple(replace(one, effort=small, control_effort=small) for one in presets._PRESETS)
    monkeypatch.setattr(presets, "_PRESETS", few)


def shared_images(root, owner, patients=6, images=2, tiers=(), outside=0, side=64, codec="lapped"):
    """A folder of originals with their manifest, and the release of the first patients; the rest is outside."""
    rows = []
    for patient in range(patients + outside):
        where = "shared" if patient < patients else "others"
        for number in range(images):
            name = f"{where}/p{patient}-{number}.png"
            path = root / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Picture.fromarray(picture(10 * patient + number, side, side)).save(path)
            rows.append((name, f"patient {patient}", "north" if patient % 2 else "south", "PA"))
    with (root / "data" / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "patient_id", "source", "view"), *rows])
    settings = ShareSettings(codec=codec, tiers=tuple(Tier(tier) for tier in tiers), jobs=1)
    share([root / "data" / "shared"], root / "release", settings, owner=owner)
    return root


class Knowing:
    """An attack that is told the truth of what it attacks: it must win. It counts how often it learns."""

    title, knows, needs, cost = "A friend of the owner", "everything", "nothing", "nothing"
    goal, trains = Goal.SUPPORT, False

    def __init__(self, name="knowing", truth=None, fails=None, requires=()):
        self.name, self.truth, self.fails, self.requires = name, truth or {}, fails, requires
        self.learned = []

    def fit(self, knowledge):
        self.learned.append(knowledge)
        if self.fails is not None:
            raise self.fails
        return self

    def predict(self, observation):
        return self.truth.get(observation.stream, Guess())


class Blind(Knowing):
    """An attack that says the same of every package."""

    title = "Somebody without eyes"

    def predict(self, observation):
        rows = np.mgrid[:WORKING, :WORKING][0].astype(np.float32)
        return Guess(rows * 4, tuple(np.zeros(each.cells, np.float32) for each in observation.maps), np.ones(3, "f4"))


class Noise(Knowing):
    """An attack whose guesses depend on the package, its knowledge's seed, and nothing of the image."""

    def fit(self, knowledge):
        super().fit(knowledge)
        return _Noise(knowledge.seed)


@dataclass(frozen=True)
class _Noise:
    seed: int

    def predict(self, observation):
        generator = np.random.default_rng([self.seed, *observation.stream[:8]])
        image = generator.uniform(0, 255, (WORKING, WORKING)).astype(np.float32)
        return Guess(image, None, generator.standard_normal(4).astype(np.float32))


def subject(number, patient, stratum=0, side=64):
    generator = np.random.default_rng(number)
    pixels = generator.integers(0, 256, (side, side), np.uint8)
    image = Image.of_pixels(pixels, 8, Source(FileKind.PNG, b""))
    return Subject(number, patient, stratum, image, generator.uniform(0, 255, (WORKING, WORKING)).astype(np.float32))


def case(number, patient, stratum=0, bucket=(64, 64), cells=40):
    """A case whose public code shows ten cells, of which three are true."""
    generator = np.random.default_rng(1000 + number)
    positions = np.sort(generator.choice(cells, 10, replace=False)).astype(np.int64)
    shown = Shown(cells, positions, np.ones(10, np.int32))
    true = CodeMap(cells, positions[[1, 4, 7]], np.ones(3, np.int32))
    seen = Observation(Bucket(*bucket), (shown,), bytes([number]), (10, 20))
    return Case(subject(number, patient, stratum), seen, SparseCode((true,), b""))


def target(subjects, outside=()):
    """A keyed release of these images, published as `Plain` does; nothing opens."""
    return Target(
        Kind.KEYED, Plain(), tuple(subjects), tuple(outside), lambda one: case(one.number, one.patient, one.stratum),
        (), {}, lambda: (), Window(), True, {}, b"digest",
    )  # fmt: skip


class Plain(Mechanism):
    """A mechanism that publishes what `case` makes, the key as the stream."""

    name, in_place = "plain", True

    def publish(self, subject, key):
        seen = case(subject.number, subject.patient, subject.stratum).observation
        return Observation(seen.bucket, seen.maps, key, seen.lengths)

    def code_of(self, subject):
        return case(subject.number, subject.patient, subject.stratum).code
