"""PriCheXy-Net at small size: who is still found on its pictures, and what a classifier still finds.

The rows of its Table 1 and larger mu, beside random smooth deformations that move pixels as far. Generator, critics and
attackers learn from the train fold, the test fold is attacked. Attackers are retrained in two ways: from released
pictures alone, as published, and from real and released ones; both are asked about a released picture and real ones.
The classifier is fixed: it learned from real pictures and is tested on released ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.benchmark import Measured, Parts
from benchmarks.plane import Images, reduced
from benchmarks.provenance import clean_commit
from benchmarks.recognition import Person, Trial
from medveil import images
from medveil.anonymizers.anonymizer import Anonymizer
from medveil.anonymizers.model import AnonymizerModel
from medveil.anonymizers.prichexy import Prichexy, distances, people_of
from medveil.anonymizers.warp import Warp
from medveil.attacks.registry import RECOGNIZERS
from medveil.attacks.reidentification.recognizer import Known, Learned, RecognizerEffort, Scores, View
from medveil.audit.audit_run import fixed_threads
from medveil.audit.presets import find_preset
from medveil.audit.scores.identification import Asked, identification
from medveil.datasets.manifest import Record, read_manifest
from medveil.experiments.sampling import generator_of, seed_of, simulated_key
from medveil.images.image import Image
from medveil.images.intensity import grey_of
from medveil.metrics.inference import interval, patient_draws
from medveil.metrics.ranking import auc, auc_draws
from medveil.training.flow_training import QUICK, Actors, Game, Recipe, Target, oppose, prepare

SEED = 2023
SIDE = 128
SOURCES = ("kermany", "nih")
ASKED = {"kermany": ("bacterial_pneumonia", "viral_pneumonia"), "nih": ("normal", "pneumonia")}
"""What the fixed classifier tells apart."""
PUBLISHED = {
    "raw": ((81.8, 0.6), (80.5, 80.1, 80.9)),
    "mu=0.001": ((74.7, 2.6), (80.4, 79.9, 80.8)),
    "mu=0.005": ((64.3, 5.8), (79.3, 78.9, 79.7)),
    "mu=0.01": ((57.7, 4.0), (76.2, 75.8, 76.6)),
}
"""Row -> verification AUC (mean, SD over ten runs), mean classification AUC (with 95 % interval), per cent: Table 1 of
Packhäuser et al., MICCAI 2023."""
BOTH_SIDES = "both sides"
"""The attacker changes her own picture as well before she compares; she learned from released pictures."""
_RESAMPLES = 1000


@dataclass(frozen=True)
class Release:
    """How a row's pictures are made.

    Attributes:
        name: of the row.
        game: what its generator learned for; None for untouched pictures.
        noise: whether it sees noise.
        warped: random smooth deformations that move pixels as far as the generator does.
    """

    name: str
    game: Game | None = None
    noise: bool = False
    warped: bool = False


def _rows() -> tuple[Release, ...]:
    games = {mu: Game(mu) for mu in (0.001, 0.005, 0.01, 0.03, 0.06)}
    warps = [Release(f"warp like mu={mu:g}", games[mu], warped=True) for mu in (0.01, 0.03, 0.06)]
    seeded = Game(0.06, Target.CONFUSION, stages=2)
    return (
        Release("raw"), *(Release(f"mu={mu:g}", game) for mu, game in games.items()), *warps,
        Release("mu=0.06, noise, confusion, 2 stages", seeded, noise=True),
    )  # fmt: skip


RELEASES = _rows()


@dataclass(frozen=True)
class Effort:
    """What is spent.

    Attributes:
        game_steps: updates of the generator against its critics.
        attacker_side, attacker_steps: pictures and updates of attackers' networks.
        fixed_side, fixed_epochs: of the fixed classifier, a ResNet-18.
    """

    game_steps: int = Game.steps
    attacker_side: int = 96
    attacker_steps: int = 130
    fixed_side: int = 64
    fixed_epochs: float = 10.0

    @property
    def recognition(self) -> RecognizerEffort:
        """Of attackers."""
        return replace(find_preset("quick").recognition, side=self.attacker_side, steps=self.attacker_steps)


@dataclass(frozen=True)
class Shown:
    """An image, and what the manifest says of it."""

    row: Record
    image: Image = field(repr=False)
    stratum: int
    patient: int

    def view(self, image: Image) -> View:
        """As an attacker holds it."""
        return View(grey_of(image, np.float32), self.stratum)


@dataclass(frozen=True)
class Workshop:
    """Images of both folds, and how pictures are made of them.

    Attributes:
        shown: by fold.
        effort, recipe: what is spent; sizes and training of the networks of PriCheXy-Net.
        seed: of one run of everything.
        models: folder of checkpoints; None for none.
    """

    shown: Mapping[str, tuple[Shown, ...]]
    effort: Effort
    recipe: Recipe
    seed: int
    models: Path | None

    def method(self, release: Release) -> Anonymizer | None:
        """How a row's pictures are made; None for untouched ones."""
        if release.game is None:
            return None
        learned = self._learned(release.game, noise=release.noise)
        if not release.warped:
            return learned
        share = self._moved(learned)[0] / SIDE
        return Warp(mm=Fraction(round(1000 * share * float(Warp().side)), 1000))

    def _learned(self, game: Game, *, noise: bool) -> Prichexy:
        recipe, game = self.recipe, replace(game, steps=self.effort.game_steps)
        folds = {fold: [each.row for each in these] for fold, these in self.shown.items()}
        classes, people = people_of(folds["train"], recipe.side)
        held = people_of(folds["val"], recipe.side, classes)[1] if folds.get("val") else None
        actors = Actors.new(recipe, len(classes), self.seed, noise=noise)
        prepare(actors, people, held, self.seed, checkpoint=self._place("prepared"))
        name = f"{game.mu:g}-{game.target}-{game.stages}-{noise}"
        oppose(actors, people, held, game, self.seed, checkpoint=self._place(name))
        words = {"mu": f"{game.mu:g}", "noise": "on" if noise else "off", "target": game.target.value}
        method = Prichexy.of_words({**words, "stages": str(game.stages)})
        return replace(method, recipe=recipe).with_model(AnonymizerModel(method.name, method.stated, actors.weights()))

    def _place(self, name: str) -> Path | None:
        return self.models / f"{name}-{self.seed}.safetensors" if self.models else None

    def _moved(self, method: Anonymizer | None) -> tuple[float, float]:
        """Root mean square and largest distance by which pixels of the test fold move, at a longer side of 128."""
        if not isinstance(method, Prichexy | Warp):
            return 0.0, 0.0
        squares, largest = [], 0.0
        for number, each in enumerate(self.shown["test"]):
            key = simulated_key(SEED, "release", number)
            far = distances(*method.displacement(each.image, key)) * (SIDE / max(each.image.pixels.shape))
            squares.append(float((far**2).mean()))
            largest = max(largest, float(far.max()))
        return float(np.sqrt(np.mean(squares))), largest

    def released(self, method: Anonymizer | None, fold: str) -> list[Image]:
        """The pictures that are released of a fold."""
        these = enumerate(self.shown[fold])
        if method is None:
            return [each.image for _, each in these]
        return [method.apply([each.image], simulated_key(SEED, "release", number)) for number, each in these]

    @cached_property
    def classifiers(self) -> dict[str, Any]:
        """For each data set a network that learned what its real pictures show."""
        from medveil.tasks.classifier_training import learn_classes
        from medveil.training.augmentation import Recipe as ClassifierRecipe

        recipe = ClassifierRecipe("resnet18", self.effort.fixed_side, self.effort.fixed_epochs, 1e-3)
        found = {}
        for source in SOURCES:
            chosen = self._of(source, "train")
            pictures, targets = self._pictures(source, [(each, each.image) for each in chosen])
            found[source] = learn_classes(pictures, targets, 2, recipe, self.seed)
        return found

    def _of(self, source: str, fold: str) -> list[Shown]:
        return [each for each in self.shown[fold] if each.row.source == source and each.row.label in ASKED[source]]

    def _pictures(self, source: str, these: Sequence[tuple[Shown, Image]]) -> tuple[Any, NDArray[np.int64]]:
        import torch

        from medveil.training.augmentation import standardised

        side = self.effort.fixed_side
        squares = [standardised(grey_of(image, np.float32), side) for _, image in these]
        return torch.cat(squares), np.array([ASKED[source].index(each.row.label) for each, _ in these])

    def found(self, released: Sequence[Image]) -> dict[str, Any]:
        """What the fixed classifiers make of released pictures of the test fold: AUC with interval by patient."""
        from medveil.tasks.classifier_training import class_log_odds

        found = {}
        pairs = list(zip(self.shown["test"], released, strict=True))
        for source, network in self.classifiers.items():
            these = [(each, image) for each, image in pairs if each in self._of(source, "test")]
            pictures, targets = self._pictures(source, these)
            odds = class_log_odds(network, pictures)
            score, ill = odds[:, 1] - odds[:, 0], targets == 1
            patients = np.unique([each.patient for each, _ in these], return_inverse=True)[1]
            weights = patient_draws(int(patients.max()) + 1, _RESAMPLES, generator_of(SEED, "classes"))[:, patients]
            draws = auc_draws(score, ill, weights)
            low, high = interval(draws[np.isfinite(draws)], 0.95)
            found[source] = {"mean": auc(score, ill), "ci": (low, high), "images": len(these)}
        return found

    def row(self, release: Release, recognizers: Sequence[str]) -> dict[str, Any]:
        """All figures of one row."""
        method = self.method(release)
        own, tested = (self.released(method, fold) for fold in ("train", "test"))
        rms, largest = self._moved(method)
        game = release.game
        return {
            "release": release.name, "mu": game.mu if game else 0.0, "rms_px": rms, "most_px": largest,
            "classes": self.found(tested),
            "attackers": {name: self._attacked(name, own, tested, untouched=method is None) for name in recognizers},
        }  # fmt: skip

    def _attacked(
        self, name: str, own: Sequence[Image], tested: Sequence[Image], *, untouched: bool
    ) -> dict[str, dict[str, Any]]:
        """Matched AUC by what the attacker learned from, and what she was asked; by data set."""
        mine = [
            Known(each.patient, each.view(each.image), (each.view(image),))
            for each, image in zip(self.shown["train"], own, strict=True)
        ]
        real = [each.view(each.image) for each in self.shown["test"]]
        public = [each.view(image) for each, image in zip(self.shown["test"], tested, strict=True)]
        recognizer, found = RECOGNIZERS.make(name), {}
        for learned in (Learned.RELEASED,) if untouched else (Learned.RELEASED, Learned.BOTH):
            seed = seed_of(SEED, name, self.seed)
            recognition = recognizer.fit(mine, learned, self.effort.recognition, seed)
            found[learned.value] = self._known(recognition.scores(public, real), real)
            if learned is Learned.RELEASED and not untouched:
                found[BOTH_SIDES] = self._known(recognition.scores(public, public), real)
        return found

    def _known(self, scores: Scores, views: Sequence[View]) -> dict[str, Any]:
        people = [
            Person(each.patient, each.row.source, _profile(each.row), view)
            for each, view in zip(self.shown["test"], views, strict=True)
        ]
        trial, found = Trial.of("test", [], people), {}
        for source in trial.sources:
            places, asked = trial.part(source)
            found[source] = {
                **_matched(scores[np.ix_(places, places)], asked),
                "very_image_first": float((scores[np.ix_(places, places)].argmax(1) == np.arange(len(places))).mean()),
            }
        return found


