"""Recognizers that train: they learn to know invented people again, from what they are told to learn from."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.attacks.registry import RECOGNIZERS  # noqa: E402
from medveil.attacks.reidentification.pair_training import LEAST_PEOPLE, OwnPairs  # noqa: E402
from medveil.attacks.reidentification.recognizer import Known, Learned, RecognizerEffort, View  # noqa: E402
from medveil.attacks.reidentification.retrieval import Memory  # noqa: E402
from medveil.errors import InputError, UsageError  # noqa: E402
from medveil.mechanisms.working_pictures import resized  # noqa: E402
from medveil.metrics.ranking import auc  # noqa: E402

SIDE = 32
PUBLISHED = ("siamese", "retrieval")
RAMP = np.broadcast_to(np.arange(SIDE, dtype=np.float32) * 4, (SIDE, SIDE))


def effort(steps, network="resnet18"):
    return RecognizerEffort(SIDE, steps, batch=32, network=network, key_points=0, pairs=0)


def field(seed, points):
    coarse = np.random.default_rng(seed).normal(size=(points, points)).astype(np.float32)
    return resized(coarse, SIDE, SIDE, smooth=True)


def picture(patient, visit):
    """A person is coarse; what changes from visit to visit is fine and stronger, and an untrained network sees it."""
    return 128 + 15 * field([8, patient], 4) + 30 * field([9, patient, visit], 11)


def known(patients, visits=2, stratum=0):
    return [Known(n, View(picture(n, visit), stratum)) for n in range(patients) for visit in range(visits)]


def linkage(recognition, people):
    """AUC over pairs of pictures of some people."""
    views = [View(picture(patient, visit)) for patient in people for visit in range(2)]
    scores, patients = recognition.scores(views, views), np.repeat(people, 2)
    first, second = np.triu_indices(len(views), 1)
    return auc(scores[first, second], patients[first] == patients[second])


@pytest.mark.parametrize(
    ("name", "steps", "people"),
    [
        ("contrastive", 25, range(100, 120)),
        pytest.param("siamese", 200, range(24), marks=pytest.mark.slow),  # 0.57 to 0.62 of strangers after so few steps
        pytest.param("retrieval", 100, range(24), marks=pytest.mark.slow),  # likewise
    ],
)
def test_it_learns_to_know_people_again(name, steps, people):
    recognizer = RECOGNIZERS.make(name)
    before, after = (linkage(recognizer.fit(known(24), Learned.REAL, effort(count), 3), people) for count in (0, steps))
    assert after > before + 0.05
    assert after > 0.63


@pytest.mark.parametrize("name", ["contrastive", *(pytest.param(each, marks=pytest.mark.slow) for each in PUBLISHED)])
def test_a_seed_decides_everything(name):
    recognizer, views = RECOGNIZERS.make(name), [each.real for each in known(3)]
    first, second, other = (
        recognizer.fit(known(6), Learned.REAL, effort(2), seed).scores(views, views) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("learned", "kinds"),
    [
        (Learned.REAL, {("real", "real")}),
        (Learned.RELEASED, {("released", "released")}),
        (Learned.BOTH, {(one, other) for one in ("real", "released") for other in ("real", "released")}),
    ],
)
def test_pairs_are_of_the_kinds_that_are_learned_from(learned, kinds):
    own = [Known(n // 2, View(RAMP), (View(RAMP.T), View(RAMP.T + 3))) for n in range(2 * LEAST_PEOPLE)]
    pairs = OwnPairs(own, learned, SIDE)
    generator = np.random.default_rng(0)
    drawn = torch.cat([pairs.draw(LEAST_PEOPLE, 1, generator).pictures[:, 0] for _ in range(8)])
    across = drawn[:, :, -1].mean(1) - drawn[:, :, 0].mean(1)
    down = drawn[:, -1].mean(1) - drawn[:, 0].mean(1)
    found = np.where((across > down).numpy(), "real", "released").reshape(-1, 2, LEAST_PEOPLE)
    assert {(str(one), str(other)) for batch in found for one, other in batch.T} == kinds


def test_a_batch_is_of_different_people_of_one_stratum_and_half_have_several_images():
    alone = [Known(100 + n, View(RAMP, 0)) for n in range(20)]
    several = [Known(200 + n // 2, View(RAMP.T, 0)) for n in range(20)]
    elsewhere = [Known(300 + n, View(RAMP, 1)) for n in range(LEAST_PEOPLE)]
    few = [Known(400 + n, View(RAMP, 2)) for n in range(LEAST_PEOPLE - 1)]
    pairs, generator = OwnPairs([*alone, *several, *elsewhere, *few], Learned.REAL, SIDE), np.random.default_rng(0)
    seen = set()
    for _ in range(20):
        batch = pairs.draw(12, 1, generator)
        people = batch.patients.numpy() // 100
        assert len(set(batch.patients.tolist())) == len(people) == len(batch.pictures) // 2
        assert set(people) == {3} or np.sum(people == 2) >= 6
        assert not (batch.patients == batch.patients[batch.strangers]).any()
        seen |= set(people.tolist())
    assert seen == {1, 2, 3}


@pytest.mark.parametrize("name", ["contrastive", *PUBLISHED])
def test_too_few_people_are_refused(name):
    own = [*known(LEAST_PEOPLE - 1), *known(LEAST_PEOPLE - 1, stratum=1)]
    with pytest.raises(InputError, match=f"{LEAST_PEOPLE} or more people of one data set") as refused:
        RECOGNIZERS.make(name).fit(own, Learned.REAL, effort(1), 0)
    assert refused.value.hint


def test_released_pictures_are_needed_where_they_are_learned_from():
    with pytest.raises(InputError):
        OwnPairs(known(8), Learned.RELEASED, SIDE)


def test_a_resnet_has_to_be_one_that_there_is():
    with pytest.raises(UsageError, match="resnet18, resnet34, resnet50"):
        RECOGNIZERS.make("siamese").fit(known(4), Learned.REAL, effort(1, "resnet19"), 0)


def test_memory_holds_earlier_people_against_a_batch():
    away, near = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    memory = Memory()
    assert float(memory.loss(away, torch.tensor([1, 2]))) == 0.0  # further apart than the margin
    assert float(memory.loss(near[1:], torch.tensor([3]))) > 0.2  # near the first of those before it
    other = Memory()
    other.loss(away, torch.tensor([1, 2]))
    same = other.loss(near[:1], torch.tensor([2]))  # the second of those before it, and far from it
    assert float(same) > 1.4
