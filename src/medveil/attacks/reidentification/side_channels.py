"""side-channels: what shows beside the pixels. Lengths, sizes, counts, order and place; never a value of the code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.applicability import Need
from medveil.attacks.attack import Goal, Guess, Knowledge
from medveil.attacks.reidentification.linear_embedding import Numbers, less_means, unit, within_patients
from medveil.mechanisms.observation import Case, Observation, Picture

_SECTIONS = 8
_MAPS = 8
_WIDEST = 3.0  # standard deviations at which a feature is cut off
_FREQUENCY = np.pi / (2 * _WIDEST)  # so that the cosine falls over the whole range of differences
_LEAST_REPEAT = 2.0  # standard errors that a correlation within patients has to exceed
_BANDWIDTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_COMPONENTS = 16

Table = NDArray[np.float64]


def side_features(observation: Observation) -> NDArray[np.float64]:
    """Everything that is visible but the code.

    Returns:
        Logarithms of section lengths and of their sum, of the stream's length and of the cells, entries and entries a
        cell of each map; sides of the bucket; number of sections, maps and further publications; shape of an encoding;
        place in the manifest; for each commitment its rank among those of the package and its first bytes (equal ones
        of two packages tell of a key used twice).
    """
    lengths = np.array([*observation.lengths, sum(observation.lengths), len(observation.stream)], np.float64)
    cells = np.array([shown.cells for shown in observation.maps], np.float64)
    entries = np.array([len(shown.positions) for shown in observation.maps], np.float64)
    firsts = np.array([int.from_bytes(each[:4], "big") / (1 << 32) for each in observation.commitments])
    shape = observation.pixels.shape if observation.pixels is not None else (0, 0)
    counts = [len(observation.lengths), len(observation.maps), len(observation.others), len(observation.commitments)]
    return np.concatenate(
        [
            _fixed(np.log1p(lengths), _SECTIONS + 2),
            _fixed(np.log1p(cells), _MAPS),
            _fixed(np.log1p(entries), _MAPS),
            _fixed(entries / np.maximum(cells, 1.0), _MAPS),
            [np.log1p(entries.sum()), np.log1p(cells.sum())],
            np.array([observation.bucket.height, observation.bucket.width, *counts, *shape], np.float64),
            [observation.place],
            _fixed(np.argsort(np.argsort(firsts)).astype(np.float64), _SECTIONS),
            _fixed(firsts, _SECTIONS),
        ]
    )


def _fixed(numbers: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.pad(numbers[:count], (0, max(0, count - len(numbers))))


def repeat_weights(table: Table, patients: Numbers, strata: Numbers) -> NDArray[np.float64]:
    """How well each feature repeats within a patient: 0 for one that does not, larger for one that hardly differs.

    With r the share of its variance (within data sets and views) that lies between patients, r / (1 - r); r counts as
    zero unless it exceeds two standard errors of what chance gives.

    Args:
        table: (n, d) standardised features.
        patients, strata: (n,) numbers.
    """
    centred = less_means(table, strata)
    apart, freedom = within_patients(centred, patients)
    if not freedom:
        return np.zeros(table.shape[1])
    total = centred.var(0)
    repeat = np.where(total > 1e-12, 1 - (apart**2).sum(0) / freedom / np.maximum(total, 1e-12), 0.0)
    repeat = np.where(repeat > _LEAST_REPEAT / np.sqrt(freedom), np.clip(repeat, 0.0, 0.99), 0.0)
    return np.asarray(repeat / (1 - repeat), np.float64)


def content_weights(table: Table, pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the pictures' variance in their first principal components that each feature explains by itself."""
    centred = pictures - pictures.mean(0)
    powers, vectors = np.linalg.eigh(centred @ centred.T)
    kept = np.argsort(powers)[::-1][:_COMPONENTS]
    scores = vectors[:, kept] * np.sqrt(np.maximum(powers[kept], 0.0))
    columns = table - table.mean(0)
    norms = np.maximum((columns**2).sum(0), 1e-12)
    explained = ((columns.T @ scores) ** 2).sum(1) / norms / max(float((scores**2).sum()), 1e-12)
    chance = 1.0 / max(len(table) - 1, 1)
    share: NDArray[np.float64] = np.where(explained > 2 * chance, explained, 0.0)
    return share


