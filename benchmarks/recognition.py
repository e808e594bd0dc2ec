"""Who is found again on untouched radiographs, and by which attacker: what every open release is held against.

Attackers learn the train fold and are asked about the test fold, patient against patient within one data set, each
image of a patient for the others. Fusion is of attackers that were fixed before the test fold was looked at. Beside it:
all people in turn (folds), and controls in which nobody, or nearly everybody, should be found.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.benchmark import Measured, Parts
from benchmarks.club import lapped
from benchmarks.shared_images import grey, shared_folder
from medveil.attacks.reconstruction.keyless_view import stranger_picture
from medveil.attacks.registry import RECOGNIZERS
from medveil.attacks.reidentification.fusion import fused
from medveil.attacks.reidentification.recognizer import Known, Learned, RecognizerEffort, Scores, View, Wanted
from medveil.audit.audit_run import fixed_threads
from medveil.audit.judging.identification import FUSIONS
from medveil.audit.presets import find_preset
from medveil.audit.results import Identification
from medveil.audit.scores.identification import Asked, Side, headline, identification, null_of_maximum
from medveil.datasets.phantoms import draw_patient
from medveil.datasets.splits import dealt_by_patient
from medveil.experiments.sampling import generator_of, seed_of, simulated_key
from medveil.experiments.unit import Product, Result, Status
from medveil.experiments.unit_store import UnitStore
from medveil.images.intensity import grey_image
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.controls import Setup
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.observation import Subject
from medveil.mechanisms.working_pictures import resized
from medveil.protection.levels import Sealed

SEED = 2024
FUSION = "fusion"
FUSED = FUSIONS[FUSION]
"""Attackers whose likeness is added up, as in an audit: one of shape, one that learned, one of key points."""
PRESETS = ("quick", "standard")
NULL_LEVEL = 0.975
_SHUFFLES, _RESAMPLES = 400, 2000
_SIDE = 128  # of strangers' pictures
_PHANTOM_SIZE = (224, 192)
_QUALITY = 40  # dB


@dataclass(frozen=True)
class Person:
    """A picture, and whose it is; numbers for what is compared."""

    patient: int
    source: str
    profile: str
    view: View = field(repr=False)


@dataclass(frozen=True)
class Trial:
    """Attackers with pictures of their own, and pictures under attack.

    Attributes:
        name: of the trial.
        own: of the attacker.
        queries, gallery: the same for untouched pictures.
        asked: who is who; a query's own record is left out.
        sources: names of the data sets, by number.
        learned: from which pictures attackers learn.
    """

    name: str
    own: tuple[Known, ...] = field(repr=False)
    queries: tuple[View, ...] = field(repr=False)
    gallery: tuple[View, ...] = field(repr=False)
    asked: Asked = field(repr=False)
    sources: tuple[str, ...]
    learned: Learned = Learned.REAL

    @classmethod
    def of(
        cls, name: str, own: Sequence[Known], tested: Sequence[Person], gallery: Sequence[View] = (),
        learned: Learned = Learned.REAL,
    ) -> Trial:  # fmt: skip
        """Everybody under attack against everybody, or against other pictures of the same images."""
        sources = tuple(dict.fromkeys(each.source for each in tested))
        numbers = np.arange(len(tested))
        patients = np.array([each.patient for each in tested])
        profiles = {name: place for place, name in enumerate(sorted({each.profile for each in tested}))}
        side = Side(
            len(tested), numbers, patients, patients, np.array([sources.index(each.source) for each in tested]),
            np.array([profiles[each.profile] for each in tested]),
        )  # fmt: skip
        views = tuple(each.view for each in tested)
        asked = Asked(side, side, np.eye(len(tested), dtype=bool), mirrored=not gallery)
        return cls(name, tuple(own), views, tuple(gallery) or views, asked, sources, learned)

    def part(self, source: str) -> tuple[NDArray[np.int64], Asked]:
        """Places of the images of one data set, and what is asked of them."""
        places = np.flatnonzero(self.asked.queries.source == self.sources.index(source))
        whole = self.asked.queries
        kept = (whole.who[places], whole.person[places], whole.source[places], whole.profile[places])
        side = Side(len(places), np.arange(len(places)), *kept)
        return places, replace(self.asked, queries=side, gallery=side, left_out=np.eye(len(places), dtype=bool))

    def wanted(self, pairs: int) -> Wanted:
        """All pairs of one person, and so many of two, drawn; of pictures on both sides each pair once."""
        compared = self.asked.compared & (np.triu(self.asked.compared) if self.asked.mirrored else True)
        right = self.asked.positive & compared
        wrong = np.flatnonzero(compared & ~right)
        chosen = generator_of(SEED, "pairs").choice(wrong, min(pairs, len(wrong)), replace=False)
        right.flat[chosen] = True
        return right


def people() -> dict[str, list[Person]]:
    """The shared radiographs by fold."""
    folder = shared_folder() / "cxr"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "shared"]
    patients = {name: place for place, name in enumerate(sorted({row["patient_id"] for row in rows}))}
    strata = {name: place for place, name in enumerate(sorted({(row["source"], row["view"]) for row in rows}))}
    found: dict[str, list[Person]] = {}
    for row in rows:
        plane = grey(folder / row["image"]).astype(np.float32)
        told = {name: row.get(name, "") for name in ("label", "view", "sex")}
        size = {"height": float(plane.shape[0]), "width": float(plane.shape[1])}
        facts = {**size, **{f"label {name}": value for name, value in told.items()}}
        view = View(plane, strata[row["source"], row["view"]], facts)
        person = Person(patients[row["patient_id"]], row["source"], " ".join((row["source"], *told.values())), view)
        found.setdefault(row["fold"], []).append(person)
    return found


def known(own: Sequence[Person]) -> list[Known]:
    """People of whom an attacker knows who they are."""
    return [Known(each.patient, each.view) for each in own]


class Likeness:
    """What attackers find alike in trials, found once: of this commit it is kept in a folder, if there is one.

    Args:
        efforts: by preset.
        store: where finished matrices are kept.

    Attributes:
        seconds: of processors that all of them took, those of earlier runs too.
    """

    def __init__(self, efforts: Mapping[str, RecognizerEffort], store: UnitStore | None) -> None:
        self.efforts, self._store = efforts, store
        self._found: dict[tuple[str, ...], Result] = {}
        self.seconds = 0.0

    def __call__(self, trial: Trial, preset: str, name: str, seed: int = 0) -> tuple[Scores, float]:
        """Likeness by one attacker, and the processor's seconds that it took.

        What neither trains nor looks at pairs one by one finds the same with every preset.
        """
        recognizer = RECOGNIZERS.make(name)
        spends = recognizer.trains or recognizer.pairwise
        key = (trial.name, preset if spends else "any", name, str(seed))
        found = self._found.get(key) or (self._store.find(key) if self._store is not None else None)
        if found is None:
            print(f"  {' '.join(key)}", flush=True)
            found = self._made(trial, preset, name, seed)
            if self._store is not None:
                self._store.keep(key, found)
        self.seconds += 0.0 if key in self._found else float(found.product.values["seconds"])
        self._found[key] = found
        return found.product.arrays["scores"], float(found.product.values["seconds"])

    def _made(self, trial: Trial, preset: str, name: str, seed: int) -> Result:
        start, effort, recognizer = time.process_time(), self.efforts[preset], RECOGNIZERS.make(name)
        recognition = recognizer.fit(trial.own, trial.learned, effort, seed_of(SEED, name, seed))
        wanted = trial.wanted(effort.pairs) if recognizer.pairwise else None
        scores = recognition.scores(trial.queries, trial.gallery, wanted)
        if wanted is not None and trial.asked.mirrored:
            scores = np.where(wanted, scores, np.where(wanted.T, scores.T, np.nan))
        return Result(Status.DONE, Product({"scores": scores}, {"seconds": time.process_time() - start}))


def fusion(trial: Trial, matrices: Sequence[Scores]) -> Scores:
    """The sum of z-scores, data set by data set."""
    total = np.full(matrices[0].shape, np.nan, np.float32)
    for source in trial.sources:
        places, asked = trial.part(source)
        block = np.ix_(places, places)
        total[block] = fused([np.where(asked.compared, matrix[block], np.nan) for matrix in matrices])
    return total


def figures(trial: Trial, scores: Scores) -> dict[str, dict[str, Any]]:
    """What an attacker finds, data set by data set."""
    found = {}
    for source in trial.sources:
        places, asked = trial.part(source)
        if asked.possible:
            one = identification([(scores[np.ix_(places, places)], asked)], _RESAMPLES, generator_of(SEED, "interval"))
            found[source] = _told(one)
    return found


def _told(one: Identification) -> dict[str, Any]:
    told = {
        "tpr_at_1": one.tpr_at_1, "matched_tpr_at_1": one.matched_tpr_at_1, "patient_auc": one.patient_auc,
        "top_1": one.patient_top[1], "chance": one.patient_chance[1], "top_1_by_image": one.top[1],
        "pairs": one.pairs, "negatives": one.negatives, "people": one.patients,
    }  # fmt: skip
    found: dict[str, Any] = {name: value if np.isfinite(value) else None for name, value in told.items()}
    for name, mean, ci in (("auc", one.auc, one.auc_ci), ("matched_auc", one.matched_auc, one.matched_auc_ci)):
        found[name] = {"mean": mean, "ci": ci} if np.isfinite(mean) else None
    return found


def asked_of(likeness: Likeness, trial: Trial, preset: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Figures of each attacker, and of the fusion of those that are for it.

    Fusion finds people first by the sum without attackers that look at some pairs only.
    """
    rows: list[dict[str, Any]] = []
    every: dict[str, Scores] = {}
    for name in names:
        every[name], seconds = likeness(trial, preset, name)
        rows.append({"recognizer": name, "seconds": seconds, "sources": figures(trial, every[name])})
    fit = [name for name in FUSED if name in every]
    if len(fit) > 1:
        both = figures(trial, fusion(trial, [every[name] for name in fit]))
        whole = [every[name] for name in fit if not RECOGNIZERS.make(name).pairwise]
        for source, ranks in figures(trial, fusion(trial, whole)).items():
            for rank in ("top_1", "chance", "top_1_by_image"):
                if both[source][rank] is None:
                    both[source][rank] = ranks[rank]
        seconds = sum(row["seconds"] for row in rows if row["recognizer"] in fit)
        rows.append({"recognizer": FUSION, "of": fit, "seconds": seconds, "sources": both})
    return rows


