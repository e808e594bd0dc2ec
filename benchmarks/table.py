"""What a table of figures is, and a bar that was set for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Evidence = Mapping[str, Any]
Collected = Mapping[str, Evidence | None]
BEFORE_COMMITS = "measured before commits were recorded"


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
class Bar:
    """One requirement.

    Attributes:
        what: in words.
        limit, stretch: what was asked, and what was hoped for ("" for nothing).
        measured: in words.
        met: None where it was not measured.
        beyond: whether the stretch is met too.
    """

    what: str
    limit: str
    stretch: str
    measured: str
    met: bool | None
    beyond: bool = False

    @property
    def verdict(self) -> str:
        if self.met is None:
            return "not measured"
        return "no" if not self.met else "yes, and the stretch" if self.beyond else "yes"


def results_of(collected: Collected, name: str) -> Any:
    """The figures of one benchmark that was run."""
    evidence = collected[name]
    assert evidence is not None
    return evidence["results"]


def _piped(row: Sequence[str]) -> str:
    return "| " + " | ".join(row) + " |"


def commit_of(evidence: Evidence) -> str:
    """The commit that was measured, short; words instead where the evidence names none that can be vouched for."""
    return evidence["commit"][:12] if evidence["commit"] else BEFORE_COMMITS


def changed_since(evidence: Evidence | None) -> str:
    """What to say of a result whose canary has changed since; empty where it has not."""
    return f"measured at {evidence['version']}; changed since" if evidence and evidence.get("stale") else ""
