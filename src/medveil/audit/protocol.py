"""Protocol: who learns from whom, who is attacked, and which other package stands for having no information.

A round is one attacker: own images to learn from, further ones to choose with, and packages under attack, no patient
in two of the three. With enough images of other patients there is one round. Else the release's own patients are dealt
into K folds: the attacker of a fold has the originals of the others, published anew under keys of her own.

No information is the same attacker given the package of another patient with the same visible header.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medveil.attacks.attack import Effort, Knowledge
from medveil.audit.presets import Preset
from medveil.audit.targets.target import Target
from medveil.codecs.code import Bucket
from medveil.datasets.splits import dealt_by_patient, validation_patients
from medveil.errors import UsageError
from medveil.experiments.sampling import (
    SEVERAL,
    drawn_by_patient,
    generator_of,
    seed_of,
    simulated_key,
)
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture, Subject

ENOUGH_IMAGES, ENOUGH_PATIENTS = 40, 20
PUBLICATIONS = 2  # further ones of each image under attack
_ABOUT = 0.8
Header = tuple[int, int, int]


@dataclass(frozen=True)
class RoundPlan:
    """Who is who in a round; nothing is published yet.

    Attributes:
        name: of the round; no two of an audit have one.
        own, validation, tested: subjects; no patient is in two of them.
        seed: of the attacker.
        repeat: which repetition of the audit it belongs to.
    """

    name: str
    own: tuple[Subject, ...] = field(repr=False)
    validation: tuple[Subject, ...] = field(repr=False)
    tested: tuple[Subject, ...] = field(repr=False)
    seed: int
    repeat: int = 0


@dataclass(frozen=True)
class Attacked:
    """A package under attack.

    Attributes:
        case: the image and what was published of it.
        partner: the package of another patient with the same visible header; None where there is none.
    """

    case: Case
    partner: Observation | None


@dataclass(frozen=True)
class Round:
    """A plan carried out.

    Attributes:
        name: of its plan.
        mechanism: name of what is attacked: a protection level, or a control.
        knowledge: what the attacker has.
        tested: packages under attack.
        means: for each visible header the mean of the attacker's own pictures: a guess that needs no package.
        partners: how many partners were found how, and how many images were left without one.
    """

    name: str
    mechanism: str
    knowledge: Knowledge
    tested: tuple[Attacked, ...] = field(repr=False)
    means: Mapping[Bucket | None, Picture] = field(repr=False)
    partners: Mapping[str, int]


def plan_rounds(
    shared: Sequence[Subject], outside: Sequence[Subject], preset: Preset, seed: int
) -> tuple[RoundPlan, ...]:
    """Plan the rounds on a release.

    Args:
        shared: images of the release.
        outside: images of patients who are not in it.
        preset: how many of what.
        seed: of everything that is drawn.

    Raises:
        UsageError: there are too few patients for an attacker to learn from others than those whom she attacks.
    """
    shared_patients = len({subject.patient for subject in shared})
    if _enough(outside):
        folds: list[tuple[Sequence[Subject], Sequence[Subject]]] = [(outside, shared)]
        limit = preset.tested_images
    else:
        count = min(preset.folds, shared_patients)
        if count < 2:
            raise UsageError(
                "the release has images of one patient, and the attacker has too few of others to learn from",
                hint=f"put at least {ENOUGH_IMAGES} images of {ENOUGH_PATIENTS} other patients among --originals",
            )
        parts = dealt_by_patient([each.patient for each in shared], count, generator_of(seed, "folds"))
        folds = [([*outside, *_all_but(shared, part)], [shared[index] for index in part]) for part in parts]
        folds = _as_far_as_needed(folds, preset.tested_images)
        limit = -(-preset.tested_images // len(folds))
    plans = []
    for repeat in range(preset.repeats):
        for number, (own, tested) in enumerate(folds):
            name = f"release-{number}" if preset.repeats == 1 else f"release-{number}-{repeat}"
            chosen = some_by_patient(tested, limit, generator_of(seed, "tested", number))
            plans.append(plan_round(name, own, chosen, preset.own_images, preset.validation, seed, repeat))
    return tuple(plans)


def plan_round(
    name: str, own: Sequence[Subject], tested: Sequence[Subject], limit: int, share: float, seed: int, repeat: int = 0
) -> RoundPlan:
    """One round; `share` of the attacker's own patients are for validation, `limit` bounds her images."""
    own = some_by_patient(own, limit, generator_of(seed, "own", name))
    validation = validation_patients([each.patient for each in own], share, generator_of(seed, "validation", name))
    learned = tuple(each for each in own if each.patient not in validation)
    chosen = tuple(each for each in own if each.patient in validation)
    return RoundPlan(name, learned, chosen, tuple(tested), seed_of(seed, "round", name), repeat)


def some_by_patient(
    subjects: Sequence[Subject], limit: int, generator: np.random.Generator, *, several: float = SEVERAL, most: int = 0
) -> tuple[Subject, ...]:
    """Images of whole patients, at most `limit`; see `drawn_by_patient`."""
    patients = [each.patient for each in subjects]
    return tuple(subjects[index] for index in drawn_by_patient(patients, limit, generator, several=several, most=most))


