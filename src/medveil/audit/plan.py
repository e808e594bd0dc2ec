"""The plan of an audit: attacks in rounds and on controls, fidelity, checks of the form, and tasks, as units of a list.

Nothing is written here and nothing runs: `medveil audit --dry-run` prints the forecast of a plan, and
`medveil.audit.audit_run` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medveil.attacks.attack import Attack, Effort
from medveil.audit.control_plan import (
    Bench,
    ControlImages,
    bench_of,
    chosen_controls,
    chosen_pairs,
    control_images,
    control_round,
    fitting,
    of_control,
)
from medveil.audit.facts import manifest_counts, settings_of, settings_of_recognizers
from medveil.audit.fidelity import set_likeness, tier_fidelity
from medveil.audit.judging.possible_verdicts import PossibleVerdicts, possible_verdicts
from medveil.audit.judging.verdicts import Judging
from medveil.audit.pace import Pace, Publishing, measured_pace, measured_recognizers
from medveil.audit.protocol import Round, RoundPlan, plan_rounds, target_round
from medveil.audit.recognition import RecognitionPlan, people_of, plan_recognition
from medveil.audit.request import Request
from medveil.audit.results import Example, FidelityRow, FormCheck, Pairs, Sample, TierFidelity
from medveil.audit.scores.attack_scores import run_attack
from medveil.audit.targets.target import ImageSet, Kind, Limits, ReadTarget, SetKind, Target
from medveil.audit.task_sets import Tasking, tasking_of
from medveil.experiments.cache import ByteCache
from medveil.experiments.sampling import drawn_by_patient, generator_of, seed_of
from medveil.experiments.unit import Key, Plan, Product, Result, Status, Tick, Unit
from medveil.mechanisms.controls import Control
from medveil.releases.writing.staging import staging_of
from medveil.tasks.results import TaskResult
from medveil.tasks.task import Assignment, PlannedTask

Results = Mapping[Key, Result]
KEPT = (Sample, Pairs, Example, TierFidelity, FidelityRow, FormCheck, Status)
"""Classes of which the values of an audit's own units are made."""
_CHECKS_TAKE = 2.0  # images coded, that checks of the form take about as long as
_CHECKS: Key = ("checks",)


