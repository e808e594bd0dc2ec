"""Pace: how fast this machine does what an audit is made of, measured in a moment, and what units take at that pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from medveil.attacks.attack import Attack, Effort
from medveil.attacks.reidentification.recognizer import Learned, Recognizer, RecognizerEffort
from medveil.audit.protocol import PUBLICATIONS
from medveil.audit.targets.people import People
from medveil.audit.targets.target import Target
from medveil.experiments.sampling import simulated_key
from medveil.experiments.unit import Status, attempt
from medveil.mechanisms.controls import Setup, matched_decoys
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Subject

_UPDATES = {"vnet": 4.0, "cyclegan": 5.0, "cgan": 1.5, "code-decoder": 0.4, "support-network": 0.5}
"""What an update of an attack takes, that of the U-Net being 1; from the seconds in evidence/audit_*.json."""
_TASK_UPDATES = 100.0  # of the U-Net, that a unit of a task with cost 1 takes about as long as
_MEASURED = 2  # things of a kind that are measured, after one that only warms up
_LEAST_SECONDS = 1e-4
_STEP, _STEP_SIDE = 0.46, 112  # seconds of an update of a recognizer, of pictures of such a side
_DESCRIBED = 0.03  # seconds in which a recognizer without a network takes in a picture


@dataclass(frozen=True)
class Publishing:
    """What one image takes, in seconds.

    Attributes:
        code: to be coded; that is done once.
        publish: to be published, once it is coded. An attack looks at what was published about as long.
    """

    code: float
    publish: float

    def round(self, own: int, tested: int, coded: int) -> float:
        """Seconds to publish the images of a round, `coded` of which are drawn or coded for it."""
        return coded * self.code + (own + tested * (1 + PUBLICATIONS)) * self.publish

    def looks(self, own: int, tested: int) -> float:
        """Seconds in which an attack looks at its own images, and twice at each under attack."""
        return (own + 2 * tested) * self.publish


@dataclass(frozen=True)
class Pace:
    """How fast this machine is, in seconds.

    Attributes:
        release: an image of the release.
        control: a working picture in a control.
        update: an update of a U-Net at the size and batch of the effort.
    """

    release: Publishing
    control: Publishing
    update: float

    def training(self, attack: Attack, effort: Effort) -> float:
        """Seconds in which an attack trains."""
        return effort.steps * self.update * _UPDATES.get(attack.name, 1.0) if attack.trains else 0.0

    def task(self, cost: float) -> float:
        """Seconds of a unit of a task."""
        return cost * _TASK_UPDATES * self.update


@dataclass(frozen=True)
class RecognizerPace:
    """How fast recognizers are, in seconds.

    Attributes:
        views: to read or publish a picture.
        pairs: of those who look at pairs one by one, a pair, by name.
    """

    views: float = 0.0
    pairs: Mapping[str, float] = field(default_factory=dict)

    def of(self, recognizer: Recognizer, effort: RecognizerEffort, own: int, looked: int, pairs: int) -> float:
        """Seconds in which one learns from `own` images, takes in `looked` pictures and holds so many pairs against
        each other, where each is work.
        """
        found = _DESCRIBED * looked
        if recognizer.trains:
            found += effort.steps * _STEP * (effort.side / _STEP_SIDE) ** 2
        elif recognizer.learns:
            found += _DESCRIBED * own
        if recognizer.pairwise:
            found += pairs * self.pairs.get(recognizer.name, _DESCRIBED)
        return found


def measured_recognizers(people: People, recognizers: Sequence[Recognizer], effort: RecognizerEffort) -> RecognizerPace:
    """Publish a few pictures, let those look at one pair who look at each by itself, and take the time."""
    subjects = people.reals[: 1 + _MEASURED]
    publish = people.publisher(subjects)
    taken: list[float] = []

    def run(recognizer: Recognizer) -> float:
        views = [people.real(subject) for subject in subjects[:2]]
        recognition = recognizer.fit((), Learned.REAL, effort, 0)
        recognition.scores(views[:1], views[-1:])
        start = time.perf_counter()
        recognition.scores(views[:1], views[-1:])
        return time.perf_counter() - start

    def look() -> None:
        for subject in subjects:
            start = time.perf_counter()
            publish(subject, simulated_key(0, "pace", subject.number))
            taken.append(time.perf_counter() - start)

    attempt(look)
    pairs = {each.name: attempt(lambda one=each: run(one))[0] for each in recognizers if each.pairwise}  # type: ignore[misc]
    known = {name: seconds for name, seconds in pairs.items() if seconds is not None}
    return RecognizerPace(min(taken, default=_LEAST_SECONDS), known)


def measured_pace(target: Target, effort: Effort) -> Pace:
    """Publish a few images of a target and train a few updates, and take the time. Nothing is kept but codes.

    Args:
        target: what is to be audited.
        effort: of an attacker.
    """
    subjects = target.subjects[: 1 + _MEASURED]
    setup = Setup(effort.working, target.codes, bytes(32))
    return Pace(
        _publishing(lambda: target.mechanism, subjects),
        _publishing(lambda: matched_decoys().make(setup), subjects),
        _update(effort),
    )


def _publishing(make: Callable[[], Mechanism], subjects: Sequence[Subject]) -> Publishing:
    """What a mechanism takes; hardly anything where it cannot be used, since its attacks end at once."""
    first, again = [_LEAST_SECONDS], [_LEAST_SECONDS]

    def run() -> None:
        mechanism = make()
        for number, subject in enumerate(subjects):
            for found, purpose in ((first, "pace"), (again, "pace again")):
                start = time.perf_counter()
                mechanism.case_of(subject, simulated_key(0, purpose, number))
                found.append(time.perf_counter() - start)

    attempt(run)
    # The first one warms up; where it is the only one, it has to do.
    code, publish = (sum(found[-_MEASURED:]) / len(found[-_MEASURED:]) for found in (first, again))
    return Publishing(max(code - publish, 0.0), publish)


def _update(effort: Effort) -> float:
    """Seconds of an update of the U-Net of the translation attacks."""

    def run() -> float:
        import torch

        from medveil.networks.translators import unet
        from medveil.training.loop import Turn, choose_device, seeded, train

        device = choose_device()
        with seeded(0):
            network = unet(effort.width).to(device)
        pictures = torch.zeros(effort.batch, 1, effort.working, effort.working, device=device)
        turn: Turn[torch.Tensor] = Turn([network], lambda batch: (network(batch) - batch).square().mean())
        taken = []
        for _ in range(1 + _MEASURED):
            start = time.perf_counter()
            train([turn], lambda _: pictures, steps=1, seed=0, checks=1, keep_best=False)
            taken.append(time.perf_counter() - start)
        return min(taken)

    found, status, _ = attempt(run)
    return found if found is not None and status is Status.DONE else _LEAST_SECONDS
