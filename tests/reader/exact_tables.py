"""The two tables at the end of docs/format-exact.md."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.reader.varints import read_varint

_FILE = Path(__file__).resolve().parents[2] / "docs" / "format-exact.md"
FEATURES, _FIRST, _SECOND, _OUT = 57, 32, 16, 2

Matrix = list[list[int]]


@dataclass(frozen=True)
class Network:
    """Weights of each number of a layer, one row a number, and what is added to it."""

    first: Matrix
    first_bias: list[int]
    second: Matrix
    second_bias: list[int]
    third: Matrix
    third_bias: list[int]
    direct: list[int]


@cache
def ratios() -> list[int]:
    """R."""
    return [int(word) for word in _blocks()[-2].split()]


@cache
def network() -> Network:
    """The weights, each matrix turned, so that a row belongs to one number of the result."""
    coded = "".join(_blocks()[-1].split())
    missing = -len(coded) % 5
    data = base64.b85decode(coded + "~" * missing)
    data = data[: len(data) - missing]
    weights, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        weights.append(-(value + 1) // 2 if value & 1 else value // 2)
    sizes = (FEATURES * _FIRST, _FIRST, _FIRST * _SECOND, _SECOND, _SECOND * _OUT, _OUT, FEATURES)
    assert len(weights) == sum(sizes)
    parts, start = [], 0
    for size in sizes:
        parts.append(weights[start : start + size])
        start += size
    one, one_bias, two, two_bias, three, three_bias, direct = parts
    return Network(
        _turned(one, _FIRST), one_bias, _turned(two, _SECOND), two_bias, _turned(three, _OUT), three_bias, direct
    )


def _turned(flat: list[int], columns: int) -> Matrix:
    return [flat[column::columns] for column in range(columns)]


def _blocks() -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", _FILE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
