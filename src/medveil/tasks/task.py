"""Task: the interface of what a researcher does with opened images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from medveil.metrics.inference import LEAST, LeastPatients
from medveil.tasks.image_sets import Gallery
from medveil.tasks.results import TaskResult

Arrays = Mapping[str, NDArray[Any]]


class Keep(Protocol):
    """Where finished parts of a task are kept, so that an interrupted one goes on."""

    def find(self, *unit: str) -> Arrays | None:
        """A part that was finished, or None."""
        ...

    def keep(self, arrays: Arrays, *unit: str) -> None:
        """Keep a finished part, whole or not at all. No value is of type object."""
        ...


class NoKeep:
    """Keeps nothing."""

    def find(self, *unit: str) -> Arrays | None:
        return None

    def keep(self, arrays: Arrays, *unit: str) -> None:
        return None


@dataclass(frozen=True)
class TaskEffort:
    """What a task may spend.

    Attributes:
        seeds: trainings a set, each from another seed; without folds in the manifest each has other test patients too.
        classifier, segmenter: networks by name.
        classify_side, segment_side: side in pixels of what the networks see.
        classify_epochs, segment_epochs: how often each training image is seen.
        resamples: of every bootstrap.
        radiomics_images: most images whose features are measured.
    """

    seeds: int
    classifier: str
    segmenter: str
    classify_side: int
    segment_side: int
    classify_epochs: float
    segment_epochs: float
    resamples: int
    radiomics_images: int


@dataclass(frozen=True)
class Assignment:
    """All that a task is given.

    Attributes:
        gallery: the images.
        effort: what it may spend.
        seed: of everything that is drawn.
        margin: of non-inferiority, in AUC and Dice.
        least: patients that figures rest on.
        learned: names of the sets that networks learn from, the original first; all of them where empty.
        keep: where finished parts go.
        tell: called with a few words when a part begins.
        tick: called now and then.
    """

    gallery: Gallery
    effort: TaskEffort
    seed: int = 0
    margin: float = 0.02
    least: LeastPatients = LEAST
    learned: tuple[str, ...] = ()
    keep: Keep = field(default_factory=NoKeep)
    tell: Callable[[str], None] = lambda _: None
    tick: Callable[[], None] = lambda: None

    @property
    def training_sets(self) -> tuple[str, ...]:
        """Names of the sets that networks learn from."""
        return self.learned or self.gallery.sets


class Task(Protocol):
    """What a researcher does with images.

    Attributes:
        name, title: classification, for one.
        needs: of the manifest and the images, in words.
        measures: what comes out, in words.
        cost: about how long, in words.
    """

    name: str
    title: str
    needs: str
    measures: str
    cost: str

    def parts(self, assignment: Assignment) -> int:
        """How many trainings, or other long parts, `run` has: for the remaining time."""
        ...

    def run(self, assignment: Assignment) -> TaskResult:
        """Do it. A task that these images don't allow returns a result that says why."""
        ...
