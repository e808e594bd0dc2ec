"""`medveil audit`: what somebody without a key gets from a release."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medveil.cli.options import DryRun, Force, Json, Key, Owner, Quiet, ReleaseFolder
from medveil.cli.session import Session, session
from medveil.errors import InputError, MissingDependencyError, ThresholdPassedError, UsageError

if TYPE_CHECKING:
    from medveil.audit.plan import Forecast
    from medveil.audit.results import Audit, ControlResult
    from medveil.audit.targets.target import ReadTarget

_PACKAGES = ("torch", "monai", "scipy", "sklearn", "matplotlib", "jinja2", "pydantic")
_REPORT = "report.html"


def audit(
    release: ReleaseFolder,
    originals: Annotated[
        Path,
        typer.Option(
            "--originals", metavar="FOLDER", help="The images that were shared; with those of other patients, if any."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the report goes.")],
    key: Key = None,
    link: Annotated[
        Path | None,
        typer.Option("--link", metavar="CSV", help="Of an open release: which picture was made of which image."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FOLDER", help="Of an open release by a method that learns: its model."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", metavar="CSV", help="Names the patient of each image; without it each is its own."),
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="How much to spend: quick, standard or paper.")
    ] = "quick",
    attacks: Annotated[
        str,
        typer.Option(
            "--attacks",
            metavar="NAMES",
            help="Only these, such as unet,hog, or none. Default: all that fit.",
        ),
    ] = "",
    tasks: Annotated[
        str,
        typer.Option("--tasks", metavar="NAMES", help="Tasks to do on opened images; medveil tasks lists them."),
    ] = "",
    compare: Annotated[
        str,
        typer.Option(
            "--compare", metavar="LIST", help="Codecs for tasks to compare with, such as primis:16,lapped:36."
        ),
    ] = "",
    networks: Annotated[
        str, typer.Option("--networks", metavar="NAMES", help="Networks for tasks, such as resnet18,unet-wide.")
    ] = "",
    gate: Annotated[
        Path | None, typer.Option("--gate", metavar="TOML", help="Thresholds; exit code 13 when one is passed.")
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Whether the report may show pictures of patients.")
    ] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted audit in FOLDER.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")] = 0,
    owner: Owner = None,
    force: Force = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processor threads to use; 0 means one a core.")] = 0,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Attack a release as somebody without a key would, and report it.

    You need the originals, to compare with, and a key that may see which package is which; of an open release the
    link file instead.
    The report says what was found, what was not, and whether this audit would have found a leak.
    With --tasks it says beside that what opened images are still good for.
    """
    with session("audit", as_json=json, quiet=quiet) as run:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by torch when it loads: threads that wait don't spin
        need_packages()
        from medveil.audit.audit_run import audit_target, forecast_target
        from medveil.audit.gate import check_asked, passed_thresholds, read_gate
        from medveil.audit.presets import find_preset
        from medveil.audit.record import record_of
        from medveil.experiments.unit import Status
        from medveil.report.findings import failed_parts
        from medveil.report.page import write_report

        find_preset(preset)
        names, work, others, built = (_names(text) for text in (attacks, tasks, compare, networks))
        thresholds = read_gate(gate) if gate is not None else None
        if thresholds is not None:
            check_asked(thresholds, work)
        read = _reader(run, release, originals, key, link, model, manifest, owner)
        beside = {"release": release, "originals": originals, **({"model": model} if model is not None else {})}
        if dry_run:
            expected = forecast_target(
                read, beside=beside, out=out, preset=preset, attacks=names, resume=resume, force=force, seed=seed,
                threads=jobs, tasks=work, compare=others, networks=built,
            )  # fmt: skip
            _warn_of_lacking(run, expected, names)
            _print_forecast(run, expected)
            return
        found = audit_target(
            read, beside=beside, out=out, preset=preset, attacks=names, resume=resume, force=force, seed=seed,
            threads=jobs, tasks=work, compare=others, networks=built, write=partial(write_report, pictures=pictures),
            progress=run.stage, begun=lambda expected: _warn_of(run, expected, names),
        )  # fmt: skip
        passed = passed_thresholds(thresholds, record_of(found)) if thresholds is not None else ()
        failures = failed_parts(found)
        failures += [(f"task {task.name}", task.refusal) for task in found.tasks if task.status is Status.FAILED]
        if found.identification is not None:
            undone = [each for each in found.identification.undone if each.status == Status.FAILED.value]
            failures += dict.fromkeys((f"recognizer {each.recognizer}", each.reason) for each in undone)
        _print(run, found, passed, failures, pictures=pictures)
        if passed:
            raise typer.Exit(ThresholdPassedError.exit_code)
        if failures:
            raise typer.Exit(InputError.exit_code)


