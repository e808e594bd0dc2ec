"""Forecast: what an audit would do, before it does it. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medveil.attacks.registry import chosen_attacks
from medveil.audit.controlling import chosen_controls
from medveil.audit.keeping import check_out
from medveil.audit.presets import find_preset
from medveil.audit.subjecting import subject_release
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


def forecast(
    folder: Path, *, identity: Opener, originals: Path, out: Path, manifest: Path | None, preset: str,
    attacks: Sequence[str], force: bool, seed: int, owner: Recipient | None, tick: Callable[[], None] = lambda: None,
) -> Forecast:  # fmt: skip
    """Read the release and the originals, and say what `audit_release` would do with these arguments.

    Raises:
        As `audit_release`, for everything that can be known without running an attack.
    """
    chosen, spent = chosen_attacks(attacks), find_preset(preset)
    out = check_out(out, folder, originals, force=force)
    release = Release(folder, owner=owner)
    subjected = subject_release(release, identity, originals, manifest, spent, seed, out=out, tick=tick)
    tested = {subject.number: subject.patient for plan in subjected.plans for subject in plan.tested}
    return Forecast(
        packages=len(release),
        tested=len(tested),
        patients=len(set(tested.values())),
        own=min(len(plan.own) + len(plan.validation) for plan in subjected.plans),
        rounds=len(subjected.plans),
        attacks=tuple(attack.name for attack in chosen),
        controls=tuple(control.name for control in chosen_controls(chosen, spent)),
        preset=spent.name,
        purpose=spent.purpose,
    )
