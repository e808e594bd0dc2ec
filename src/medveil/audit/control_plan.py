"""Controlling: the same attacks, in the same way, on mechanisms of which it is known how they must come out.

Controls tell what this audit can see. All work on the images of the audit: fewer of them, dealt once into the
attacker's own and those under attack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medveil.attacks.applicability import can_fit
from medveil.attacks.attack import Attack, Goal
from medveil.audit.presets import Preset
from medveil.audit.protocol import Round, RoundPlan, carry_out, plan_round, some_by_patient
from medveil.audit.results import Sample
from medveil.audit.targets.target import Target
from medveil.experiments.sampling import generator_of, simulated_key
from medveil.mechanisms.controls import Control, Setup, all_controls
from medveil.mechanisms.expected_breaks import expected_breaks
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Subject

MOST_OF_ONE = 3
"""Images of one patient under attack in a control: linkage is judged by how many patients there are."""
MANY = 3
_SHUFFLES = 200


@dataclass(frozen=True)
class Bench:
    """What all controls of an audit share.

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


def bench_of(target: Target, preset: Preset, seed: int, *, many: bool = False) -> Bench:
    """Deal images into those under attack and the attacker's own.

    Patients with several images are taken first: linkage is judged by them.

    Args:
        target: whose images they are, and whose codec controls on the release's own have.
        preset, seed: of the audit.
        many: three times as many images, for controls that leak little an image and cost little.
    """
    times, subjects = MANY if many else 1, target.every
    wanted = min(preset.control_tested * times, len(subjects) // 2)
    tested = some_by_patient(subjects, wanted, generator_of(seed, "control tested"), several=1.0, most=MOST_OF_ONE)
    patients = {each.patient for each in tested}
    others = [each for each in subjects if each.patient not in patients]
    plan = plan_round("controls", others, tested, preset.control_own * times, preset.validation, seed)
    pool = tuple(each.picture for each in (*plan.own, *plan.validation))
    setup = Setup(
        preset.effort.working, target.codes, simulated_key(seed, "control secret"), pool, target.mechanism.space
    )
    return Bench(plan, setup, preset, seed)


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
