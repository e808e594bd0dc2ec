"""Metadata: likeness by what stands beside the pixels, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.recognizer import (
    Known,
    Learned,
    Recognition,
    RecognizerEffort,
    Scores,
    View,
    Wanted,
    several_first,
)

GROUP = "group"
"""The fact that numbers pictures made of the same people: it is no property of a person, and metadata pass it by."""

_STEPS = 8  # of closeness of two numbers, each with about as many pairs of two people
_PRIOR = 8.0  # pairs of one person that are taken to be like those of two, before any is seen
_MOST = 2000  # images whose pairs are counted
_Pairs = NDArray[np.bool_]
_Facts = Sequence[str | float | None]


@dataclass(frozen=True)
class _Words:
    """Log-likelihood ratios of a fact that is a word: both are this one, or they differ."""

    equal: Mapping[str, float] = field(repr=False)
    unseen: float
    unequal: float

    def told(self, queries: _Facts, gallery: _Facts) -> NDArray[np.float64]:
        one, two = (
            np.array(["" if value is None else str(value) for value in values]) for values in (queries, gallery)
        )
        rarity = np.array([self.equal.get(word, self.unseen) for word in one])
        found = np.where(one[:, None] == two[None], rarity[:, None], self.unequal)
        return np.where((one == "")[:, None] | (two == "")[None], 0.0, found)


@dataclass(frozen=True)
class _Numbers:
    """Log-likelihood ratios of a fact that is a number: by the step of how far two are apart."""

    edges: NDArray[np.float64] = field(repr=False)
    ratios: NDArray[np.float64] = field(repr=False)

    def told(self, queries: _Facts, gallery: _Facts) -> NDArray[np.float64]:
        apart = _apart(queries, gallery)
        return np.where(np.isnan(apart), 0.0, self.ratios[np.searchsorted(self.edges, np.nan_to_num(apart))])


class Metadata:
    """The sum over facts of how much likelier one person's two files agree so far than two people's do.

    Of a number it counts how close both are, in eight steps; of a word whether both are the same, the more the rarer
    it is. Facts are taken to be independent. A fact that only one of two files has tells nothing. What "one person"
    looks like is learned from pairs of images of the attacker's own patients with several; where there are none, a
    person's facts are taken never to change.

    >>> blank = np.zeros((2, 2), np.float32)
    >>> people = [Known(number, View(blank, 0, {"width": 300.0 + number})) for number in range(9)]
    >>> seen = [View(blank, 0, {"width": width}) for width in (301.0, 304.0)]
    >>> found = Metadata().fit(people, Learned.REAL, None, 0).scores(seen, seen)
    >>> bool(found[0, 0] > found[0, 1])
    True
    """

    name = "metadata"
    title = "what stands beside the pixels: size, length, attributes, columns"
    source = ""
    cost = "seconds"
    learns = True
    trains = False
    pairwise = False

    def fit(self, own: Sequence[Known], learned: Learned, effort: RecognizerEffort | None, seed: int) -> Recognition:
        own = several_first(own, _MOST)
        queries, gallery = _sides(own, learned)
        names = sorted({name for _, view in (*queries, *gallery) for name in view.facts} - {GROUP})
        patients = [np.array([own[place].patient for place, _ in side]) for side in (queries, gallery)]
        images = [np.array([place for place, _ in side]) for side in (queries, gallery)]
        strata = [np.array([view.stratum for _, view in side]) for side in (queries, gallery)]
        person = patients[0][:, None] == patients[1][None]
        image = images[0][:, None] == images[1][None]
        same = person & ~image if (person & ~image).any() else image
        different = ~person & (strata[0][:, None] == strata[1][None])
        told = {}
        for name in names:
            one, two = (_facts([view for _, view in side], name) for side in (queries, gallery))
            told[name] = _learned(one, two, same, different)
        return _Recognition(told)


class _Recognition:
    def __init__(self, told: Mapping[str, _Words | _Numbers]) -> None:
        self._told = told

    def scores(self, queries: Sequence[View], gallery: Sequence[View], wanted: Wanted | None = None) -> Scores:
        total = np.zeros((len(queries), len(gallery)))
        for name, fact in self._told.items():
            total += fact.told(_facts(queries, name), _facts(gallery, name))
        return total.astype(np.float32)


def _sides(own: Sequence[Known], learned: Learned) -> list[list[tuple[int, View]]]:
    """(place of the image, view) of what is held against each other."""
    real = [(place, each.real) for place, each in enumerate(own)]
    released = [(place, view) for place, each in enumerate(own) for view in each.released[:1]]
    return [real if learned is not Learned.RELEASED else released, real if learned is Learned.REAL else released]


def _facts(views: Sequence[View], name: str) -> list[str | float | None]:
    return [view.facts.get(name) for view in views]


def _learned(one: _Facts, two: _Facts, same: _Pairs, different: _Pairs) -> _Words | _Numbers:
    if any(isinstance(value, str) for value in (*one, *two)):
        return _learned_words(one, two, same)
    apart = _apart(one, two)
    there = ~np.isnan(apart)
    others = apart[different & there]
    if not len(others):
        return _Numbers(np.zeros(0), np.zeros(1))
    edges = np.unique(np.concatenate([[0.0], np.quantile(others, np.arange(1, _STEPS) / _STEPS)]))
    shares = [
        np.bincount(np.searchsorted(edges, apart[pairs & there]), minlength=len(edges) + 1).astype(np.float64)
        for pairs in (same, different)
    ]
    usual = (shares[1] + 1.0 / len(shares[1])) / (shares[1].sum() + 1.0)
    own = (shares[0] + _PRIOR * usual) / (shares[0].sum() + _PRIOR)
    return _Numbers(edges, np.log(own / usual))


def _learned_words(one: _Facts, two: _Facts, same: _Pairs) -> _Words:
    words = [str(value) for value in (*one, *two) if value is not None]
    names, counts = np.unique(words, return_counts=True)
    total = len(words) + len(names) + 1.0
    shares = (counts + 1.0) / total
    here, there = _words(one), _words(two)
    both = same & (here != "")[:, None] & (there != "")[None]
    equal = int((both & (here[:, None] == there[None])).sum())
    chance = float((shares**2).sum() + total**-2)
    stays = (equal + _PRIOR * chance) / (int(both.sum()) + _PRIOR)
    rarity = {str(name): float(np.log(stays / share)) for name, share in zip(names, shares, strict=True)}
    return _Words(rarity, float(np.log(stays * total)), float(np.log((1.0 - stays) / (1.0 - chance))))


def _words(facts: _Facts) -> NDArray[np.str_]:
    return np.array(["" if fact is None else str(fact) for fact in facts])


def _apart(one: _Facts, two: _Facts) -> NDArray[np.float64]:
    first, second = (
        np.array([np.nan if value is None or isinstance(value, str) else value for value in side], np.float64)
        for side in (one, two)
    )
    return np.abs(first[:, None] - second[None])
