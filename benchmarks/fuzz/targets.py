"""All targets."""

from __future__ import annotations

from benchmarks.fuzz import codes, containers, keyfiles, pictures
from benchmarks.fuzz.target import Target

TARGETS: tuple[Target, ...] = (*containers.TARGETS, *keyfiles.TARGETS, *codes.TARGETS, *pictures.TARGETS)
