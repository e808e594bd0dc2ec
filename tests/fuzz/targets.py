"""All targets."""

from __future__ import annotations

from tests.fuzz import codes, containers, keyfiles, originals, pictures
from tests.fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *originals.TARGETS,
    *containers.TARGETS,
    *keyfiles.TARGETS,
    *codes.TARGETS,
    *pictures.TARGETS,
)
