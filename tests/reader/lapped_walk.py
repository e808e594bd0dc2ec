"""Chapter 7: which cell of which map each coefficient is."""

from __future__ import annotations

from collections.abc import Iterator

from tests.reader.tables import table

_CAP = 31
_DIAGONALS = range(1, 31)
_PHASES = ((0, 0, 0), (1, 1, 1), (0, 1, 2), (1, 0, 2))
"""(parity of the row, parity of the column, kind of the weights)."""

Grid = list[list[int]]
Cell = tuple[int, int, int, int]
"""(u, v, row of the block, column of the block)."""


class Surroundings:
    """Magnitudes decoded so far, and what they predict."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._own: dict[tuple[int, int], Grid] = {}
        self._edge: dict[tuple[int, int], Grid] = {}
        self._corner: dict[tuple[int, int], Grid] = {}
        self._mean: dict[tuple[int, int], int] = {}
        self._energies: list[Grid] = []
        self._nothing = self._grid()

    def _grid(self) -> Grid:
        """One number a block, and a rim of zeros around them."""
        return [[0] * (self.columns + 2) for _ in range(self.rows + 2)]

    def start(self, diagonal: int) -> None:
        """Open a diagonal: its channels have no magnitudes yet."""
        for u, v in channels(diagonal):
            self._own[u, v] = self._grid()
        self._energy = self._grid()
        for plane in self._energies[-3:]:
            for row, line in enumerate(plane):
                for column, value in enumerate(line):
                    self._energy[row][column] += value

    def finish(self, diagonal: int) -> None:
        """Close a diagonal: sums over its magnitudes."""
        energy = self._grid()
        for u, v in channels(diagonal):
            own, total = self._own[u, v], 0
            self._edge[u, v], self._corner[u, v] = self._grid(), self._grid()
            for row in range(1, self.rows + 1):
                for column in range(1, self.columns + 1):
                    self._edge[u, v][row][column] = edge_sum(own, row, column)
                    self._corner[u, v][row][column] = corner_sum(own, row, column)
                    energy[row][column] += own[row][column]
                    total += own[row][column]
            self._mean[u, v] = min(4095, total * 128 // (self.rows * self.columns))
        self._energies.append(energy)

    def observe(self, cell: Cell, magnitude: int) -> None:
        u, v, row, column = cell
        self._own[u, v][row + 1][column + 1] = min(magnitude, _CAP)

    def keys(self, diagonal: int, phase: int) -> Iterator[tuple[Cell, int]]:
        """(cell, key) of the cells of a zone, in its own order."""
        down, across, kind = _PHASES[phase]
        weights = table("lapped.weights")[diagonal - 1][kind]
        bases = table("lapped.bases")[diagonal - 1][kind]
        for (u, v), base in zip(channels(diagonal), bases, strict=True):
            near = _Nearby(self, u, v)
            for row in range(down, self.rows, 2):
                for column in range(across, self.columns, 2):
                    features = near.features(row + 1, column + 1, phase)
                    yield (u, v, row, column), key_of(base + sum(map(int.__mul__, weights, features)))


class _Nearby:
    """The grids that the features of one channel are made of; zeros where there is no such AC channel."""

    def __init__(self, all_of: Surroundings, u: int, v: int) -> None:
        up, left, corner, up_2, left_2 = (u - 1, v), (u, v - 1), (u - 1, v - 1), (u - 2, v), (u, v - 2)
        nothing = all_of._nothing
        self._pairs = [
            (all_of._own.get(up, nothing), all_of._own.get(left, nothing)),
            (all_of._own.get(corner, nothing), nothing),
            (all_of._own.get(up_2, nothing), all_of._own.get(left_2, nothing)),
            (all_of._edge.get(up, nothing), all_of._edge.get(left, nothing)),
            (all_of._corner.get(up, nothing), all_of._corner.get(left, nothing)),
        ]
        self._far = [all_of._edge.get(channel, nothing) for channel in (corner, up_2, left_2)]
        self._mean = all_of._mean.get(up, 0) + all_of._mean.get(left, 0)
        self._energy, self._current = all_of._energy, all_of._own[u, v]

    def features(self, row: int, column: int, phase: int) -> list[int]:
        found = [one[row][column] + two[row][column] for one, two in self._pairs]
        found.append(sum(grid[row][column] for grid in self._far))
        found.append(min(self._energy[row][column], 1023))
        found.append(min(edge_sum(self._energy, row, column), 4095))
        found.append(self._mean)
        found.append(edge_sum(self._current, row, column) if phase > 1 else 0)
        found.append(corner_sum(self._current, row, column) if phase > 0 else 0)
        return found


def channels(diagonal: int) -> list[tuple[int, int]]:
    """(u, v) of the channels of a diagonal."""
    return [(u, diagonal - u) for u in range(16) if 0 <= diagonal - u < 16]


def edge_sum(grid: Grid, row: int, column: int) -> int:
    return grid[row - 1][column] + grid[row + 1][column] + grid[row][column - 1] + grid[row][column + 1]


def corner_sum(grid: Grid, row: int, column: int) -> int:
    above, below = grid[row - 1], grid[row + 1]
    return above[column - 1] + above[column + 1] + below[column - 1] + below[column + 1]


def key_of(prediction: int) -> int:
    """Key of a prediction: sixteen an octave."""
    value = min(max(prediction, 0), (1 << 19) - 1) + 16
    exponent = value.bit_length() - 5
    return min(16 * exponent + (value >> exponent) - 16, int(table("lapped.greatest_key")))


class Ranking:
    """Hands out the cells of the maps."""

    def __init__(self, thresholds: list[int], cells: list[int]) -> None:
        self._thresholds = [*thresholds, 0]
        self._room = list(cells)
        self._used = [0] * len(cells)

    def place(self, keys: list[int]) -> Iterator[tuple[int, int, int]]:
        """(index of a key, map, position in it), the greatest keys first."""
        order = sorted(range(len(keys)), key=lambda index: -keys[index])
        counts, waiting, reached = [], 0, 0
        for threshold, room in zip(self._thresholds, self._room, strict=True):
            at_least = sum(key >= threshold for key in keys)
            waiting += at_least - reached
            reached = at_least
            counts.append(min(waiting, room))
            waiting -= counts[-1]
        for index in reversed(range(len(counts))):
            more = min(waiting, self._room[index] - counts[index])
            counts[index] += more
            waiting -= more
        taken = 0
        for index, count in enumerate(counts):
            for offset in range(count):
                yield order[taken + offset], index, self._used[index] + offset
            taken += count
            self._used[index] += count
            self._room[index] -= count
