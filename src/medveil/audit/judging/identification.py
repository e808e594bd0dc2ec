"""From the matrices of recognizers to whom they find: every attacker and question, the maximum, and what luck explains.

The maximum over attackers is biased upwards: so is that of the null, over the same attackers, with identities shuffled
within source, label, view and sex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.fusion import fused
from medveil.attacks.reidentification.recognizer import Learned, Scores
from medveil.audit.recognition import (
    MATRICES,
    OF_PEOPLE,
    Matrix,
    Question,
    RecognitionPlan,
    array_name,
    modes,
    unit_key,
)
from medveil.audit.results import (
    NULL_LEVEL,
    PAIRED_DRAWS,
    RAW_LINKED,
    SHUFFLED_AT_NULL,
    Best,
    Recognized,
    RecognizerRow,
    Undone,
)
from medveil.audit.scores.identification import (
    Asked,
    Null,
    identification,
    matched_draws,
    null_of_maximum,
)
from medveil.experiments.sampling import generator_of
from medveil.experiments.unit import Key, Result, Status
from medveil.registry import Availability

ANY = "any"
"""The maximum over all questions about a person."""
FUSIONS: Mapping[str, tuple[str, ...]] = {
    "fusion": ("hog", "contrastive", "xfeat"), "fusion-whole": ("hog", "contrastive"),
}  # fmt: skip
"""Attackers whose likeness is added up, chosen beforehand. A sum knows only pairs that all of them looked at: so one is
of those who look at every pair."""
_TITLES = {
    "fusion": "several attackers' likeness added up", "fusion-whole": "the same of those who look at all pairs"
}  # fmt: skip
METADATA = "metadata"
_MOST_DRAWS, _MOST_SHUFFLES = 1000, 500

_Attacker = tuple[str, Learned, Matrix, Question]
"""Who, from what it learned, the matrix that it made, and the question that this answers."""
_KINDS = tuple((matrix, question) for matrix in MATRICES for question in matrix.questions)
_Rounds = list[tuple[Scores, Asked]]


@dataclass(frozen=True)
class _Answers:
    """One attacker's answer to one question."""

    row: RecognizerRow
    rounds: _Rounds = field(repr=False)


def recognized(
    plan: RecognitionPlan, results: Mapping[Key, Result], resamples: int, seed: int,
    unavailable: Sequence[Availability] = (),
) -> Recognized:  # fmt: skip
    """Whom recognizers find.

    Args:
        plan: what they did.
        results: of its units at least.
        resamples: of the bootstrap and the shuffles, at most; 1,000 and 500 are enough for each attacker.
        seed: of the audit.
        unavailable: recognizers that could not be run, to be told.
    """
    matrices = _matrices(plan, results)
    titles = {each.name: each.title for each in plan.recognizers} | _TITLES
    draws, shuffles = min(resamples, _MOST_DRAWS), min(resamples, _MOST_SHUFFLES)
    answers = {
        question: _answers(plan, question, matrices, titles, draws, seed) for question in plan.questions()
    }  # fmt: skip
    answers = {question: found for question, found in answers.items() if found}
    everybody = np.unique([each.patient for one in plan.rounds for each in one.reals])
    nulls, again = (
        {question: _null(found, count, seed, purpose) for question, found in answers.items()}
        for count, purpose in ((shuffles, "null"), (1, "control"))
    )
    maximum = {
        question.value: _best(answers[question], nulls[question], everybody) for question in answers
    }  # fmt: skip
    of_people = [question for question in OF_PEOPLE if question in answers]
    if of_people:
        every = [answer for question in of_people for answer in answers[question]]
        maximum[ANY] = _best(every, _largest([nulls[question] for question in of_people]), everybody)
    raw = maximum.pop(Question.RAW.value, None)
    rows = [answer.row for found in answers.values() for answer in found]
    first = plan.rounds
    return Recognized(
        people=len(everybody), images=sum(len(one.reals) for one in first),
        pictures=len({id(picture) for one in first for picture in one.pictures}),
        own_people=tuple(len({each.patient for each in one.own}) for one in first),
        own_images=tuple(len(one.own) for one in first), recognizers=tuple(each.name for each in plan.recognizers),
        rows=tuple(row for row in rows if row.question != Question.RAW),
        raw_rows=tuple(row for row in rows if row.question == Question.RAW), maximum=maximum, raw=raw,
        metadata=_metadata(rows), shuffles=shuffles, controls=_controls(raw, nulls, again),
        undone=_undone(plan, results, unavailable), people_digest=plan.people.same_people(),
    )  # fmt: skip


def _matrices(plan: RecognitionPlan, results: Mapping[Key, Result]) -> dict[_Attacker, list[Scores | None]]:
    """Of each attacker the likeness in each round; None in a round that was not done."""
    found: dict[_Attacker, list[Scores | None]] = {}
    for recognizer in plan.recognizers:
        for learned in modes(recognizer):
            products = [results[unit_key(one.name, recognizer.name, learned)].product for one in plan.rounds]
            for matrix, question in _KINDS:
                names = array_name(matrix, question), array_name(matrix)
                scores = [product.arrays.get(names[0], product.arrays.get(names[1])) for product in products]
                if any(each is not None for each in scores):
                    found[recognizer.name, learned, matrix, question] = scores
    return found | _fusions(plan, found)


