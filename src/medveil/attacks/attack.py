"""What an attack is: it learns from the attacker's own images, and then guesses from an observation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from medveil.mechanisms.observation import Case, Observation, Picture

if TYPE_CHECKING:
    from medveil.attacks.applicability import Need
    from medveil.mechanisms.mechanism import Mechanism


@dataclass(frozen=True)
class Guess:
    """What an attacker makes of one observation. What it has no opinion on is None.

    Attributes:
        picture: the image as the attacker thinks it is, (S, S), 0 … 255.
        support: for each code map a score for every cell, (cells,) float32: the higher, the likelier the cell is
            nonzero in the true code. Defined on all cells, shown or not.
        embedding: (d,) float32; two of one person are near each other (cosine).
    """

    picture: Picture | None = None
    support: tuple[NDArray[np.float32], ...] | None = None
    embedding: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Effort:
    """How much an attacker may spend; a preset of the audit.

    Attributes:
        working: side S of the working pictures.
        steps: updates of a network.
        batch: images an update.
        width: channels of a network's first stage.
        seed_bits: how many bits of a guessable seed are enumerated.
        targets: how many packages an attack that works on one at a time takes on.
    """

    working: int
    steps: int
    batch: int
    width: int
    seed_bits: int
    targets: int


@dataclass(frozen=True)
class Knowledge:
    """What the attacker has: everything but the keys of the packages under attack.

    Attributes:
        mechanism: how images are published, to be used at will under keys of one's own.
        own: the attacker's own images with codes and keys: to learn from.
        validation: more of them: to choose with.
        seen: every observation under attack, without saying whose it is.
        effort: what the attacker may spend.
        seed: of everything that is drawn.
    """

    mechanism: Mechanism
    own: tuple[Case, ...] = field(repr=False)
    validation: tuple[Case, ...] = field(repr=False)
    seen: tuple[Observation, ...] = field(repr=False)
    effort: Effort
    seed: int

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator of one's own for each purpose, the same in every run with this seed."""
        return np.random.default_rng([self.seed, *purpose.encode()])


class Attacker(Protocol):
    """An attack that has learned."""

    def predict(self, observation: Observation) -> Guess: ...


class Goal(StrEnum):
    """What an attack is after."""

    SUPPORT = "support"
    RECONSTRUCTION = "reconstruction"
    REIDENTIFICATION = "reidentification"
    KEYS = "keys"


class Attack(Protocol):
    """One attack. Which controls it has to break stands in `medveil.mechanisms.expected_breaks`.

    Attributes:
        name: as on the command line: lower-case words with hyphens.
        title: a few words for a report.
        goal: what it is after.
        knows: what the attacker knows and has.
        needs: what must be there for it to make sense, in words.
        requires: the same, to be looked up by `medveil.attacks.applicability`; what is asked for first comes first.
        cost: what it costs, in words: "seconds", "minutes, trains a network".
        trains: whether it trains a network: then it runs where it has to and no more.
    """

    name: str
    title: str
    goal: Goal
    knows: str
    needs: str
    requires: tuple[Need, ...]
    cost: str
    trains: bool

    def fit(self, knowledge: Knowledge) -> Attacker:
        """Learn from what the attacker has.

        Raises:
            MedveilError: it cannot go on: a failure. What makes no sense is told by `requires`.
        """
        ...
