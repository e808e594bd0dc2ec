"""What several attacks look at in an observation: its size, its entries as a code, its features as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.attack import Knowledge
from medveil.attacks.reconstruction.image_extent import Size, likely_size, rounded, usual_sizes
from medveil.mechanisms.mechanism import Mechanism
from medveil.mechanisms.observation import Case, Observation, Shown
from medveil.mechanisms.public_codec import PublicCodec
from medveil.protection.rendering import stand_in_magnitudes

_CHANNEL_BANDS = 16
_RANK_BANDS = 8
_VALUE_EDGES = (-8, -4, -2, -1, 0, 1, 2, 4, 8)

_guessed: WeakKeyDictionary[PublicCodec, dict[int, tuple[Observation, Size]]] = WeakKeyDictionary()


def vector_lengths(space: PublicCodec, observation: Observation) -> tuple[int, ...]:
    """For each map that is shown the cells of a vector; 0 for maps in order of priority, as those of a preview are."""
    count = len(observation.maps)
    before = len(space.compositions(observation.bucket)[0].maps) if space.preview and count else 0
    return (0,) * before + (space.vector_length,) * (count - before)


def size_of(mechanism: Mechanism, observation: Observation, own: Sequence[Case] = ()) -> Size | None:
    """The size at which to decode what is shown: the likeliest one where entries lie in their own cells.

    It takes a number of decodings, so it is found once for each observation; and not at all where the attacker's own
    images of this bucket are all of one size.
    """
    space = mechanism.space
    if space is None or not mechanism.in_place or not observation.maps:
        return None
    usual = usual_sizes(own).get(observation.bucket)
    if usual is not None and usual in space.sizes(observation.maps, observation.bucket):
        return usual
    known = _guessed.setdefault(space, {})
    if id(observation) not in known:
        known[id(observation)] = observation, likely_size(space, observation.maps, observation.bucket)
    return known[id(observation)][1]


def own_size(mechanism: Mechanism, case: Case) -> Size | None:
    """The same of a case of one's own, whose true size is known."""
    space, observation = mechanism.space, case.observation
    if space is None or not mechanism.in_place or not observation.maps:
        return None
    true = rounded(*case.subject.image.pixels.shape)
    return true if true in space.sizes(observation.maps, observation.bucket) else size_of(mechanism, observation)


def magnified(observation: Observation) -> tuple[Shown, ...]:
    """The maps with values to decode. Where only signs are shown, the stream's bytes stand in for magnitudes.

    See `medveil.protection.rendering.stand_in_magnitudes`.
    """
    signs_only = all(np.all(np.abs(shown.values) == 1) for shown in observation.maps)
    if not signs_only or not observation.stream:
        return observation.maps
    magnitudes = stand_in_magnitudes(observation.stream, [len(shown.positions) for shown in observation.maps])
    return tuple(
        replace(shown, values=(shown.values * own).astype(np.int32))
        for shown, own in zip(observation.maps, magnitudes, strict=True)
    )


def published_again(knowledge: Knowledge, cases: Sequence[Case], purpose: str) -> list[Case]:
    """The cases once more, under other keys of the attacker's own."""
    generator = knowledge.generator(purpose)
    return [knowledge.mechanism.case_of(case.subject, generator.bytes(32)) for case in cases]


def revealed_raised(scores: Sequence[NDArray[np.float32]], observation: Observation) -> tuple[NDArray[np.float32], ...]:
    """Scores of all cells, those that the attacker is told of above all others."""
    found = tuple(np.array(each, np.float32) for each in scores)
    for each, told in zip(found, observation.revealed, strict=False):
        each[told.positions] = np.float32(each.max(initial=0.0) + 1.0)
    return found


def code_features(observation: Observation, space: PublicCodec | None) -> NDArray[np.float32]:
    """Everything about an observation that needs no place in the picture, as one vector.

    For each map and band (of channels, or of ranks) how many entries there are, the sum of their logarithmic
    magnitudes and of their signs; for each map a histogram of values; of the stream the histogram of its bytes; lengths
    (logarithms), the place in the manifest and the bucket. For encoded pixels the mean and the spread of bands of rows
    and columns, and a histogram. The length of the vector depends on how the mechanism publishes, never on the image.
    """
    parts = [_lengths(observation), _byte_histogram(observation.stream)]
    if observation.pixels is not None:
        parts.append(_encoding_features(observation.pixels))
    lengths = vector_lengths(space, observation) if space is not None else (0,) * len(observation.maps)
    for shown, vector_length in zip(observation.maps, lengths, strict=True):
        parts.append(_map_features(shown, vector_length))
    return np.concatenate(parts).astype(np.float32)


def _lengths(observation: Observation) -> NDArray[np.float64]:
    fixed = np.zeros(8)
    fixed[: min(len(observation.lengths), 8)] = np.log1p(observation.lengths[:8])
    bucket = observation.bucket
    return np.concatenate(
        [fixed, [np.log1p(len(observation.stream)), observation.place, np.log(bucket.height), np.log(bucket.width)]]
    )


def _byte_histogram(stream: bytes) -> NDArray[np.float64]:
    counts = np.bincount(np.frombuffer(stream, np.uint8), minlength=256)
    return counts * 256 / max(len(stream), 1)


def _encoding_features(encoding: NDArray[np.float32]) -> NDArray[np.float64]:
    bands = [np.array_split(encoding, _CHANNEL_BANDS, axis) for axis in (0, 1)]
    summary = [figure(band) if band.size else 0.0 for axis in bands for band in axis for figure in (np.mean, np.std)]
    scaled = (encoding - encoding.mean()) / max(float(encoding.std()), 1e-6)
    histogram = np.histogram(scaled, bins=32, range=(-4, 4))[0] / encoding.size
    return np.concatenate([summary, histogram])


def _map_features(shown: Shown, vector_length: int) -> NDArray[np.float64]:
    if vector_length:
        bands = (shown.positions % vector_length) * _CHANNEL_BANDS // vector_length
        count = _CHANNEL_BANDS
    else:
        bands, count = shown.positions * _RANK_BANDS // max(shown.cells, 1), _RANK_BANDS
    scale = count / max(shown.cells, 1)
    magnitudes = np.log2(1.0 + np.abs(shown.values.astype(np.float64)))
    sums = [
        np.bincount(bands, weights=weights, minlength=count) * scale
        for weights in (np.ones(len(bands)), magnitudes, np.sign(shown.values).astype(np.float64))
    ]
    classes = np.searchsorted(_VALUE_EDGES, shown.values, side="right")
    histogram = np.bincount(classes, minlength=len(_VALUE_EDGES) + 1) / max(len(classes), 1)
    return np.concatenate([*sums, histogram])
