"""Recognizer: an attacker of open releases, who says how alike two pictures are, as if they were of one person.

An `Attack` looks at one package at a time. Whoever has pictures can hold one against another, key point by key point
if need be; so a recognizer is asked about many queries and a whole gallery at once. What it is asked, and what the
answers are worth, is the audit's (`medveil.audit.scores.identification`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""(height, width) grey values 0 … 255."""
Scores = NDArray[np.float32]
"""(queries, gallery) likeness, the higher the likelier of one person; NaN for a pair that was not looked at."""
Wanted = NDArray[np.bool_]
"""(queries, gallery) which pairs are asked for."""


@dataclass(frozen=True)
class View:
    """One picture as an attacker holds it.

    Attributes:
        plane: at the size at which it was found.
        stratum: number of the data set and the view that it belongs to, which everybody knows.
        facts: what stands beside the pixels in the file, and in the release's columns for it, name to value: height,
            width, bytes, bits, attributes, labels. All are words or numbers that anybody can read.
    """

    plane: Plane = field(repr=False)
    stratum: int = 0
    facts: Mapping[str, str | float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Known:
    """An image of the attacker's own, of which she knows whose it is.

    Attributes:
        patient: number.
        real: as it was taken.
        released: as the method under attack releases it; several where the method draws secret randomness. Empty where
            what is under attack is no method.
    """

    patient: int
    real: View = field(repr=False)
    released: tuple[View, ...] = field(default=(), repr=False)


class Learned(StrEnum):
    """Which of her pictures an attacker learns from: what she is able to hold against each other.

    REAL: real ones, as if the method were not known ("untouched"). RELEASED: those that the method makes ("retrained
    released–released"). BOTH: a real one of a pair and a released one ("retrained real–released").
    """

    REAL = "real"
    RELEASED = "released"
    BOTH = "both"


@dataclass(frozen=True)
class RecognizerEffort:
    """What a recognizer may spend; a preset of the audit.

    Attributes:
        side: of the square that networks see, in pixels.
        steps: updates of a network, chosen for about 60 (quick) or 300 seconds (standard) of one core.
        batch: images an update.
        network: of ResNet retrieval and the siamese network, by name.
        key_points: of a picture, at most.
        pairs: pairs of two people of each question that are looked at one by one; all pairs where they take no work.
    """

    side: int
    steps: int
    batch: int
    network: str
    key_points: int
    pairs: int


class Recognition(Protocol):
    """A recognizer that has learned."""

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        """How alike each query and each picture of the gallery are.

        Args:
            queries, gallery: may be the same pictures; then the diagonal means nothing.
            wanted: pairs that are asked for; the others may be left NaN, and are where each pair is work.
        """
        ...


class Recognizer(Protocol):
    """One attacker.

    Attributes:
        name: as on the command line: lower-case words with hyphens.
        title: a few words for a report.
        source: the publication; "" for what is nobody's.
        cost: what it costs, in words: "seconds", "a minute a network".
        learns: whether it learns from the attacker's own pictures, so that `Learned` makes a difference.
        trains: whether it trains a network.
        pairwise: whether it looks at pairs one by one, so that each pair is work.
    """

    name: str
    title: str
    source: str
    cost: str
    learns: bool
    trains: bool
    pairwise: bool

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort, seed: int) -> Recognition:
        """Learn from the attacker's own pictures.

        Args:
            own: in no order of meaning; of patients who are not under attack.
            learned: from which of them. One that does not learn pays no heed.
            effort: what may be spent.
            seed: of everything that is drawn.

        Raises:
            InputError: these pictures are too few to learn from; the message says what is missing.
        """
        ...


def views_of(own: Sequence[Known], learned: Learned) -> list[tuple[int, View]]:
    """(patient, picture) of all that is learned from: real ones, released ones, or both.

    >>> import numpy as np
    >>> real, released = (View(np.full((2, 2), value, np.float32)) for value in (1, 2))
    >>> [(patient, int(view.plane[0, 0])) for patient, view in views_of([Known(7, real, (released,))], Learned.BOTH)]
    [(7, 1), (7, 2)]
    """
    found = []
    for each in own:
        found += [(each.patient, each.real)] if learned is not Learned.RELEASED else []
        found += [(each.patient, view) for view in each.released] if learned is not Learned.REAL else []
    return found


def content(plane: Plane) -> bytes:
    """A digest of a picture: what is kept of it in memory goes by this name, also from one audit to the next."""
    return hashlib.blake2b(repr(plane.shape).encode() + np.ascontiguousarray(plane).tobytes(), digest_size=16).digest()


def several_first(own: Sequence[Known], most: int) -> list[Known]:
    """At most so many of the attacker's images, those of patients with most images first: of them there are pairs.

    >>> view = View(np.zeros((2, 2), np.float32))
    >>> [each.patient for each in several_first([Known(patient, view) for patient in (4, 7, 5, 7)], 3)]
    [7, 7, 4]
    """
    images = Counter(each.patient for each in own)
    return sorted(own, key=lambda each: -images[each.patient])[:most] if len(own) > most else list(own)


def pair_by_pair(
    queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None, likeness: Callable[[View, View], float]
) -> Scores:
    """Likeness of the pairs that are wanted, each looked at once: it is the same whichever of both is the query.

    >>> import numpy as np
    >>> views = [View(np.full((1, 1), value, np.float32)) for value in (1, 5)]
    >>> def near(one, other):
    ...     return 9 - abs(float(one.plane[0, 0] - other.plane[0, 0]))
    >>> pair_by_pair(views, views, np.array([[False, True], [True, True]]), near).tolist()
    [[nan, 5.0], [5.0, 9.0]]
    """
    found = np.full((len(queries), len(gallery)), np.nan, np.float32)
    known: dict[tuple[int, int], float] = {}
    for row, query in enumerate(queries):
        for column in range(len(gallery)) if wanted is None else np.nonzero(wanted[row])[0]:
            other = gallery[int(column)]
            pair = (min(id(query), id(other)), max(id(query), id(other)))
            if pair not in known:
                known[pair] = likeness(query, other)
            found[row, column] = known[pair]
    return found
