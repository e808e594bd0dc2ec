"""Controlling: the same attacks, in the same way, on mechanisms of which it is known how they must come out.

Controls tell what this audit can see. Most work on the images of the audit: fewer of them, dealt once into the
attacker's own and those under attack, and filled up with invented patients where there are too few. Those that leak
very little an image need many patients who come several times, which hardly any release has: they work on invented
patients alone, the same in every audit of a preset and a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medveil.attacks.applicability import can_fit
from medveil.attacks.attack import Attack, Goal
from medveil.audit.presets import Preset
from medveil.audit.protocol import Round, RoundPlan, carry_out, plan_round, some_by_patient
from medveil.audit.results import Sample
from medveil.audit.targets.target import Target
from medveil.codecs.code import Bucket
from medveil.datasets.phantoms import draw_patient
from medveil.experiments.sampling import generator_of, seed_of, simulated_key
from medveil.images.image import FileKind, Image, Source
from medveil.mechanisms.controls import Control, Setup, all_controls
from medveil.mechanisms.expected_breaks import expected_breaks
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Subject
from medveil.mechanisms.working_pictures import working_picture

MOST_OF_ONE = 3
"""Images of one patient under attack in a control: linkage is judged by how many patients there are."""
SEVERAL_PATIENTS = 20
"""Patients with several images, under attack and of the attacker's own each: fewer say little of linkage."""
_VISITS = 3
_LEAST_SIDE = 128  # pixels of an invented picture: smaller ones have no ribs
_SHUFFLES = 200


@dataclass(frozen=True)
class ControlImages:
    """Who is who in the controls of an audit, before anybody is invented.

    Attributes:
        tested, own: images of the audit under attack, and of the attacker's own; no patient is in both.
        invented_tested, invented_own: how many invented patients come to them.
    """

    tested: tuple[Subject, ...] = field(repr=False)
    own: tuple[Subject, ...] = field(repr=False)
    invented_tested: int
    invented_own: int

    @property
    def own_images(self) -> int:
        """How many images the attacker has, to learn from and to choose with."""
        return len(self.own) + _VISITS * self.invented_own

    def counts(self) -> dict[str, int]:
        """What is under attack: images, patients, and how many of these are invented."""
        return {
            "images": len(self.tested) + _VISITS * self.invented_tested,
            "patients": len({each.patient for each in self.tested}) + self.invented_tested,
            "invented": self.invented_tested,
        }


@dataclass(frozen=True)
class Bench:
    """What all controls of an audit share that work on the same images.

    Attributes:
        plan: who is attacked, and who is the attacker's.
        setup: what mechanisms are made from.
        preset: what an attacker may spend.
        seed: of the audit.
    """

    plan: RoundPlan = field(repr=False)
    setup: Setup = field(repr=False)
    preset: Preset
    seed: int