def _matched(scores: Scores, asked: Asked) -> dict[str, Any]:
    one = identification([(scores, asked)], _RESAMPLES, generator_of(SEED, "interval"))
    return {"mean": one.matched_auc, "ci": one.matched_auc_ci, "all": one.auc}


def _profile(row: Record) -> str:
    return " ".join((row.source, row.label, row.view, row.cells.get("sex") or ""))


def folds_of(images_there: Images) -> dict[str, tuple[Shown, ...]]:
    """Images by fold, read."""
    rows = read_manifest(images_there.manifest)
    strata = {name: place for place, name in enumerate(sorted({row.stratum for row in rows}))}
    patients = {name: place for place, name in enumerate(sorted({row.patient for row in rows}))}
    found: dict[str, list[Shown]] = {}
    for row in rows:
        each = Shown(row, images.read(row.path), strata[row.stratum], patients[row.patient])
        found.setdefault(row.fold, []).append(each)
    return {fold: tuple(these) for fold, these in found.items()}


def run(
    work: Path, keep: Path | None = None, releases: tuple[str, ...] = (), seeds: int = 3, every: int = 1,
    recognizers: tuple[str, ...] = ("hog", "contrastive"), effort: Effort = Effort(), recipe: Recipe = QUICK,
    threads: int = 1,
) -> Measured:  # fmt: skip
    """PriCheXy-Net at small size, its Table 1 and beyond: attackers retrained, the classifier fixed.

    Args:
        keep: where finished rows and checkpoints are kept, each under the commit that measured it.
        releases: names of rows; all where none is named.
        seeds: how often everything is learned anew.
        every: every n-th patient only.
        recognizers: attackers.
        effort, recipe: what is spent; sizes and training of the networks of PriCheXy-Net.
        threads: processor threads.
    """
    there = reduced(work / "images", SOURCES, SIDE, every)
    chosen = [each for each in RELEASES if not releases or each.name in releases]
    parts = Parts(keep, every=every, recognizers=list(recognizers), effort=repr((effort, recipe)))
    models = keep / "models" / str(clean_commit()) if keep and clean_commit() else None
    shown = folds_of(there)
    if models is not None:
        models.mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[dict[str, Any]]] = {each.name: [] for each in chosen}
    with fixed_threads(threads):
        for seed in range(seeds):
            workshop = Workshop(shown, effort, recipe, seed, models)
            for each in chosen:
                make = partial(workshop.row, each, recognizers)
                runs[each.name].append(parts.part(f"{each.name}, seed {seed}", make))
    rows = [pooled(each) for each in runs.values()]
    results = {"rows": rows, "seeds": seeds, "side": SIDE, "published": _published()}
    return Measured(results, sum(map(len, shown.values())), SEED, seconds=parts.seconds)


