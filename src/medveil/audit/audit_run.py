"""Running an audit: from a release and its originals to a report, on one straight road."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from medveil.attacks.registry import unavailable_attacks, unavailable_recognizers
from medveil.audit.audit_folder import UNITS, begun_units, check_out, finish, growing_folder, report_folder
from medveil.audit.facts import data_facts, told_settings
from medveil.audit.judging.decision import conclude, control_result, grounds
from medveil.audit.judging.identification import recognized
from medveil.audit.judging.pooling import merged, without_partners
from medveil.audit.judging.verdicts import Judging, judge
from medveil.audit.plan import KEPT, AuditPlan, Forecast, Results, plan_audit
from medveil.audit.presets import Preset
from medveil.audit.record import write_record
from medveil.audit.request import request_of
from medveil.audit.results import AttackResult, Audit, Sample
from medveil.audit.targets.keyed import keyed_target
from medveil.audit.targets.target import Kind, ReadTarget
from medveil.experiments.progress import Progress, Report
from medveil.experiments.runner import run
from medveil.experiments.sampling import generator_of
from medveil.experiments.unit_store import UnitStore
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.releases.release import Release

Writer = Callable[[Audit, Path], None]
"""Writes what an audit found into its folder, which is there and empty."""
Begun = Callable[[Forecast], None]
"""Is told what an audit will do."""


def audit_release(
    folder: str | Path, *, identity: Opener, originals: Path, out: Path, manifest: Path | None = None,
    preset: str | Preset = "quick", attacks: Sequence[str] = (), resume: bool = False, force: bool = False,
    seed: int = 0, owner: Recipient | None = None, threads: int = 0, tasks: Sequence[str] = (),
    compare: Sequence[str] = (), networks: Sequence[str] = (), write: Writer = write_record,
    progress: Report | None = None, executor: Executor | None = None, begun: Begun | None = None,
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
        networks: other networks for tasks, see `request.with_networks`.
        write: what is written of it: report.json alone, or what `medveil.report.page.write_report` makes.
        progress: called as (done, total, text).
        executor: does the units, see `medveil.experiments.runner.run`; networks draw from one generator of the process,
            so that threads give other numbers where an attack or a task trains one.
        begun: told once, before the first unit, what will be done.

    Raises:
        UsageError: an unknown preset, attack, task or codec; nothing to audit; `resume` with other settings.
        NoFittingKeyError: the key does not open the release, or not whose the images are.
        IntegrityError: the release is damaged.
        TargetExistsError: see `audit_folder.check_out` and `audit_folder.growing_folder`.
        MissingDependencyError: a package that audits need is not installed.
    """
    return audit_target(
        lambda **how: keyed_target(Release(folder, owner=owner), identity, originals, manifest, **how),
        beside={"release": Path(folder), "originals": originals}, out=out, preset=preset, attacks=attacks,
        resume=resume, force=force, seed=seed, threads=threads, tasks=tasks, compare=compare, networks=networks,
        write=write, progress=progress, executor=executor, begun=begun,
    )  # fmt: skip


def forecast_release(
    folder: str | Path, *, identity: Opener, originals: Path, out: Path, manifest: Path | None = None,
    preset: str | Preset = "quick", attacks: Sequence[str] = (), resume: bool = False, force: bool = False,
    seed: int = 0, owner: Recipient | None = None, threads: int = 0, tasks: Sequence[str] = (),
    compare: Sequence[str] = (), networks: Sequence[str] = (),
) -> Forecast:  # fmt: skip
    """What `audit_release` would do with these arguments, and about how long it would take; nothing is written.

    Raises:
        As `audit_release`, for everything that can be known without running an attack.
    """
    return forecast_target(
        lambda **how: keyed_target(Release(folder, owner=owner), identity, originals, manifest, **how),
        beside={"release": Path(folder), "originals": originals}, out=out, preset=preset, attacks=attacks,
        resume=resume, force=force, seed=seed, threads=threads, tasks=tasks, compare=compare, networks=networks,
    )  # fmt: skip