def _reader(
    run: Session, release: Path, originals: Path, key: Path | None, link: Path | None, model: Path | None,
    manifest: Path | None, owner: Path | None,
) -> ReadTarget:  # fmt: skip
    """What reads the release, of whichever kind it is."""
    from medveil.audit.targets.anonymized import anonymized_target
    from medveil.audit.targets.keyed import keyed_target
    from medveil.cli.owner import opener_of, recipient_of
    from medveil.releases.records.open_record import is_open
    from medveil.releases.release import Release

    founder = recipient_of(owner)
    if not is_open(release):
        if link is not None or model is not None:
            option = "--link" if link is not None else "--model"
            raise UsageError(f"{option} is for open releases; this one is for recipients", hint="name your key with -i")
        identity = opener_of(run, key)
        return lambda **how: keyed_target(Release(release, owner=founder), identity, originals, manifest, **how)
    if key is not None:
        raise UsageError("an open release has no key", hint="leave -i out, and name the link file with --link")
    if link is None:
        raise UsageError(
            "which picture was made of which image stands in the link file that anonymize wrote",
            hint="name it with --link",
        )
    place = link
    return lambda **how: anonymized_target(release, originals, place, manifest, founder, model=model, **how)


def _names(text: str) -> tuple[str, ...]:
    """ "a, b" -> ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def need_packages() -> None:
    """Before anything is read: whether all is there that an audit needs.

    Raises:
        MissingDependencyError: a package is not installed.
    """
    from importlib.util import find_spec

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"an audit needs {', '.join(missing)}, which is not installed", hint='pip install "medveil[audit]"'
        )


def _print(
    run: Session, found: Audit, passed: Sequence[str], failures: Sequence[tuple[str, str]], *, pictures: bool
) -> None:  # fmt: skip
    from medveil.audit.record import broken_by, leading, ranked, record_of
    from medveil.report.identification import control_lines, risk_lines, told_maximum
    from medveil.report.image_strips import shows_patients
    from medveil.report.sentences import (
        VERDICT_WORDS,
        headline,
        measured_sentence,
        task_lines,
        task_results,
    )

    if pictures and shows_patients(found):
        run.warn("the report holds pictures of patients: keep it as you keep the images")
    for sentence in passed:
        run.warn(f"gate: {sentence}")
    for name, reason in failures:
        run.warn(f"failed: {name} ({reason or 'in a part of its rounds'})")
    people = record_of(found).get("identification")
    more: dict[str, Any] = {} if people is None else {"identification": told_maximum(people)}
    lines = [headline(found)]
    for result in ranked(found.attacks):
        lead = leading(result)
        told = measured_sentence(result, lead) if lead is not None else f"{result.title}: nothing to measure."
        lines.append(f"{VERDICT_WORDS[result.verdict or found.conclusion]:13}{told}")
    if people is not None:
        lines += [*risk_lines(people), *control_lines(people)]
    if found.attacked and found.controls:
        lines.append(_controls(found.controls))
    lines += task_lines(found)
    lines.append(f"the whole of it is in {_REPORT}, in the folder that you named")
    run.result(
        lines,
        done=len([result for result in found.attacks if result.verdict is not None]),
        failed=[{"input": name, "error": reason, "message": f"{name} failed"} for name, reason in failures],
        ok=not passed and not failures,
        conclusion=found.conclusion.value,
        broken_by=list(broken_by(found)),
        verdicts={result.name: result.verdict.value for result in found.attacks if result.verdict is not None},
        failed_controls=[control.name for control in found.controls if not control.ok],
        tasks=task_results(found),
        gate=list(passed),
        **more,
    )


def _controls(controls: Sequence[ControlResult]) -> str:
    tried = [control for control in controls if control.tried]
    wrong = [control.name for control in tried if not control.ok]
    idle = [control.name for control in controls if not control.tried]
    told = f"controls: {len(tried) - len(wrong)} of {len(tried)} as expected"
    told += f"; not {', '.join(wrong)}" if wrong else ""
    return told + (f"; not tried: {', '.join(idle)}" if idle else "")


def _warn_of_lacking(run: Session, expected: Forecast, named: Sequence[str]) -> None:
    """Recognizers that an open release would be given, were they installed; not where some attack was named."""
    from medveil.attacks.registry import unavailable_recognizers

    if expected.recognizers and not named:
        for each in unavailable_recognizers():
            run.warn(f"{each.told}; the audit goes without it, and may find fewer people")


def _warn_of(run: Session, expected: Forecast, named: Sequence[str]) -> None:
    """What is better known before the work is done than after it."""
    from medveil.attacks.registry import unavailable_attacks
    from medveil.report.findings import manifest_told, verdicts_told

    for sentence in manifest_told(expected.manifest):
        run.warn(sentence)
    for one in unavailable_attacks():
        run.warn(one.told)
    _warn_of_lacking(run, expected, named)
    for sentence in verdicts_told(expected.verdicts):
        run.say(sentence)


def _print_forecast(run: Session, expected: Forecast) -> None:
    from medveil.cli.text import plural
    from medveil.report.amounts import duration
    from medveil.report.findings import manifest_told, verdicts_told

    recognised = (
        [f"recognizers, who look for people: {', '.join(expected.recognizers)}"] if expected.recognizers else []
    )
    attacked = [
        f"would attack {plural(expected.images, 'image')} of {plural(expected.patients, 'patient')}, "
        f"of {plural(expected.packages, 'package')} in the release",
        f"the attacker would learn from {plural(expected.own_images, 'image')} of her own in each of "
        f"{plural(expected.rounds, 'round')}",
        f"attacks: {', '.join(expected.attacks)}",
        f"controls: {', '.join(expected.controls)}",
    ]
    run.result(
        [
            *(attacked if expected.attacks else [] if recognised else ["would attack nothing, and conclude nothing"]),
            *recognised,
            *manifest_told(expected.manifest),
            *verdicts_told(expected.verdicts),
            *_task_forecast(expected),
            f"units of the plan: {', '.join(f'{count} {kind}' for kind, count in expected.units.items())}",
            *([f"finished already, and not done again: {expected.finished}"] if expected.finished else []),
            f"preset {expected.preset}: {expected.expected}",
            f"about {duration(expected.expected_seconds)} on this machine, as fast as it was just now",
            "nothing was written",
        ],
        done=0,
        dry_run=True,
        **asdict(expected),
    )


def _task_forecast(expected: Forecast) -> list[str]:
    from medveil.cli.text import plural

    if not expected.tasks:
        return []
    found = expected.task_images
    lines = [
        f"tasks would see {plural(found['images'], 'image')} of {plural(found['patients'], 'patient')}: "
        f"{found['labelled']} with a label, {found['masked']} with a mask",
        *(f"  set {one['name']}: {one['title']}" for one in expected.sets),
    ]
    for task in expected.tasks:
        words = f"not possible: {task['refused']}" if task["refused"] else plural(task["parts"], "part")
        lines.append(f"  task {task['name']}: {words}")
    return lines