def control_images(target: Target, preset: Preset, seed: int, *, many: bool = False) -> ControlImages:
    """Deal images into those under attack and the attacker's own, and say how many patients are to be invented.

    Patients with several images are taken first: linkage is judged by them.

    Args:
        target: whose images they are.
        preset, seed: of the audit.
        many: invented patients alone, for controls that leak little an image.
    """
    if many:
        return ControlImages((), (), preset.control_patients, preset.control_patients)
    subjects = target.every
    wanted = min(preset.control_tested, len(subjects) // 2)
    tested = some_by_patient(subjects, wanted, generator_of(seed, "control tested"), several=1.0, most=MOST_OF_ONE)
    patients = {each.patient for each in tested}
    others = [each for each in subjects if each.patient not in patients]
    own = some_by_patient(others, preset.control_own, generator_of(seed, "own", "controls"))
    several = min(SEVERAL_PATIENTS, preset.control_patients)
    return ControlImages(
        tested, own, _missing(tested, preset.control_tested, several), _missing(own, preset.control_own, several)
    )


def _missing(subjects: Sequence[Subject], images: int, several: int) -> int:
    """How many invented patients make up for images, and for patients with several of them, that there are not."""
    counts = Counter(each.patient for each in subjects)
    return max(-(-(images - len(subjects)) // _VISITS), several - sum(count > 1 for count in counts.values()), 0)


def bench_of(
    images: ControlImages, target: Target, preset: Preset, seed: int, tick: Callable[[], None] = lambda: None
) -> Bench:
    """Invent the patients that are missing, and put all controls' images together.

    Args:
        images: of `control_images`.
        target: whose codec controls on the release's own have.
        preset, seed: of the audit.
        tick: called after each invented patient.
    """
    invented = invented_subjects(
        images.invented_tested + images.invented_own, target, preset.effort.working, seed, tick,
        after=(*images.tested, *images.own),
    )  # fmt: skip
    first = _VISITS * images.invented_tested
    tested, own = (*images.tested, *invented[:first]), (*images.own, *invented[first:])
    plan = plan_round("controls", own, tested, len(own), preset.validation, seed)
    pool = tuple(each.picture for each in (*plan.own, *plan.validation))
    setup = Setup(
        preset.effort.working, target.codes, simulated_key(seed, "control secret"), pool, target.mechanism.space
    )
    return Bench(plan, setup, preset, seed)


def invented_subjects(
    patients: int, target: Target, working: int, seed: int, tick: Callable[[], None], *, after: Sequence[Subject] = ()
) -> tuple[Subject, ...]:
    """Images of invented patients, three each, in the depth and range of those of a target.

    Args:
        patients: how many.
        target: whose images they are to be like.
        working: side of working pictures.
        seed: of the audit.
        tick: called after each patient.
        after: images whose numbers, patients and strata are taken.
    """
    number, patient, stratum = (
        1 + max((getattr(each, name) for each in after), default=-1) for name in ("number", "patient", "stratum")
    )
    like, window, side = target.subjects[0].image, target.window, max(_LEAST_SIDE, working)
    found: list[Subject] = []
    for order in range(patients):
        drawn = draw_patient(order, seed_of(seed, "invented"), size=(side, side), visits=_VISITS)
        for visit in drawn.visits:
            stored = np.rint(window.low + visit.brightness * (window.high - window.low))
            pixels = np.clip(stored, *like.value_range).astype(like.pixels.dtype)
            image = Image.of_pixels(pixels, like.bits_stored, Source(FileKind.PNG, b""))
            picture = working_picture(pixels, Bucket.of(side, side), window, working)
            found.append(Subject(number + len(found), patient + order, stratum, image, picture))
        tick()
    return tuple(found)


def fitting(attacks: Sequence[Attack], mechanism: Mechanism) -> list[Attack]:
    """Attacks that can fit a mechanism: others say nothing of it, and need no control."""
    return [attack for attack in attacks if can_fit(attack.requires, mechanism)]


def chosen_controls(attacks: Sequence[Attack], mechanism: Mechanism, preset: Preset) -> tuple[Control, ...]:
    """Controls that these attacks can be held against: those that one of them must break, and all negative ones.

    Args:
        attacks: that were asked for.
        mechanism: of the release; one without a codec has no controls on its own.
        preset: how short the seed of a control is.
    """
    names = {attack.name for attack in fitting(attacks, mechanism)}
    every = all_controls(seed_bits=preset.control_effort.seed_bits, release=mechanism.space is not None)
    return tuple(control for control in every if not control.positive or names & set(control.expected))


def chosen_pairs(
    controls: Sequence[Control], attacks: Sequence[Attack], *, thorough: bool
) -> tuple[tuple[Control, Attack], ...]:
    """Which attack runs on which control.

    All that must break it, and, thorough, all that train nothing, which are cheap. Not thorough, on the release's own
    images, which are larger: the cheap ones of those that must break it, or one of the others where none of them is
    cheap. Then for each attack that is without a control the one that it breaks most easily. Cheap attacks all run on
    negative controls, and where patients are mixed up those that say whose an image is: only they can fail there. In
    the order of the controls.
    """
    found: dict[str, list[Attack]] = {}
    cheap = [attack for attack in attacks if not attack.trains]
    for control in controls:
        breaking = [attack for attack in attacks if attack.name in control.expected]
        if not control.positive:
            found[control.name] = [each for each in cheap if each.goal is Goal.REIDENTIFICATION or not control.shuffled]
        elif thorough:
            found[control.name] = [attack for attack in attacks if attack in breaking or attack in cheap]
        elif control.release:
            found[control.name] = [attack for attack in breaking if attack in cheap] or breaking[:1]
        else:
            found[control.name] = breaking
    for attack in attacks:
        beaten = [name for name in expected_breaks(attack) if name in found]
        if beaten and not any(attack in found[name] for name in beaten):
            found[beaten[0]].append(attack)
    return tuple((control, attack) for control in controls for attack in found[control.name])


def control_round(bench: Bench, control: Control, tick: Callable[[], None] = lambda: None) -> Round:
    """Publish the images of the bench by a control."""
    plan = replace(bench.plan, name=f"control {control.name}")
    if control.shuffled:
        plan = replace(
            plan,
            own=shuffled(plan.own, generator_of(bench.seed, "shuffle own")),
            validation=shuffled(plan.validation, generator_of(bench.seed, "shuffle validation")),
            tested=shuffled(plan.tested, generator_of(bench.seed, "shuffle tested")),
        )
    return carry_out(plan, control.make(bench.setup), bench.preset.control_effort, name=control.name, tick=tick)


def of_control(control: Control, sample: Sample) -> Sample:
    """What of a sample is judged: with patients mixed up only linkage, since the pictures are there to be seen."""
    return replace(sample, values={}, examples=()) if control.shuffled else sample


def shuffled(subjects: Sequence[Subject], generator: np.random.Generator) -> tuple[Subject, ...]:
    """The same images with each other's patient numbers, dealt so that as few as possible pairs of one patient stay."""
    patients = np.array([each.patient for each in subjects], np.int64)
    if not len(patients):
        return ()
    dealt = [generator.permutation(patients) for _ in range(_SHUFFLES)]
    pair = (patients[:, None] == patients) & ~np.eye(len(patients), dtype=bool)
    best = min(dealt, key=lambda names: int((pair & (names[:, None] == names)).sum()))
    return tuple(replace(each, patient=int(patient)) for each, patient in zip(subjects, best, strict=True))