def forecast_target(
    read: ReadTarget, *, beside: Mapping[str, Path], out: Path, preset: str | Preset = "quick",
    attacks: Sequence[str] = (), resume: bool = False, force: bool = False, seed: int = 0, threads: int = 0,
    tasks: Sequence[str] = (), compare: Sequence[str] = (), networks: Sequence[str] = (),
) -> Forecast:  # fmt: skip
    """What `audit_target` would do with these arguments; nothing is written. Raises as `audit_release`."""
    request = request_of(preset, seed, attacks, tasks, compare, networks)
    out = check_out(out, beside, force=force, resume=resume)
    with fixed_threads(threads) as count:
        plan = plan_audit(read, request, out, threads=count)
        units = begun_units(out, plan.units.settings, resume=resume, force=force)
        store = UnitStore(units, plan.units.settings, KEPT) if units is not None else None
        keys = (unit.key for unit in plan.units.units)
        return plan.forecast({key for key in keys if store is not None and store.find(key) is not None})


def audit_target(
    read: ReadTarget, *, beside: Mapping[str, Path], out: Path, preset: str | Preset = "quick",
    attacks: Sequence[str] = (), resume: bool = False, force: bool = False, seed: int = 0, threads: int = 0,
    tasks: Sequence[str] = (), compare: Sequence[str] = (), networks: Sequence[str] = (),
    write: Writer = write_record, progress: Report | None = None, executor: Executor | None = None,
    begun: Begun | None = None,
) -> Audit:  # fmt: skip
    """The same for a release of any kind.

    Args:
        read: makes the target of it.
        beside: folders that nothing is written into, by what they are in a word.
        Others and raises: as `audit_release`.
    """
    start = time.perf_counter()
    request = request_of(preset, seed, attacks, tasks, compare, networks)
    out = check_out(out, beside, force=force, resume=resume)
    told = Progress(progress)
    with fixed_threads(threads) as count:
        told.begin("reading the release and the originals")
        plan = plan_audit(read, request, out, threads=count, tick=told.tick)
        with growing_folder(out, plan.units.settings, resume=resume, force=force) as partial:
            if begun is not None:
                begun(plan.forecast())
            results = run(plan.units, UnitStore(partial / UNITS, plan.units.settings, KEPT), executor, told)
            told.begin("judging")
            audit = _judged(plan, results, start)
            told.begin("writing the report")
            write(audit, report_folder(partial))
            finish(partial, out)
    return audit


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


def _judged(plan: AuditPlan, results: Results, start: float) -> Audit:
    """What the results of all units say."""
    target, request = plan.target, plan.request
    preset = request.preset
    titles = {attack.name: attack.title for attack in request.attacks}
    judging = Judging(resamples=preset.resamples, least=preset.least)

    def judgement(samples: Sequence[Sample], *names: str) -> tuple[AttackResult, ...]:
        """Many tests at once are a matter of one question: the release, and each control, are families of their own."""
        bare = [without_partners(sample) for sample in samples]
        return judge(bare, titles, judging, generator_of(request.seed, "judging", *names))

    on_release = [merged(list(repeats.values())) for repeats in plan.on_release(results)]
    against = judgement(on_release)
    controls = tuple(
        control_result(each.name, each.title, each.positive, judgement(plan.on_control(each, results), each.name),
                       each.must, plan.images[each.many].counts())
        for each in plan.controls
    )  # fmt: skip
    left_out = request.left_out(target.kind)
    settings = told_settings(
        plan.units.settings, chosen=request.chosen, left_out=left_out, unavailable=unavailable_attacks()
    )  # fmt: skip
    checks, unfinished = plan.checks(results), plan.unfinished(results)
    data = data_facts(target, plan.rounds, preset, on_release)
    if plan.tasking is not None:
        data["tasks"] = {**plan.tasking.found, "sets": plan.task_sets(results)}
    if unfinished:
        data["unfinished"] = unfinished
    people = None
    if plan.recognition is not None:
        lacking = () if request.chosen else unavailable_recognizers()
        people = recognized(plan.recognition, results, preset.resamples, request.seed, lacking)
    open_ = people if target.kind is Kind.OPEN else None
    found = grounds(
        against, controls, left_out, checks, unfinished=[part["unit"] for part in unfinished],
        attacked=bool(request.attacks) or open_ is not None, identification=open_,
    )  # fmt: skip
    return Audit(
        target.facts, settings, data, plan.fidelity(results), against, controls, plan.task_results(results),
        conclude(found, target.kind), time.perf_counter() - start, checks, found,
        {"kind": target.kind.value, "mechanism": target.mechanism.name}, people,
    )  # fmt: skip


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
