"""Two-image game: is a `sealed` package one of a nearly black frame or one of a chest? Both have one size bucket.

The attacker knows both pictures and their codes, trains on fresh packages of which she knows the answer, and is then
asked about fresh ones. Her advantage is 2 × accuracy − 1, which is true minus false positive rate, as a fair coin
chooses each package. Bounds are one-sided, 99 %, Clopper and Pearson. Of her classifiers the one that is strongest on
packages of a validation part is tested, once.

A package is here the public code (positions, signs, level stream, and the bytes in which the positions are coded),
32 random bytes of its header, and an encrypted record of fixed length. Coins and keys come from the operating system,
so no run repeats another; the seed is that of the classifiers and of the choice of revealed cells.

Controls, on the same road: packages of which the attacker is told where a share of the cells went (so whether they are
occupied; signs stay masked), two packages of one picture, and planted faults.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.benchmark import Measured
from benchmarks.two_image_attacker import SEED, Attacker, Part, Rows, features, right
from medveil.codecs import entropy
from medveil.codecs.code import Bucket, Composition, SparseCode
from medveil.codecs.lapped.composition_padding import pad_with_nulls
from medveil.codecs.registry import get_codec
from medveil.datasets.phantoms import draw_patient
from medveil.images.image import FileKind, Image, Source
from medveil.protection import padding, sealing
from medveil.protection.encrypting import TAG_BYTES, encrypt
from medveil.protection.keystream import Keystream, Stream, fresh_key, fresh_salt
from medveil.protection.support import coded_bytes

Streams = Callable[[bytes, str], Stream]
SHARES = (0.001, 0.01, 0.1)
_QUALITY_CENTIDB = 4000
_RECORD_GRID = 256
_RECORDS = (b"a nearly black frame with a small disc", b"a chest radiograph of an invented patient")
_BATCH = 250


@dataclass(frozen=True)
class Plan:
    """Sizes of a run: side of the pictures, packages to train, to choose and to test, and those of the controls."""

    side: int = 256
    main: tuple[int, int, int] = (6_000, 3_000, 50_000)
    same: tuple[int, int, int] = (1_500, 500, 3_000)
    faults: tuple[int, int, int] = (1_000, 400, 600)
    shares: tuple[float, ...] = SHARES


def pictures(side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A nearly black frame with a small disc, and the middle of an invented chest radiograph; (side, side) each."""
    rows, columns = np.mgrid[:side, :side]
    disc = np.where((rows - side // 2) ** 2 + (columns - side // 3) ** 2 < (side // 16) ** 2, 40, 2)
    whole = draw_patient(0, SEED).visits[0].brightness
    top, left = ((length - side) // 2 for length in whole.shape)
    chest = np.rint(255 * whole[top : top + side, left : left + side])
    return disc.astype(np.uint8), np.ascontiguousarray(chest, dtype=np.uint8)


@dataclass(frozen=True)
class Board:
    """What both sides know: the composition, and the codes of both pictures as they are sealed."""

    composition: Composition
    codes: tuple[SparseCode, SparseCode]

    @classmethod
    def of(cls, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Board:
        """The board of two 8-bit pictures of one size bucket, coded by `lapped` at quality 40."""
        codec = get_codec("lapped")
        profile = codec.profile(quality_centidb=_QUALITY_CENTIDB, sparsity=None, deep=0)
        composition = codec.composition(profile, Bucket.of(*first.shape))
        one, other = (
            codec.encode(Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"")), profile, composition)
            for pixels in (first, second)
        )
        return cls(composition, (one, other))

    @cached_property
    def starts(self) -> Rows:
        """(maps + 1,) first cell of each map in the row of all cells."""
        return np.cumsum([0, *(shape.cells for shape in self.composition.maps)])

    @cached_property
    def entry_starts(self) -> Rows:
        """(maps + 1,) first entry of each map in the row of all entries."""
        return np.cumsum([0, *(shape.nonzeros for shape in self.composition.maps)])

    @cached_property
    def supports(self) -> Rows:
        """(2, cells) int8: where the entries of each code are, nulls included."""
        rows = np.zeros((2, self.starts[-1]), np.int8)
        for row, code in zip(rows, self.codes, strict=True):
            for start, each in zip(self.starts, pad_with_nulls(code, self.composition).maps, strict=False):
                row[start + each.positions] = 1
        return rows

    @cached_property
    def signs(self) -> Rows:
        """(2, entries) int8, ±1: signs of each code, in the order of its cells."""
        padded = (pad_with_nulls(code, self.composition) for code in self.codes)
        return np.stack([np.concatenate([np.where(m.levels < 0, -1, 1) for m in code.maps]) for code in padded])

    @cached_property
    def streams(self) -> Rows:
        """(2, level bytes) uint8: level stream of each code, unmasked."""
        packed = (entropy.pack_levels(pad_with_nulls(code, self.composition), self.composition) for code in self.codes)
        size = self.composition.level_bytes
        return np.stack([np.frombuffer(stream.ljust(size, b"\0"), np.uint8) for stream in packed])


@dataclass(frozen=True)
class Packages:
    """Public parts of n packages, and the answers.

    Attributes:
        answers: (n,) ±1, 1 for the second picture.
        occupied: (n, cells) uint8, 0 or 1.
        signs: (n, entries) bool, masked.
        levels: (n, level bytes) uint8, masked.
        coded: (n, bytes) uint8, the positions as they are written.
        rest: (n, bytes) uint8, the package around its public code.
        votes: (n, shares, maps): of the revealed cells that differ, those as in the second code less the others.
    """

    answers: Rows
    occupied: Rows
    signs: Rows
    levels: Rows
    coded: Rows
    rest: Rows
    votes: Rows

    def raw(self) -> Rows:
        """(n, bytes) everything but `coded`, which says the same as `occupied`, as packed bits."""
        return np.hstack([np.packbits(self.occupied, axis=1), np.packbits(self.signs, axis=1), self.levels, self.rest])


class Recorded:
    """The keystreams of one package, whose permutations are kept for those who are told a part of them."""

    def __init__(self, key: bytes, streams: Streams) -> None:
        self._key, self._streams = key, streams
        self.orders: list[NDArray[np.int64]] = []

    def __call__(self, label: str) -> Stream:
        stream = self._streams(self._key, label)
        draw = stream.permutation

        def permutation(cells: int) -> NDArray[np.int64]:
            self.orders.append(draw(cells))
            return self.orders[-1]

        stream.permutation = permutation  # type: ignore[method-assign]
        return stream


def play(
    board: Board, count: int, rng: np.random.Generator, *, shares: Sequence[float] = (), streams: Streams = Keystream
) -> Packages:
    """Seal `count` packages, each of the picture that a coin chooses, under a fresh key.

    Args:
        shares: for each, a random share of the cells of every package is revealed.
        streams: (section key, label) -> keystream; others than those of medveil are planted faults.
    """
    cells, composition, maps = int(board.starts[-1]), board.composition, len(board.composition.maps)
    map_of_cell = np.repeat(np.arange(maps), np.diff(board.starts))
    difference = board.supports[1].astype(int) - board.supports[0]
    choices = np.array([secrets.randbelow(2) for _ in range(count)])
    occupied, votes = np.zeros((count, cells), np.uint8), np.zeros((count, len(shares), maps))
    signs, levels, coded, rest = [], [], [], []
    for row, choice in enumerate(choices):
        recorded = Recorded(fresh_key(), streams)
        public = sealing.seal_with(board.codes[choice], composition, recorded)
        for start, each in zip(board.starts, public.maps, strict=False):
            occupied[row, start + each.positions] = 1
        went = np.concatenate([start + order for start, order in zip(board.starts, recorded.orders, strict=False)])
        drawn = rng.permutation(cells) if shares else np.empty(0, int)
        for number, share in enumerate(shares):
            told = drawn[: round(share * cells)]
            seen = 2.0 * occupied[row, went[told]] - 1
            votes[row, number] = np.bincount(map_of_cell[told], seen * difference[told], minlength=maps)
        signs.append(np.concatenate([each.signs for each in public.maps]))
        levels.append(np.frombuffer(public.levels, np.uint8))
        size = coded_bytes([(shape.cells, shape.nonzeros) for shape in composition.maps])
        coded.append(np.frombuffer(public.to_bytes(composition), np.uint8)[:size])
        identity = fresh_salt() + fresh_salt()
        hidden = encrypt(padding.to_grid(_RECORDS[choice], _RECORD_GRID, TAG_BYTES), fresh_key(), identity)
        rest.append(np.frombuffer(identity + hidden, np.uint8))
    stacked = (np.stack(each) for each in (signs, levels, coded, rest))
    return Packages(2 * choices - 1, occupied, *stacked, votes)


# The game


def look(board: Board, packages: Packages) -> Part:
    """What a classifier gets of these packages."""
    return Part(features(board, packages), packages.raw(), packages.answers)


def gather(board: Board, count: int, rng: np.random.Generator, **how: Any) -> Iterator[tuple[Part, Rows]]:
    """`count` fresh packages, a batch at a time: (what a classifier gets, votes of the revealed cells)."""
    for start in range(0, count, _BATCH):
        packages = play(board, min(_BATCH, count - start), rng, **how)
        yield look(board, packages), packages.votes


def joined(batches: Iterator[tuple[Part, Rows]]) -> tuple[Part, Rows]:
    """All batches as one."""
    parts, votes = zip(*batches, strict=True)
    fields = (np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "raw", "answers"))
    return Part(*fields), np.concatenate(votes)


def game(
    board: Board, sizes: tuple[int, int, int], *, shares: Sequence[float] = (), **how: Any
) -> list[dict[str, Any]]:
    """Train, choose, test. The outcome without revealed cells comes first, then that of each share."""
    rng = np.random.default_rng(SEED)
    train, train_votes = joined(gather(board, sizes[0], rng, shares=shares, **how))
    validate, validate_votes = joined(gather(board, sizes[1], rng, shares=shares, **how))
    attackers = [Attacker.trained(train, validate)]
    for number in range(len(shares)):
        told = (train.with_votes(train_votes[:, number]), validate.with_votes(validate_votes[:, number]))
        attackers.append(Attacker.trained(*told, raw=False))
    correct = np.zeros(len(attackers), int)
    for part, votes in gather(board, sizes[2], rng, shares=shares, **how):
        seen = [part, *(part.with_votes(votes[:, number]) for number in range(len(shares)))]
        correct += [right(attacker.score, each) for attacker, each in zip(attackers, seen, strict=True)]
    return [attacker.outcome(int(number), sizes[2]) for attacker, number in zip(attackers, correct, strict=True)]


# Planted faults


class Faulty(Keystream):
    """A keystream with one planted fault."""

    def __init__(self, key: bytes, label: str, fault: str) -> None:
        super().__init__(bytes(32) if fault == "one section key for all packages" else key, label)
        self._label, self._fault = label, fault

    def bytes(self, count: int) -> bytes:
        drawn = super().bytes(count)
        if self._fault == "level stream not masked" and self._label == "levels":
            return bytes(count)
        if self._fault == "signs not masked" and self._label.startswith("signs/"):
            return bytes(count)
        if self._fault == "sign masks 1 in 53 of 100" and self._label.startswith("signs/"):
            more = np.frombuffer(super().bytes(16 * count), "<u2") < 0.06 * 65536
            return (np.frombuffer(drawn, np.uint8) | np.packbits(more)).tobytes()
        return drawn

    def permutation(self, cells: int) -> NDArray[np.int64]:
        if self._fault != "permutation within halves of a map":
            return super().permutation(cells)
        half = cells // 2
        return np.concatenate([super().permutation(half), half + super().permutation(cells - half)])


FAULTS = (
    "signs not masked", "sign masks 1 in 53 of 100", "level stream not masked", "permutation within halves of a map",
    "one section key for all packages",
)  # fmt: skip


def planted(fault: str) -> Streams:
    """Keystreams with this fault."""
    return lambda key, label: Faulty(key, label, fault)


def measure(plan: Plan) -> dict[str, Any]:
    """All games of a plan."""
    disc, chest = pictures(plan.side)
    board, same = Board.of(disc, chest), Board.of(chest, chest)
    sealed, *revealed = game(board, plan.main, shares=plan.shares)
    cells = int(board.starts[-1])
    return {
        "bucket": [plan.side, plan.side], "public_bytes": sealing.public_bytes(board.composition), "cells": cells,
        "entries": int(board.entry_starts[-1]), "differing_cells": int(np.sum(board.supports[0] != board.supports[1])),
        "sizes": {"main": plan.main, "same_image": plan.same, "faults": plan.faults}, "sealed": sealed,
        "revealed": [
            {"share": share, "cells": round(share * cells), **row}
            for share, row in zip(plan.shares, revealed, strict=True)
        ],
        "same_image": game(same, plan.same)[0],
        "faults": [{"fault": name, **game(board, plan.faults, streams=planted(name))[0]} for name in FAULTS],
    }  # fmt: skip


def run(plan: Plan = Plan()) -> Measured:
    """Is a `sealed` package one of a nearly black frame or one of a chest?"""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    with threadpool_limits(1):
        return Measured(measure(plan), 2, SEED)
