"""Running an audit: from a release and its originals to a report, on one straight road."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medveil.attacks.attack import Attack
from medveil.attacks.registry import attack_names
from medveil.audit.control_plan import bench_of, chosen_controls, chosen_pairs, control_round, fitting, of_control
from medveil.audit.decision import conclude, control_result, unattacked
from medveil.audit.facts import data_facts, settings_of, told_settings
from medveil.audit.fidelity import tier_fidelity
from medveil.audit.keeping import Keeper, check_out, finish, keeping, report_folder
from medveil.audit.pooling import merged, without_partners
from medveil.audit.presets import Preset, find_preset
from medveil.audit.progress import Progress, Report
from medveil.audit.protocol import Plan, Round, plan_rounds, target_round
from medveil.audit.record import write_record
from medveil.audit.request import asked_attacks
from medveil.audit.results import AttackResult, Audit, ControlResult, Sample, TierFidelity
from medveil.audit.scoring import run_attack
from medveil.audit.targets.keyed import keyed_target
from medveil.audit.targets.target import Limits, ReadTarget, Target
from medveil.audit.task_work import Work, asked_work, work_of
from medveil.audit.verdicts import Judging, judge
from medveil.experiments.sampling import drawn_by_patient, generator_of
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.mechanisms.controls import Control
from medveil.releases.release import Release
from medveil.releases.writing.staging import staging_of

Writer = Callable[[Audit, Path], None]
"""Writes what an audit found into its folder, which is there and empty."""

# Weights of the parts of an audit for its remaining time; what they are in seconds is measured.
_NETWORK, _PUBLISHING, _QUICK = 10.0, 4.0, 1.0


def audit_release(
    folder: str | Path, *, identity: Opener, originals: Path, out: Path, manifest: Path | None = None,
    preset: str | Preset = "quick", attacks: Sequence[str] = (), resume: bool = False, force: bool = False,
    seed: int = 0, owner: Recipient | None = None, threads: int = 0, tasks: Sequence[str] = (),
    compare: Sequence[str] = (), networks: Sequence[str] = (), write: Writer = write_record,
    progress: Report | None = None,
) -> Audit:  # fmt: skip
    """Attack a release as somebody without a key would, do tasks on opened images, and write what was found into
    the folder `out` (0700).

    Neither the release nor the originals are written to. What is finished is kept in `<out>.partial` until all is.

    Args:
        folder: the release.
        identity: a key that sees which package is which original, in general the owner's.
        originals: folder with the images that were shared, and maybe images of other patients: the attacker's own.
        out: where the report goes.
        manifest: CSV that names the patient of each image; without one every image counts as a patient of its own.
        preset: quick, standard or paper, or one of your own.
        attacks: names; empty for all, and the one name "none" for no attack: then nothing is concluded.
        resume: go on with an interrupted audit of the same settings.
        force: replace an audit that is there, and begin anew where one was interrupted.
        seed: of everything that is drawn. With the same seed and number of threads all but the seconds is the same.
        owner: as of `Release`.
        threads: processor threads; 0 for one a core.
        tasks: names; empty for no task.
        compare: further codecs for tasks, see `reference_codecs.recodings`.
        networks: other networks for tasks, see `task_work.with_networks`.
        write: what is written of it: report.json alone, or what `medveil.report.page.write_report` makes.
        progress: called as (done, total, text).

    Raises:
        UsageError: an unknown preset, attack, task or codec; nothing to audit; `resume` with other settings.
        NoFittingKeyError: the key does not open the release, or not whose the images are.
        IntegrityError: the release is damaged.
        TargetExistsError: see `keeping.check_out` and `keeping.keeping`.
        MissingDependencyError: a package that audits need is not installed.
    """
    return audit_target(
        lambda **how: keyed_target(Release(folder, owner=owner), identity, originals, manifest, **how),
        beside={"release": Path(folder), "originals": originals}, out=out, preset=preset, attacks=attacks,
        resume=resume, force=force, seed=seed, threads=threads, tasks=tasks, compare=compare, networks=networks,
        write=write, progress=progress,
    )  # fmt: skip


def audit_target(
    read: ReadTarget, *, beside: Mapping[str, Path], out: Path, preset: str | Preset = "quick",
    attacks: Sequence[str] = (), resume: bool = False, force: bool = False, seed: int = 0, threads: int = 0,
    tasks: Sequence[str] = (), compare: Sequence[str] = (), networks: Sequence[str] = (),
    write: Writer = write_record, progress: Report | None = None,
) -> Audit:  # fmt: skip
    """The same for a release of any kind.

    Args:
        read: makes the target of it.
        beside: folders that nothing is written into, by what they are in a word.
        Others and raises: as `audit_release`.
    """
    start = time.perf_counter()
    spent = find_preset(preset)
    chosen, asked = asked_attacks(attacks), asked_work(tasks, compare, networks, spent)
    out = check_out(out, beside, force=force)
    told = Progress(progress)
    with fixed_threads(threads) as count:
        told.begin("reading the release and the originals")
        target = read_target(read, spent, seed, out, task_images=asked.images, tick=told.tick)
        plans = plan_rounds(target.subjects, target.outside, spent, seed) if chosen else ()
        work = work_of(asked, target, spent, seed, told.tick)
        settings = {**settings_of(target, spent, seed, chosen, count), **work.settings}
        left_out = tuple(name for name in attack_names() if name not in {attack.name for attack in chosen})
        shown = told_settings(settings, chosen=bool(attacks), left_out=left_out)
        with keeping(out, settings, resume=resume, force=force) as keeper:
            audit = _audit(Course(target, plans, spent, seed), chosen, work, keeper, told, shown, start)
            told.begin("writing the report")
            write(audit, report_folder(keeper))
            finish(keeper, out)
    return audit


@dataclass(frozen=True)
class Course:
    """A target, and how it is audited.

    Attributes:
        target: what is under test.
        plans: the rounds on it.
        preset, seed: of the audit.
    """

    target: Target
    plans: tuple[Plan, ...]
    preset: Preset
    seed: int


def read_target(
    read: ReadTarget, preset: Preset, seed: int, out: Path, *, task_images: int, tick: Callable[[], None]
) -> Target:
    """Read what an audit needs.

    Args:
        read: makes the target.
        preset, seed: of the audit.
        out: the folder that the report goes to is passed over among the originals.
        task_images: most images that tasks see.
        tick: called now and then.
    """
    most = max(preset.tested_images, preset.fidelity_images) + preset.own_images
    return read(
        limits=Limits(most, preset.own_images, task_images), working=preset.effort.working, seed=seed,
        skip=(out, staging_of(out, "an audit")), tick=tick,
    )  # fmt: skip


@contextmanager
def fixed_threads(threads: int) -> Iterator[int]:
    """Hold torch and BLAS to so many threads (0: one a core) and to algorithms that give the same numbers each time."""
    import torch
    from threadpoolctl import ThreadpoolController

    count = threads or _cores()
    former, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA has no repeatable matrix product
    torch.set_num_threads(count)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    try:
        with ThreadpoolController().limit(limits=count, user_api="blas"):
            yield count
    finally:
        torch.set_num_threads(former)
        torch.use_deterministic_algorithms(deterministic)


def _audit(
    course: Course, attacks: Sequence[Attack], work: Work, keeper: Keeper, told: Progress,
    settings: Mapping[str, Any], start: float,
) -> Audit:  # fmt: skip
    target, preset, seed = course.target, course.preset, course.seed
    controls = chosen_controls(attacks, target.mechanism, preset) if attacks else ()
    pairs = chosen_pairs(controls, fitting(attacks, target.mechanism), thorough=preset.all_controls)
    told.plan([*_weights(course, attacks, pairs), *(_NETWORK for _ in range(work.parts()))])
    on_release = _on_release(course, attacks, keeper, told)
    on_controls = _on_controls(course, pairs, keeper, told)
    tiers = _fidelity(course, told)
    since = told.begin("checks of the form")
    checks = target.form_checks()
    told.end(since)
    sets, tasks = work.facts(keeper, told), work.done(keeper, told)
    told.begin("judging")
    titles = {attack.name: attack.title for attack in attacks}

    def judgement(samples: Sequence[Sample], *names: str) -> tuple[AttackResult, ...]:
        """Many tests at once are a matter of one question: the release, and each control, are families of their own."""
        bare = [without_partners(sample) for sample in samples]
        return judge(
            bare, titles, Judging(resamples=preset.resamples, least=preset.least), generator_of(seed, "judging", *names)
        )

    against = judgement(on_release)
    judged = tuple(
        _judged(control, judgement([each for each in on_controls if each.mechanism == control.name], control.name))
        for control in controls
    )
    conclusion = unattacked(checks)
    if attacks:
        conclusion = conclude(against, judged, settings["left_out"], checks, target.kind)
    return Audit(
        target.facts, settings, {**data_facts(target, course.plans, preset, on_release), **sets}, tiers, against,
        judged, tasks, conclusion, time.perf_counter() - start, checks,
    )  # fmt: skip


def _on_release(course: Course, attacks: Sequence[Attack], keeper: Keeper, told: Progress) -> list[Sample]:
    """Every attack on the release, all rounds and repetitions in one sample."""
    found: dict[str, dict[int, list[Sample]]] = {attack.name: {} for attack in attacks}
    for plan in course.plans:
        publish = partial(target_round, course.target, plan, course.preset.effort, told.tick)
        for sample in _units(plan.name, publish, attacks, keeper, told):
            found[sample.attack].setdefault(plan.repeat, []).append(sample)
    return [merged(list(repeats.values())) for repeats in found.values()]


def _on_controls(
    course: Course, pairs: Sequence[tuple[Control, Attack]], keeper: Keeper, told: Progress
) -> list[Sample]:
    benches = [bench_of(course.target, course.preset, course.seed, many=many) for many in (False, True)]
    attacks: dict[str, list[Attack]] = {}
    for control, attack in pairs:
        attacks.setdefault(control.name, []).append(attack)
    found = []
    for control in {control.name: control for control, _ in pairs}.values():
        publish = partial(control_round, benches[control.many], control, told.tick)
        samples = _units(f"control {control.name}", publish, attacks[control.name], keeper, told)
        found += [of_control(control, sample) for sample in samples]
    return found


def _units(
    name: str, publish: Callable[[], Round], attacks: Sequence[Attack], keeper: Keeper, told: Progress
) -> list[Sample]:
    """Attacks on one round, each kept when it is done. Images are published only where an attack is still to be run."""
    found = {attack.name: keeper.find(name, attack.name) for attack in attacks}
    trial: Round | None = None
    since: float | None = None
    if any(sample is None for sample in found.values()):
        since = told.begin(f"{name}: publishing images")
        trial = publish()
    told.end(since)
    samples = []
    for attack in attacks:
        sample, since = found[attack.name], None
        if sample is None and trial is not None:
            since = told.begin(f"{name}: {attack.name}")
            sample = run_attack(attack, trial, told.tick)
            keeper.keep(sample, name, attack.name)
        told.end(since)
        samples += [sample] if sample is not None else []
    return samples


def _fidelity(course: Course, told: Progress) -> tuple[TierFidelity, ...]:
    preset, subjects = course.preset, course.target.subjects
    patients = [subject.patient for subject in subjects]
    drawn = drawn_by_patient(patients, preset.fidelity_images, generator_of(course.seed, "fidelity"))
    found = []
    for one in course.target.image_sets:
        since = told.begin(f"fidelity of {one.kind} {one.name}")
        found.append(
            tier_fidelity(
                one, [subjects[index] for index in drawn], resamples=preset.resamples,
                generator=generator_of(course.seed, "fidelity", one.name), tick=told.tick,
            )
        )  # fmt: skip
        told.end(since)
    return tuple(found)


def _judged(control: Control, results: Sequence[AttackResult]) -> ControlResult:
    return control_result(control.name, control.title, control.positive, results, control.must)


def _weights(course: Course, attacks: Sequence[Attack], pairs: Sequence[tuple[Control, Attack]]) -> list[float]:
    """How much each part of an audit is, in the order in which they are done."""
    preset = course.preset
    found: list[float] = []
    for _ in course.plans:
        found += [_PUBLISHING, *(_weight(attack) for attack in attacks)]
    lighter = preset.control_effort.steps / preset.effort.steps
    former = ""
    for control, attack in pairs:
        found += [_PUBLISHING * lighter] * (control.name != former) + [_weight(attack) * lighter]
        former = control.name
    return [*found, *(_QUICK for _ in course.target.image_sets), _QUICK]


def _weight(attack: Attack) -> float:
    return _NETWORK if attack.trains else _QUICK


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
