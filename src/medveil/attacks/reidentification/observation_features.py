"""Features of an observation by which a person might be known again: no picture, no key, nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medveil.attacks.reidentification.picture_features import Blocks
from medveil.attacks.views import code_features
from medveil.mechanisms.observation import Observation, Shown
from medveil.mechanisms.public_codec import PublicCodec

_PROJECTION = 256
_STREAM_BYTES = 128
_STEPS = np.linspace(0.0, 1.0, 65)
_SPECTRUM = 64


def observation_blocks(observations: Sequence[Observation], space: PublicCodec | None) -> Blocks:
    """Features of n observations of one mechanism.

    Returns:
        Blocks (n, d): statistics of the code (`code_features`); random projections of which cells show an entry, and of
        their values, which are near each other where a permutation or a mask was used twice; the first bits of the
        stream, likewise; and, for encoded pixels, what a linear map and another order of patches leave as it is.
    """
    statistics = _padded([code_features(observation, space) for observation in observations])
    places = np.stack([_projected(observation.maps, signed=False) for observation in observations])
    values = np.stack([_projected(observation.maps, signed=True) for observation in observations])
    streams = np.stack([_bits(observation.stream) for observation in observations])
    encodings = _padded([_invariants(observation.encoding) for observation in observations])
    return statistics, places, values, streams, encodings


def _padded(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Vectors as rows, filled up with zeros; usually all are of one length."""
    width = max(len(vector) for vector in vectors)
    return np.stack([np.pad(vector, (0, width - len(vector))) for vector in vectors])


def _projected(maps: Sequence[Shown], *, signed: bool) -> NDArray[np.float32]:
    """The shown cells as a vector, projected to a few numbers by a public random matrix of -1 and 1.

    Inner products are kept but for noise (Johnson and Lindenstrauss), so that common cells show.
    """
    total = np.zeros(_PROJECTION)
    entries = 0
    for number, shown in enumerate(maps):
        weights = np.sign(shown.values) if signed else np.ones(len(shown.positions))
        total += weights @ _random_signs(shown.positions, number)
        entries += len(shown.positions)
    return np.asarray(total / np.sqrt(max(entries, 1)), np.float32)


def _random_signs(cells: NDArray[np.int64], number: int) -> NDArray[np.float32]:
    """(K, 256) fixed signs of cells: the bits of words that a mixing function makes of cell and map."""
    with np.errstate(over="ignore"):
        words = 4 * np.repeat(cells.astype(np.uint64), 4).reshape(-1, 4)
        words = words + (np.arange(4, dtype=np.uint64) + np.uint64((number + 1) << 40))
        words = words * np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        words = (words ^ (words >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    bits = np.unpackbits((words ^ (words >> np.uint64(32))).astype("<u8").view(np.uint8), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _bits(stream: bytes) -> NDArray[np.float32]:
    first = np.frombuffer(stream[:_STREAM_BYTES].ljust(_STREAM_BYTES, b"\0"), np.uint8)
    return np.unpackbits(first).astype(np.float32)


def _invariants(encoding: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """What does not change when rows are put in another order and multiplied by an orthogonal matrix.

    Quantiles of the lengths of rows and of their distances, the same for rows less their mean, and singular values; all
    as logarithms. A random matrix that isn't orthogonal keeps them nearly. Source of the idea: Carlini et al.,
    arXiv:2108.07256.
    """
    if encoding is None:
        return np.zeros(1, np.float32)
    rows = encoding.astype(np.float64)
    found = []
    for each in (rows, rows - rows.mean(0)):
        gram = each @ each.T
        lengths = np.diag(gram)
        apart = lengths[:, None] + lengths[None, :] - 2 * gram
        np.fill_diagonal(apart, np.inf)
        nearest = np.sort(apart, axis=1)[:, : max(1, len(rows) // 8)].mean(1)
        pairs = apart[np.triu_indices(len(rows), 1)]
        for figures in (lengths, nearest, pairs if len(pairs) else lengths):
            found.append(np.quantile(np.maximum(figures, 0.0), _STEPS))
        powers = np.maximum(np.linalg.eigvalsh(gram)[::-1][:_SPECTRUM], 0.0)
        found.append(np.pad(powers, (0, _SPECTRUM - len(powers))))
    return np.log(np.concatenate(found) + 1e-4).astype(np.float32)
