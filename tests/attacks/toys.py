"""Toy mechanisms for tests of attacks: a codec that is a block transform, and several ways to publish its codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medveil.attacks.attack import Effort, Knowledge
from medveil.codecs.code import Bucket, CodeMap, Profile, SparseCode
from medveil.images.image import FileKind, Image, Source
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Observation, Shown, Subject
from medveil.mechanisms.public_codec import PublicCodec
from medveil.mechanisms.working_pictures import Window, working_picture

M = 16
SIDE = 64


class ToyCodec:
    """One vector of 16 cells for each 16 × 16 pixels: the means of 4 × 4 pixels less 128, half of them kept."""

    name = "toy"
    vector_length = M
    successive = False
    reproducible = True

    def encode(self, image, profile, composition, base=None):
        means = image.pixels.reshape(SIDE // 4, 4, SIDE // 4, 4).mean((1, 3))
        vectors = means.reshape(SIDE // 16, 4, SIDE // 16, 4).transpose(0, 2, 1, 3).reshape(-1, M) - 128
        smallest = np.argsort(np.abs(vectors), axis=1)[:, : M // 2]
        levels = np.rint(vectors).astype(np.int32)
        np.put_along_axis(levels, smallest, 0, axis=1)
        flat = levels.ravel()
        at = np.flatnonzero(flat)
        return SparseCode((CodeMap(len(flat), at, flat[at]),), b"side")

    def decode(self, code, profile, bucket, base=None):
        flat = np.zeros(code.maps[0].cells, np.float32)
        flat[code.maps[0].positions] = code.maps[0].levels
        cells = flat.reshape(SIDE // 16, SIDE // 16, 4, 4).transpose(0, 2, 1, 3).reshape(SIDE // 4, SIDE // 4)
        return np.clip(np.kron(cells, np.ones((4, 4))) + 128, 0, 255).astype(np.uint8)

    def planes(self, maps, profile, size):
        flat = np.zeros(maps[0].cells, np.float32)
        flat[maps[0].positions] = maps[0].levels
        return np.ascontiguousarray(flat.reshape(SIDE // 16, SIDE // 16, M).transpose(2, 0, 1))

    def scores(self, planes, profile):
        return (planes.transpose(1, 2, 0).ravel(),)


class RankedCodec(ToyCodec):
    """The same, but told as cells in order of priority."""

    vector_length = 0

    def coefficients(self, code, bucket, base=None):
        return super().planes(code.maps, None, None)

    planes = None


class ToySpace(PublicCodec):
    """Of one size only."""

    def sizes(self, maps, bucket):
        return [(SIDE, SIDE)]


def space(ranked=False):
    return ToySpace(RankedCodec() if ranked else ToyCodec(), Profile("toy", 0), fixed=False, working=SIDE)


class Toy(Mechanism):
    """Publishes codes as `publisher` says: (code, generator) -> (maps, stream)."""

    name = "toy"

    def __init__(self, space, publisher, in_place=True):
        self.space, self.publisher, self.in_place = space, publisher, in_place

    def publish(self, subject, key):
        generator = np.random.default_rng(list(key))
        return replace(self.publisher(self.code_of(subject), generator), bucket=Bucket(SIDE, SIDE))

    def code_of(self, subject):
        return self.space.code(subject.image)


def _mixed(code, generator, levels_of, count):
    """True entries and `count` others in random empty cells of each vector."""
    (true,) = code.maps
    empty = np.setdiff1d(np.arange(true.cells), true.positions)
    chosen = np.concatenate(
        [generator.permutation(empty[empty // M == v])[:count] for v in range(true.cells // M)] or [empty]
    )
    positions = np.concatenate([true.positions, chosen])
    values = np.concatenate([true.levels, levels_of(true.levels, len(chosen), generator)])
    order = np.argsort(positions)
    return Observation(Bucket(SIDE, SIDE), (Shown(true.cells, positions[order], values[order].astype(np.int32)),))


def matched(code, generator):
    """Decoys of the law of the true values."""
    return _mixed(code, generator, lambda true, count, draw: draw.choice(true, count), 4)


def above(code, generator):
    """Decoys above the true range, as the published law has them."""

    def levels(true, count, draw):
        high, low = np.abs(true).max(), true[true < 0].max(initial=-1)
        up = draw.random(count) < 0.5
        return np.where(up, high + 1 + draw.integers(0, high, count), low + 1 + draw.integers(0, high, count))

    return _mixed(code, generator, levels, M)


def plain(code, generator):
    """The code itself."""
    (true,) = code.maps
    return Observation(Bucket(SIDE, SIDE), (Shown(true.cells, true.positions, true.levels),))


def random(code, generator):
    """Nothing of the image."""
    cells, count = code.maps[0].cells, code.maps[0].cells // 2
    at = np.sort(generator.permutation(cells)[:count])
    return Observation(
        Bucket(SIDE, SIDE), (Shown(cells, at, generator.choice([-1, 1], count).astype(np.int32)),),
        generator.bytes(64), (200,),
    )  # fmt: skip


def told(share):
    """Random codes, and a share of the true entries."""

    def publish(code, generator):
        (true,) = code.maps
        at = np.sort(generator.permutation(len(true.positions))[: round(share * len(true.positions))])
        return replace(random(code, generator), revealed=(Shown(true.cells, true.positions[at], true.levels[at]),))

    return publish


def subjects(count, seed=0):
    """Pictures of a bright spot somewhere on a slope, each of its own patient."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    found = []
    for number in range(count):
        row, column = generator.uniform(8, SIDE - 8, 2)
        spot = 160 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 300)
        pixels = np.clip(50 + 0.5 * rows + spot + generator.normal(0, 2, rows.shape), 0, 255).astype(np.uint8)
        picture = working_picture(pixels, Bucket(SIDE, SIDE), Window(), SIDE)
        found.append(Subject(number, number, 0, Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"")), picture))
    return found


