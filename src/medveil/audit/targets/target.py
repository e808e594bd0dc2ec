"""Target: a release under test, of any kind, as an audit sees it: who is in it, what shows, and what comes of it.

A kind of release is a module beside this one that makes a target of it; nothing else of an audit knows how it is
stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medveil.audit.results import FormCheck
from medveil.audit.targets.annotations import Annotation
from medveil.audit.targets.people import People
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Subject
from medveil.mechanisms.working_pictures import Window

Stored = NDArray[np.generic]


class Kind(StrEnum):
    """What kind of release is under test."""

    KEYED = "keyed"
    OPEN = "open"


class SetKind(StrEnum):
    """What a set of images is: as they were, what recipients open, what everybody gets, or made beside the release."""

    ORIGINAL = "original"
    TIER = "tier"
    ANONYMIZED = "anonymized"
    COMPARED = "compared"


@dataclass(frozen=True)
class ImageSet:
    """The images of a release in one form.

    Attributes:
        name: original, a tier, anonymized, or codec:number.
        kind: what it is.
        title: the same in words.
        stored: stored values of an image, in the size and depth of its original. Raises IntegrityError where there are
            none of that size.
    """

    name: str
    kind: SetKind
    title: str
    stored: Callable[[Subject], Stored] = field(repr=False)


@dataclass(frozen=True)
class Target:
    """A release under test.

    Attributes:
        kind: keyed or open.
        mechanism: how it publishes, for anybody to use.
        subjects: its images with a known original, in an order that says nothing.
        outside: images that are not in it, of patients who are not in it either: the attacker's own.
        case_of: what was published of one of `subjects`, the release's own.
        image_sets: what comes of the images, beside the originals.
        facts: what everybody can read of it.
        form_checks: does the checks of its form.
        window: range of the working pictures.
        patients_known: whether it is said who is who; else every image counts as a patient of its own.
        counts: what was found, for the report.
        digest: of all that went in, but for what only tasks see.
        codes: codes of all images, computed once.
        tasked: images for tasks, in part those of `subjects`.
        annotations: of the images, by number.
        people: what recognizers are tried on; None where the release shows no pictures.
    """

    kind: Kind
    mechanism: Mechanism
    subjects: tuple[Subject, ...] = field(repr=False)
    outside: tuple[Subject, ...] = field(repr=False)
    case_of: Callable[[Subject], Case] = field(repr=False)
    image_sets: tuple[ImageSet, ...]
    facts: Mapping[str, Any]
    form_checks: Callable[[], tuple[FormCheck, ...]] = field(repr=False)
    window: Window
    patients_known: bool
    counts: Mapping[str, int]
    digest: bytes = field(repr=False)
    codes: CodeCache = field(default_factory=CodeCache, repr=False)
    tasked: tuple[Subject, ...] = field(default=(), repr=False)
    annotations: Mapping[int, Annotation] = field(default_factory=dict, repr=False)
    people: People | None = field(default=None, repr=False)

    @property
    def every(self) -> tuple[Subject, ...]:
        """All images: those of the release, and the others."""
        return self.subjects + self.outside

    @property
    def fixed(self) -> bool:
        """Whether its codes have a fixed composition, so that codecs are compared with it at theirs."""
        space = self.mechanism.space
        return space is not None and space.fixed

    @property
    def deep(self) -> int:
        """1 for images of more than 8 bits."""
        space = self.mechanism.space
        if space is not None:
            return space.profile.deep
        return int(any(subject.image.bits_stored > 8 for subject in (*self.every, *self.tasked)))


@dataclass(frozen=True)
class Limits:
    """How many images are read at most.

    Attributes:
        shared: of those in the release.
        outside: of others.
        tasks: of those in the release, for tasks.
        recognized: where everybody gets pictures, of those in the release, and of other images of the same people.
        known: likewise, of others, for recognizers to learn from.
    """

    shared: int
    outside: int
    tasks: int = 0
    recognized: int = 0
    known: int = 0


class ReadTarget(Protocol):
    """Reads a release and its originals, and makes a target of them; nothing is written."""

    def __call__(
        self, *, limits: Limits, working: int, seed: int, skip: tuple[Path, ...], tick: Callable[[], None]
    ) -> Target:
        """
        Args:
            limits: how many images are read at most; which ones is drawn by patient.
            working: side of the working pictures.
            seed: of what is drawn.
            skip: folders to pass over.
            tick: called now and then, to tell that it goes on.
        """
        ...