@dataclass(frozen=True)
class Forecast:
    """What an audit would do, as `medveil audit --dry-run --json` tells it.

    Attributes:
        images, patients: images under attack, and of how many patients.
        packages: in the release.
        own_images: images that an attacker has of her own, in the round where she has fewest.
        rounds: how many attackers are trained, each on other patients.
        attacks, controls: names of what would be run.
        preset, expected: name, and what it is for and how long it takes.
        units: how many of each kind there are.
        tasks: for each its name, title, number of units, and why it cannot be done where that is known.
        sets: name and title of each set of images that tasks see.
        task_images: counts of the images for tasks.
        expected_seconds: about how long it takes on this machine, measured by a few images and updates.
        verdicts: what the patients under attack allow to be said.
        finished: units of an interrupted audit that would not be done again.
        recognizers: names of those that would look for people.
        manifest: rows of the manifest, those of them that are of no file, and packages whose image has none; empty
            without a manifest.
    """

    images: int
    patients: int
    packages: int
    own_images: int
    rounds: int
    attacks: tuple[str, ...]
    controls: tuple[str, ...]
    preset: str
    expected: str
    units: Mapping[str, int] = field(default_factory=dict)
    tasks: tuple[Mapping[str, Any], ...] = ()
    sets: tuple[Mapping[str, str], ...] = ()
    task_images: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, int] = field(default_factory=dict)
    expected_seconds: float = 0.0
    verdicts: tuple[PossibleVerdicts, ...] = ()
    finished: int = 0
    recognizers: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditPlan:
    """All that an audit does, and where in the results of its units each answer stands.

    Attributes:
        target: what is under test.
        request: what was asked for.
        rounds: on the release.
        controls: with the attacks on each; those that no attack is run on have none.
        images: that controls work on, by whether it takes many patients.
        tasking: the images as tasks see them; None without tasks.
        tasks: with their units.
        units: of all of them.
        recognition: what recognizers do; None without any.
    """

    target: Target
    request: Request
    rounds: tuple[RoundPlan, ...]
    controls: Mapping[Control, tuple[Attack, ...]]
    images: Mapping[bool, ControlImages]
    tasking: Tasking | None
    tasks: tuple[PlannedTask, ...]
    units: Plan
    recognition: RecognitionPlan | None = None

    def on_release(self, results: Results) -> list[dict[int, list[Sample]]]:
        """For each attack its samples of all rounds, by repetition."""
        found = []
        for attack in self.request.attacks:
            repeats: dict[int, list[Sample]] = {}
            for each in self.rounds:
                sample = _sample(each.name, attack, self.target.mechanism.name, results)
                repeats.setdefault(each.repeat, []).append(sample)
            found.append(repeats)
        return found

    def on_control(self, control: Control, results: Results) -> list[Sample]:
        """Of each attack on a control what is judged."""
        name = _round_of(control)
        return [of_control(control, _sample(name, each, control.name, results)) for each in self.controls[control]]

    def fidelity(self, results: Results) -> tuple[TierFidelity, ...]:
        """Of each set of images that could be opened."""
        found = [results[_fidelity_key(one)] for one in self.target.image_sets]
        return tuple(each.product.value(*KEPT) for each in found if each.status is Status.DONE)

    def checks(self, results: Results) -> tuple[FormCheck, ...]:
        """Of the form of the release."""
        found = results[_CHECKS]
        return found.product.value(*KEPT) if found.status is Status.DONE else ()

    def task_sets(self, results: Results) -> list[dict[str, Any]]:
        """What each set of the tasks is, and how near its pictures come to the originals.

        Returns:
            one mapping a set: name, kind, title, and but for the originals psnr (dB, peak 255), ssim and images.
        """
        told = []
        for one in self.tasking.sets if self.tasking is not None else ():
            entry: dict[str, Any] = {"name": one.name, "kind": one.kind.value, "title": one.title}
            if one.kind is not SetKind.ORIGINAL:
                arrays = results[_likeness_key(one)].product.arrays
                entry |= {name: _mean(values) for name, values in arrays.items()}
                entry |= {"images": len(next(iter(arrays.values()), ()))}
            told.append(entry)
        return told

    def task_results(self, results: Results) -> tuple[TaskResult, ...]:
        """What each task found."""
        return tuple(
            task.result({unit.key: results[_task_key(task, unit)] for unit in task.units}) for task in self.tasks
        )

    def unfinished(self, results: Results) -> list[dict[str, str]]:
        """Units that are the audit's own, and were refused or failed: nothing can be ruled out without them."""
        sets = self.tasking.sets if self.tasking is not None else ()
        own = [_CHECKS, *map(_fidelity_key, self.target.image_sets), *map(_likeness_key, sets)]
        return [
            {"unit": unit.title, "status": results[unit.key].status.value, "reason": results[unit.key].reason}
            for unit in self.units.units
            if unit.key in own and results[unit.key].status is not Status.DONE
        ]

    def forecast(self, finished: Collection[Key] = ()) -> Forecast:
        """What it would do, in numbers.

        Args:
            finished: units that are done already.
        """
        preset = self.request.preset
        tested = {subject.number: subject.patient for each in self.rounds for subject in each.tested}
        if self.recognition is not None:
            tested |= {
                subject.number: subject.patient for each in self.recognition.rounds for subject in each.published
            }
        sets = self.tasking.sets if self.tasking is not None else ()
        left = sum(unit.cost for unit in self.units.units if unit.key not in finished)
        return Forecast(
            len(tested), len(set(tested.values())), int(self.target.facts.get("packages", len(self.target.subjects))),
            min((len(each.own) + len(each.validation) for each in self.rounds), default=0), len(self.rounds),
            tuple(attack.name for attack in self.request.attacks), tuple(control.name for control in self.controls),
            preset.name, preset.purpose, self.units.counts(),
            tuple(
                {"name": each.task.name, "title": each.task.title, "parts": len(each.units), "refused": each.reason}
                for each in self.tasks
            ),
            tuple({"name": one.name, "title": one.title} for one in sets),
            self.tasking.found if self.tasking is not None else {},
            manifest_counts(self.target.counts), left,
            possible_verdicts(self.rounds, len(self.request.attacks), Judging(least=preset.least)), len(finished),
            tuple(each.name for each in self.recognition.recognizers) if self.recognition is not None else (),
        )  # fmt: skip


