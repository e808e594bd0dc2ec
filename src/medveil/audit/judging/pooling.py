"""Merging: the rounds of an audit, and its repetitions, as one sample an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medveil.audit.results import ROUNDS_FAILED, ROUNDS_REFUSED, Example, Pairs, Sample
from medveil.audit.scores.attack_scores import PARTNER
from medveil.experiments.unit import Status
from medveil.metrics.ranking import share_below

_EXAMPLES = 3


def merged(repeats: Sequence[Sequence[Sample]]) -> Sample:
    """One sample of an attack that ran in several rounds, and the same rounds several times.

    Rounds have different images: their values stand one after the other. The likeness of a pair is that of one
    attacker, and attackers of different rounds have different scales: where there are several rounds it is replaced
    by the share of the round's pairs of two patients that are less alike. Repetitions have the same images: values
    and likeness are means over them.

    Args:
        repeats: for each repetition the samples of its rounds, in one order.
    """
    return _averaged([_joined(samples) for samples in repeats])


def partners_of(samples: Sequence[Sample]) -> dict[str, int]:
    """How the other packages were found, by the first sample that tells."""
    for sample in samples:
        found = {name: int(count) for name, count in sample.extra.items() if name.startswith(PARTNER)}
        if found:
            return {name.removeprefix(PARTNER): count for name, count in sorted(found.items())}
    return {}


def without_partners(sample: Sample) -> Sample:
    """The same without these counts: they are of the audit, and not of the attack."""
    return replace(sample, extra={name: value for name, value in sample.extra.items() if not name.startswith(PARTNER)})


def _joined(samples: Sequence[Sample]) -> Sample:
    ran, worst = _done(samples)
    if len(samples) == 1 or not ran:
        return worst
    names = sorted({name for sample in ran for name in sample.values})
    values = {name: np.concatenate([_column(sample, name) for sample in ran]) for name in names}
    linked = [_levelled(sample.pairs) for sample in ran if sample.pairs is not None]
    pairs = None
    if linked:
        pairs = Pairs(
            np.concatenate([each.score for each in linked]),
            np.concatenate([each.same for each in linked]),
            np.concatenate([each.patients for each in linked]),
        )
    extra = _means([sample.extra for sample in ran])
    for name in [name for name in extra if name.startswith(PARTNER)]:
        extra[name] = sum(sample.extra.get(name, 0.0) for sample in ran)
    extra |= _undone(samples)
    return Sample(
        ran[0].attack, ran[0].mechanism, np.concatenate([sample.subjects for sample in ran]),
        np.concatenate([sample.patients for sample in ran]), values, pairs, extra, _examples(ran),
        refusal=_failure(samples), seconds=sum(sample.seconds for sample in samples),
    )  # fmt: skip


def _averaged(samples: Sequence[Sample]) -> Sample:
    ran, worst = _done(samples)
    if not ran:
        return worst
    count = sum((each.status is Status.FAILED) + each.extra.get(ROUNDS_FAILED, 0.0) for each in samples)
    failed = {ROUNDS_FAILED: float(count)} if count else {}
    alike = [sample for sample in ran if np.array_equal(sample.subjects, ran[0].subjects)]
    if len(alike) < 2:
        return replace(ran[0], extra={**ran[0].extra, **failed}, refusal=_failure(samples)) if failed else ran[0]
    names = [name for name in ran[0].values if all(name in sample.values for sample in alike)]
    values = {name: np.mean([sample.values[name] for sample in alike], axis=0) for name in names}
    linked = [sample.pairs for sample in alike if sample.pairs is not None]
    pairs = linked[0] if linked else None
    if pairs is not None and all(np.array_equal(each.patients, pairs.patients) for each in linked):
        score = np.mean([each.score for each in linked], axis=0).astype(np.float32)
        pairs = Pairs(score, pairs.same, pairs.patients)
    return Sample(
        ran[0].attack, ran[0].mechanism, ran[0].subjects, ran[0].patients, values, pairs,
        _means([sample.extra for sample in alike]) | failed, ran[0].examples, refusal=_failure(samples),
        seconds=sum(sample.seconds for sample in samples),
    )  # fmt: skip


def _done(samples: Sequence[Sample]) -> tuple[list[Sample], Sample]:
    """Those that were done; and one to stand for all where none was: that of a failure, if there is any."""
    done = [sample for sample in samples if sample.status is Status.DONE]
    return done, next((sample for sample in samples if sample.status is Status.FAILED), samples[0])


def _failure(samples: Sequence[Sample]) -> str:
    """Why the first one failed that did; of several rounds that were merged one may have, though others were done."""
    failed = (sample for sample in samples if sample.status is Status.FAILED or ROUNDS_FAILED in sample.extra)
    return next((sample.refusal for sample in failed), "")


def _undone(samples: Sequence[Sample]) -> dict[str, float]:
    """How many were refused, and how many failed, where any was."""
    kinds = ((ROUNDS_REFUSED, Status.REFUSED), (ROUNDS_FAILED, Status.FAILED))
    counts = {name: float(sum(sample.status is status for sample in samples)) for name, status in kinds}
    return {name: count for name, count in counts.items() if count}


def _column(sample: Sample, name: str) -> NDArray[np.float64]:
    return sample.values[name] if name in sample.values else np.full((len(sample.subjects), 2), np.nan)


def _levelled(pairs: Pairs) -> Pairs:
    """Likeness as the share of pairs of two patients that are less alike; equal ones count half."""
    return Pairs(share_below(pairs.score, pairs.score[~pairs.same]).astype(np.float32), pairs.same, pairs.patients)


def _means(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = sorted({name for table in tables for name in table})
    return {name: float(np.mean([table[name] for table in tables if name in table])) for name in names}


def _examples(samples: Sequence[Sample]) -> tuple[Example, ...]:
    """As many as one round has: the first of each in turn, then the second."""
    places = max(len(sample.examples) for sample in samples)
    every = [sample.examples[place] for place in range(places) for sample in samples if place < len(sample.examples)]
    return tuple(every[:_EXAMPLES])
