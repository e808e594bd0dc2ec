"""Classification: questions, splits, scores, and a network that learns what is there and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medveil.datasets.splits import Split, splits
from medveil.errors import UsageError
from medveil.experiments.unit import Status
from medveil.experiments.unit_store import UnitStore
from medveil.metrics.inference import Standing, non_inferiority, run_draws, training_chance
from medveil.metrics.ranking import auc_draws
from medveil.networks.classifiers import build_classifier, classifier_names
from medveil.tasks.classification import Classification, _questions, _Ready
from medveil.tasks.classification_scores import RunOdds, scored
from medveil.tasks.comparisons import Asked, ClassGroup, groups
from medveil.tasks.image_sets import ORIGINAL, Gallery, TaskImage
from medveil.tasks.results import TaskResult
from medveil.tasks.shortcut_baselines import guess_by_group, guess_by_size
from medveil.tasks.task import Assignment, TaskEffort, do_task

_EFFORT = TaskEffort(
    seeds=2, classifier="densenet121", segmenter="unet", classify_side=32, segment_side=32, classify_epochs=0.5,
    segment_epochs=1, resamples=200, radiomics_images=10,
)  # fmt: skip
_CLASSES = ("normal", "bacterial_pneumonia", "viral_pneumonia")


def _images(labels: Sequence[str], source: str = "ward", *, first: int = 0, folds: bool = False) -> list[TaskImage]:
    """One image a patient, except that every fifth has a second one."""
    return [
        TaskImage(
            first + index, first + (index - 1 if index % 5 == 4 else index), source, "AP", label,
            ("train", "train", "val", "test")[(first + index - (index % 5 == 4)) % 4] if folds else "",
        )
        for index, label in enumerate(labels)
    ]  # fmt: skip


def _nothing(_: int) -> NDArray[np.bool_]:
    raise AssertionError("no mask is asked for")


def test_questions_of_one_data_set_are_those_of_the_paper() -> None:
    images = _images(["normal", "bacterial_pneumonia", "viral_pneumonia"] * 30)
    (group,) = groups(images)
    assert [asked.name for asked in group.asked] == [
        "all", "normal-vs-bacterial_pneumonia", "normal-vs-viral_pneumonia",
        "bacterial_pneumonia-vs-viral_pneumonia", "normal-vs-rest",
    ]  # fmt: skip
    assert all(not asked.caution for asked in group.asked)


def test_a_class_of_few_patients_is_not_asked_for() -> None:
    assert groups(_images(["normal"] * 30 + ["viral_pneumonia"] * 10)) == ()


def test_a_label_alone_in_its_data_set_is_asked_for_with_a_caution() -> None:
    images = _images(list(_CLASSES) * 30) + _images(["covid19"] * 30, "clinic", first=200)
    within, across = groups(images)
    assert within.name == "ward"
    assert {asked.name for asked in across.asked} == {
        *(f"{name}-vs-covid19" for name in _CLASSES), "others-vs-covid19",
    }  # fmt: skip
    for asked in across.asked:
        assert "Confounded" in asked.caution
        assert "clinic" in asked.caution


@pytest.mark.parametrize("folds", [False, True])
def test_no_patient_is_on_two_sides(folds: bool) -> None:
    images = _images(["normal", "viral_pneumonia"] * 40, folds=folds)
    patients = np.array([image.patient for image in images])
    found = splits(images, 5, 1)
    for run in found:
        sides = [set(patients[part].tolist()) for part in (run.train, run.validation, run.test)]
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
        assert sum(map(len, (run.train, run.validation, run.test))) == len(images)
    tested = np.concatenate([run.test for run in found])
    if folds:
        assert all((run.test == found[0].test).all() for run in found)
    else:
        assert sorted(tested) == list(range(len(images)))


def test_auc_draws_are_the_aucs_of_repeated_images() -> None:
    generator = np.random.default_rng(3)
    score, truth = generator.integers(0, 6, 40).astype(float), generator.random(40) < 0.4
    weights = generator.integers(0, 4, (20, 40)).astype(np.float32)
    expected = [roc_auc_score(np.repeat(truth, row.astype(int)), np.repeat(score, row.astype(int))) for row in weights]
    assert np.allclose(auc_draws(score, truth, weights), expected)
    assert np.isnan(auc_draws(score, truth, weights * truth)).all()


def test_scores_by_hand() -> None:
    odds = np.log([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.3, 0.1, 0.6], [0.6, 0.2, 0.2]])
    targets = np.array([0, 1, 1, 2, 2])
    none = np.zeros(0, np.int64)
    run = RunOdds(np.arange(5), odds, none, np.zeros((0, 3)))
    whole = np.ones((1, 5), np.float32)
    pair = scored(Asked("", "", ("a",), ("b", "c")), "abc", targets, [run], whole)
    assert pair.runs[0] == pytest.approx([1.0, 0.8, 0.75, 1.0])
    every = scored(Asked("", ""), "abc", targets, [run], whole)
    assert every.runs[0, 1] == pytest.approx(0.8)
    assert every.runs[0, 0] == pytest.approx((1 + 1 + 4 / 6) / 3)
    assert pair.draws[:, 0, 0] == pytest.approx(pair.runs[0])


def test_what_sees_no_picture_finds_what_the_view_tells() -> None:
    views = ["AP"] * 50 + ["PA"] * 50
    targets = np.array([0] * 45 + [1] * 5 + [1] * 45 + [0] * 5)
    learned = np.arange(0, 100, 2)
    said = guess_by_group(views, targets, 2, learned, np.array([1, 99]))
    assert np.exp(said).sum(axis=1) == pytest.approx([1, 1])
    assert said[0, 0] > said[0, 1]
    assert said[1, 1] > said[1, 0]
    shapes = np.stack([np.where(targets == 1, 300.0, 200.0), np.full(100, 250.0)], axis=1)
    by_size = guess_by_size(shapes, targets, 2, learned, np.arange(1, 100, 2))
    assert (by_size.argmax(axis=1) == targets[1::2]).all()


def test_non_inferiority_needs_the_whole_bound() -> None:
    draws = np.random.default_rng(0).normal(-0.005, 0.005, 4000)
    assert non_inferiority(-0.005, draws, 0.02, 60).standing is Standing.NON_INFERIOR
    assert non_inferiority(-0.005, draws, 0.01, 60).standing is Standing.INCONCLUSIVE
    assert non_inferiority(-0.05, draws - 0.045, 0.02, 60).standing is Standing.INFERIOR
    assert non_inferiority(0.0, np.full(3, np.nan), 0.02, 60).standing is Standing.INCONCLUSIVE
    assert non_inferiority(0.0, np.array([0.0] * 9 + [np.nan]), 0.02, 60).standing is Standing.INCONCLUSIVE
    with pytest.raises(ValueError, match="above 0"):
        non_inferiority(0.0, draws, 0.0, 60)


def test_drawn_runs_vary_as_new_ones_would() -> None:
    weights = run_draws(5, 20_000, np.random.default_rng(0))
    assert np.allclose(weights.sum(axis=1), 5)
    values = np.array([0.1, 0.4, 0.5, 0.7, 0.9])
    assert (weights @ values / 5).std() == pytest.approx(values.std(ddof=1) / np.sqrt(5), rel=0.03)
    assert training_chance(values) == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert training_chance(np.array([0.3])) == 0
    assert (run_draws(1, 3, np.random.default_rng(0)) == 1).all()


def test_draws_that_never_differ_are_no_certainty() -> None:
    still = np.zeros(1000)
    assert non_inferiority(0.0, still, 0.02, 19).standing is Standing.INCONCLUSIVE
    assert np.isnan(non_inferiority(0.0, still, 0.02, 19).lower)
    assert non_inferiority(0.0, still, 0.02, 20).lower < -0.02
    assert non_inferiority(0.0, still, 0.02, 60).standing is Standing.NON_INFERIOR
    few, many = non_inferiority(0.0, still, 0.02, 30), non_inferiority(0.0, still, 0.02, 300)
    assert few.lower < many.lower < 0 < many.upper < few.upper


def test_few_patients_or_a_network_that_learned_nothing_decide_nothing() -> None:
    odds = np.random.default_rng(1).normal(size=(100, 2))
    for labels, good in (
        (["normal", "ill"] * 50, True),
        (["normal", "ill"] * 50, False),
        (["normal"] * 85 + ["ill"] * 15, True),
    ):
        images = _images(labels)
        black = {name: lambda _: np.zeros((8, 8), np.float32) for name in (ORIGINAL, "coarse")}
        gallery = Gallery(images, black, _nothing)
        group = ClassGroup("ward", tuple(range(100)), ("normal", "ill"), (Asked("a", "a", ("normal",), ("ill",)),))
        targets = np.array([int(label == "ill") for label in labels])
        split = (Split(np.arange(0), np.arange(0), np.arange(100), 0),)
        said = odds + (9 * np.eye(2)[targets] if good else 0)
        run = RunOdds(np.arange(100), said, np.arange(0), np.zeros((0, 2)))
        ready = _Ready(group, tuple(images), targets, split, False)
        matrix = {(ORIGINAL, ORIGINAL): [run], ("coarse", "coarse"): [run]}
        (question,) = _questions(ready, matrix, Assignment(gallery, _EFFORT))
        compared = question.cell("coarse", "coarse").compared
        assert compared is not None
        decided = good and labels.count("ill") == 50
        assert compared.standing is (Standing.NON_INFERIOR if decided else Standing.INCONCLUSIVE)
        assert ("Not decided" in question.caution) is not decided


def test_an_unknown_network_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="densenet121") as caught:
        build_classifier("densenet12", 2)
    assert "densenet121" in caught.value.hint
    assert "resnet18" in classifier_names()


def _gallery(shown: bool, *, sizes: bool = False) -> Gallery:
    """Two classes; where `shown` is false the picture has nothing to do with the class."""
    images = _images(["normal", "viral_pneumonia"] * 50, folds=True)
    generator = np.random.default_rng(7)
    rows, columns = np.mgrid[:40, :44]
    pictures = []
    for image in images:
        ill = image.label != "normal" if shown else generator.random() < 0.5
        blob = 120 * np.exp(-((rows - (28 if ill else 12)) ** 2 + (columns - 22) ** 2) / 40)
        noise = generator.normal(80, 15, rows.shape)
        pictures.append((blob + noise).astype(np.float32)[: 40 - 2 * (sizes and ill)])
    blurred = [picture.round(-1) for picture in pictures]
    return Gallery(images, {"coarse": blurred.__getitem__, ORIGINAL: pictures.__getitem__}, _nothing)


def _run(gallery: Gallery, effort: TaskEffort = _EFFORT, store: UnitStore | None = None) -> TaskResult:
    return do_task(Classification(), Assignment(gallery, effort, seed=5), store)


@pytest.mark.slow  # tests/audit/test_tasks.py interrupts a task by default
def test_goes_on_after_a_break(tmp_path: Path) -> None:
    gallery = _gallery(shown=True)
    whole, store = _run(gallery), UnitStore(tmp_path, {})
    for unit in Classification().units(Assignment(gallery, _EFFORT, seed=5))[:2]:
        store.keep(unit.key, unit.attempt())
    found = _run(gallery, store=store)
    assert len(list(tmp_path.iterdir())) == 4
    (question,) = found.questions
    assert question.name == "ward/normal-vs-viral_pneumonia"
    assert {(cell.train, cell.test) for cell in question.cells} == {
        (train, test) for train in (ORIGINAL, "coarse") for test in (ORIGINAL, "coarse")
    }
    assert question.cell(ORIGINAL, ORIGINAL).compared is None
    assert question.cell("coarse", "coarse").compared is not None
    assert repr(whole.questions[0].cells) == repr(question.cells)


@pytest.mark.parametrize("shown", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_learns_what_is_there_and_nothing_where_nothing_is(shown: bool) -> None:
    gallery = _gallery(shown)
    single = Gallery(gallery.images, {ORIGINAL: lambda number: gallery.picture(ORIGINAL, number)}, _nothing)
    found = _run(single, replace(_EFFORT, seeds=1, classify_epochs=4))
    area = found.questions[0].cell(ORIGINAL, ORIGINAL).values["auc"]
    if shown:
        assert area.mean > 0.9
    else:
        assert area.ci[0] < 0.5 < area.ci[1]


def test_without_labels_it_says_what_is_needed() -> None:
    images = [TaskImage(number, number) for number in range(40)]
    gallery = Gallery(images, {ORIGINAL: lambda _: np.zeros((8, 8), np.float32)}, _nothing)
    found = _run(gallery)
    assert found.status is Status.REFUSED
    assert "column label" in found.refusal
    assert found.questions == ()
