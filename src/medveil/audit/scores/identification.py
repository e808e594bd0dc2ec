"""Identification: from how alike recognizers find pictures, to how well people are found among them.

A question holds queries against a gallery. A picture that was made of several images stands for several people; right
is whatever shares one of them with the query. Pairs are compared within one source only, and are figures of all such
pairs, or with the wrong ones matched: alike in source, label, view and sex, so that knowing those does not count as
knowing who it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.recognizer import Scores
from medveil.audit.results import Identification
from medveil.metrics.inference import bootstrap_means, interval
from medveil.metrics.ranking import (
    average_precisions,
    bootstrap_auc,
    chance_of_top_k,
    share_below,
    top_k_each,
    tpr_at_fpr,
)

TOPS = tuple(range(1, 16))
"""How many guesses somebody has."""
FPR = 0.01
_LEAST_NEGATIVES = 100  # for a rate of 1 %
_MOST_NEGATIVES = 10_000  # that a bootstrap draws on; figures rest on all
_CONFIDENCE = 0.95
_Index = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """Queries, or a gallery: things, and whom each stands for. One of several people has several memberships.

    Attributes:
        count: number of things.
        thing: (S,) of which thing a membership is, 0 … count − 1; each has one at least.
        who: (S,) what is to be found: number of a person, or of an image where its very record is asked for.
        person: (S,) number of the person, for whom chance is reckoned.
        source: (S,) number of the data set.
        profile: (S,) number of what source, label, view and sex are together.
    """

    count: int
    thing: _Index = field(repr=False)
    who: _Index = field(repr=False)
    person: _Index = field(repr=False)
    source: _Index = field(repr=False)
    profile: _Index = field(repr=False)

    def first(self, values: _Index) -> _Index:
        """(count,) the value of the first membership of each thing."""
        _, places = np.unique(self.thing, return_index=True)
        return values[places]

    def kinds(self, values: _Index) -> _Index:
        """(count,) numbers that two things share if their memberships have the same set of values."""
        sets: dict[int, set[int]] = {}
        for thing, value in zip(self.thing.tolist(), values.tolist(), strict=True):
            sets.setdefault(thing, set()).add(value)
        names = [tuple(sorted(sets[thing])) for thing in range(self.count)]
        numbers = {name: number for number, name in enumerate(sorted(set(names)))}
        return np.array([numbers[name] for name in names], np.int64)


@dataclass(frozen=True)
class Asked:
    """A question: who of the queries is which of the gallery?

    Attributes:
        queries, gallery: both sides.
        left_out: (Q, G) pairs that are not asked about, such as a query's own record.
        mirrored: whether both sides are the same things.
    """

    queries: Side
    gallery: Side
    left_out: _Mask = field(repr=False)
    mirrored: bool = False

    @cached_property
    def compared(self) -> _Mask:
        """(Q, G) pairs of one source that are asked about."""
        return self._shared(self.queries.source, self.gallery.source) & ~self.left_out

    @cached_property
    def positive(self) -> _Mask:
        """(Q, G) which of them are right."""
        return self._shared(self.queries.who, self.gallery.who) & self.compared

    @cached_property
    def alike(self) -> _Mask:
        """(Q, G) which of them are alike in source, label, view and sex, right or wrong."""
        return self._shared(self.queries.profile, self.gallery.profile) & self.compared

    @cached_property
    def right_places(self) -> tuple[_Index, _Index]:
        """(query, picture) of each right pair."""
        row, column = np.nonzero(self.positive)
        return row, column

    @cached_property
    def gallery_sizes(self) -> _Index:
        """(Q,) how many pictures each query is held against."""
        return np.asarray(self.compared.sum(axis=1), np.int64)

    @property
    def possible(self) -> bool:
        """Whether there is anything to find, and to mistake for it."""
        return bool(self.positive.any()) and bool((self.compared & ~self.positive).any())

    @cached_property
    def own(self) -> _Mask:
        """(Q, S) which memberships of pictures that are left out are the query's own."""
        same = self.queries.first(self.queries.who)[:, None] == self.gallery.who
        return np.asarray(self.left_out[:, self.gallery.thing] & same)

    def shuffled(self, generator: np.random.Generator) -> Asked:
        """The same pictures with each other's identities, within source, label, view and sex.

        Where queries keep theirs, what is left out as their own record moves with the identity: else somebody with one
        image, who has no right pair, would have one here, and the null would be over other people than the truth.
        """
        order = np.arange(len(self.gallery.who))
        for number in np.unique(self.gallery.profile):
            places = np.flatnonzero(self.gallery.profile == number)
            order[places] = generator.permutation(places)
        gallery = _with_who(self.gallery, order)
        again = Asked(gallery if self.mirrored else self.queries, gallery, self.left_out, self.mirrored)
        for name in ("compared", "alike", "gallery_sizes"):  # they do not depend on who is who
            again.__dict__[name] = getattr(self, name)
        if not self.mirrored and len(self.queries.who) == self.queries.count and self.own.any():
            right = (self.queries.first(self.queries.who)[:, None] == gallery.who) & ~self.own[:, order]
            found = np.zeros(self.left_out.shape, bool)
            query, membership = np.nonzero(right)
            found[query, gallery.thing[membership]] = True
            again.__dict__["positive"] = found & self.compared
        return again

    def _shared(self, queries: _Index, gallery: _Index) -> _Mask:
        """(Q, G) pairs of which both have a membership with one value."""
        if len(queries) == self.queries.count and len(gallery) == self.gallery.count:
            return np.asarray(self.queries.first(queries)[:, None] == self.gallery.first(gallery))
        values, numbers = np.unique(np.concatenate([queries, gallery]), return_inverse=True)
        tables = []
        for side, own in ((self.queries, numbers[: len(queries)]), (self.gallery, numbers[len(queries) :])):
            table = np.zeros((side.count, len(values)), np.float32)
            table[side.thing, own] = 1
            tables.append(table)
        return np.asarray(tables[0] @ tables[1].T > 0)


