"""Writes docs/format-tables.json: the integer tables of docs/format-codes.md that are too long for its text.

    python tools/format_tables.py

tests/test_format_tables.py fails while the file is not what this writes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from medveil.codecs.lapped import dc_plane, significance, tables
from medveil.codecs.lapped.significance import DIAGONALS, KINDS, PHASES, Zone
from medveil.codecs.lapped.significance_tables import base_of, weights_of
from medveil.codecs.lapped.transform import matrices

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "format-tables.json"


def all_tables() -> dict[str, Any]:
    """Every table, under the key by which docs/format-codes.md names it."""
    prefilter, dct = matrices()
    return {
        "format": 1,
        "lapped.cells_ppm": list(tables.CELLS_PPM),
        "lapped.budgets": _budgets(tables.BUDGETS),
        "lapped.deep_budgets": _budgets(tables.DEEP_BUDGETS),
        "lapped.area_shifts": [list(pair) for pair in tables.AREA_SHIFTS],
        "lapped.deep_area_shifts": [list(pair) for pair in tables.DEEP_AREA_SHIFTS],
        "lapped.free_thresholds": list(tables.FREE_THRESHOLDS),
        "lapped.dc_spreads": list(dc_plane._SPREADS),
        "lapped.dc_ratios": list(dc_plane._RATIOS),
        "lapped.weights": [_zones(diagonal, weights_of) for diagonal in DIAGONALS],
        "lapped.bases": [_zones(diagonal, base_of) for diagonal in DIAGONALS],
        "lapped.greatest_key": significance.KEYS - 1,
        "lapped.prefilter": [[int(entry) for entry in row] for row in prefilter],
        "lapped.dct": [[int(entry) for entry in row] for row in dct],
    }


def text() -> str:
    """The file: one key after the other, each row of a table in a line of its own."""
    indented = json.dumps(all_tables(), indent=1)
    return re.sub(r"\[\s+((?:-?\d+,\s+)*-?\d+)\s+\]", lambda row: "[" + " ".join(row[1].split()) + "]", indented) + "\n"


def _budgets(rows: tuple[tuple[int, tables.Densities, int], ...]) -> list[list[int]]:
    """Rows [quality, nonzeros of each map in millionths …, level bits in thousandths]."""
    return [[quality, *densities, level_bits] for quality, densities, level_bits in rows]


def _zones(diagonal: int, table: Any) -> list[list[int]]:
    """The rows of one diagonal for each of the three kinds of phases."""
    found = []
    for kind in sorted(set(KINDS)):
        zone = next(zone for zone in (Zone(diagonal, phase) for phase in range(len(PHASES))) if zone.kind == kind)
        found.append([int(entry) for entry in table(zone)])
    return found


if __name__ == "__main__":
    OUTPUT.write_text(text(), encoding="utf-8")
