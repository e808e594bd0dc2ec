"""Subjecting a release to an audit: all that has to be known before the first attack, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from medveil.audit.presets import Preset
from medveil.audit.protocol import Plan, Round, carry_out, plan_rounds
from medveil.audit.targets.keyed import Limits, Material, gather, owner_ring
from medveil.codecs.code import Codec
from medveil.keys.openers import Opener
from medveil.keys.tiers import KeyRing, Section
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.levels import Released, code_of, mechanism_of, observe
from medveil.mechanisms.observation import Case, Published, Subject
from medveil.releases.package_io import load_package
from medveil.releases.release import Release
from medveil.releases.staging import staging_of


@dataclass(frozen=True)
class Subjected:
    """A release with all that its audit needs.

    Attributes:
        release, ring, codec: what the owner's key opens.
        material: packages with their originals, and the attacker's own images.
        mechanism: how the release publishes.
        shelf: codes of all images, computed once.
        plans: the rounds.
        preset, seed: of the audit.
    """

    release: Release
    ring: KeyRing = field(repr=False)
    codec: Codec
    material: Material = field(repr=False)
    mechanism: Released
    shelf: CodeCache
    plans: tuple[Plan, ...]
    preset: Preset
    seed: int

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All images: those of the release, and the others."""
        return tuple(holding.subject for holding in self.material.holdings) + self.material.outside

    def round_of(self, plan: Plan, tick: Callable[[], None] = lambda: None) -> Round:
        """A round on the release: its own packages are under attack."""
        packages = {holding.subject.number: holding for holding in self.material.holdings}

        def package_of(subject: Subject) -> Case:
            holding = packages[subject.number]
            package = load_package(self.release.folder, holding.entry, self.release.manifest)
            seen = observe(package, holding.entry, holding.place, self.mechanism)
            return Case(subject, Published(seen, code_of(package, self.ring, self.mechanism)))

        return carry_out(plan, self.mechanism, self.preset.effort, package_of, tick=tick)


def subject_release(
    release: Release, identity: Opener, originals: Path, manifest: Path | None, preset: Preset, seed: int, *,
    out: Path, attacked: bool = True, task_images: int = 0, tick: Callable[[], None] = lambda: None,
) -> Subjected:  # fmt: skip
    """Read what an audit needs and plan its rounds.

    Args:
        out: the folder that the report goes to is passed over among the originals.
        attacked: whether there are attacks at all; without, no round is planned.
        task_images: most images that tasks see.
        Others and raises: as `medveil.audit.running.audit_release`.
    """
    ring = owner_ring(release, identity)
    codec = release.codec(ring)
    limits = Limits(
        max(preset.tested_images, preset.fidelity_images) + preset.own_images, preset.own_images, task_images
    )
    skip = (release.folder, out, staging_of(out, "an audit"))
    material = gather(
        release, ring, originals, manifest, skip=skip, limits=limits, working=preset.effort.working, seed=seed,
        tick=tick,
    )  # fmt: skip
    shelf = CodeCache()
    first = load_package(release.folder, material.holdings[0].entry, release.manifest)
    lengths = material.file_bytes
    mechanism = mechanism_of(
        release.manifest, codec, window=material.window, working=preset.effort.working, shelf=shelf,
        file_bytes=(lambda subject: lengths[subject.number]) if Section.FILE in first.sections else None,
    )  # fmt: skip
    holdings = [holding.subject for holding in material.holdings]
    plans = plan_rounds(holdings, material.outside, preset, seed) if attacked else ()
    return Subjected(release, ring, codec, material, mechanism, shelf, plans, preset, seed)