def _with_who(side: Side, order: _Index) -> Side:
    return Side(side.count, side.thing, side.who[order], side.person[order], side.source, side.profile)


def identification(
    rounds: Sequence[tuple[Scores, Asked]], resamples: int, generator: np.random.Generator
) -> Identification:
    """How well one attacker answers one question.

    AUC is that of levels: the share of the wrong pairs of its group that are less alike, equal ones counting half. A
    group are the pairs of the queries of one source in one round (all), or of one source, label, view and sex
    (matched), as groups differ in how alike their pictures are. Of a picture of several people the first one stands
    for it where people are drawn; intervals rest on at most 10,000 wrong pairs. Pairs are ordered: where both sides
    are the same things each counts twice.

    Args:
        rounds: likeness, (Q, G), NaN where a pair was not looked at; and what was asked. No person is asked for in two
            of them.
        resamples: of the bootstrap by patient.
        generator: of its draws.

    Returns:
        Figures. Of queries whose gallery was not looked at as a whole, nothing is said of ranks.
    """
    every, matched = ([_levels(scores, asked, alike=alike) for scores, asked in rounds] for alike in (False, True))
    level, same, people = _joined(every)
    own_level, own_same, own_people = _joined(matched)
    whose = people[same, 0]
    names, inverse = np.unique(whose, return_inverse=True)
    by_person = np.bincount(inverse, level[same]) / np.bincount(inverse) if len(names) else np.zeros(0)
    ranks = _joined_ranks([_ranked(scores, asked) for scores, asked in rounds])
    return Identification(
        auc=_mean(level[same]), auc_ci=_bounds(level, same, people, resamples, generator),
        tpr_at_1=_rate(level, same), matched_auc=_mean(own_level[own_same]),
        matched_auc_ci=_bounds(own_level, own_same, own_people, resamples, generator),
        matched_tpr_at_1=_rate(own_level, own_same), patient_auc=_mean(by_person),
        top=_by_k(ranks.top, None), patient_top=_by_k(ranks.top, ranks.person), chance=_by_k(ranks.chance, None),
        patient_chance=_by_k(ranks.chance, ranks.person),
        top_1_ci=_first_bounds(ranks, resamples, generator), map=_mean(ranks.precision), map_at_r=_mean(ranks.at_r),
        pairs=int(same.sum()), negatives=int((~same).sum()), matched_negatives=int((~own_same).sum()),
        queries=sum(int((asked.positive & ~np.isnan(scores)).any(axis=1).sum()) for scores, asked in rounds),
        ranked=len(ranks.person), patients=len(names), gallery=_mean(ranks.gallery),
    )  # fmt: skip


