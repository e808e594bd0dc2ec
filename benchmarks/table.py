"""A table of figures from the JSON of benchmarks: for each column a format, filled for each row."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Evidence = Mapping[str, Any]
Collected = Mapping[str, Evidence | None]
Row = Mapping[str, Any]
Columns = Mapping[str, str] | Sequence[tuple[str, str]]
NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first column is left-aligned, the others right-aligned."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        rule = "| --- |" + " ---: |" * (len(self.header) - 1)
        return "\n".join([_piped(self.header), rule, *(_piped(row) for row in self.rows)])

    def text(self) -> str:
        widths = [max(len(row[column]) for row in [self.header, *self.rows]) for column in range(len(self.header))]
        lines = [
            "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(row, widths, strict=True)) for row in [self.header, *self.rows])
        ]
        return "\n".join([self.title, lines[0], "-" * len(lines[0]), *lines[1:]])


@dataclass(frozen=True)
class Layout:
    """How a table is made.

    Attributes:
        needs: the benchmarks whose results it shows.
        title: format, filled with the results of the first of them.
        columns: header and format of its cells, see `cell`; or what makes these from the results.
        rows: results of the benchmarks in `needs` -> what the cells of each row are filled with.
    """

    needs: tuple[str, ...]
    title: str
    columns: Columns | Callable[..., Columns]
    rows: Callable[..., Iterable[Row]]

    def table(self, collected: Collected) -> Table:
        """The table; all that it needs must be there."""
        results = [evidence["results"] for name in self.needs if (evidence := collected[name]) is not None]
        columns = self.columns(*results) if callable(self.columns) else self.columns
        header, forms = zip(*(columns.items() if isinstance(columns, Mapping) else columns), strict=True)
        rows = [[cell(form, row) for form in forms] for row in self.rows(*results)]
        return Table(cell(self.title, results[0]), header, rows)


def cell(form: str, row: Row) -> str:
    """A format as of `str.format`, filled; a dash where a figure that it names is not there.

    Beside the usual ones there are formats for summaries (mappings with `mean` and `ci`, or `low` and `high`, or `sd`):
    `.2to` gives "1.00 (0.90 to 1.10)", `.2–` gives "1.00 (0.90–1.10)", `.2±` gives "1.00 ± 0.05". None is a dash.
    """
    try:
        return _FORMATTER.vformat(form, (), row)
    except (LookupError, TypeError):
        return NOTHING


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return NOTHING
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, Mapping):
            digits, way = format_spec[:2] + "f", format_spec[2:]
            if way == "±":
                return f"{value['mean']:{digits}} ± {value['sd']:{digits}}"
            low, high = value["ci"] if "ci" in value else (value["low"], value["high"])
            between = "–" if way == "–" else " to "
            return f"{value['mean']:{digits}} ({low:{digits}}{between}{high:{digits}})"
        if format_spec.endswith("%"):
            return f"{value:{format_spec}}".replace("%", " %")
        return format(value, format_spec)


_FORMATTER = _Formatter()


def lines(forms: Mapping[str, str], results: Row) -> list[Row]:
    """Rows of a table of two columns, `what` and `measured`: each label with its format, filled with the results."""
    return [{"what": cell(what, results), "measured": cell(form, results)} for what, form in forms.items()]


LINES = {"what": "{what}", "measured": "{measured}"}
"""Columns of such a table."""


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _piped(row: Sequence[str]) -> str:
    return "| " + " | ".join(row) + " |"
