"""Forecast: what an audit would do, before it does it. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from medveil.audit.control_plan import chosen_controls
from medveil.audit.keeping import check_out
from medveil.audit.presets import Preset, find_preset
from medveil.audit.protocol import plan_rounds
from medveil.audit.request import asked_attacks
from medveil.audit.running import read_target
from medveil.audit.targets.keyed import keyed_target
from medveil.audit.task_work import asked_work, work_of
from medveil.keys.openers import Opener
from medveil.keys.recipients import Recipient
from medveil.releases.release import Release


@dataclass(frozen=True)
class Forecast:
    """What an audit would do.

    Attributes:
        packages: in the release.
        tested, patients: images under attack, and of how many patients.
        own: images that an attacker has of her own, in the round where she has fewest.
        rounds: how many attackers are trained, each on other patients.
        attacks, controls: names of what would be run.
        preset, purpose: name, and what it is for and how long it takes.
        tasks: for each its name, title, number of long parts, and why it cannot be done where that is known.
        sets: name and words of each set of images that tasks see.
        found: counts of the images for tasks.
    """

    packages: int
    tested: int
    patients: int
    own: int
    rounds: int
    attacks: tuple[str, ...]
    controls: tuple[str, ...]
    preset: str
    purpose: str
    tasks: tuple[Mapping[str, Any], ...] = ()
    sets: tuple[tuple[str, str], ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)


def forecast(
    folder: Path, *, identity: Opener, originals: Path, out: Path, manifest: Path | None, preset: str | Preset,
    attacks: Sequence[str], force: bool, seed: int, owner: Recipient | None, tasks: Sequence[str] = (),
    compare: Sequence[str] = (), networks: Sequence[str] = (), tick: Callable[[], None] = lambda: None,
) -> Forecast:  # fmt: skip
    """Read the release and the originals, and say what `audit_release` would do with these arguments.

    Raises:
        As `audit_release`, for everything that can be known without running an attack.
    """
    spent = find_preset(preset)
    chosen, asked = asked_attacks(attacks), asked_work(tasks, compare, networks, spent)
    out = check_out(out, {"release": folder, "originals": originals}, force=force)
    release = Release(folder, owner=owner)
    read = partial(keyed_target, release, identity, originals, manifest)
    target = read_target(read, spent, seed, out, task_images=asked.images, tick=tick)
    plans = plan_rounds(target.subjects, target.outside, spent, seed) if chosen else ()
    work = work_of(asked, target, spent, seed, tick)
    tested = {subject.number: subject.patient for plan in plans for subject in plan.tested}
    return Forecast(
        packages=len(release),
        tested=len(tested),
        patients=len(set(tested.values())),
        own=min((len(plan.own) + len(plan.validation) for plan in plans), default=0),
        rounds=len(plans),
        attacks=tuple(attack.name for attack in chosen),
        controls=tuple(control.name for control in chosen_controls(chosen, target.mechanism, spent) if chosen),
        preset=spent.name,
        purpose=spent.purpose,
        tasks=tuple(work.forecast()),
        sets=tuple((one.name, one.title) for one in work.tasking.sets) if work.tasking is not None else (),
        found=work.tasking.found if work.tasking is not None else {},
    )