_Levels = tuple[NDArray[np.float64], _Mask, _Index]


def _levels(scores: Scores, asked: Asked, *, alike: bool) -> _Levels:
    """(level, whether right, (P, 2) people) of each pair that was looked at and has any to be held against."""
    queries, gallery = asked.queries, asked.gallery
    seen = ~np.isnan(scores)
    wrong = (asked.alike if alike else asked.compared) & ~asked.positive & seen
    right = asked.positive & seen
    groups = queries.kinds(queries.profile if alike else queries.source)
    level = np.full(scores.shape, np.nan)
    for number in np.unique(groups):
        rows = groups == number
        others = scores[rows][wrong[rows]]
        if len(others):
            pairs = (wrong | right) & rows[:, None]
            level[pairs] = share_below(scores[pairs], others)
    kept = ~np.isnan(level)
    row, column = np.nonzero(kept)
    same = right[kept]
    one, other = queries.first(queries.person)[row], gallery.first(gallery.person)[column]
    people = np.stack([one, np.where(same, one, other)], axis=1)
    return level[kept], same, people


@dataclass(frozen=True)
class _Ranks:
    """Of each query with something right and something wrong in its gallery, all of which was looked at."""

    person: _Index
    top: NDArray[np.float64]
    chance: NDArray[np.float64]
    precision: NDArray[np.float64]
    at_r: NDArray[np.float64]
    gallery: NDArray[np.float64]


def _ranked(scores: Scores, asked: Asked) -> _Ranks:
    places = np.flatnonzero(_rankable(scores, asked))
    right = asked.positive[places]
    among = np.where(asked.compared[places], scores[places].astype(np.float64), np.nan)
    matches, sizes = right.sum(axis=1), asked.compared[places].sum(axis=1)
    chance = [
        [chance_of_top_k(int(count), int(size), k) for k in TOPS] for count, size in zip(matches, sizes, strict=True)
    ]
    return _Ranks(
        asked.queries.first(asked.queries.person)[places], top_k_each(among, right, TOPS),
        np.array(chance, np.float64).reshape(len(places), len(TOPS)), average_precisions(among, right),
        average_precisions(among, right, at_r=True), sizes.astype(np.float64),
    )  # fmt: skip


def _rankable(scores: Scores, asked: Asked) -> _Mask:
    """(Q,) queries whose whole gallery was looked at, with something right and something wrong in it."""
    right, wrong = asked.positive.any(axis=1), (asked.compared & ~asked.positive).any(axis=1)
    return np.asarray(~(np.isnan(scores) & asked.compared).any(axis=1) & right & wrong)


def _joined(parts: Sequence[_Levels]) -> _Levels:
    level, same, people = zip(*parts, strict=True)
    return np.concatenate(level), np.concatenate(same), np.concatenate(people)


def _joined_ranks(parts: Sequence[_Ranks]) -> _Ranks:
    return _Ranks(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Ranks.__annotations__))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _rate(level: NDArray[np.float64], same: _Mask) -> float:
    return tpr_at_fpr(level, same, FPR) if int((~same).sum()) >= _LEAST_NEGATIVES else float("nan")