def plan_audit(
    read: ReadTarget, request: Request, out: Path, *, threads: int = 0, tick: Tick = lambda: None
) -> AuditPlan:
    """Read a release and its originals, and list what is to be done.

    Args:
        read: makes the target.
        request: what was asked for.
        out: the folder that the report goes to is passed over among the originals.
        threads: processor threads that it will have.
        tick: called now and then.

    Raises:
        As `medveil.audit.audit_run.audit_release`, for everything that can be known without running an attack.
    """
    preset, seed, budget = request.preset, request.seed, request.budget
    limits = Limits(
        max(preset.tested_images, preset.fidelity_images) + preset.own_images, preset.own_images,
        budget.images if budget is not None else 0,
        *((preset.recognition_tested, preset.recognition_own) if request.recognizers(Kind.OPEN) else ()),
    )  # fmt: skip
    target = read(
        limits=limits, working=preset.effort.working, seed=seed, skip=(out, staging_of(out, "an audit")), tick=tick
    )
    rounds = plan_rounds(target.subjects, target.outside, preset, seed) if request.attacks else ()
    controls = chosen_controls(request.attacks, target.mechanism, preset) if request.attacks else ()
    pairs = chosen_pairs(controls, fitting(request.attacks, target.mechanism), thorough=preset.all_controls)
    on_controls = {control: tuple(attack for each, attack in pairs if each is control) for control in controls}
    images = {many: control_images(target, preset, seed, many=many) for many in (False, True)} if controls else {}
    settings = {**settings_of(target, preset, seed, request.attacks, threads), **request.task_settings()}
    tasking: Tasking | None = None
    tasks: tuple[PlannedTask, ...] = ()
    if budget is not None:
        tasking = tasking_of(target, request.compare, preset.least.of_class, tick)
        settings["labels or masks"] = tasking.digest.hex()
        assignment = Assignment(tasking.gallery, budget.effort, seed_of(seed, "tasks"), least=preset.least)
        tasks = tuple(PlannedTask.of(task, assignment) for task in request.tasks)
    pace = measured_pace(target, preset.effort)
    recognition = _recognition(target, request)
    if recognition is not None:
        settings |= settings_of_recognizers(recognition.recognizers, recognition.people, preset)
    units = (
        *_attack_units(target, request, rounds, on_controls, images, pace),
        *(recognition.units if recognition is not None else ()),
        *_fidelity_units(target, request, pace.release.code),
        Unit(_CHECKS, "check", "checks of the form", lambda _: Product.of(target.form_checks()),
             _CHECKS_TAKE * pace.release.code),
        *_likeness_units(tasking, request, pace.release.code),
        *(
            replace(unit, key=_task_key(task, unit), cost=pace.task(unit.cost))
            for task in tasks for unit in task.units
        ),
    )  # fmt: skip
    return AuditPlan(
        target, request, rounds, on_controls, images, tasking, tasks, Plan(settings, units, in_seconds=True),
        recognition,
    )  # fmt: skip


def _recognition(target: Target, request: Request) -> RecognitionPlan | None:
    """What recognizers do; nothing where there are none, or where the release shows no pictures and none was named."""
    recognizers = request.recognizers(target.kind)
    if not recognizers or (target.people is None and not request.named):
        return None
    people, preset = people_of(target), request.preset
    pace = measured_recognizers(people, recognizers, preset.recognition)
    return plan_recognition(target, people, recognizers, preset, request.seed, pace)


