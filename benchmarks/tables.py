"""All tables: the same figures as plain text for a terminal and as Markdown for the documents."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import attack_tables, plane_tables, rate_tables, utility_tables
from benchmarks.table import Collected, Evidence, Layout, Row, Table, cell

NAMES = (
    "rate_fidelity", "performance", "depth16", "primis_fidelity", "exact_bytes", "granting", "two_image_game",
    "fidelity_table", "decoy_curve", "translation_attacks", "club", "audit_sealed", "audit_encrypted",
    "audit_repeat", "utility_classification", "utility_segmentation", "utility_radiomics", "training_throughput",
    "recognition", "plane", "prichexy", "cohort", "anonymizers",
)  # fmt: skip
BEFORE_COMMITS = "measured before commits were recorded"
TABLES: dict[str, Layout] = {
    **rate_tables.TABLES,
    **attack_tables.TABLES,
    **utility_tables.TABLES,
    **plane_tables.TABLES,
}
"""Name of a table in the documents -> how it is made."""
PROVENANCE = "provenance"
"""The table of where all figures come from."""
_PROVENANCE = {
    "command": "`{command}`", "state": "{state}", "commit": "{at}", "images": "{images}", "seed": "{shown_seed}",
    "seconds": "{seconds:.0f}",
    "machine, and its load at the end":
        "{machine[cores]} cores, {machine[cpu]}, {machine[memory_gib]} GiB; load {load}",
}  # fmt: skip


def text_of(evidence: Evidence) -> str:
    """Every table of one benchmark, as plain text."""
    collected = {evidence["name"]: evidence}
    return "\n\n".join(one.table(collected).text() for one in TABLES.values() if one.needs == (evidence["name"],))


def render(name: str, collected: Collected) -> str:
    """One table as Markdown; a line instead where a benchmark that it needs has not been run.

    Below it a line for each benchmark whose results changed since it was measured.
    """
    if name == PROVENANCE:
        rows = [[cell(form, row) for form in _PROVENANCE.values()] for row in _provenance(collected)]
        return Table("Where the figures come from", list(_PROVENANCE), rows).markdown()
    layout = TABLES[name]
    missing = [need for need in layout.needs if collected.get(need) is None]
    if missing:
        return f"*Not measured yet: {', '.join(missing)}.*"
    stale = [f"*`{need}`: {changed}.*" for need in layout.needs if (changed := _changed_since(collected[need]))]
    return "\n\n".join([layout.table(collected).markdown(), *stale])


def _provenance(collected: Collected) -> Iterator[Row]:
    for name in NAMES:
        evidence = collected.get(name)
        if evidence is not None:
            yield {
                **evidence,
                "command": evidence["command"].replace("benchmarks.", "benchmarks "),  # as it is called today
                "state": _changed_since(evidence) or f"measured at {evidence['version']}",
                "at": evidence["commit"][:12] if evidence["commit"] else BEFORE_COMMITS,
                "shown_seed": "none" if evidence.get("seed") is None else evidence["seed"],
                "load": evidence["machine"].get("load_average", ["?"])[0],
            }


def _changed_since(evidence: Evidence | None) -> str:
    """What to say of a result whose canary has changed since; empty where it has not."""
    return f"measured at {evidence['version']}; changed since" if evidence and evidence.get("stale") else ""
