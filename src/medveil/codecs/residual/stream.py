"""Range-coded symbols, each with a distribution of its own, and what goes beside them at equal probability."""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from medveil.codecs.symbols import SymbolReader, SymbolWriter
from medveil.errors import IntegrityError

_WIDTH_BITS = 4

_Integers = NDArray[np.int64]


class RowWriter(SymbolWriter):
    """Writes symbols by rows of probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self._model = constriction.stream.model.Categorical(lazy=True, perfect=False)

    def rows(self, symbols: NDArray[np.integer], probabilities: NDArray[np.float64]) -> None:
        """Write symbol i by row i."""
        self._coder.encode(symbols.astype(np.int32), self._model, probabilities)

    def escapes(self, values: _Integers, negative: NDArray[np.bool_]) -> None:
        """Write integers of [1, 2**16) and their signs: all signs, all widths, then the tails by rising width."""
        widths = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
        self.uniform(negative.astype(np.int64), 1)
        self.uniform(widths, _WIDTH_BITS)
        self.tails(values - (np.int64(1) << widths), widths)

    def tails(self, values: _Integers, widths: _Integers) -> None:
        """Write value i in widths[i] bits, those of width 1 first, then those of width 2 …"""
        for bits in range(1, 1 + int(widths.max())):
            self.uniform(values[widths == bits], bits)


class RowReader(SymbolReader):
    """Reads what RowWriter wrote."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._model = constriction.stream.model.Categorical(lazy=True, perfect=False)

    def rows(self, probabilities: NDArray[np.float64]) -> _Integers:
        try:
            return np.asarray(self._coder.decode(self._model, probabilities), dtype=np.int64)
        except (AssertionError, ValueError, RuntimeError) as error:
            raise IntegrityError("the entropy-coded stream cannot be decoded") from error

    def escapes(self, count: int) -> tuple[_Integers, NDArray[np.bool_]]:
        negative = self.uniform(count, 1).astype(bool)
        widths = self.uniform(count, _WIDTH_BITS)
        return (np.int64(1) << widths) + self.tails(widths), negative

    def tails(self, widths: _Integers) -> _Integers:
        values = np.zeros(len(widths), np.int64)
        for bits in range(1, 1 + int(widths.max())):
            chosen = np.flatnonzero(widths == bits)
            values[chosen] = self.uniform(len(chosen), bits)
        return values