def _bounds(
    level: NDArray[np.float64], same: _Mask, people: _Index, resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    """95 % interval by patient; none where the right pairs are of one person, or there are no wrong ones."""
    if same.all() or len(np.unique(people[same, 0])) < 2:
        return float("nan"), float("nan")
    wrong = np.flatnonzero(~same)
    if len(wrong) > _MOST_NEGATIVES:
        wrong = generator.choice(wrong, _MOST_NEGATIVES, replace=False)
    kept = np.sort(np.concatenate([np.flatnonzero(same), wrong]))
    return interval(bootstrap_auc(level[kept], same[kept], people[kept], resamples, generator), _CONFIDENCE)


def _first_bounds(ranks: _Ranks, resamples: int, generator: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the share of people who are found first."""
    if len(np.unique(ranks.person)) < 2:
        return float("nan"), float("nan")
    means = _people_means(ranks.top[:, :1], ranks.person)[:, 0]
    return interval(bootstrap_means(means, np.arange(len(means)), resamples, generator), _CONFIDENCE)


def matched_draws(
    rounds: Sequence[tuple[Scores, Asked]], everybody: _Index, draws: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """(draws,) bootstrap of the matched AUC of one attacker; none where it has none.

    Args:
        rounds: as of `identification`.
        everybody: numbers of all people under attack: two audits of the same people then draw the same ones. A picture
            of several may show further people, of whom no image was read.
        draws: how many.
        generator: of the draws.
    """
    level, same, people = _joined([_levels(scores, asked, alike=True) for scores, asked in rounds])
    if same.all() or len(np.unique(people[same, 0])) < 2:
        return np.zeros(0)
    return bootstrap_auc(level, same, people, draws, generator, everybody)


def _by_k(table: NDArray[np.float64], person: _Index | None) -> dict[int, float]:
    """Mean over queries, or over people of the mean over their queries, for each number of guesses."""
    if not len(table):
        return dict.fromkeys(TOPS, float("nan"))
    means = table.mean(axis=0) if person is None else _people_means(table, person).mean(axis=0)
    return {k: float(mean) for k, mean in zip(TOPS, means, strict=True)}


def _people_means(table: NDArray[np.float64], person: _Index) -> NDArray[np.float64]:
    names, inverse, counts = np.unique(person, return_inverse=True, return_counts=True)
    sums = np.zeros((len(names), table.shape[1]))
    np.add.at(sums, inverse, table)
    return sums / counts[:, None]


@dataclass(frozen=True)
class Null:
    """What the best of several attackers reaches where identities are shuffled within source, label, view and sex.

    Attributes:
        matched_auc, top_1: (shuffles,) the largest matched AUC, and the largest share of people found first, of all.
    """

    matched_auc: NDArray[np.float64] = field(repr=False)
    top_1: NDArray[np.float64] = field(repr=False)

    def bounds(self, level: float) -> tuple[float, float]:
        """The share `level` of the shuffles stays at or below these: matched AUC and top-1. NaN where there is none."""
        return _quantile(self.matched_auc, level), _quantile(self.top_1, level)


def _quantile(values: NDArray[np.float64], level: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, level, method="higher")) if len(known) else float("nan")


def null_of_maximum(
    attackers: Sequence[Sequence[Scores]], asked: Sequence[Asked], shuffles: int, generator: np.random.Generator
) -> Null:
    """The maximum over attackers under the null: the more of them, the larger it is by chance alone.

    All attackers are given the same shuffles, so that what they have in common stays common.

    Args:
        attackers: for each its likeness in every round.
        asked: the question, in every round.
        shuffles: how often identities are dealt anew.
        generator: of the dealing.
    """
    prepared = [[_Prepared.of(scores, one) for scores, one in zip(rounds, asked, strict=True)] for rounds in attackers]
    found = np.full((shuffles, 2), np.nan)
    for number in range(shuffles):
        dealt = [one.shuffled(generator) for one in asked]
        values = [_of_shuffle(rounds, dealt) for rounds in prepared]
        if values:
            found[number] = np.fmax.reduce(np.array(values), axis=0)
    return Null(found[:, 0], found[:, 1])


def headline(rounds: Sequence[tuple[Scores, Asked]]) -> tuple[float, float]:
    """Matched AUC and top-1 by person, as `identification` has them; by the way that the null takes."""
    return _of_shuffle([_Prepared.of(scores, asked) for scores, asked in rounds], [asked for _, asked in rounds])


@dataclass(frozen=True)
class _Prepared:
    """What of the likeness in a round does not depend on who is who.

    Attributes:
        below: (Q, G) how many pairs of the query's group that are alike in source, label, view and sex are less alike,
            equal ones counting half; NaN for what was not looked at.
        seen: (Q, G) which pairs of that kind were.
        sizes: (Q,) how many of them the query's group has.
        groups: (Q,) its number.
        best: (Q, G) the chance that a picture is the first guess.
        whole: (Q,) whether the whole gallery was looked at.
    """

    below: NDArray[np.float64]
    seen: _Mask
    sizes: _Index
    groups: _Index
    best: NDArray[np.float64]
    whole: _Mask

    @classmethod
    def of(cls, scores: Scores, asked: Asked) -> _Prepared:
        seen = asked.alike & ~np.isnan(scores)
        groups = asked.queries.kinds(asked.queries.profile)
        below, sizes = np.full(scores.shape, np.nan), np.zeros(len(scores), np.int64)
        for number in np.unique(groups):
            rows = groups == number
            ranked = scores[rows][seen[rows]]
            sizes[rows] = len(ranked)
            pairs = rows[:, None] & asked.compared & ~np.isnan(scores)
            if len(ranked):
                below[pairs] = np.rint(2 * len(ranked) * share_below(scores[pairs], ranked)) / 2  # halves, exactly
        among = np.where(asked.compared, scores, -np.inf)
        first = (among == among.max(axis=1, keepdims=True, initial=-np.inf)) & asked.compared
        best = first / np.maximum(first.sum(axis=1, keepdims=True), 1)
        whole = np.asarray(~(np.isnan(scores) & asked.compared).any(axis=1))
        return cls(below, seen, sizes, groups, best, whole)


def _of_shuffle(prepared: Sequence[_Prepared], asked: Sequence[Asked]) -> tuple[float, float]:
    """Matched AUC, and the share of people who are found first; NaN where nothing can be."""
    levels = np.concatenate([_right_levels(each, one) for each, one in zip(prepared, asked, strict=True)])
    first, person = [], []
    for each, one in zip(prepared, asked, strict=True):
        row, column = one.right_places
        matches = np.bincount(row, minlength=one.queries.count)
        some = each.whole & (matches > 0) & (matches < one.gallery_sizes)
        first.append(np.bincount(row, each.best[row, column], one.queries.count)[some])
        person.append(one.queries.first(one.queries.person)[some])
    table = np.concatenate(first).astype(np.float64)
    top = float(_people_means(table[:, None], np.concatenate(person)).mean()) if len(table) else float("nan")
    return _mean(levels), top


def _right_levels(prepared: _Prepared, asked: Asked) -> NDArray[np.float64]:
    """Of each right pair the share of the wrong ones alike in source, label, view and sex that are less alike.

    What was counted below it holds right pairs as well: these are taken out again.
    """
    row, column = asked.right_places
    known = ~np.isnan(prepared.below[row, column])
    row, column = row[known], column[known]
    below, group = prepared.below[row, column], prepared.groups[row]
    own = prepared.seen[row, column]
    apart = 2.0 * (prepared.sizes.max(initial=0) + 1)  # no count reaches so far: groups stay apart in one order
    keys = below + group * apart
    right = np.sort(keys[own])
    start, end = np.searchsorted(right, group * apart - 0.5), np.searchsorted(right, (group + 1) * apart - 0.5)
    less = (np.searchsorted(right, keys, "left") + np.searchsorted(right, keys, "right")) / 2 - start
    others = prepared.sizes[row] - (end - start)
    kept = others > 0
    return np.asarray((below - less)[kept] / others[kept], np.float64)
