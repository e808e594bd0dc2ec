"""docs/format-tables.json is what tools/format_tables.py makes of the source."""

from __future__ import annotations

import json
import runpy
from pathlib import Path


def test_the_tables_of_the_format_are_current(repository: Path) -> None:
    made = runpy.run_path(str(repository / "tools" / "format_tables.py"))
    written = (repository / "docs" / "format-tables.json").read_text(encoding="utf-8")
    assert written == made["text"](), "run: python tools/format_tables.py"


def test_the_tables_have_the_shapes_that_the_format_states(repository: Path) -> None:
    tables = json.loads((repository / "docs" / "format-tables.json").read_text(encoding="utf-8"))
    assert sum(tables["lapped.cells_ppm"]) == 1_000_000
    budgets = ["lapped.budgets", "lapped.deep_budgets"]
    assert all(len(row) == 15 for key in budgets for row in tables[key])
    assert [len(kinds) for kinds in tables["lapped.weights"]] == [3] * 30
    assert all(len(row) == 11 for kinds in tables["lapped.weights"] for row in kinds)
    assert [len(kinds[0]) for kinds in tables["lapped.bases"]] == [*range(2, 17), *range(15, 0, -1)]
    assert all(len(row) == 16 for key in ("lapped.prefilter", "lapped.dct") for row in tables[key])
