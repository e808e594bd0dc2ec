"""A small release whose manifest has labels, masks and folds, and tasks that are quick."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image as Picture
from tests.pictures import picture

from medveil.audit import presets
from medveil.audit.presets import TaskBudget
from medveil.errors import InputError
from medveil.experiments.unit import Product, Unit
from medveil.keys.tiers import Tier
from medveil.metrics.inference import non_inferiority
from medveil.registry import Registry
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.tasks import registry
from medveil.tasks.image_sets import ORIGINAL
from medveil.tasks.results import (
    Baseline,
    Curve,
    Estimate,
    FeatureAgreement,
    MatrixCell,
    Overlay,
    Question,
    TaskResult,
)
from medveil.tasks.task import TaskEffort

EFFORT = TaskEffort(2, "small", "small", 16, 16, 1.0, 1.0, 0, 8)


def labelled_images(root, owner, patients=6, images=2, tiers=("preview",), side=64):
    """Originals with their manifest, which names labels, masks and views, and the release of all of them.

    The mask of the first image has another size than the image, that of the second is no picture, and the third has
    none.
    """
    rows = []
    for patient in range(patients):
        for number in range(images):
            place = images * patient + number
            name, mask = f"shared/p{patient}-{number}.png", f"masks/m{patient}-{number}.png"
            for path in (root / "data" / name, root / "masks" / f"m{patient}-{number}.png"):
                path.parent.mkdir(parents=True, exist_ok=True)
            Picture.fromarray(picture(10 * patient + number, side, side)).save(root / "data" / name)
            write_mask(root / mask, place, side)
            label = " normal " if patient % 2 else "pneumonia"
            rows.append((f"data/{name}", f"patient {patient}", "north", "PA", label, "" if place == 2 else mask))
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "patient_id", "source", "view", "label", "mask"), *rows])
    settings = ShareSettings(codec="lapped", tiers=tuple(Tier(tier) for tier in tiers), jobs=1)
    share([root / "data" / "shared"], root / "release", settings, owner=owner)
    return root


def write_mask(path, place, side):
    mask = np.zeros((side, side) if place else (side + 1, side), np.uint8)
    mask[8:40, 10 : 30 + place] = 255
    mask[50, 50] = 127  # less than half
    if place == 1:
        path.write_bytes(b"no picture")
    else:
        Picture.fromarray(mask).save(path)


def use_tasks(monkeypatch, *tasks, images=100, effort=EFFORT):
    """Let audits know these tasks only, with a budget for the preset `tiny`."""
    made = {task.name: (lambda one=task: one) for task in tasks}
    monkeypatch.setattr(registry, "TASKS", Registry("task", made, hint="see medveil tasks"))
    spent = [replace(preset, tasks=TaskBudget(images, effort)) for preset in presets._PRESETS]
    monkeypatch.setattr(presets, "_PRESETS", tuple(spent))


class Brightness:
    """A task that compares mean grey values, one part a set and run; `fails` is raised when it comes to a part."""

    title, needs, measures, cost = "Telling bright from dark", "labels", "how bright", "seconds"

    def __init__(self, name="brightness", stops=None, fails=None):
        self.name, self.stops, self.fails = name, stops, fails
        self.learned, self.seen = [], []

    def _labels(self, assignment):
        return sorted({image.label for image in assignment.gallery.images} - {""})

    def units(self, assignment):
        self.seen.append(assignment.gallery)
        if not self._labels(assignment):
            raise InputError("The manifest names no label.")
        return tuple(
            Unit((name, run), "task", f"brightness: {name}, run {run + 1}", partial(self._learn, assignment, name, run))
            for name in assignment.gallery.sets for run in range(assignment.effort.seeds)
        )  # fmt: skip

    def _learn(self, assignment, name, run, tick):
        if (name, run) == self.stops:
            raise self.fails
        self.learned.append((name, run))
        tick()
        gallery = assignment.gallery
        return Product({"mean": np.array([gallery.picture(name, one.number).mean() for one in gallery.images])})

    def result(self, assignment, products):
        found = {key: product.arrays["mean"] for key, product in products.items()}
        return TaskResult(self.name, self.title, {"runs": 2}, (self._question(assignment, found),), notes=("A note.",))

    def _question(self, assignment, found):
        labels = self._labels(assignment)
        names = assignment.gallery.sets
        cells = tuple(cell(train, test, float(found[test, 0].mean()) / 255) for train in names for test in names)
        images = assignment.gallery.images
        classes = {label: sum(image.label == label for image in images) for label in labels}
        patients = len({image.patient for image in images})
        return Question("north/bright-vs-dark", "Bright against dark", classes, len(images), patients, "auc", cells)


def cell(train, test, value=0.9, loss=0.0, metric="auc"):
    """A cell of a matrix; the losses' draws are 0.01 wide."""
    generator = np.random.default_rng(len(train + test))
    compared = None
    if (train, test) != (ORIGINAL, ORIGINAL):
        compared = non_inferiority(-loss, -loss + 0.005 * generator.standard_normal(400), 0.02, 200)
    value = value - loss
    return MatrixCell(train, test, {metric: Estimate(value, 0.01, (value - 0.02, value + 0.02))}, compared)