def _fusions(
    plan: RecognitionPlan, matrices: Mapping[_Attacker, list[Scores | None]]
) -> dict[_Attacker, list[Scores | None]]:
    """Sums of attackers, each of whom learned so, or does not learn; a round is left out that one did not do."""
    found: dict[_Attacker, list[Scores | None]] = {}
    learning = {each.name for each in plan.recognizers if each.learns}
    done = set[tuple[_Attacker, ...]]()
    for name, members in FUSIONS.items():
        for learned in Learned:
            for matrix, question in _KINDS:
                every = [(each, learned if each in learning else Learned.REAL, matrix, question) for each in members]
                keys = tuple(key for key in every if key in matrices)
                if len(keys) < 2 or keys in done or not any(key[0] in learning for key in keys):
                    continue
                done.add(keys)
                parts = [matrices[key] for key in keys]
                found[name, learned, matrix, question] = [
                    _fused([each[place] for each in parts], one.asked(question))
                    for place, one in enumerate(plan.rounds)
                ]  # fmt: skip
    return found


def _fused(parts: Sequence[Scores | None], asked: Asked | None) -> Scores | None:
    """The sum of likeness, each data set by itself."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or asked is None:
        return None
    queries, gallery = (side.first(side.source) for side in (asked.queries, asked.gallery))
    total = np.full(known[0].shape, np.nan, np.float32)
    for source in np.unique(queries):
        block = np.ix_(queries == source, gallery == source)
        if total[block].size:
            total[block] = fused([part[block] for part in known])
    return total


def _answers(
    plan: RecognitionPlan, question: Question, matrices: Mapping[_Attacker, list[Scores | None]],
    titles: Mapping[str, str], draws: int, seed: int,
) -> list[_Answers]:  # fmt: skip
    """All answers to a question, in the order of the recognizers; those who looked at no right pair have none."""
    asked = [one.asked(question) for one in plan.rounds]
    found = []
    for (name, learned, matrix, answered), scores in matrices.items():
        if answered is not question:
            continue
        rounds = [(each, one) for each, one in _filled(scores, asked)]
        figures = identification(rounds, draws, generator_of(seed, "identification", question.value))
        if figures.pairs:
            row = RecognizerRow(
                name, titles.get(name, name), learned.value, matrix.query.value, question.value, figures
            )
            found.append(_Answers(row, rounds))
    return found


def _filled(scores: Sequence[Scores | None], asked: Sequence[Asked | None]) -> _Rounds:
    """The rounds in which the question can be asked; nothing was looked at in one that was not done."""
    return [
        (np.full(one.compared.shape, np.nan, np.float32) if each is None else each, one)
        for each, one in zip(scores, asked, strict=True) if one is not None
    ]  # fmt: skip


def _null(answers: Sequence[_Answers], shuffles: int, seed: int, purpose: str) -> Null:
    """The null of the maximum; questions of the same pictures get the same shuffles."""
    attackers = [[scores for scores, _ in answer.rounds] for answer in answers]
    asked = [one for _, one in answers[0].rounds]
    return null_of_maximum(attackers, asked, shuffles, generator_of(seed, "shuffled identities", purpose))


def _largest(nulls: Sequence[Null]) -> Null:
    matched, top = (
        np.fmax.reduce([getattr(each, name) for each in nulls]) for name in ("matched_auc", "top_1")
    )  # fmt: skip
    return Null(matched, top)


def _best(answers: Sequence[_Answers], null: Null, everybody: NDArray[np.int64]) -> Best:
    rows = [answer.row for answer in answers]
    by_auc = _strongest(rows, [row.found.matched_auc for row in rows]) or rows[0]
    first = _strongest(rows, [row.found.patient_top[1] for row in rows])
    sharp = _strongest(rows, [row.found.tpr_at_1 for row in rows])
    best = next(answer for answer in answers if answer.row is by_auc)
    draws = matched_draws(best.rounds, everybody, PAIRED_DRAWS, generator_of(0, "plane"))
    bound, top = null.bounds(NULL_LEVEL)
    return Best(by_auc, bound, first, top, sharp, draws)


def _strongest(rows: Sequence[RecognizerRow], values: Sequence[float]) -> RecognizerRow | None:
    """The first one of the largest value; None where there is none."""
    known = [(value, -place) for place, value in enumerate(values) if np.isfinite(value)]
    return rows[-max(known)[1]] if known else None


def _metadata(rows: Sequence[RecognizerRow]) -> dict[str, RecognizerRow]:
    """Of each question on the release the best row of the attacker who sees no pixels."""
    found: dict[str, RecognizerRow] = {}
    for question in Question:
        own = [row for row in rows if row.recognizer == METADATA and row.question == question != Question.RAW]
        best = _strongest(own, [row.found.matched_auc for row in own])
        if best is not None:
            found[question.value] = best
    return found


def _controls(
    raw: Best | None, nulls: Mapping[Question, Null], again: Mapping[Question, Null]
) -> dict[str, bool | None]:
    """Whether the untouched images are linked, and whether one more shuffle is within what all others reach."""
    linked = None if raw is None else raw.above_null or raw.top_1_above_null
    within: bool | None = None
    values = [(again[question].matched_auc, nulls[question].matched_auc) for question in nulls]
    if values:
        one, every = (float(np.fmax.reduce([np.fmax.reduce(each[side]) for each in values])) for side in (0, 1))
        within = one <= every if np.isfinite(one) and np.isfinite(every) else None
    return {RAW_LINKED: linked, SHUFFLED_AT_NULL: within}


def _undone(
    plan: RecognitionPlan, results: Mapping[Key, Result], unavailable: Sequence[Availability]
) -> tuple[Undone, ...]:
    found = [
        Undone(recognizer.name, learned.value, one.name, result.status.value, result.reason)
        for recognizer in plan.recognizers for learned in modes(recognizer) for one in plan.rounds
        if (result := results[unit_key(one.name, recognizer.name, learned)]).status is not Status.DONE
    ]  # fmt: skip
    return (*found, *(Undone(each.name, "", "", "unavailable", each.told) for each in unavailable))
