"""Likeness by what stands beside the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from medveil.attacks.reidentification.metadata import GROUP, Metadata
from medveil.attacks.reidentification.recognizer import Known, Learned, View
from medveil.metrics.ranking import auc

_BLANK = np.zeros((2, 2), np.float32)


def view(**facts):
    return View(_BLANK, 0, facts)


def people(count, seed, told):
    """Two images of each: a function says what stands beside one, by the person's own generator and that of the day."""
    return [
        Known(number, view(**told(np.random.default_rng([seed, number]), np.random.default_rng([seed, number, visit]))))
        for number in range(count)
        for visit in range(2)
    ]


def judged(told, count=60):
    recognition = Metadata().fit(people(count, 1, told), Learned.REAL, None, 0)
    seen = people(count, 2, told)
    found = recognition.scores([each.real for each in seen[::2]], [each.real for each in seen[1::2]])
    assert np.isfinite(found).all()
    return auc(found.ravel(), np.eye(count, dtype=bool).ravel())


def test_numbers_that_stay_near_and_words_that_stay_find_people():
    assert judged(lambda own, now: {"width": own.uniform(300, 500) + now.normal(0, 3)}) > 0.9
    assert judged(lambda own, now: {"sex": str(own.choice(["F", "M"]))}) == pytest.approx(0.75, abs=0.06)
    both = judged(lambda own, now: {"sex": str(own.choice(["F", "M"])), "width": own.uniform(0, 50) + now.normal(0, 9)})
    assert both > 0.8


def test_what_is_drawn_anew_each_time_is_at_chance():
    assert abs(judged(lambda own, now: {"bytes": float(now.uniform(0, 999)), "name": now.bytes(4).hex()}) - 0.5) < 0.1


def test_a_rare_word_tells_more_than_a_common_one():
    def told(own, now):
        return {"view": "AP" if own.random() < 0.1 else "PA"}

    found = Metadata().fit(people(80, 3, told), Learned.REAL, None, 0)
    rare, common = view(view="AP"), view(view="PA")
    likeness = found.scores([rare, common], [rare, common])
    assert likeness[0, 0] > likeness[1, 1] > 0 > likeness[0, 1]
    assert found.scores([view(view="LL")], [view(view="LL")])[0, 0] > likeness[0, 0]


def test_a_fact_that_one_file_lacks_and_the_number_of_a_group_tell_nothing():
    found = Metadata().fit(people(30, 4, lambda own, now: {"age": own.integers(90), GROUP: 1.0}), Learned.REAL, None, 0)
    likeness = found.scores([view(age=30.0, group=1.0), view()], [view(), view(group=1.0), view(age=30.0)])
    assert likeness[0, 2] > 0
    assert not likeness[0, :2].any()
    assert not likeness[1].any()


def test_without_a_second_image_facts_are_taken_to_stay():
    own = [Known(number, view(width=float(number)), (view(width=float(number)),)) for number in range(20)]
    for learned in Learned:
        found = Metadata().fit(own, learned, None, 0)
        likeness = found.scores([view(width=4.0)], [view(width=4.0), view(width=11.0)])
        assert likeness[0, 0] > likeness[0, 1], learned


def test_both_holds_real_files_against_released_ones():
    """A method that doubles a number: what is alike of one person is learned for the side it is on."""
    generator = np.random.default_rng(8)
    widths = generator.uniform(100, 200, 40)
    own = [Known(n, view(width=width), (view(width=width, kind="made"),)) for n, width in enumerate(widths)]
    found = Metadata().fit(own, Learned.RELEASED, None, 0)
    assert found.scores([view(kind="made")], [view(kind="made")])[0, 0] == pytest.approx(0.0, abs=0.2)