def matrix(losses, metric="auc", value=0.9):
    """Cells of all sets: `losses` by set, of the cells that are tested or trained on it."""
    names = (ORIGINAL, *losses)
    every = {ORIGINAL: 0.0, **losses}
    return tuple(cell(train, test, value, max(every[train], every[test]), metric) for train in names for test in names)


LOSSES = {"diagnostic": 0.001, "preview": 0.09, "primis:16": 0.02}


def classification(losses=LOSSES):
    rates = np.linspace(0, 1, 9)
    curves = tuple(Curve(name, rates, rates ** (0.2 + loss)) for name, loss in {ORIGINAL: 0.0, **losses}.items())
    question = Question(
        "kermany/normal-vs-pneumonia", "kermany: normal against pneumonia", {"normal": 40, "pneumonia": 44}, 84, 70,
        "auc", matrix(losses), (Baseline("view", "view alone", Estimate(0.61, 0.02, (0.55, 0.66))),), "", curves,
    )  # fmt: skip
    other = Question(
        "mixed/covid", "normal against COVID-19", {"normal": 40, "covid19": 20}, 60, 50, "auc",
        matrix(dict.fromkeys(losses, 0.02), value=0.98), (), "The classes come from different data sets.",
    )  # fmt: skip
    return TaskResult(
        "classification", "Telling diseases apart", {"network": "densenet121"}, (question, other), notes=("One note.",)
    )


def segmentation(losses=LOSSES):
    question = Question(
        "lungs", "Outlining the lungs", {}, 30, 28, "dice", matrix(losses, "dice", 0.94),
    )  # fmt: skip
    overlays = tuple(overlay(place, rank) for place, rank in enumerate(("best", "median", "worst")))
    return TaskResult("segmentation", "Outlining the lungs", {}, (question,), overlays=overlays)


def overlay(place, rank, side=48, name="diagnostic"):
    rows, columns = np.mgrid[:side, :side]
    truth = (rows - 24) ** 2 + (columns - 16) ** 2 < 100
    found = (rows - 24 - 2 * place) ** 2 + (columns - 16) ** 2 < 90
    shown = (120 + 80 * np.sin(rows / 5) * np.cos(columns / 7)).astype(np.float32)
    return Overlay(place, name, rank, 0.96 - 0.1 * place, shown, truth, found)


def radiomics(losses=LOSSES, features=12, bins=("64 bins", "width 25")):
    names = tuple(f"{family}_Feature{n}" for family in ("firstorder", "glcm", "glszm") for n in range(features // 3))
    generator = np.random.default_rng(3)
    found = []
    for kind in bins:
        for name, loss in losses.items():
            icc = np.clip(1 - 4 * loss * generator.random(len(names)), 0, 1)
            lower = icc - 0.03
            lower[0] = np.nan
            groups = {"poor": 0, "fair": 0, "good": 0, "excellent": 0, "undefined": 0}
            for value in lower:
                edges = [(0.75, "excellent"), (0.6, "good"), (0.4, "fair")]
                group = next((group for edge, group in edges if value > edge), "poor")
                groups["undefined" if np.isnan(value) else group] += 1
            figures = {"re": -10 * loss * np.ones(len(names))}
            found.append(
                FeatureAgreement(name, kind, 30, 28, names, 100 * loss * np.ones(len(names)), icc, lower, figures,
                                 groups)
            )  # fmt: skip
    return TaskResult("radiomics", "Measuring texture", {}, agreements=tuple(found))


SETS = (
    {"name": ORIGINAL, "kind": "original", "title": "as the images were"},
    {"name": "diagnostic", "kind": "tier", "title": "opened", "psnr": 40.1, "ssim": 0.97, "images": 60},
    {"name": "preview", "kind": "tier", "title": "opened", "psnr": 28.1, "ssim": 0.77, "images": 60},
    {"name": "primis:16", "kind": "compared", "title": "codec primis", "psnr": 36.1, "ssim": 0.93, "images": 60},
)


def tasked(base, *results):
    """An invented audit with these results."""
    data = {**base.data, "tasks": {"images": 84, "patients": 70, "sets": list(SETS)}}
    return replace(base, release={**base.release, "tiers": ["diagnostic", "preview"]}, data=data, tasks=results)