class SideChannelAttacker:
    """A learned `SideChannels`; see there."""

    def __init__(self, knowledge: Knowledge) -> None:
        cases = knowledge.own + knowledge.validation
        raw = _table(cases)
        self._centre = raw.mean(0)
        spread = raw.std(0)
        self._live = spread > 1e-9
        self._spread = np.where(self._live, spread, 1.0)
        if not self._live.any():
            self._live[:1] = True
        patients = np.array([case.subject.patient for case in cases])
        strata = np.array([case.subject.stratum for case in cases])
        table = self._standardised(raw)
        repeat = repeat_weights(table, patients, strata)
        self._amplitudes = np.sqrt(repeat if repeat.any() else np.ones_like(repeat))
        self._learn_pictures(knowledge, table, repeat)

    def predict(self, observation: Observation) -> Guess:
        features = self._standardised(side_features(observation)[None])
        picture = _regressed(features, self._table, self._pictures, self._metric, self._bandwidth)[0]
        side = round(np.sqrt(picture.size))
        return Guess(picture.reshape(side, side).astype(np.float32), embedding=self._embedded(features)[0])

    def _standardised(self, raw: Table) -> Table:
        found: Table = np.clip((raw - self._centre) / self._spread, -_WIDEST, _WIDEST)[:, self._live]
        return found

    def _embedded(self, features: Table) -> NDArray[np.float32]:
        """A point on a circle for each feature, so that the cosine of two falls with their weighted distance."""
        angles = features * _FREQUENCY
        points = np.concatenate([np.cos(angles) * self._amplitudes, np.sin(angles) * self._amplitudes], 1)
        return unit(points.astype(np.float32))

    def _learn_pictures(self, knowledge: Knowledge, table: Table, repeat: NDArray[np.float64]) -> None:
        """Choose what counts as near, and how near, by the pictures of the validation images."""
        own = len(knowledge.own)
        pictures = np.stack([_flat(case.subject.picture) for case in knowledge.own + knowledge.validation])
        self._table, self._pictures = table[:own], pictures[:own]
        candidates = [content_weights(table[:own], pictures[:own]), repeat, np.ones(table.shape[1])]
        choices = [(metric / metric.sum(), width) for metric in candidates if metric.any() for width in _BANDWIDTHS]
        self._metric, self._bandwidth = np.zeros(table.shape[1]), 1.0  # the mean picture, unless a choice is better
        if own == len(table):
            return
        held, truth = table[own:], pictures[own:]
        least = _error(_regressed(held, self._table, self._pictures, self._metric, 1.0), truth)
        for metric, width in choices:
            error = _error(_regressed(held, self._table, self._pictures, metric, width), truth)
            if error < least:
                least, self._metric, self._bandwidth = error, metric, width


def _table(cases: Sequence[Case]) -> Table:
    return np.stack([side_features(case.observation) for case in cases])


def _flat(picture: Picture) -> NDArray[np.float64]:
    return picture.astype(np.float64).ravel()


def _regressed(features: Table, table: Table, pictures: Table, metric: NDArray[np.float64], width: float) -> Table:
    """Mean of the pictures, weighted by how near they are: (n, pixels)."""
    apart = ((features[:, None, :] - table[None, :, :]) ** 2) @ metric
    nearness = np.exp(-(apart - apart.min(1, keepdims=True)) / (2 * width**2))
    mean: Table = nearness @ pictures / nearness.sum(1, keepdims=True)
    return mean


def _error(guesses: Table, truth: Table) -> float:
    """Mean of the logarithms of the mean squared errors: what mean PSNR follows."""
    return float(np.log(((guesses - truth) ** 2).mean(1) + 1e-3).mean())


class SideChannels:
    """Learns from lengths, sizes, counts, order and place alone who and what is in a package.

    Linkage: features that repeat within the attacker's own patients count, by how well they do. Picture: mean of the
    own pictures whose packages look alike beside the code; what looks alike is chosen on validation images.

    >>> from medveil.mechanisms.expected_breaks import expected_breaks
    >>> expected_breaks(SideChannels())[0], str(SideChannels.goal)
    ('content-weight', 'reidentification')
    """

    name = "side-channels"
    title = "lengths, sizes, order and counts"
    goal = Goal.REIDENTIFICATION
    knows = "everything visible but the code; own images with their packages"
    needs = "nothing"
    requires = (Need.OWN_IMAGE,)
    cost = "seconds"
    trains = False

    def fit(self, knowledge: Knowledge) -> SideChannelAttacker:
        return SideChannelAttacker(knowledge)
