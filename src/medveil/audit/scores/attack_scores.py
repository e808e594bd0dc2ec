"""Scoring: one attack on one round, image by image. Every figure twice: with the package, and with another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import unmet_need
from medveil.attacks.attack import Attack, Attacker, Guess
from medveil.audit.protocol import Attacked, Round
from medveil.audit.results import Example, Sample
from medveil.audit.scores.linkage_pairs import linkage
from medveil.codecs.code import CodeMap
from medveil.errors import InputError, MedveilError
from medveil.experiments.sampling import generator_of
from medveil.mechanisms.observation import Case, Observation, Picture, Shown
from medveil.metrics.image_quality import MOST_DB, PEAK, psnr, ssim
from medveil.metrics.ranking import auc

FIGURES = ("psnr", "ssim", "support_auc", "recovered_bits")
PARTNER = "partner "
"""What the extra figures begin with that count how the other packages of a round were found."""
_EXAMPLES = 3


class AttackError(Exception):
    """An attack that had begun ended with an error of medveil's, which is its cause: a failure. It is refused only
    before it begins.
    """


def run_attack(attack: Attack, trial: Round, tick: Callable[[], None] = lambda: None) -> Sample:
    """Let an attack learn, guess every package of a round and the other one beside it, and score both.

    Args:
        attack: what is run.
        trial: on what.
        tick: called after each guess.

    Raises:
        InputError: the attack makes no sense here; the message says why.
        AttackError: it had begun. Nothing may be ruled out after it, as after any other error.
    """
    start = time.perf_counter()
    need = unmet_need(attack.requires, trial.knowledge)
    if need is not None:
        raise InputError(need.words)
    try:
        sample = _scored(attack.name, attack.fit(trial.knowledge), trial, tick)
    except MedveilError as error:
        raise AttackError from error
    return replace(sample, seconds=time.perf_counter() - start)


def _scored(name: str, attacker: Attacker, trial: Round, tick: Callable[[], None]) -> Sample:
    targets, knowledge = trial.tested, trial.knowledge
    values = {figure: np.full((len(targets), 2), np.nan) for figure in FIGURES}
    pictures: dict[tuple[int, int], Picture] = {}
    embeddings: list[NDArray[np.float32] | None] = [None] * len(targets)
    for observation, places in _uses(targets):
        guess = attacker.predict(observation)
        tick()
        for index, column in places:
            case = targets[index].case
            for figure, value in figures_of(guess, case, in_place=knowledge.mechanism.in_place).items():
                values[figure][index, column] = value
            if guess.picture is not None:
                pictures[index, column] = guess.picture
            if column == 0:
                embeddings[index] = guess.embedding
    for table in values.values():
        table[np.isnan(table).any(axis=1)] = np.nan
    cases = [target.case for target in targets]
    pairs, extra = linkage(cases, embeddings, _pair_generator(cases))
    if pictures:
        extra |= _mean_picture_figures(cases, trial)
    extra |= {PARTNER + name: float(count) for name, count in trial.partners.items()}
    return Sample(
        name, trial.mechanism,
        np.array([case.subject.number for case in cases], np.int64),
        np.array([case.subject.patient for case in cases], np.int64),
        {figure: table for figure, table in values.items() if np.isfinite(table).any()},
        pairs, extra, _examples(cases, pictures, values["psnr"]),
    )  # fmt: skip


def _pair_generator(cases: Sequence[Case]) -> np.random.Generator:
    """Depends on who is under attack only: repetitions and attacks are judged on the same pairs."""
    return generator_of(0, "pairs", *(case.subject.number for case in cases))


def _uses(targets: Sequence[Attacked]) -> list[tuple[Observation, list[tuple[int, int]]]]:
    """Every observation once, with (target, column) for each figure that its guess goes into."""
    uses: dict[int, tuple[Observation, list[tuple[int, int]]]] = {}
    for index, target in enumerate(targets):
        own = target.case.observation
        uses.setdefault(id(own), (own, []))[1].append((index, 0))
        if target.partner is not None:
            uses.setdefault(id(target.partner), (target.partner, []))[1].append((index, 1))
    return list(uses.values())


def figures_of(guess: Guess, case: Case, *, in_place: bool) -> dict[str, float]:
    """How near a guess comes to the truth of a case, in the figures that the guess has an opinion for.

    Returns:
        psnr (dB, peak 255, at most 100) and ssim of the picture; support_auc and recovered_bits of the support (see
        `cell_figures`).
    """
    found = {}
    if guess.picture is not None:
        found = picture_figures(guess.picture, case.subject.picture)
    if guess.support is not None and case.code is not None:
        found |= cell_figures(guess.support, case.code.maps, case.observation.maps, in_place=in_place)
    return found


def picture_figures(picture: Picture, original: Picture) -> dict[str, float]:
    """PSNR and SSIM of a picture, clipped to 0 … 255; what is not a number counts as middle grey."""
    sound = np.clip(np.nan_to_num(picture, nan=PEAK / 2), 0.0, PEAK)
    return {"psnr": min(psnr(original, sound, PEAK), MOST_DB), "ssim": ssim(original, sound, PEAK)}


def _mean_picture_figures(cases: Sequence[Case], trial: Round) -> dict[str, float]:
    """What the mean of the attacker's own pictures of the same size class scores: no package is needed for it."""
    rows = []
    for case in cases:
        mean = trial.means.get(case.observation.bucket, trial.means.get(None))
        if mean is not None:
            rows.append(picture_figures(mean, case.subject.picture))
    return {f"mean_picture_{name}": float(np.mean([row[name] for row in rows])) for name in ("psnr", "ssim") if rows}


