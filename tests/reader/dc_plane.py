"""Chapter 7: the DC plane."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from tests.reader.refusal import require
from tests.reader.symbols import Frequencies, SymbolReader, folded
from tests.reader.tables import table

_LARGEST = 1 << 28
_CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
_EDGES = ((-1, 0), (1, 0), (0, -1), (0, 1))


def read_plane(reader: SymbolReader, rows: int, columns: int) -> list[list[int]]:
    """DC levels of all blocks."""
    plane = [[0] * columns for _ in range(rows)]
    ratios = table("lapped.dc_ratios")
    (first,) = reader.magnitudes(1, Frequencies(folded(128, ratios[-1], 2048)))
    _store(plane, 0, 0, _unfolded(first))
    models = [Frequencies(folded(128, ratio, 2048)) for ratio in ratios]
    spreads = table("lapped.dc_spreads")
    for level in reversed(range((max(rows, columns) - 1).bit_length())):
        for places, offsets in _steps(rows, columns, 1 << level):
            near = [_neighbourhood(plane, place, offsets, 1 << level) for place in places]
            contexts = [bisect_right(spreads, spread) for _, spread in near]
            for context, model in enumerate(models):
                chosen = [index for index, own in enumerate(contexts) if own == context]
                for index, value in zip(chosen, reader.magnitudes(len(chosen), model), strict=True):
                    _store(plane, *places[index], near[index][0] + _unfolded(value))
    return plane


def _steps(rows: int, columns: int, gap: int) -> Iterator[tuple[list[tuple[int, int]], tuple[tuple[int, int], ...]]]:
    """(samples, where their known neighbours are) of the three steps at one distance."""
    for down, across, offsets in ((gap, gap, _CORNERS), (gap, 0, _EDGES), (0, gap, _EDGES)):
        places = [(y, x) for y in range(down, rows, 2 * gap) for x in range(across, columns, 2 * gap)]
        yield places, offsets


def _neighbourhood(
    plane: list[list[int]], place: tuple[int, int], offsets: tuple[tuple[int, int], ...], gap: int
) -> tuple[int, int]:
    """(prediction, spread) from the known neighbours within the plane."""
    near = []
    for down, across in offsets:
        row, column = place[0] + down * gap, place[1] + across * gap
        if 0 <= row < len(plane) and 0 <= column < len(plane[0]):
            near.append(plane[row][column])
    return (sum(near) + len(near) // 2) // len(near), max(near) - min(near)


def _unfolded(value: int) -> int:
    return -(value + 1) // 2 if value & 1 else value // 2


def _store(plane: list[list[int]], row: int, column: int, value: int) -> None:
    require(abs(value) <= _LARGEST, "a DC value that no image has")
    plane[row][column] = value
