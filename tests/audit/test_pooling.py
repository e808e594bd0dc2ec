"""Rounds and repetitions of one attack as one sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medveil.audit.judging.pooling import merged, partners_of, without_partners
from medveil.audit.results import ROUNDS_FAILED, Pairs, Sample
from medveil.experiments.unit import Status


def sample(start=0, scale=1.0, psnr=(10.0, 9.0), refusal="", **extra):
    numbers = np.arange(start, start + 4)
    if refusal:
        return Sample("unet", "sealed", numbers[:0], numbers[:0], status=Status.REFUSED, refusal=refusal)
    same = np.array([True, False, False, True])
    score = (scale * np.array([0.9, 0.1, 0.3, 0.2])).astype(np.float32)
    pairs = Pairs(score, same, np.stack([numbers, numbers], axis=1))
    values = {"psnr": np.tile(np.array(psnr), (4, 1))}
    return Sample("unet", "sealed", numbers, numbers, values, pairs, extra, seconds=1.0)


def test_one_round_stays_as_it_is():
    one = sample()
    assert merged([[one]]) is one


def test_rounds_stand_one_after_the_other():
    found = merged([[sample(0, top_1=0.2), sample(4, psnr=(20.0, 19.0), top_1=0.4)]])
    assert found.subjects.tolist() == list(range(8))
    assert found.values["psnr"][:, 0].tolist() == [10.0] * 4 + [20.0] * 4
    assert found.extra == {"top_1": pytest.approx(0.3)}
    assert found.seconds == 2


def test_the_scale_of_a_rounds_likeness_does_not_matter():
    found = merged([[sample(0), sample(4, scale=1e-3)]])
    assert found.pairs.score[:4].tolist() == found.pairs.score[4:].tolist() == [1.0, 0.25, 0.75, 0.5]


def test_repetitions_are_averaged():
    found = merged([[sample(psnr=(10.0, 9.0))], [sample(psnr=(14.0, 11.0), scale=3.0)]])
    assert found.values["psnr"].tolist() == [[12.0, 10.0]] * 4
    np.testing.assert_allclose(found.pairs.score, [1.8, 0.2, 0.6, 0.4], rtol=1e-6)


def test_a_refusal_counts_only_where_no_round_was_run():
    found = merged([[sample(refusal="no images"), sample(4)]])
    assert not found.refusal
    assert found.extra["rounds_refused"] == 1
    assert len(found.subjects) == 4
    assert merged([[sample(refusal="no images"), sample(refusal="no images")]]).refusal == "no images"


def test_numbers_of_partners_are_summed_and_can_be_taken_out():
    found = merged([[sample(**{"partner none": 2.0}), sample(4, **{"partner none": 3.0, "partner simulated": 1.0})]])
    assert partners_of([sample(refusal="no"), found]) == {"none": 5, "simulated": 1}
    assert without_partners(found).extra == {}


def test_a_failure_stays_one_whatever_else_was_done():
    failed = replace(sample(refusal="ValueError"), status=Status.FAILED)
    assert merged([[sample(refusal="no images"), failed]]).status is Status.FAILED
    for repeats in ([[sample(), failed]], [[sample()], [failed]]):
        found = merged(repeats)
        assert (found.status, found.extra[ROUNDS_FAILED], found.refusal) == (Status.DONE, 1.0, "ValueError")
    found = merged([[sample(), sample(4)], [sample(), failed]])  # the second time some images were not attacked
    assert (found.extra[ROUNDS_FAILED], found.refusal, len(found.subjects)) == (1.0, "ValueError", 8)