def _examples(
    cases: Sequence[Case], pictures: dict[tuple[int, int], Picture], scores: NDArray[np.float64]
) -> tuple[Example, ...]:
    """The image that gains most by its own package, the one in the middle, and the one that loses most."""
    whole = [index for index in range(len(cases)) if (index, 0) in pictures and (index, 1) in pictures]
    order = sorted(whole, key=lambda index: (scores[index, 1] - scores[index, 0], index))
    places = sorted({round(place * (len(order) - 1) / (_EXAMPLES - 1)) for place in range(_EXAMPLES)}) if order else []
    return tuple(
        Example(cases[i].subject.number, cases[i].subject.picture, pictures[i, 0], pictures[i, 1])
        for i in (order[place] for place in places)
    )


def cell_figures(
    scores: Sequence[NDArray[np.float32]], maps: Sequence[CodeMap], shown: Sequence[Shown], *, in_place: bool
) -> dict[str, float]:
    """AUC of true against other cells, and bits recovered.

    Candidates are the shown cells where entries are shown in their own cells among others; else all cells of the map.
    A map's AUC weighs as much as it has true entries. Bits recovered are, over all maps, (true entries among the S best
    scored candidates) × log2(N / S), with S true entries among N candidates; equal scores share their place.

    Args:
        scores: for each map a score a cell; cells without one count as the least likely.
        maps: the true code.
        shown: what everybody sees of it, or nothing.
        in_place: whether entries are shown in their own cells.

    Returns:
        support_auc and recovered_bits; empty where no map has both true and other candidates.
    """
    weighted, entries, bits = 0.0, 0, 0.0
    for number, (score, true) in enumerate(zip(scores, maps, strict=False)):
        is_true = np.zeros(true.cells, bool)
        is_true[true.positions] = True
        every = _fitted(score, true.cells)
        among = shown[number].positions if in_place and number < len(shown) else None
        if among is not None and _holds(among, true):
            every, is_true = every[among], is_true[among]
        count = int(is_true.sum())
        if not 0 < count < len(is_true):
            continue
        weighted += count * auc(every, is_true)
        entries += count
        bits += hits(every, is_true) * float(np.log2(len(is_true) / count))
    return {"support_auc": weighted / entries, "recovered_bits": bits} if entries else {}


def hits(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Positives among as many best scores as there are positives; of equal scores the share that is left to fill."""
    count = int(positive.sum())
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    surely, equal = scores > least, scores == least
    left = count - int(surely.sum())
    return float(positive[surely].sum()) + left * float(positive[equal].mean())


def _fitted(score: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Scores of just so many cells: another package of the same size class may have a few more or fewer."""
    sound = np.nan_to_num(score[:cells].astype(np.float32), nan=-np.inf)
    missing = cells - len(sound)
    return np.concatenate([sound, np.full(missing, -np.inf, np.float32)]) if missing else sound


def _holds(shown: NDArray[np.int64], true: CodeMap) -> bool:
    """Whether the shown cells are more than the true ones, and hold all of them."""
    return len(shown) > len(true.positions) and bool(np.isin(true.positions, shown).all())