def knowledge(publisher, *, ranked=False, in_place=True, own=16, kept=8, tested=8, steps=30, others=0):
    """What an attacker of a toy has, and the cases under attack."""
    mechanism = Toy(space(ranked), publisher, in_place)
    cases = []
    for subject in subjects(own + kept + tested):
        first, *further = (mechanism.case_of(subject, bytes([again, subject.number])) for again in range(others + 1))
        seen = replace(first.observation, others=tuple(each.observation for each in further))
        cases.append(replace(first, observation=seen))
    first, second, third = cases[:own], cases[own : own + kept], cases[own + kept :]
    effort = Effort(working=SIDE, steps=steps, batch=4, width=4, seed_bits=4, targets=2)
    seen = tuple(case.observation for case in third)
    return Knowledge(mechanism, tuple(first), tuple(second), seen, effort, 3), third


def auc(scores, true):
    """Area under the ROC curve, ties counting half."""
    ranks = np.searchsorted(np.sort(scores), scores, "left") + np.searchsorted(np.sort(scores), scores, "right") + 1
    positive = int(true.sum())
    return (ranks[true].sum() / 2 - positive * (positive + 1) / 2) / (positive * (len(true) - positive))


def outcome(attack, known, cases):
    """((support AUC, with another package), (PSNR, with another package)), means over the cases; NaN without."""
    attacker = attack.fit(known)
    guesses = [attacker.predict(case.observation) for case in cases]
    figures = []
    for shift in (0, 1):
        areas, ratios = [], []
        for number, case in enumerate(cases):
            guess = guesses[(number + shift) % len(cases)]
            true = np.zeros(case.code.maps[0].cells, bool)
            true[case.code.maps[0].positions] = True
            if guess.support is not None:
                areas.append(auc(guess.support[0], true))
            if guess.picture is not None:
                error = np.mean((guess.picture - case.subject.picture) ** 2)
                ratios.append(20 * np.log10(255) - 10 * np.log10(error))
        figures.append((np.mean(areas) if areas else np.nan, np.mean(ratios) if ratios else np.nan))
    (ours, our_db), (theirs, their_db) = figures
    return (ours, theirs), (our_db, their_db)
