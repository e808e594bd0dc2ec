"""Cells of CSV files: no formula to a spreadsheet, and what they were when they are read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.files.cells import neutral, restored

texts = st.text(st.sampled_from("'=+-@;, a\t\n\uff1d"), max_size=12)


@given(texts)
def test_every_cell_comes_back(text: str) -> None:
    assert restored(neutral(text)) == text


@given(texts)
def test_no_cell_begins_as_a_formula(text: str) -> None:
    for cell in neutral(text).replace(";", ",").split(","):
        assert cell.strip()[:1] not in ("=", "+", "-", "@", "\uff1d") or not cell


@pytest.mark.parametrize("cell", ["=1", "a=b", "'a'", "-", ""])
def test_cells_of_other_programs_stay(cell: str) -> None:
    assert restored(cell) == cell
