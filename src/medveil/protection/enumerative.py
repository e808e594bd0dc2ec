"""Which entries of each vector are the true ones, coded at the enumerative price log2 C(P, T) a vector.

Entry j of a vector of P entries, T of them true, is true with probability (true ones left) / (entries left); the
product over a vector is 1 / C(P, T) for each of its subsets. Entries that are certain cost nothing.

Format (version 1): one range coder stream (constriction's RangeEncoder: 64-bit state, 32-bit little-endian words,
24-bit precision) over j = 0, 1, …, and for each j over the vectors whose entry j exists and is not certain; the
probability of a 1 is k / 2**24 with k = (true ones left << 24) // entries left, at least 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medveil.errors import IntegrityError

_PRECISION = 24


def encode_subsets(chosen: NDArray[np.bool_], entries: NDArray[np.int64]) -> bytes:
    """Code which entries are chosen.

    Args:
        chosen: (entries.sum(),) for the entries of the first vector, then those of the second, …
        entries: (V,) number of entries P of each vector.
    """
    from constriction import stream

    encoder = stream.queue.RangeEncoder()
    table = np.zeros((len(entries), int(entries.max(initial=0))), bool)
    table[_inside(table.shape, entries)] = chosen
    left = table.sum(axis=1)
    for column in range(table.shape[1]):
        open_vectors = _open(left, entries, column)
        symbols = table[open_vectors, column].astype(np.int32)
        if len(symbols):
            encoder.encode(symbols, _binary(), _chances(left, entries, column, open_vectors))
        left -= table[:, column]
    words: NDArray[np.uint32] = encoder.get_compressed()
    return words.astype("<u4").tobytes()


def decode_subsets(data: bytes, entries: NDArray[np.int64], true_ones: NDArray[np.int64]) -> NDArray[np.bool_]:
    """What `encode_subsets` coded, given how many entries of each vector are chosen.

    Args:
        data: the coded subsets.
        entries: (V,) number of entries P of each vector.
        true_ones: (V,) number T of chosen ones among them.

    Raises:
        IntegrityError: the bytes are not such a stream, or the numbers do not go together.
    """
    from constriction import stream

    if len(data) % 4 or np.any(true_ones < 0) or np.any(true_ones > entries):
        raise IntegrityError("a support secret doesn't fit its public code")
    decoder = stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
    table = np.zeros((len(entries), int(entries.max(initial=0))), bool)
    left = true_ones.copy()
    for column in range(table.shape[1]):
        open_vectors = _open(left, entries, column)
        table[:, column] = (left == entries - column) & (left > 0)
        if len(open_vectors):
            try:
                symbols = decoder.decode(_binary(), _chances(left, entries, column, open_vectors))
            except (AssertionError, ValueError) as error:
                raise IntegrityError("a support secret is not a range coder stream") from error
            table[open_vectors, column] = symbols.astype(bool)
        left -= table[:, column]
    return table[_inside(table.shape, entries)]


def _inside(shape: tuple[int, ...], entries: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.arange(shape[1])[None, :] < entries[:, None]


def _open(left: NDArray[np.int64], entries: NDArray[np.int64], column: int) -> NDArray[np.int64]:
    return np.flatnonzero((left > 0) & (left < entries - column))


def _chances(
    left: NDArray[np.int64], entries: NDArray[np.int64], column: int, vectors: NDArray[np.int64]
) -> NDArray[np.float64]:
    numerators = (left[vectors] << _PRECISION) // (entries[vectors] - column)
    chances: NDArray[np.float64] = np.maximum(numerators, 1) / float(1 << _PRECISION)
    return chances


def _binary() -> Any:
    from constriction import stream

    return stream.model.Bernoulli(perfect=True)
