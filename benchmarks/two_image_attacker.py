"""The attacker of the two-image game: what she looks at, her classifiers, and the bounds on her advantage.

She looks at features that would show a flaw of sealing, and at the raw bits. All classifiers are trained on the same
packages: ridge regressions on all features and one on the few best, a logistic classifier on the raw bits, and networks
with one hidden layer on either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.two_image_game import Board, Packages

Rows = NDArray[Any]
Score = Callable[[Rows, Rows], Rows]
"""(features, raw bytes) of packages -> a number for each, positive for the second picture."""

SEED = 0
CONFIDENCE = 0.99
_BATCH = 250
_RIDGES = (0.3, 3.0, 30.0)
_BEST = 16


# What the attacker looks at


def features(board: Board, packages: Packages) -> Rows:
    """(n, features) float32: what may tell two pictures apart if sealing had a flaw."""
    parts = [
        *_of_places(board, packages.occupied),
        *_of_signs(board, packages.occupied, packages.signs),
        *_of_levels(board, packages.levels),
        *(_histogram(data, 256) for data in (packages.levels, packages.coded, packages.rest)),
        np.argmax(packages.coded[:, ::-1] != 0, axis=1)[:, None],
    ]
    return np.hstack([part.astype(np.float32) for part in parts])


def _of_places(board: Board, occupied: Rows) -> Iterator[Rows]:
    """Coarse and fine histograms, pairs and triples of neighbours, gaps, and overlaps with both codes."""
    starts = board.starts[:-1]
    yield np.add.reduceat(occupied, _bins(board.starts, 32), axis=1, dtype=np.int32)
    yield np.add.reduceat(occupied, np.arange(0, board.starts[-1], 64), axis=1, dtype=np.int32)
    for step in (1, 2, 4, 8, 16, 64):
        yield _by_map(occupied[:, step:] & occupied[:, :-step], starts)
    yield _by_map(occupied[:, 2:] & occupied[:, 1:-1] & occupied[:, :-2], starts)
    for support in board.supports:
        yield _by_map(occupied & support.astype(np.uint8), starts)
    rows, places = np.nonzero(occupied)
    group = rows * len(starts) + np.repeat(np.arange(len(starts)), np.diff(board.starts))[places]
    inside = group[1:] == group[:-1]
    gaps, group = np.diff(places)[inside], group[1:][inside]
    size = 16 * len(starts)
    for values in (np.frexp(gaps)[1], np.minimum(gaps - 1, 15)):
        yield np.bincount(group * 16 + np.minimum(values, 15), minlength=size * len(occupied)).reshape(-1, size)
    squares = np.bincount(group, gaps.astype(float) ** 2, minlength=len(starts) * len(occupied))
    yield squares.reshape(-1, len(starts))


def _of_signs(board: Board, occupied: Rows, masked: Rows) -> Iterator[Rows]:
    """Sums by order and by place, agreement of neighbours, agreement with both codes."""
    signs = (1 - 2 * masked.astype(np.int8)).astype(np.int8)
    starts = board.entry_starts[:-1][np.diff(board.entry_starts) > 0]
    yield _by_map(signs, starts)
    yield np.add.reduceat(signs, _bins(board.entry_starts, 8), axis=1, dtype=np.int32)
    for step in (1, 2, 4):
        yield _by_map(signs[:, step:] * signs[:, :-step], starts)
    for known in board.signs.astype(np.int8):
        yield _by_map(signs * known, starts)
    placed = np.zeros(occupied.shape, np.int8)
    placed[occupied == 1] = signs.ravel()
    yield np.add.reduceat(placed, _bins(board.starts, 16), axis=1, dtype=np.int32)


def _of_levels(board: Board, levels: Rows) -> Iterator[Rows]:
    """The first bytes bit by bit, bits and bytes by place, agreement of neighbours and with both codes' streams."""
    bits = np.unpackbits(levels, axis=1)
    yield bits[:, :512]
    yield bits.reshape(len(levels), -1, 8).sum(axis=1)
    yield np.add.reduceat(bits, np.arange(0, bits.shape[1], 512), axis=1, dtype=np.int32)
    yield np.unpackbits(levels[:, 1:] ^ levels[:, :-1], axis=1).sum(axis=1)[:, None]
    for known in board.streams:
        differing = np.unpackbits(levels ^ known, axis=1)
        yield np.add.reduceat(differing, np.arange(0, bits.shape[1], 512), axis=1, dtype=np.int32)


def _bins(starts: Rows, count: int) -> Rows:
    """First cells of `count` equal parts of each map, or of as many as it has cells."""
    parts = [first + np.arange(bins) * (last - first) // bins for first, last in pairwise(starts)
             if (bins := int(min(count, last - first)))]  # fmt: skip
    return np.concatenate(parts)


def _by_map(values: Rows, starts: Rows) -> Rows:
    return np.add.reduceat(values, starts[starts < values.shape[1]], axis=1, dtype=np.int32)


def _histogram(data: Rows, size: int) -> Rows:
    shifted = data + size * np.arange(len(data))[:, None]
    return np.bincount(shifted.ravel(), minlength=size * len(data)).reshape(-1, size)


# Her classifiers


