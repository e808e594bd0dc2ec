"""Attacks on mechanisms over working pictures of the shared radiographs, scored image by image.

The attacker's own images are of the train fold, those under attack of the test fold: no patient is in both. Both folds
hold images of all sources. A part of her own images is kept to choose with, the strongest attack too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.shared_images import Radiograph, grey, radiographs
from medveil.attacks.applicability import unmet_need
from medveil.attacks.attack import Attack, Attacker, Effort, Guess
from medveil.attacks.registry import chosen_attacks
from medveil.audit.protocol import Round, RoundPlan, carry_out, plan_round
from medveil.audit.scores.attack_scores import figures_of
from medveil.codecs import entropy
from medveil.codecs.code import Bucket, CodeMap, SparseCode
from medveil.experiments.sampling import drawn_by_patient, generator_of, simulated_key
from medveil.images.intensity import grey_image
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.controls import Setup
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Picture, Shown, Subject
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.working_pictures import Window, working_picture
from medveil.metrics.image_quality import PEAK, mean_absolute_error, mean_error, rmse
from medveil.metrics.inference import bootstrap_means, interval

SEED = 2024
RESAMPLES = 2000


@dataclass(frozen=True)
class Sizes:
    """How much of everything a benchmark takes.

    Attributes:
        side: S of the working pictures.
        own: images of the attacker's own, those to choose with included.
        tested: images under attack.
        steps, batch, width: of networks; see `Effort`.
        threads: processor threads; another number gives slightly other figures.
    """

    side: int = 128
    own: int = 200
    tested: int = 100
    steps: int = 300
    batch: int = 8
    width: int = 12
    threads: int = 1

    @property
    def effort(self) -> Effort:
        return Effort(self.side, self.steps, self.batch, self.width, seed_bits=12, targets=8)


@dataclass(frozen=True)
class Bench:
    """The images of a benchmark, and who is who."""

    plan: RoundPlan = field(repr=False)
    setup: Setup = field(repr=False)
    effort: Effort

    @classmethod
    def of(cls, sizes: Sizes, seed: int = SEED) -> Bench:
        """Images of the shared folder, drawn by patient."""
        drawn = [
            (purpose, _drawn(fold, limit, generator_of(seed, "benchmark", purpose)))
            for purpose, fold, limit in (("own", "train", sizes.own), ("tested", "test", sizes.tested))
        ]
        found = [(purpose, image) for purpose, images in drawn for image in images]
        patients = {name: place for place, name in enumerate(sorted({image.patient for _, image in found}))}
        strata = {name: place for place, name in enumerate(sorted({_source(image) for _, image in found}))}
        subjects = [
            (purpose, _subject(number, image, patients[image.patient], strata[_source(image)], sizes.side))
            for number, (purpose, image) in enumerate(found)
        ]
        own, tested = ([each for purpose, each in subjects if purpose == name] for name in ("own", "tested"))
        plan = plan_round("benchmark", own, tested, len(own), 0.15, seed)
        pool = tuple(each.picture for each in (*plan.own, *plan.validation))
        setup = Setup(sizes.side, CodeCache(), simulated_key(seed, "benchmark secret"), pool)
        return cls(plan, setup, sizes.effort)

    @property
    def patients(self) -> NDArray[np.int64]:
        """(n,) whose the images under attack are."""
        return np.array([each.patient for each in self.plan.tested], np.int64)

    def round_of(self, mechanism: Mechanism, name: str) -> Round:
        """All images published by a mechanism."""
        return carry_out(self.plan, mechanism, self.effort, name=name)

    def counts(self) -> dict[str, int]:
        """Images and patients, for the record."""
        plan = self.plan
        return {
            "own": len(plan.own), "validation": len(plan.validation), "tested": len(plan.tested),
            "tested_patients": len(set(self.patients.tolist())),
        }  # fmt: skip


def attack_round(name: str, trial: Round) -> dict[str, Any]:
    """Let an attack learn, and guess all packages of a round, each time another one beside it.

    Returns:
        each figure with the package and with another one, the gain by the package, and the mean over the images to
        choose with, with their own package only; or why the attack makes no sense here.
    """
    start = time.perf_counter()
    (attack,) = chosen_attacks([name])
    need = unmet_need(attack.requires, trial.knowledge)
    if need is not None:
        return {"attack": name, "refused": need.value}
    predict = _remembered(attack, trial)
    rows = []
    for target in trial.tested:
        own = figures(predict(target.case.observation), target.case, trial)
        other = figures(predict(target.partner), target.case, trial) if target.partner is not None else {}
        rows.append({key: (value, other.get(key, np.nan)) for key, value in own.items()})
    keys = list(dict.fromkeys(key for row in rows for key in row))
    patients = np.array([target.case.subject.patient for target in trial.tested], np.int64)
    both = {key: np.array([row.get(key, (np.nan, np.nan)) for row in rows]) for key in keys}
    chosen = [figures(predict(case.observation), case, trial) for case in trial.knowledge.validation]
    validation = {key: float(np.nanmean([row.get(key, np.nan) for row in chosen])) for key in keys if chosen}
    seconds = time.perf_counter() - start
    print(f"    {name}: {seconds:.0f} s", flush=True)
    return {
        "attack": name,
        "figures": {key: summary(table[:, 0], patients) for key, table in both.items()},
        "no_information": {key: summary(table[:, 1], patients) for key, table in both.items()},
        "gain": {key: summary(table[:, 0] - table[:, 1], patients) for key, table in both.items()},
        "validation": {key: round(value, 5) for key, value in validation.items()},
        "seconds": round(seconds, 1),
    }


def figures(guess: Guess, case: Case, trial: Round) -> dict[str, float]:
    """Every figure of a guess: those of the audit, hits a vector, and the errors of the picture."""
    mechanism = trial.knowledge.mechanism
    found = figures_of(guess, case, in_place=mechanism.in_place)
    if guess.picture is not None:
        found |= picture_errors(guess.picture, case.subject.picture)
    length = mechanism.space.vector_length if mechanism.space is not None else 0
    seen, code = case.observation, case.code
    if guess.support is not None and code is not None and mechanism.in_place and length:
        found |= hit_rate(guess.support, code.maps, seen.maps, length)
    return found


def picture_errors(picture: Picture, original: Picture) -> dict[str, float]:
    """ME, MAE and RMSE in grey values, of a picture clipped to 0 … 255."""
    sound = np.clip(np.nan_to_num(picture, nan=PEAK / 2), 0.0, PEAK)
    return {
        "me": mean_error(original, sound), "mae": mean_absolute_error(original, sound), "rmse": rmse(original, sound),
    }  # fmt: skip


def hit_rate(
    support: Sequence[NDArray[np.float32]], true: Sequence[CodeMap], shown: Sequence[Shown], length: int
) -> dict[str, float]:
    """Share of the true entries that are among the best-scored shown cells of their vector, as many as are true in it.

    `hit_rate_by_chance` is what scores drawn at random would reach.
    """
    hits = entries = 0
    chance = 0.0
    for score, code, seen in zip(support, true, shown, strict=True):
        is_true = np.isin(seen.positions, code.positions)
        vectors = seen.positions // length
        count = -(-seen.cells // length)
        wanted = np.bincount(vectors[is_true], minlength=count)
        visible = np.bincount(vectors, minlength=count)
        fitted = np.full(seen.cells, -np.inf, np.float32)
        fitted[: len(score)] = score[: seen.cells]
        order = np.lexsort((-fitted[seen.positions], vectors))
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order)) - np.searchsorted(vectors, vectors[order])
        hits += int(np.sum(is_true & (ranks < wanted[vectors])))
        entries += int(wanted.sum())
        chance += float(np.sum(wanted**2 / np.maximum(visible, 1)))
    return {"hit_rate": hits / entries, "hit_rate_by_chance": chance / entries} if entries else {}


def summary(values: NDArray[np.float64], patients: NDArray[np.int64], seed: int = SEED) -> dict[str, float]:
    """Mean, SD and 95 % interval (bootstrap over patients) of what is a number."""
    kept = np.isfinite(values)
    if not kept.any():
        return {}
    figures, whose = values[kept], patients[kept]
    draws = bootstrap_means(figures, whose, RESAMPLES, generator_of(seed, "interval"))
    low, high = interval(draws, 0.95)
    spread = float(figures.std(ddof=1)) if len(figures) > 1 else 0.0
    mean = float(figures.mean())
    return {name: round(value, 5) for name, value in (("mean", mean), ("sd", spread), ("low", low), ("high", high))}


def strongest(rows: Sequence[Mapping[str, Any]], figure: str) -> Mapping[str, Any] | None:
    """The attack that is best in a figure on the validation images; None where none has it."""
    able = [row for row in rows if figure in row.get("validation", {}) and row["figures"].get(figure)]
    return max(able, key=lambda row: row["validation"][figure]) if able else None


def key_holder(trial: Round, space: PublicCodec) -> NDArray[np.float64]:
    """(n,) PSNR of what a key holder opens of the images under attack."""
    found = []
    for target in trial.tested:
        code, seen = target.case.code, target.case.observation
        if code is None:
            raise ValueError("a mechanism without codes has nothing to open")
        picture = space.true_picture(code, seen.bucket)
        found.append(figures_of(Guess(picture), target.case, in_place=True)["psnr"])
    return np.array(found)


def mean_picture(trial: Round) -> dict[str, NDArray[np.float64]]:
    """(n,) of each figure for the mean of the attacker's own pictures: a guess that looks at no package."""
    picture = trial.means[None]
    rows = [
        figures_of(Guess(picture), target.case, in_place=True) | picture_errors(picture, target.case.subject.picture)
        for target in trial.tested
    ]
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def public_code_bits(observation: Observation) -> int:
    """Bits of public code maps as a release stores those of `obfuscated` (`AmbiguatedCode.to_bytes`)."""
    maps = tuple(CodeMap(shown.cells, shown.positions, shown.values) for shown in observation.maps)
    return 8 * len(entropy.pack(SparseCode(maps, b"")))


def _remembered(attack: Attack, trial: Round) -> Callable[[Observation], Guess]:
    """The attacker, who looks at every observation once."""
    attacker: Attacker = attack.fit(trial.knowledge)
    known: dict[int, Guess] = {}

    def predict(observation: Observation) -> Guess:
        if id(observation) not in known:
            known[id(observation)] = attacker.predict(observation)
        return known[id(observation)]

    return predict


def _drawn(fold: str, limit: int, generator: np.random.Generator) -> list[Radiograph]:
    images = radiographs(fold)
    numbers = {name: place for place, name in enumerate(sorted({image.patient for image in images}))}
    chosen = drawn_by_patient([numbers[image.patient] for image in images], limit, generator, several=0.0)
    return [images[place] for place in chosen]


def _source(image: Radiograph) -> str:
    return image.path.stem.partition("_")[0]


def _subject(number: int, image: Radiograph, patient: int, stratum: int, side: int) -> Subject:
    pixels = grey(image.path)
    reduced = grey_image(working_picture(pixels, Bucket.of(*pixels.shape), Window(), side))
    return Subject(number, patient, stratum, reduced, reduced.pixels.astype(np.float32))
