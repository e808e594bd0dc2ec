"""All targets."""

from __future__ import annotations

from tests.fuzz import codes, containers, folders, keyfiles, originals, pictures
from tests.fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *originals.TARGETS,
    *containers.TARGETS,
    *folders.TARGETS,
    *keyfiles.TARGETS,
    *codes.TARGETS,
    *pictures.TARGETS,
)