def pooled(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row over seeds: means, the SD over seeds where there are several, and the interval of the first."""
    first = runs[0]

    def over(place: Sequence[str]) -> dict[str, Any]:
        found = [_at(run, place) for run in runs]
        means = [each["mean"] for each in found]
        told = {**found[0], "mean": float(np.mean(means))}
        return {**told, "sd": float(np.std(means, ddof=1))} if len(means) > 1 else told

    return {
        **first, "rms_px": float(np.mean([run["rms_px"] for run in runs])),
        "most_px": max(run["most_px"] for run in runs),
        "classes": {source: over(("classes", source)) for source in first["classes"]},
        "attackers": {
            name: {
                asked: {source: over(("attackers", name, asked, source)) for source in by_source}
                for asked, by_source in by_question.items()
            }
            for name, by_question in first["attackers"].items()
        },
    }  # fmt: skip


def _at(run: Mapping[str, Any], place: Sequence[str]) -> Mapping[str, Any]:
    found: Any = run
    for name in place:
        found = found[name]
    return found  # type: ignore[no-any-return]


def _published() -> dict[str, Any]:
    return {
        name: {"verifier": {"mean": mean, "sd": sd}, "classes_published": {"mean": found, "ci": (low, high)}}
        for name, ((mean, sd), (found, low, high)) in PUBLISHED.items()
    }