def _attack_units(
    target: Target, request: Request, rounds: Sequence[RoundPlan], controls: Mapping[Control, Sequence[Attack]],
    images: Mapping[bool, ControlImages], pace: Pace,
) -> list[Unit]:  # fmt: skip
    """Images are published where the first attack of a round needs them, and kept in memory until the next round; so
    are patients invented where the first control needs them.
    """
    preset, published = request.preset, ByteCache[str, Round](0, lambda _: 1)
    benches = ByteCache[bool, Bench](len(images), lambda _: 1)

    def on_control(control: Control, tick: Tick) -> Round:
        who = images[control.many]
        bench = benches.get(control.many, lambda: bench_of(who, target, preset, request.seed, tick))
        return control_round(bench, control, tick)

    def on(
        name: str, kind: str, publish: Callable[[Tick], Round], attacks: Sequence[Attack], effort: Effort,
        sizes: tuple[int, int, int], each: Publishing,
    ) -> None:  # fmt: skip
        own, tested, coded = sizes
        for place, attack in enumerate(attacks):
            seconds = pace.training(attack, effort) + each.looks(own, tested)
            seconds += 0.0 if place else each.round(own, tested, coded)
            make = partial(_attacked, name, attack, publish, published)
            units.append(Unit(_attack_key(name, attack), kind, f"{name}: {attack.name}", make, seconds))

    units: list[Unit] = []
    known, started = set[int](), set[tuple[bool, bool]]()  # images that are coded already, and controls' ones
    for each in rounds:
        own = (*each.own, *each.validation)
        coded = {subject.number for subject in own} - known
        known |= coded
        sizes = len(own), len(each.tested), len(coded)
        publish = partial(target_round, target, each, preset.effort)
        on(each.name, "attack", publish, request.attacks, preset.effort, sizes, pace.release)
    for control, attacks in controls.items():
        who = images[control.many]
        own_images, tested = who.own_images, who.counts()["images"]
        sizes = own_images, tested, 0 if (control.many, control.release) in started else own_images + tested
        started.add((control.many, control.release))
        taken = pace.release if control.release else pace.control
        on(_round_of(control), "control", partial(on_control, control), attacks, preset.control_effort, sizes, taken)
    return units


def _attacked(
    name: str, attack: Attack, publish: Callable[[Tick], Round], published: ByteCache[str, Round], tick: Tick
) -> Product:
    return Product.of(run_attack(attack, published.get(name, lambda: publish(tick)), tick))


def _fidelity_units(target: Target, request: Request, coding: float) -> list[Unit]:
    preset, seed = request.preset, request.seed
    patients = [subject.patient for subject in target.subjects]
    drawn = drawn_by_patient(patients, preset.fidelity_images, generator_of(seed, "fidelity"))
    subjects = [target.subjects[index] for index in drawn]

    def make(one: ImageSet, tick: Tick) -> Product:
        generator = generator_of(seed, "fidelity", one.name)
        return Product.of(tier_fidelity(one, subjects, resamples=preset.resamples, generator=generator, tick=tick))

    return [
        Unit(
            _fidelity_key(one),
            "fidelity",
            f"fidelity of {one.kind} {one.name}",
            partial(make, one),
            coding * len(subjects),
        )
        for one in target.image_sets
    ]


def _likeness_units(tasking: Tasking | None, request: Request, coding: float) -> list[Unit]:
    """How near the sets of the tasks come to the originals, on images drawn by patient."""
    if tasking is None:
        return []
    patients = [image.patient for image in tasking.gallery.images]
    generator = generator_of(request.seed, "task fidelity")
    drawn = drawn_by_patient(patients, request.preset.fidelity_images, generator)
    numbers = [tasking.gallery.images[index].number for index in drawn]
    return [
        Unit(
            _likeness_key(one), "fidelity", f"tasks: how near {one.name} comes to the originals",
            partial(set_likeness, tasking.gallery, one.name, numbers), coding * len(numbers),
        )
        for one in tasking.sets if one.kind is not SetKind.ORIGINAL
    ]  # fmt: skip


def _sample(name: str, attack: Attack, mechanism: str, results: Results) -> Sample:
    """What an attack found in a round, or why not."""
    result = results[_attack_key(name, attack)]
    if result.status is Status.DONE:
        found: Sample = result.product.value(*KEPT)
        return found
    none = np.zeros(0, np.int64)
    return Sample(
        attack.name, mechanism, none, none, status=result.status, refusal=result.reason, seconds=result.seconds
    )


def _round_of(control: Control) -> str:
    return f"control {control.name}"


def _attack_key(name: str, attack: Attack) -> Key:
    return ("attack", name, attack.name)


def _fidelity_key(one: ImageSet) -> Key:
    return ("fidelity", one.name)


def _likeness_key(one: ImageSet) -> Key:
    return ("task fidelity", one.name)


def _task_key(task: PlannedTask, unit: Unit) -> Key:
    return ("task", task.task.name, *unit.key)


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