def cross_fitted(
    likeness: Likeness, everybody: Sequence[Person], folds: int, preset: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """All people under attack in turn, by attackers who learned from the others; figures over all of them together."""
    parts = dealt_by_patient([each.patient for each in everybody], folds, generator_of(SEED, "folds"))
    trials = []
    for number, part in enumerate(parts):
        own = [each for place, each in enumerate(everybody) if place not in set(part)]
        trials.append(Trial.of(f"fold {number + 1} of {folds}", known(own), [everybody[place] for place in part]))
    matrices: dict[str, list[Scores]] = {
        name: [likeness(trial, preset, name)[0] for trial in trials] for name in names
    }  # fmt: skip
    fit = [name for name in FUSED if name in names]
    if len(fit) > 1:
        matrices[FUSION] = [
            fusion(trial, [matrices[name][number] for name in fit]) for number, trial in enumerate(trials)
        ]
    return [{"recognizer": name, "sources": _over(trials, found)} for name, found in matrices.items()]


def _over(trials: Sequence[Trial], matrices: Sequence[Scores]) -> dict[str, dict[str, Any]]:
    """Figures of one attacker over several rounds, data set by data set."""
    found = {}
    for source in dict.fromkeys(source for trial in trials for source in trial.sources):
        rounds = []
        for trial, scores in zip(trials, matrices, strict=True):
            if source in trial.sources:
                places, asked = trial.part(source)
                rounds.append((scores[np.ix_(places, places)], asked))
        if any(asked.possible for _, asked in rounds):
            found[source] = _told(identification(rounds, _RESAMPLES, generator_of(SEED, "interval")))
    return found


# Controls


def phantoms(own: int, tested: int) -> Trial:
    """Invented patients, who are easy to know again."""

    def drawn(number: int) -> Iterator[Person]:
        for visit in draw_patient(number, SEED, size=_PHANTOM_SIZE).visits:
            yield Person(number, "phantom", "phantom", View(255.0 * visit.brightness))

    mine = [each for number in range(own) for each in drawn(number)]
    return Trial.of("phantoms", known(mine), [each for number in range(own, own + tested) for each in drawn(number)])


def sealed(own: Sequence[Person], tested: Sequence[Person]) -> Trial:
    """Untouched pictures against what a stranger sees of the same images in packages of a `sealed` release.

    Attackers learn from both kinds of pictures of their own images. A query's own record is left out.
    """
    space = lapped(_QUALITY, Setup(_SIDE, CodeCache(), bytes(32)), fixed=True)
    mechanism = Protection(space, CodeCache(), level=Sealed())

    def seen(number: int, each: Person) -> View:
        small = resized(each.view.plane, _SIDE, _SIDE)
        subject = Subject(number, each.patient, each.view.stratum, grey_image(small), small)
        observation = mechanism.publish(subject, simulated_key(SEED, "release", number))
        return View(stranger_picture(observation, mechanism, _SIDE), each.view.stratum)

    mine = [Known(each.patient, each.view, (seen(number, each),)) for number, each in enumerate(own)]
    gallery = [seen(len(own) + number, each) for number, each in enumerate(tested)]
    return Trial.of(mechanism.name, mine, tested, gallery, Learned.BOTH)


def control(likeness: Likeness, trial: Trial, preset: str, names: Sequence[str], *, dealt: int = 0) -> dict[str, Any]:
    """The best of several attackers, beside what the best reaches where identities are shuffled.

    Args:
        dealt: whether what is told is itself a shuffle of identities, and which.
    """
    asked, matrices = trial.asked, [likeness(trial, preset, name)[0] for name in names]
    null = null_of_maximum([[scores] for scores in matrices], [asked], _SHUFFLES, generator_of(SEED, "null"))
    if dealt:
        asked = asked.shuffled(generator_of(SEED, "control", dealt))
    auc, top = (float(np.nanmax(each)) for each in zip(*(headline([(one, asked)]) for one in matrices), strict=True))
    most_auc, most_top = null.bounds(NULL_LEVEL)
    return {
        "name": "shuffled" if dealt else trial.name, "recognizers": list(names), "images": len(trial.queries),
        "matched_auc": auc, "null_auc": most_auc, "top_1": top, "null_top_1": most_top,
        "at_null": auc <= most_auc and top <= most_top,
    }  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much of everything the benchmark takes beside untouched pictures of the test fold.

    Attributes:
        folds: of the cross-fitting; 0 for none.
        phantoms: people of the attacker's own, and under attack.
        sealed: one of so many patients of the attacker's own has her pictures published again under her own keys; and
            of those under attack. 0 for no such control.
    """

    folds: int = 5
    phantoms: tuple[int, ...] = (60, 40)
    sealed: tuple[int, ...] = (4, 1)


def measured(likeness: Likeness, names: Sequence[str], sizes: Sizes) -> dict[str, Any]:
    """All figures: of the test fold with each preset, of all people in turn with the first, of controls with it."""
    by_fold = people()
    own, tested = by_fold["train"], by_fold["test"]
    raw, presets = Trial.of("raw", known(own), tested), list(likeness.efforts)
    few = [name for name in ("thumbnails", *FUSED) if name in names]
    results: dict[str, Any] = {
        "images": len(own) + len(tested), "own": len(own), "tested": len(tested), "fused": list(FUSED),
        "presets": [{"preset": each, "rows": asked_of(likeness, raw, each, names)} for each in presets],
    }  # fmt: skip
    if sizes.folds:
        everybody = [each for those in by_fold.values() for each in those]
        rows = cross_fitted(likeness, everybody, sizes.folds, presets[0], few)
        results["folds"] = {"folds": sizes.folds, "preset": presets[0], "images": len(everybody), "rows": rows}
    results["controls"] = [control(likeness, raw, presets[-1], names, dealt=1)]
    if sizes.sealed[0]:
        parts = zip((own, tested), sizes.sealed, strict=True)
        trial = sealed(*([each for each in those if each.patient % every == 0] for those, every in parts))
        results["controls"].append(control(likeness, trial, presets[0], few))
    invented = phantoms(*sizes.phantoms)
    results["phantoms"] = asked_of(likeness, invented, presets[0], few)
    return results


def run(
    keep: Path | None = None, presets: tuple[str, ...] = PRESETS, sizes: Sizes = Sizes(), threads: int = 1,
    without: tuple[str, ...] = ("eigenpictures-groups",),
) -> Measured:  # fmt: skip
    """Who is found again on untouched radiographs, and by which attacker; controls in which nobody should be.

    With `keep` what attackers find alike is kept there, so that an interrupted run goes on. Untouched pictures are of
    no groups, so that the recognizer that looks for them is left out.
    """
    efforts = {name: find_preset(name).recognition for name in presets}
    names = [name for name in RECOGNIZERS.names() if name not in without]
    parts = Parts(keep, benchmark="recognition")
    with fixed_threads(threads):
        likeness = Likeness(efforts, parts.store)
        results = measured(likeness, names, sizes)
    settings = {"efforts": {name: asdict(effort) for name, effort in efforts.items()}}
    return Measured(results, results["images"], SEED, settings, likeness.seconds)
