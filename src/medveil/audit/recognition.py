"""Recognition: whom recognizers look for among which pictures, in which rounds, as units of an audit's plan.

A unit is one recognizer that learned once, from real pictures, released ones, or both, and then holds all queries of
its round against all galleries. Its product are the matrices; figures are made from them when all are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reconstruction.keyless_view import stranger_picture
from medveil.attacks.reidentification.recognizer import (
    Known,
    Learned,
    Recognizer,
    RecognizerEffort,
    Scores,
    View,
    Wanted,
)
from medveil.audit.pace import RecognizerPace
from medveil.audit.presets import Preset
from medveil.audit.protocol import RoundPlan, plan_rounds
from medveil.audit.scores.attack_scores import AttackError
from medveil.audit.scores.identification import Asked, Side
from medveil.audit.targets.people import Member, People, Pictured, Profile, Publish
from medveil.audit.targets.target import Target
from medveil.errors import MedveilError
from medveil.experiments.cache import ByteCache
from medveil.experiments.sampling import generator_of, simulated_key
from medveil.experiments.unit import Key, Product, Tick, Unit
from medveil.mechanisms.observation import Observation, Subject

KIND = "recognition"
"""Of the units."""
AVERAGED = 4  # publications of an image whose mean is looked at
_COPIES = 2  # publications of an own image, where two of them differ


class Query(StrEnum):
    """What is held against a gallery: as it was taken, published by the attacker herself, or from the release."""

    REAL = "real"
    ANONYMIZED = "anonymized"
    RELEASED = "released"


class Question(StrEnum):
    """What is looked for."""

    RELEASED_REAL = "released-real"  # pictures of a person of whom another image is at hand
    RELEASED_RELEASED = "released-released"  # pictures of one person, among themselves
    SAME_RECORD = "same-record"  # the picture of an image that is at hand
    AVERAGED = "averaged"  # as the first, where several publications of each image are to be had
    AVERAGED_RECORD = "averaged-same-record"  # as the third, likewise
    RAW = "raw"  # other images of a person, among images as they were taken


OF_PEOPLE = (Question.RELEASED_REAL, Question.RELEASED_RELEASED, Question.AVERAGED)
"""Questions about a person; the others are about one image."""


@dataclass(frozen=True)
class Matrix:
    """One likeness of queries and a gallery, and the questions that it answers.

    Attributes:
        name: of the array of a product.
        query: what the queries are.
        questions: that are asked of it.
        learned: of attackers who learn, those by whom it is made; others make all.
    """

    name: str
    query: Query
    questions: tuple[Question, ...]
    learned: tuple[Learned, ...]


_ALL, _NOT_REAL_ALONE = tuple(Learned), (Learned.REAL, Learned.BOTH)
MATRICES = (
    Matrix("raw", Query.REAL, (Question.RAW,), (Learned.REAL,)),
    Matrix("real", Query.REAL, (Question.RELEASED_REAL, Question.SAME_RECORD), _NOT_REAL_ALONE),
    Matrix("anonymized", Query.ANONYMIZED, (Question.RELEASED_REAL, Question.SAME_RECORD), _ALL),
    Matrix("released", Query.RELEASED, (Question.RELEASED_RELEASED,), _ALL),
    Matrix("averaged", Query.REAL, (Question.AVERAGED, Question.AVERAGED_RECORD), _NOT_REAL_ALONE),
)
"""In the order in which they are made."""
_MEANS = MATRICES[-1]


@dataclass(frozen=True)
class RecognitionRound:
    """Who looks for whom in a round.

    Attributes:
        name, seed: of its plan.
        own: images of the attacker's own; nobody's under attack.
        reals: images of the people under attack.
        pictures: released ones that show one of them. A picture of several may show people of the attacker's own too.
        published: images under attack of which there is a picture: of these the mean of several publications is made.
        profiles: of images, by number.
    """

    name: str
    seed: int
    own: tuple[Subject, ...] = field(repr=False)
    reals: tuple[Subject, ...] = field(repr=False)
    pictures: tuple[Pictured, ...] = field(repr=False)
    published: tuple[Subject, ...] = field(repr=False)
    profiles: dict[int, Profile] = field(repr=False)

    def asked(self, question: Question) -> Asked | None:
        """A question in numbers; None where there is nothing to find, or nothing to mistake for it."""
        found = self._asked[question]
        return found if found.possible else None

    @cached_property
    def _asked(self) -> dict[Question, Asked]:
        real, published = ([(self._member(each),) for each in some] for some in (self.reals, self.published))
        pictures = [picture.members for picture in self.pictures]
        own_picture, own_mean = _share_image(real, pictures), _share_image(real, published)
        unpublished, without_mean = (np.all(~own, axis=1, keepdims=True) for own in (own_picture, own_mean))

        def sides(gallery: Sequence[Sequence[Member]], *, record: bool) -> tuple[Side, Side]:
            return self._side(real, record=record), self._side(gallery, record=record)

        among = self._side(pictures, record=False)
        every = self._side(real, record=False)
        return {
            Question.RELEASED_REAL: Asked(*sides(pictures, record=False), own_picture),
            Question.SAME_RECORD: Asked(
                *sides(pictures, record=True), np.broadcast_to(unpublished, own_picture.shape)
            ),
            Question.RELEASED_RELEASED: Asked(among, among, _share_image(pictures, pictures), mirrored=True),
            Question.AVERAGED: Asked(*sides(published, record=False), own_mean),
            Question.AVERAGED_RECORD: Asked(
                *sides(published, record=True), np.broadcast_to(without_mean, own_mean.shape)
            ),
            Question.RAW: Asked(every, every, np.eye(len(real), dtype=bool), mirrored=True),
        }  # fmt: skip

    def _member(self, subject: Subject) -> Member:
        return Member(subject.number, subject.patient, self.profiles.get(subject.number, ("", "", "", "")))

    def _side(self, things: Sequence[Sequence[Member]], *, record: bool) -> Side:
        """
        Args:
            things: for each the images that it was made of.
            record: whether an image is to be found, and not a person.
        """
        thing = [place for place, members in enumerate(things) for _ in members]
        members = [member for each in things for member in each]
        # An image that was not read is nobody's query: each is a number of its own.
        who = [
            (member.image if member.image >= 0 else -1 - place) if record else member.patient
            for place, member in enumerate(members)
        ]
        sources, profiles = self._numbers
        columns = (
            thing, who, [member.patient for member in members], [sources[member.profile[0]] for member in members],
            [profiles[member.profile] for member in members],
        )  # fmt: skip
        return Side(len(things), *(np.array(column, np.int64) for column in columns))

    @cached_property
    def _numbers(self) -> tuple[dict[str, int], dict[Profile, int]]:
        """A number for each source and each profile."""
        every = {member.profile for picture in self.pictures for member in picture.members}
        every |= {self._member(each).profile for each in self.reals}
        sources = {name: number for number, name in enumerate(sorted({profile[0] for profile in every}))}
        return sources, {profile: number for number, profile in enumerate(sorted(every))}


def _share_image(
    queries: Sequence[Sequence[Member]], gallery: Sequence[Sequence[Member]]
) -> NDArray[np.bool_]:  # fmt: skip
    """(Q, G) pairs that were made of one image."""
    found = np.zeros((len(queries), len(gallery)), bool)
    places: dict[int, list[int]] = {}
    for place, members in enumerate(gallery):
        for member in members:
            if member.image >= 0:
                places.setdefault(member.image, []).append(place)
    for number, members in enumerate(queries):
        for member in members:
            found[number, places.get(member.image, [])] = True
    return found


@dataclass(frozen=True)
class RecognitionPlan:
    """All that recognizers do in an audit.

    Attributes:
        people: whom they look for.
        rounds: who looks for whom.
        recognizers: in the order of the registry.
        units: of all of them.
    """

    people: People = field(repr=False)
    rounds: tuple[RecognitionRound, ...]
    recognizers: tuple[Recognizer, ...]
    units: tuple[Unit, ...] = field(repr=False)

    def questions(self) -> tuple[Question, ...]:
        """Those that can be asked in a round at least."""
        secret = {Question.AVERAGED, Question.AVERAGED_RECORD}
        return tuple(
            question for question in Question
            if (self.people.secret or question not in secret) and any(one.asked(question) for one in self.rounds)
        )  # fmt: skip


def unit_key(name: str, recognizer: str, learned: Learned) -> Key:
    """Of what a recognizer that learned so does in a round."""
    return (KIND, name, recognizer, learned.value)


def modes(recognizer: Recognizer) -> tuple[Learned, ...]:
    """From what it learns, one after the other; whoever does not learn is untouched."""
    return tuple(Learned) if recognizer.learns else (Learned.REAL,)


def people_of(target: Target) -> People:
    """Whom recognizers look for in a release; in one that shows no pictures, by those that a stranger makes of it."""
    if target.people is not None:
        return target.people
    mechanism = target.mechanism

    def seen(subject: Subject, observation: Observation) -> View:
        size = float(sum(observation.lengths))
        facts = {"bytes": size, "height": observation.bucket.height, "width": observation.bucket.width}
        return View(stranger_picture(observation, mechanism), subject.stratum, facts)

    def pictured(subject: Subject) -> Pictured:
        return Pictured(
            (Member(subject.number, subject.patient, profiles[subject.number]),),
            lambda: seen(subject, target.case_of(subject).observation),
        )

    def publisher(own: Sequence[Subject]) -> Publish:
        return lambda subject, key: seen(subject, mechanism.case_of(subject, key).observation)

    profiles: dict[int, Profile] = {}
    for subject in target.subjects:
        told = target.annotations.get(subject.number)
        profiles[subject.number] = (told.source, told.label, told.view, told.sex) if told else ("", "", "", "")
    return People(
        target.subjects, tuple(map(pictured, target.subjects)), profiles,
        lambda subject: View(subject.picture, subject.stratum), publisher, False, b"",
    )  # fmt: skip


def recognition_rounds(target: Target, people: People, preset: Preset, seed: int) -> tuple[RecognitionRound, ...]:
    """Rounds as of attacks, with more images: of each patient under attack all images that were read."""
    more = replace(
        preset, own_images=preset.recognition_own, tested_images=preset.recognition_tested, repeats=1
    )  # fmt: skip
    return tuple(_round(each, people) for each in plan_rounds(target.subjects, target.outside, more, seed))


def _round(plan: RoundPlan, people: People) -> RecognitionRound:
    patients = {subject.patient for subject in plan.tested}
    pictures = tuple(
        picture for picture in people.pictures if any(member.patient in patients for member in picture.members)
    )
    return RecognitionRound(
        plan.name, plan.seed, (*plan.own, *plan.validation),
        tuple(each for each in people.reals if each.patient in patients), pictures, plan.tested, dict(people.profiles),
    )  # fmt: skip


@dataclass(frozen=True)
class _Scene:
    """The views of a round."""

    own: tuple[Known, ...] = field(repr=False)
    of: dict[str, tuple[Sequence[View], Sequence[View]]] = field(repr=False)


def plan_recognition(
    target: Target, people: People, recognizers: Sequence[Recognizer], preset: Preset, seed: int, pace: RecognizerPace
) -> RecognitionPlan:  # fmt: skip
    """List what recognizers do.

    Args:
        target: what is under test.
        people: of `people_of`.
        recognizers: that are run.
        preset: what may be spent.
        seed: of everything that is drawn.
        pace: how fast this machine is.

    Raises:
        UsageError: there are too few patients.
    """
    rounds = recognition_rounds(target, people, preset, seed)
    effort = replace(preset.recognition, pairs=-(-preset.recognition.pairs // len(rounds)))
    scenes = ByteCache[str, _Scene](0, lambda _: 1)
    units = []
    for each in rounds:
        pairs = sum(_pairs(each, matrix, effort.pairs) for matrix in MATRICES if people.secret or matrix is not _MEANS)
        for place, recognizer in enumerate(recognizers):
            for number, learned in enumerate(modes(recognizer)):
                looked = 2 * len(each.reals) + len(each.pictures)
                cost = pace.of(recognizer, effort, len(each.own), looked, pairs)
                cost += 0.0 if place or number else pace.views * (2 * len(each.own) + looked)
                make = partial(_recognized, people, each, recognizer, learned, effort, scenes, seed)
                title = f"{each.name}: {recognizer.name}" + (f" from {learned} pictures" if recognizer.learns else "")
                units.append(Unit(unit_key(each.name, recognizer.name, learned), KIND, title, make, cost))
    return RecognitionPlan(people, rounds, tuple(recognizers), tuple(units))


def _pairs(each: RecognitionRound, matrix: Matrix, most: int) -> int:
    """About how many pairs are looked at for a matrix where each is work."""
    asked = [one for question in matrix.questions if (one := each.asked(question)) is not None]
    counts = [int(one.compared.sum()) // (2 if one.mirrored else 1) for one in asked]
    return min(max(counts, default=0), 2 * most)


def _recognized(
    people: People, each: RecognitionRound, recognizer: Recognizer, learned: Learned, effort: RecognizerEffort,
    scenes: ByteCache[str, _Scene], seed: int, tick: Tick,
) -> Product:  # fmt: skip
    """All matrices of one recognizer in one round.

    Raises:
        InputError: it cannot learn from these pictures.
        AttackError: it had begun.
    """
    scene = scenes.get(each.name, lambda: _scene(people, each, tick))
    recognition = recognizer.fit(scene.own, learned, effort, each.seed)
    tick()
    arrays: dict[str, Scores] = {}
    for matrix in MATRICES:
        if matrix.name not in scene.of or (recognizer.learns and learned not in matrix.learned):
            continue
        for name, wanted in _looks(each, matrix, recognizer, effort.pairs, seed).items():
            try:
                arrays[name] = np.asarray(recognition.scores(*scene.of[matrix.name], wanted), np.float32)
            except MedveilError as error:
                raise AttackError from error
            tick()
    return Product(arrays)


def array_name(matrix: Matrix, question: Question | None = None) -> str:
    """Of the likeness that answers all questions of a matrix, or one of them."""
    return matrix.name if question is None else f"{matrix.name} {question}"


def _looks(each: RecognitionRound, matrix: Matrix, recognizer: Recognizer, pairs: int, seed: int) -> dict[str, Wanted]:
    """How often pictures are held against each other, and which pairs are asked for each time.

    Whoever takes pictures together may use only those pairs that a question is about. Each pair is looked at once where
    it is work, and whoever trains a network looks at each picture by itself.
    """
    asked = {question: one for question in matrix.questions if (one := each.asked(question)) is not None}
    if recognizer.pairwise:
        generator = generator_of(seed, "wanted", each.name, matrix.name)
        return {array_name(matrix): _wanted(list(asked.values()), pairs, generator)}
    if recognizer.trains:
        return {array_name(matrix): np.logical_or.reduce([one.compared for one in asked.values()])}
    return {array_name(matrix, question): one.compared for question, one in asked.items()}


def _scene(people: People, each: RecognitionRound, tick: Tick) -> _Scene:
    """Publish what the attacker has of her own, and read what is under attack. Matrices without a question stay out."""
    publish = people.publisher(each.own)

    def published(subject: Subject, *purpose: str | int) -> View:
        tick()
        return publish(subject, simulated_key(each.seed, *purpose, subject.number))

    copies = range(_COPIES if people.secret else 1)
    own = tuple(
        Known(one.patient, people.real(one), tuple(published(one, "own", copy) for copy in copies)) for one in each.own
    )
    reals, pictures = [people.real(one) for one in each.reals], [picture.view() for picture in each.pictures]
    of: dict[str, tuple[Sequence[View], Sequence[View]]] = {
        "raw": (reals, reals),
        "real": (reals, pictures),
        "anonymized": ([published(one, "query") for one in each.reals], pictures),
        "released": (pictures, pictures),
    }
    if people.secret:
        of["averaged"] = (reals, [
            _mean([published(one, "averaged", copy) for copy in range(AVERAGED)]) for one in each.published
        ])  # fmt: skip
    asked = {matrix.name for matrix in MATRICES if any(each.asked(question) for question in matrix.questions)}
    return _Scene(own, {name: views for name, views in of.items() if name in asked})


def _mean(views: Sequence[View]) -> View:
    """The mean of several publications of an image."""
    return replace(views[0], plane=np.asarray(np.mean([view.plane for view in views], axis=0), np.float32))


def _wanted(questions: Sequence[Asked], pairs: int, generator: np.random.Generator) -> Wanted:
    """Pairs that are looked at where each is work: those of one person, as many at most as others, and `pairs` others.

    Half of the others are alike in source, label, view and sex, as far as there are any. All recognizers are asked for
    the same pairs. Of two things that are both query and gallery one order is enough, where not all pairs are looked
    at.
    """
    shape = questions[0].compared.shape
    right, alike, other = (np.zeros(shape, bool) for _ in range(3))
    for asked in questions:
        right |= asked.positive
        alike |= asked.alike
        other |= asked.compared
    once = np.triu(np.ones(shape, bool), 1) if questions[0].mirrored else np.ones(shape, bool)
    if int((other & once & ~right).sum()) <= pairs:
        return right | other
    right, alike, other = right & once, alike & once & ~right, other & once & ~right
    found = _some(right, pairs, generator) | _some(alike, pairs // 2, generator)
    left = other & ~found
    return np.asarray(found | _some(left, pairs - int((found & other).sum()), generator))


def _some(mask: NDArray[np.bool_], count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """At most so many of the places of a mask, drawn."""
    places = np.flatnonzero(mask)
    if len(places) <= count:
        return mask
    found = np.zeros(mask.size, bool)
    found[generator.choice(places, count, replace=False)] = True
    return found.reshape(mask.shape)
