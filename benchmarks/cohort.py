"""Random groups with redrawn detail: who is found in such a release, which image, and whether somebody is in it.

The patients of a data set are dealt into folds. Of each fold a quarter is kept back (nobody is told of them), the
others are released in random groups, several times over; statistics of the method and all that attackers own come from
the other folds. Figures are means over folds and groups, with intervals by patient. Beside recognizers stands `model`:
an attacker who has the model, and weighs the numbers of a picture and a person as the method made them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.benchmark import Measured, Parts
from benchmarks.plane import reduced
from benchmarks.prichexy import Shown, folds_of
from medveil.anonymizers.anonymizer import Anonymizer, Candidate
from medveil.anonymizers.cohort import Cohort
from medveil.anonymizers.planes import Plane, square
from medveil.anonymizers.population import Population, learned_population
from medveil.anonymizers.registry import get_anonymizer
from medveil.attacks.registry import RECOGNIZERS
from medveil.attacks.reidentification.recognizer import Known, Learned, View
from medveil.audit.audit_run import fixed_threads
from medveil.audit.presets import find_preset
from medveil.audit.scores.identification import Asked, Side, identification
from medveil.datasets.splits import dealt_by_patient
from medveil.experiments.sampling import generator_of, simulated_key
from medveil.images.image import Image
from medveil.images.intensity import grey_of
from medveil.metrics.inference import interval, patient_draws
from medveil.metrics.ranking import auc, auc_draws
from medveil.protection.keystream import Keystream

SEED = 2015
SIDE = 128
RELEASES = (
    "cohort k=25 d=20", "cohort k=20 d=25", "cohort k=10 d=25", "cohort k=20 d=100", "cohort k=20 d=25 pictures=5",
    "k-same k=20",
)  # fmt: skip
MODEL = "model"
"""Name of the attacker who has the model; no recognizer."""
QUESTIONS = ("another image", "very image")
_KEPT_BACK = 4  # one of so many patients is in no release
_RESAMPLES = 1000

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """An image with what is found of it once.

    Attributes:
        shown: the image and its row.
        kind: number of its source, view and label.
        numbers: its principal components, those of other people.
        feature: what the method knows of it.
    """

    shown: Shown
    kind: int
    numbers: Numbers = field(repr=False)
    feature: NDArray[np.float32] = field(repr=False)

    @property
    def patient(self) -> int:
        """Whose it is."""
        return self.shown.patient


@dataclass(frozen=True)
class Released:
    """One release.

    Attributes:
        groups: images of each picture; several pictures may be of one group.
        pictures: as everybody sees them.
    """

    groups: tuple[tuple[Prepared, ...], ...]
    pictures: tuple[Image, ...] = field(repr=False)


@dataclass(frozen=True)
class Fold:
    """People under attack, and those of the attacker's own.

    Attributes:
        population: learned from the attacker's own.
        method: with it.
        own, inside, outside: images of other people, of those in releases, and of those kept back.
    """

    population: Population
    method: Anonymizer
    own: tuple[Prepared, ...] = field(repr=False)
    inside: tuple[Prepared, ...] = field(repr=False)
    outside: tuple[Prepared, ...] = field(repr=False)

    @classmethod
    def of(cls, release: str, own: Sequence[Shown], tested: Sequence[Shown], kinds: Mapping[Any, int]) -> Fold:
        """Learn from the attacker's own people, and look at everybody."""
        planes = [_square(each) for each in own]
        names = [str(each.patient) for each in own]
        classes = [(*each.row.stratum, each.row.label) for each in own]
        population = learned_population(planes, names, classes, 100)
        method = _method(release, population).fit([each.image for each in own[:200]])
        patients = sorted({each.patient for each in tested})
        back = set(generator_of(SEED, "back").permutation(patients)[: len(patients) // _KEPT_BACK].tolist())
        look = partial(_prepared, population, method, kinds)
        every = [look(each) for each in tested]
        return cls(
            population, method, tuple(look(each) for each in own),
            tuple(each for each in every if each.patient not in back),
            tuple(each for each in every if each.patient in back),
        )  # fmt: skip

    def released(self, number: int, among: Sequence[Prepared]) -> Released:
        """Groups and pictures of a release; each number draws others."""
        candidates = [Candidate(str(each.patient), (str(each.kind),), each.feature) for each in among]
        sizes: defaultdict[int, set[int]] = defaultdict(set)
        for each in among:
            sizes[each.kind].add(each.patient)
        enough = [place for place, each in enumerate(among) if len(sizes[each.kind]) >= 1.5 * self._least]
        stream = Keystream(simulated_key(SEED, "groups", number), "benchmark")
        places = self.method.groups([candidates[place] for place in enough], stream)
        groups = tuple(tuple(among[enough[place]] for place in group) for group in places)
        pictures = [
            self.method.merged(
                [each.shown.image for each in group], [each.feature for each in group],
                simulated_key(SEED, "picture", number * 1000 + place),
            )
            for place, group in enumerate(groups)
        ]  # fmt: skip
        return Released(groups, tuple(pictures))

    @property
    def _least(self) -> int:
        return int(self.method.stated["k"])

    def means(self) -> dict[int, Numbers]:
        """Of each kind the mean numbers of the attacker's own people."""
        return {
            kind: np.mean([each.numbers for each in self.own if each.kind == kind], axis=0)
            for kind in {each.kind for each in self.own}
        }


def _square(each: Shown) -> Plane:
    return square(each.image, 192)


def _method(release: str, population: Population) -> Anonymizer:
    name, *settings = release.split()
    method = get_anonymizer(name, dict(each.split("=", 1) for each in (*settings, f"size={SIDE}")))
    return replace(method, population=population) if isinstance(method, Cohort) else method


def _prepared(population: Population, method: Anonymizer, kinds: Mapping[Any, int], each: Shown) -> Prepared:
    numbers = population.numbers(population.laid(_square(each)))
    feature = numbers.astype(np.float32) if isinstance(method, Cohort) else method.feature(each.image)
    kind = kinds[(*each.row.stratum, each.row.label)]
    return Prepared(each, kind, numbers, numbers.astype(np.float32) if feature is None else feature)


# Attackers: (queries, pictures) likeness


class _WithModel:
    """Log-likelihood ratio of a picture that holds 1/n of a person's numbers, against one that holds none of them."""

    def __init__(self, fold: Fold) -> None:
        self._fold, self._means = fold, fold.means()
        count = len(fold.population.components)
        self._used = int(fold.method.stated.get("d", count)) if isinstance(fold.method, Cohort) else count
        within = fold.population.within[: self._used, : self._used]
        self._whiten = np.linalg.inv(np.linalg.cholesky(within))

    def scores(self, queries: Sequence[Prepared], release: Released) -> NDArray[np.float32]:
        population = self._fold.population
        planes = [grey_of(image, np.float32) for image in release.pictures]
        shown = np.stack([population.numbers(population.reduced(plane)) for plane in planes])
        share = np.array([1 / len(group) for group in release.groups])
        kinds = [group[0].kind for group in release.groups]
        seen = self._own(shown, kinds)
        if not isinstance(self._fold.method, Cohort):  # a plain mean scatters less than a draw around it
            seen = seen / np.sqrt(share)[:, None]
        mine = self._own(np.stack([each.numbers for each in queries]), [each.kind for each in queries])
        return np.asarray(mine @ seen.T * share - 0.5 * (mine**2).sum(1)[:, None] * share**2, np.float32)

    def _own(self, numbers: Numbers, kinds: Sequence[int]) -> Numbers:
        apart = numbers - np.stack([self._means[kind] for kind in kinds])
        return np.asarray(apart[:, : self._used] @ self._whiten.T)


class _Recognized:
    """A recognizer who learned from real pictures of the attacker's own people, and from releases that she makes."""

    def __init__(self, name: str, fold: Fold, learned: Learned) -> None:
        views = {id(each): _view(each.shown) for each in fold.own}
        made: defaultdict[int, list[View]] = defaultdict(list)
        for number in range(2) if learned is not Learned.REAL else ():
            release = fold.released(-1 - number, fold.own)
            for group, picture in zip(release.groups, release.pictures, strict=True):
                for member in group:
                    made[id(member)].append(View(grey_of(picture, np.float32), member.shown.stratum))
        own = [Known(each.patient, views[id(each)], tuple(made[id(each)])) for each in fold.own]
        self._recognition = RECOGNIZERS.make(name).fit(own, learned, find_preset("quick").recognition, SEED)
        self._views: dict[int, View] = {}

    def scores(self, queries: Sequence[Prepared], release: Released) -> NDArray[np.float32]:
        asked = [self._views.setdefault(id(each), _view(each.shown)) for each in queries]
        names = {group: float(number) for number, group in enumerate(dict.fromkeys(map(_named, release.groups)))}
        gallery = [
            View(grey_of(picture, np.float32), group[0].shown.stratum, {"group": names[_named(group)]})
            for group, picture in zip(release.groups, release.pictures, strict=True)
        ]
        return self._recognition.scores(asked, gallery)


def _named(group: Sequence[Prepared]) -> tuple[int, ...]:
    return tuple(id(each) for each in group)


def _view(shown: Shown) -> View:
    return shown.view(shown.image)


# Figures


def asked(queries: Sequence[Prepared], release: Released, question: str) -> Asked:
    """Who of the queries is in which picture: by person among all of the data set, or by image among those of a kind.

    Of another image the query's own picture is left out, if it is in one.
    """
    of_image = question == "very image"
    memberships = [(place, each) for place, group in enumerate(release.groups) for each in group]
    rows = [(place, each) for place, each in enumerate(queries)]
    left_out = np.zeros((len(queries), len(release.groups)), bool)
    if not of_image:
        for row, each in enumerate(queries):
            left_out[row] = [any(one is each for one in group) for group in release.groups]
    sides = _side(rows, len(queries), of_image), _side(memberships, len(release.groups), of_image)
    return Asked(*sides, left_out)


def _side(memberships: Sequence[tuple[int, Prepared]], count: int, of_image: bool) -> Side:
    things, each = zip(*memberships, strict=True)
    person = np.array([one.patient for one in each])
    kind = np.array([one.kind for one in each])
    who = np.array([id(one) for one in each]) if of_image else person
    source = kind if of_image else np.zeros(len(each), np.int64)
    return Side(count, np.array(things), who, person, source, kind)


def membership(scores: NDArray[np.float32], queries: Sequence[Prepared], release: Released) -> NDArray[np.float64]:
    """How likely each query is of somebody in the release: the most that a picture of its kind is like it."""
    kinds = np.array([group[0].kind for group in release.groups])
    same = np.array([each.kind for each in queries])[:, None] == kinds
    return np.where(same, scores, -np.inf).max(axis=1, initial=-np.inf).astype(np.float64)


def told(images: Sequence[tuple[float, bool, int]]) -> dict[str, Any]:
    """AUC by patient, of (score, whether in the release, patient) of each image; nothing where all are of one kind."""
    score, right, patients = (np.array([each[place] for each in images]) for place in range(3))
    kept = np.isfinite(score)
    score, right = score[kept], right[kept]
    if not right.any() or right.all():
        return {}
    people = np.unique(patients[kept], return_inverse=True)[1]
    weights = patient_draws(int(people.max()) + 1, _RESAMPLES, generator_of(SEED, "membership"))[:, people]
    draws = auc_draws(score, right, weights)
    found = interval(draws[np.isfinite(draws)], 0.95)
    return {"mean": auc(score, right), "ci": found, "people": int(people.max()) + 1}


def measured(release: str, shown: Sequence[Shown], folds: int, groupings: int, names: Sequence[str]) -> dict[str, Any]:
    """All figures of one kind of release of one data set."""
    kinds = {kind: number for number, kind in enumerate(sorted({(*e.row.stratum, e.row.label) for e in shown}))}
    parts = dealt_by_patient([each.patient for each in shown], folds, generator_of(SEED, "folds"))
    images = Counter(each.patient for each in shown)
    rounds: defaultdict[tuple[str, str], list[tuple[NDArray[np.float32], Asked]]] = defaultdict(list)
    members: defaultdict[tuple[str, str], list[tuple[float, bool, int]]] = defaultdict(list)
    pictures: list[int] = []
    for part in parts:
        tested = [shown[place] for place in part]
        fold = Fold.of(release, [each for place, each in enumerate(shown) if place not in set(part)], tested, kinds)
        attackers = {name: _attacker(name, fold) for name in names}
        for number in range(groupings):
            made = fold.released(number, fold.inside)
            pictures.append(len(made.pictures))
            in_it = {id(each) for group in made.groups for each in group}
            grouped = {each.patient for group in made.groups for each in group}
            queries = [*fold.inside, *fold.outside]
            for name, attacker in attackers.items():
                scores = attacker.scores(queries, made)
                for question in QUESTIONS:
                    rounds[name, question].append((scores, asked(queries, made, question)))
                for each, value in zip(queries, membership(scores, queries, made), strict=True):
                    out = each.patient not in grouped
                    if id(each) in in_it or out:
                        members[name, "very image"].append((float(value), not out, each.patient))
                    if id(each) not in in_it and images[each.patient] > 1:  # of both sides alike
                        members[name, "another image"].append((float(value), not out, each.patient))
    return {
        "release": release, "pictures": float(np.mean(pictures)),
        "found": {name: {question: _figures(rounds[name, question]) for question in QUESTIONS} for name in names},
        "membership": {
            name: {question: told(members[name, question]) for question in QUESTIONS}
            for name in names
        },
    }  # fmt: skip


def _attacker(name: str, fold: Fold) -> _WithModel | _Recognized:
    if name == MODEL:
        return _WithModel(fold)
    base, _, learned = name.partition("+")
    return _Recognized(base, fold, Learned.BOTH if learned else Learned.REAL)


def _figures(rounds: Sequence[tuple[NDArray[np.float32], Asked]]) -> dict[str, Any]:
    possible = [each for each in rounds if each[1].possible]
    if not possible:
        return {}
    one = identification(possible, _RESAMPLES, generator_of(SEED, "interval"))
    return {
        "matched": {"mean": one.matched_auc, "ci": one.matched_auc_ci}, "all": {"mean": one.auc, "ci": one.auc_ci},
        "first": {"mean": one.patient_top[1], "ci": one.top_1_ci}, "chance": one.patient_chance[1],
        "people": one.patients, "pairs": one.pairs,
    }  # fmt: skip


def run(
    work: Path, keep: Path | None = None, releases: tuple[str, ...] = RELEASES,
    sources: tuple[str, ...] = ("kermany", "nih"), folds: int = 2, groupings: int = 5, every: int = 1,
    recognizers: tuple[str, ...] = (MODEL, "eigenpictures", "thumbnails", "hog", "contrastive"), threads: int = 1,
) -> Measured:  # fmt: skip
    """Who is found in releases of random groups, which image, and whether somebody is in it.

    Args:
        keep: where finished parts are kept, each under the commit that measured it.
        releases: methods and their settings.
        sources: data sets.
        folds: of patients; each is released, the others are the attacker's own.
        groupings: random releases of each fold.
        every: every n-th patient only.
        recognizers: attackers; `model` has the model, and with `+both` one learns from own releases as well.
        threads: processor threads.
    """
    there = reduced(work / "images", sources, SIDE, every)
    shown = [each for fold in folds_of(there).values() for each in fold]
    parts = Parts(keep, benchmark="cohort", folds=folds, groupings=groupings, every=every, names=list(recognizers))
    rows = []
    with fixed_threads(threads):
        for release in releases:
            for source in sources:
                of_it = [each for each in shown if each.row.source == source]
                make = partial(measured, release, of_it, folds, groupings, recognizers)
                rows.append({"source": source, **parts.part(f"{release}, {source}", make)})
    return Measured({"rows": rows, "folds": folds, "groupings": groupings}, len(shown), SEED, seconds=parts.seconds)