@dataclass(frozen=True)
class Part:
    """Packages as the classifiers see them: features, raw bytes, answers."""

    features: Rows
    raw: Rows
    answers: Rows

    def with_votes(self, votes: Rows) -> Part:
        """With what the revealed cells say, by map and together, as further features."""
        return Part(np.hstack([self.features, votes, votes.sum(axis=1, keepdims=True)]), self.raw, self.answers)


def classifiers(train: Part, *, raw: bool = True) -> dict[str, Score]:
    """Every classifier, trained; without `raw` only those of features."""
    mean, spread = train.features.mean(axis=0), train.features.std(axis=0)
    spread[spread == 0] = np.inf

    def scaled(rows: Rows) -> Rows:
        return np.clip((rows - mean) / spread, -8, 8).astype(np.float32)

    inputs, answers = scaled(train.features), train.answers.astype(np.float32)
    found: dict[str, Score] = {}
    for ridge in _RIDGES:
        found[f"linear, features, ridge {ridge}"] = _on_features(_ridge(inputs, answers, ridge), scaled)
    best = np.argsort(-np.abs(answers @ inputs - answers.mean() * inputs.sum(axis=0)))[:_BEST]
    chosen = _ridge(inputs[:, best], answers, 1e-3)
    found[f"linear, best {_BEST} features"] = lambda rows, _: chosen(scaled(rows)[:, best])
    network = _network(inputs, answers, hidden=64, epochs=8, decode=lambda rows: rows)
    found["network, features"] = _on_features(network, scaled)
    if raw:
        for name, hidden, epochs in (("linear", 0, 4), ("network", 48, 3)):
            trained = _network(train.raw, answers, hidden=hidden, epochs=epochs, decode=_plus_minus)
            found[f"{name}, raw bits"] = lambda _, rows, trained=trained: trained(rows)
    return found


def _on_features(score: Callable[[Rows], Rows], scaled: Callable[[Rows], Rows]) -> Score:
    return lambda rows, _: score(scaled(rows))


def _ridge(inputs: Rows, answers: Rows, ridge: float) -> Callable[[Rows], Rows]:
    gram = inputs.T @ inputs
    gram[np.diag_indices_from(gram)] += ridge * len(inputs)
    weights = np.linalg.solve(gram, inputs.T @ (answers - answers.mean()))
    return lambda rows: rows @ weights + answers.mean()


def _plus_minus(rows: Rows) -> Rows:
    return np.unpackbits(rows, axis=1).astype(np.float32) * 2 - 1


def _network(
    inputs: Rows, answers: Rows, *, hidden: int, epochs: int, decode: Callable[[Rows], Rows]
) -> Callable[[Rows], Rows]:
    """A logistic classifier, or, with hidden units, a network with one hidden layer and dropout; Adam, decayed."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)
    width = decode(inputs[:1]).shape[1]
    layers = [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, 1)] if hidden else []
    model = nn.Sequential(*(layers or [nn.Linear(width, 1)]))
    rate = 0.1 / width**0.5
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1.0)
    rng = np.random.default_rng(SEED)
    for _ in range(epochs):
        for chosen in np.array_split(rng.permutation(len(inputs)), max(len(inputs) // 128, 1)):
            truth = torch.from_numpy((answers[chosen] + 1) / 2)
            given = model(torch.from_numpy(decode(inputs[chosen])))[:, 0]
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(given, truth).backward()
            optimiser.step()
    model.eval()

    def score(rows: Rows) -> Rows:
        with torch.inference_mode():
            parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
            return np.concatenate([model(torch.from_numpy(decode(part)))[:, 0].numpy() for part in parts])

    return score


def right(score: Score, part: Part) -> int:
    """How many answers are right."""
    return int(np.sum((score(part.features, part.raw) > 0) == (part.answers > 0)))


@dataclass(frozen=True)
class Attacker:
    """The classifier that was the strongest in validation, and what each one's advantage was there."""

    name: str
    score: Score
    validation: dict[str, float]

    @classmethod
    def trained(cls, train: Part, validate: Part, *, raw: bool = True) -> Attacker:
        found = classifiers(train, raw=raw)
        validation = {name: 2 * right(score, validate) / len(validate.answers) - 1 for name, score in found.items()}
        name = max(validation, key=lambda each: validation[each])
        return cls(name, found[name], validation)

    def outcome(self, correct: int, count: int) -> dict[str, Any]:
        """Advantage on `count` test packages with its bounds, and how the classifier was chosen."""
        return {
            "advantage": 2 * correct / count - 1, "lower_99": -upper_advantage(count - correct, count),
            "upper_99": upper_advantage(correct, count), "correct": correct, "packages": count, "strongest": self.name,
            "validation": self.validation,
        }  # fmt: skip


def upper_advantage(correct: int, count: int) -> float:
    """Upper bound on 2 p − 1, where `correct` of `count` were right, each with probability p (Clopper, Pearson)."""
    if correct == count:
        return 1.0
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    chosen = np.arange(correct + 1)
    ways = logs[count] - logs[chosen] - logs[count - chosen]
    low, high = correct / count, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        tail = np.exp(ways + chosen * np.log(middle) + (count - chosen) * np.log1p(-middle)).sum()
        low, high = (middle, high) if tail > 1 - CONFIDENCE else (low, middle)
    return 2 * high - 1
