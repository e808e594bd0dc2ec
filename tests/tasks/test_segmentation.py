"""Segmentation: ellipses are learned, other people's masks are not, and an interrupted matrix goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from medveil.experiments.progress import Progress  # noqa: E402
from medveil.experiments.unit import Status  # noqa: E402
from medveil.experiments.unit_store import UnitStore  # noqa: E402
from medveil.metrics.inference import Standing  # noqa: E402
from medveil.metrics.overlap import MEASURES, overlap  # noqa: E402
from medveil.networks import segmenters  # noqa: E402
from medveil.networks.segmenters import Segmenter  # noqa: E402
from medveil.tasks.image_sets import ORIGINAL, Gallery, TaskImage  # noqa: E402
from medveil.tasks.results import TaskResult  # noqa: E402
from medveil.tasks.segmentation import Segmentation  # noqa: E402
from medveil.tasks.segmentation_scores import cells_of, chance_of  # noqa: E402
from medveil.tasks.segmenter_training import learn_region, region_found  # noqa: E402
from medveil.tasks.task import Assignment, TaskEffort, do_task  # noqa: E402
from medveil.training.augmentation import Recipe, square, standardised  # noqa: E402

SHAPE = (44, 36)
LIGHT = "light"  # one of its own, so that a training takes a second
EFFORT = TaskEffort(
    seeds=2, classifier="densenet121", segmenter=LIGHT, classify_side=32, segment_side=32, classify_epochs=1,
    segment_epochs=12, resamples=200, radiomics_images=10,
)  # fmt: skip


def ellipses(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    top, left = generator.uniform(14, 28), generator.uniform(8, 14)
    apart, height, width = generator.uniform(12, 15), generator.uniform(7, 11), generator.uniform(3.5, 5.5)
    return np.logical_or.reduce([
        ((rows - top) / height) ** 2 + ((columns - place) / width) ** 2 < 1 for place in (left, left + apart)
    ])  # fmt: skip


def chest(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed + 10_000)
    picture = np.where(ellipses(seed), 60.0, 150.0) + generator.normal(0, 12, SHAPE)
    return np.clip(picture + generator.normal(0, 15), 0, 255).astype(np.float32)


def blurred(seed: int) -> np.ndarray:
    picture = chest(seed)
    return ((picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1)) / 3).astype(np.float32)


def gallery(
    count: int = 48, mask_of: Callable[[int], int] = lambda number: number, masked: int | None = None,
    opened: Callable[[int], np.ndarray] | None = blurred, fold: bool = True, sources: int = 1,
) -> Gallery:  # fmt: skip
    folds = ("train", "train", "train", "val", "test") if fold else ("",)
    images = [
        TaskImage(
            number, number // 2, source=f"s{number // 2 % sources}", fold=folds[number // 2 % len(folds)],
            masked=masked is None or number < masked,
        )
        for number in range(count)
    ]  # fmt: skip
    sets = {ORIGINAL: chest} | ({"opened": opened} if opened is not None else {})
    return Gallery(images, sets, lambda number: ellipses(mask_of(number)))


def assigned(**changes: object) -> Assignment:
    return Assignment(**({"gallery": gallery(), "effort": EFFORT} | changes))  # type: ignore[arg-type]


def done(store: UnitStore | None = None, **changes: object) -> TaskResult:
    return do_task(Segmentation(), assigned(**changes), store)


@pytest.fixture(scope="module", autouse=True)
def _light() -> Iterator[None]:
    from monai.networks.nets.unet import UNet

    def build() -> Segmenter:
        return Segmenter(UNet(2, 1, 1, [8, 16, 32], [2, 2], norm="BATCH"), 4)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(segmenters.SEGMENTERS._registered, LIGHT, build)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> UnitStore:
    return UnitStore(tmp_path_factory.mktemp("units"), {})


@pytest.fixture(scope="module")
def result(store: UnitStore) -> TaskResult:
    return done(store)


def test_lungs_are_found_in_both_sets(result: TaskResult) -> None:
    (question,) = result.questions
    assert (question.name, question.metric, question.images, question.patients) == ("lungs", "dice", 8, 4)
    assert [(cell.train, cell.test) for cell in question.cells] == [
        (ORIGINAL, ORIGINAL), (ORIGINAL, "opened"), ("opened", ORIGINAL), ("opened", "opened"),
    ]  # fmt: skip
    for cell in question.cells:
        assert tuple(cell.values) == MEASURES
        dice = cell.values["dice"]
        assert dice.ci[0] <= dice.mean <= dice.ci[1]
    assert question.cell(ORIGINAL, ORIGINAL).values["dice"].mean > 0.8
    assert question.cell("opened", "opened").values["dice"].mean > 0.8
    assert question.cell(ORIGINAL, ORIGINAL).compared is None
    assert question.cell("opened", "opened").compared is not None
    assert result.settings["distances"] == "pixels"


@pytest.mark.slow
def test_masks_of_others_are_not_learned(result: TaskResult) -> None:
    with_others = done(
        gallery=gallery(mask_of=lambda number: 5000 - number, opened=None), effort=replace(EFFORT, seeds=1)
    )
    lost = with_others.questions[0].cell(ORIGINAL, ORIGINAL).values["dice"].mean
    assert lost < result.questions[0].cell(ORIGINAL, ORIGINAL).values["dice"].mean - 0.15


def test_a_set_that_shows_nothing_is_inferior() -> None:
    noise = gallery(opened=lambda number: np.random.default_rng(number).normal(100, 9, SHAPE).astype("f4"), fold=False)
    even = done(gallery=noise, effort=replace(EFFORT, seeds=1, segment_epochs=12))
    cell = even.questions[0].cell("opened", "opened")
    assert cell.compared is not None
    assert cell.compared.standing is Standing.INFERIOR
    assert cell.compared.difference < -0.1


def test_overlays_are_the_ranked_images_of_the_first_run(result: TaskResult) -> None:
    assert [(shown.set_name, shown.rank) for shown in result.overlays] == [
        (ORIGINAL, "best"), (ORIGINAL, "median"), (ORIGINAL, "worst"), ("opened", "median"), ("opened", "worst"),
    ]  # fmt: skip
    best, median, worst = result.overlays[:3]
    assert best.value >= median.value >= worst.value
    for shown in result.overlays:
        assert np.array_equal(shown.truth, ellipses(shown.number))
        assert np.array_equal(shown.picture, (chest if shown.set_name == ORIGINAL else blurred)(shown.number))
        assert shown.value == pytest.approx(overlap(shown.truth, shown.found).dice)


def same(one: TaskResult, other: TaskResult) -> bool:
    masks = [
        np.array_equal(a.found, b.found) and a.number == b.number
        for a, b in zip(one.overlays, other.overlays, strict=True)
    ]
    return repr(one.questions) == repr(other.questions) and all(masks)


@pytest.mark.slow
def test_an_interrupted_matrix_goes_on_with_the_same_result(
    result: TaskResult, store: UnitStore, tmp_path: Path
) -> None:
    units, begun = Segmentation().units(assigned()), UnitStore(tmp_path, {})
    for unit in units[:3]:
        kept = store.find(unit.key)
        assert kept is not None
        begun.keep(unit.key, kept)
    told: list[str] = []
    again = do_task(Segmentation(), assigned(), begun, progress=Progress(lambda *line: told.append(line[2])))
    assert same(result, again)
    assert [unit.title for unit in units] == [
        f"segmentation: {name}, run {run} of 2" for name in (ORIGINAL, "opened") for run in (1, 2)
    ]
    assert {text for text in told if text} == {units[3].title}
    assert all(begun.find(unit.key) is not None for unit in units)


def test_other_settings_are_other_units() -> None:
    keys = {unit.key for unit in Segmentation().units(assigned())}
    for changes in ({"seed": 9}, {"effort": replace(EFFORT, segment_epochs=23)}, {"gallery": gallery(46)}):
        assert not keys & {unit.key for unit in Segmentation().units(assigned(**changes))}


def test_without_folds_each_patient_is_tested_once() -> None:
    effort = replace(EFFORT, segment_epochs=1, seeds=3)
    found = done(gallery=gallery(24, fold=False, opened=None), effort=effort)
    assert (found.questions[0].images, found.questions[0].patients) == (24, 12)


def test_sources_are_scored_apart_where_there_are_several() -> None:
    effort = replace(EFFORT, segment_epochs=1)
    found = done(gallery=gallery(84, fold=False, opened=None, sources=2), effort=effort)
    assert [(question.name, question.images) for question in found.questions] == [
        ("lungs", 84),
        ("s0/lungs", 42),
        ("s1/lungs", 42),
    ]


@pytest.mark.parametrize("masked", [0, 5])
def test_too_few_masks_are_refused_in_words(masked: int) -> None:
    found = done(gallery=gallery(masked=masked))
    assert not found.questions
    assert f"there are {masked} images with a lung mask" in found.refusal
    assert "column mask" in found.refusal
    assert found.status is Status.REFUSED


def test_a_mask_of_another_size_is_told() -> None:
    plain = gallery()
    wrong = Gallery(plain.images, {ORIGINAL: chest}, lambda number: ellipses(number)[1:])
    found = done(gallery=wrong)
    assert found.status is Status.REFUSED
    assert "43 × 36 pixels, the image 44 × 36" in found.refusal


def test_distances_are_in_mm_only_where_all_spacings_are_known(result: TaskResult) -> None:
    effort = replace(EFFORT, segment_epochs=2, seeds=1)
    plain = gallery(opened=None)
    spaced = [replace(image, spacing=(2.0, 2.0)) for image in plain.images]
    found = {}
    for name, images in {"none": plain.images, "all": spaced, "one less": [*spaced[1:], plain.images[0]]}.items():
        run = done(gallery=Gallery(images, {ORIGINAL: chest}, ellipses), effort=effort)
        found[name] = (run.settings["distances"], run.questions[0].cells[0].values["hausdorff"].mean)
    assert found["all"] == ("mm", pytest.approx(2 * found["none"][1]))
    assert found["one less"][0] == found["none"][0] == "pixels"


def test_a_network_that_learns_nothing_is_tried_again_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0 * x + 0 * self.weight - 1

    monkeypatch.setattr("medveil.tasks.segmenter_training.build_segmenter", lambda _: Dead())
    found = done(effort=replace(EFFORT, segment_epochs=1, seeds=1))
    assert any("learned nothing: 1 on original, 1 on opened" in note for note in found.notes)
    assert found.questions[0].cell(ORIGINAL, ORIGINAL).values["dice"].mean == 0


def test_cells_are_means_over_runs_then_images() -> None:
    values = np.zeros((2, 24, len(MEASURES)))
    values[:, :, 0] = [[0.9, 0.8, 0.7] * 8, [0.7, 0.8, 0.9] * 8]
    worse = values.copy()
    worse[:, :, 0] -= 0.1
    measured = {("original", "original"): values, ("original", "opened"): worse}
    chance = chance_of(np.arange(24), ["original"], 2, 500, np.random.default_rng(0))
    same_cell, other = cells_of(measured, chance, 0.02)
    assert same_cell.values["dice"].mean == pytest.approx(0.8)
    assert same_cell.values["dice"].sd == pytest.approx(0)
    assert other.compared is not None
    assert other.compared.difference == pytest.approx(-0.1)
    assert other.compared.ci == pytest.approx((-0.1, -0.1), abs=0.03)  # the same patients and runs for both
    assert other.compared.standing is Standing.INFERIOR


@pytest.mark.parametrize(("patients", "dice"), [(19, 0.9), (24, 0.4)])
def test_few_patients_or_poor_originals_decide_nothing(patients: int, dice: float) -> None:
    values = np.full((1, 24, len(MEASURES)), dice)
    chance = chance_of(np.arange(24) % patients, ["original"], 1, 200, np.random.default_rng(0))
    same = {("original", "original"): values, ("original", "opened"): values}
    compared = cells_of(same, chance, 0.02)[1].compared
    assert compared is not None
    assert compared.standing is Standing.INCONCLUSIVE


def test_what_is_found_lies_where_it_is() -> None:
    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 9 * (x - (x.max() + x.min()) / 2)

    mask = ellipses(3)
    plate = standardised(mask.astype(np.float32), 40)
    (found,) = region_found(Bright(), plate, [SHAPE])
    assert overlap(mask, found).dice > 0.95


def test_training_is_repeatable_and_leaves_torch_as_it_was() -> None:
    plates = tuple(torch.cat([make(number) for number in range(8)]) for make in (
        lambda number: standardised(chest(number), 32), lambda number: square(ellipses(number), 32)
    ))  # fmt: skip
    before = torch.random.get_rng_state()
    first, second, other = (learn_region(plates, None, Recipe(LIGHT, 32, 2, 3e-3), seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [torch.cat([w.flatten() for w in one.network.parameters()]) for one in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