def carry_out(
    plan: RoundPlan, mechanism: Mechanism, effort: Effort, publish: Callable[[Subject], Case] | None = None, *,
    name: str = "", tick: Callable[[], None] = lambda: None,
) -> Round:  # fmt: skip
    """Publish all images of a round, and pair those under attack with others.

    Args:
        plan: who is who.
        mechanism: how images are published.
        effort: what the attacker may spend.
        publish: gives what was published of an image under attack: the release's own package; else it is simulated.
        name: of what is attacked; the mechanism's own by default.
        tick: called after each image.
    """
    seed = plan.seed

    def simulated(subject: Subject, purpose: str) -> Case:
        tick()
        return mechanism.case_of(subject, simulated_key(seed, purpose, subject.number))

    def with_others(case: Case) -> Case:
        every = [simulated(case.subject, f"other {number}") for number in range(PUBLICATIONS)]
        observation = replace(case.observation, others=tuple(each.observation for each in every))
        return replace(case, observation=observation)

    own = tuple(simulated(subject, "own") for subject in plan.own)
    validation = tuple(simulated(subject, "own") for subject in plan.validation)
    tested = tuple(
        with_others(publish(subject) if publish is not None else simulated(subject, "tested"))
        for subject in plan.tested
    )
    partners, counts = pair_up(tested, generator_of(seed, "partners"))
    spare = [*plan.validation, *plan.own]
    pairs = []
    for case, partner in zip(tested, partners, strict=True):
        observation = partner.observation if partner is not None else None
        if observation is None:
            stand_in = _stand_in(case, spare, lambda subject: with_others(simulated(subject, "partner")))
            observation = stand_in.observation if stand_in is not None else None
            counts["simulated" if observation is not None else "none"] += 1
        pairs.append(Attacked(case, observation))
    seen = tuple(case.observation for case in tested)
    knowledge = Knowledge(mechanism, own, validation, seen, effort, seed)
    return Round(plan.name, name or mechanism.name, knowledge, tuple(pairs), mean_pictures(own), dict(counts))


def target_round(target: Target, plan: RoundPlan, effort: Effort, tick: Callable[[], None] = lambda: None) -> Round:
    """A round on a release: what it published itself is under attack."""
    return carry_out(plan, target.mechanism, effort, target.case_of, tick=tick)


def header_of(observation: Observation) -> Header:
    """What a package shows of its image by design: size class, and how many sections it has."""
    return observation.bucket.height, observation.bucket.width, len(observation.lengths)


def pair_up(cases: Sequence[Case], generator: np.random.Generator) -> tuple[list[Case | None], Counter[str]]:
    """For each case another one, of another patient and with the same visible header, and how many were found how.

    Within a stratum first, then among all of a header. Every case is the partner of at most one other in each step.
    """
    partners: list[Case | None] = [None] * len(cases)
    counts: Counter[str] = Counter()

    def stratum(index: int) -> Hashable:
        return cases[index].subject.stratum, header_of(cases[index].observation)

    def header(index: int) -> Hashable:
        return header_of(cases[index].observation)

    for label, key in (("same_stratum", stratum), ("same_header", header)):
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for index in range(len(cases)):
            groups[key(index)].append(index)
        for group in groups.values():
            for index, other in _deranged(group, [cases[each].subject.patient for each in group], generator):
                if partners[index] is None:
                    partners[index] = cases[other]
                    counts[label] += 1
    return partners, counts


def mean_pictures(cases: Iterable[Case]) -> dict[Bucket | None, Picture]:
    """Mean picture of each visible size class, and under None of all: the best guess without any package."""
    groups: dict[Bucket | None, list[Picture]] = defaultdict(list)
    for case in cases:
        groups[case.observation.bucket].append(case.subject.picture)
        groups[None].append(case.subject.picture)
    return {
        bucket: np.asarray(np.mean(pictures, axis=0, dtype=np.float64), np.float32)
        for bucket, pictures in groups.items()
    }


def _deranged(group: Sequence[int], patients: Sequence[int], generator: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs (one, another of another patient) for as many of a group as possible.

    Images are laid in a ring patient by patient, in drawn order; each is paired with the one that is as many places on
    as the patient with the most images has. If that is at most half of all, no pair is of one patient.
    """
    counts = Counter(patients)
    order = [sorted(counts)[place] for place in generator.permutation(len(counts))]
    rank = {patient: place for place, patient in enumerate(order)}
    ring = sorted(generator.permutation(len(group)).tolist(), key=lambda place: rank[patients[place]])
    step = max(counts.values())
    pairs = [(one, ring[(place + step) % len(ring)]) for place, one in enumerate(ring)]
    return [(group[one], group[other]) for one, other in pairs if patients[one] != patients[other]]


def _stand_in(case: Case, spare: Sequence[Subject], publish: Callable[[Subject], Case]) -> Case | None:
    """One of the attacker's own images of the same visible header, published anew; of the same stratum if possible."""
    if not spare:
        return None

    def distance(subject: Subject) -> tuple[bool, bool]:
        return _bucket(subject) != _bucket(case.subject), subject.stratum != case.subject.stratum

    found = publish(min(spare, key=distance))
    return found if header_of(found.observation) == header_of(case.observation) else None


def _bucket(subject: Subject) -> Bucket:
    return Bucket.of(*subject.image.pixels.shape)


def _as_far_as_needed(
    folds: Sequence[tuple[Sequence[Subject], Sequence[Subject]]], images: int
) -> list[tuple[Sequence[Subject], Sequence[Subject]]]:
    """The first folds that have about so many images under attack together: each further one costs another attacker."""
    kept, found = [], 0
    for own, tested in folds:
        if found >= _ABOUT * images:
            break
        kept.append((own, tested))
        found += len(tested)
    return kept


def _enough(subjects: Sequence[Subject]) -> bool:
    return len(subjects) >= ENOUGH_IMAGES and len({each.patient for each in subjects}) >= ENOUGH_PATIENTS


def _all_but(subjects: Sequence[Subject], left_out: Sequence[int]) -> list[Subject]:
    out = set(left_out)
    return [subject for index, subject in enumerate(subjects) if index not in out]
