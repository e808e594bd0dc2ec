"""A sample is kept to the last bit, and in a form that runs no program."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from medveil.audit.keeping import bytes_of, sample_of
from medveil.audit.outcome import Example, Pairs, Sample


def test_a_sample_comes_back_as_it_was():
    generator = np.random.default_rng(0)
    picture = generator.uniform(0, 255, (8, 8)).astype(np.float32)
    numbers = np.arange(3)
    pairs = Pairs(generator.random(4).astype(np.float32), np.array([True, False, True, False]), np.ones((4, 2), int))
    table = generator.random((3, 2))
    table[1] = np.nan
    sample = Sample(
        "unet", "sealed", numbers, numbers, {"psnr": table}, pairs, {"top_1": 1 / 3, "gallery": float("nan")},
        (Example(2, picture, picture + 1, picture * 2),), "", 1.25,
    )  # fmt: skip
    found = sample_of(bytes_of(sample))
    np.testing.assert_array_equal(found.values["psnr"], table)
    np.testing.assert_array_equal(found.pairs.score, pairs.score)
    assert found.pairs.score.dtype == np.float32
    assert found.pairs.same.tolist() == pairs.same.tolist()
    assert found.extra["top_1"] == 1 / 3
    assert np.isnan(found.extra["gallery"])
    assert found.examples[0].number == 2
    assert (found.examples[0].baseline == picture * 2).all()
    assert (found.attack, found.mechanism, found.refusal, found.seconds) == ("unet", "sealed", "", 1.25)


def test_a_refusal_comes_back_as_it_was():
    none = np.zeros(0, np.int64)
    found = sample_of(bytes_of(Sample("unet", "sealed", none, none, refusal="it makes no sense")))
    assert found.refusal == "it makes no sense"
    assert found.pairs is None
    assert not found.values
    assert not found.examples


def test_pickles_are_refused():
    with pytest.raises(ValueError, match=r"[Pp]ickle"):
        sample_of(pickle.dumps({"plain": b""}))
