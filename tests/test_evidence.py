"""The figures in the documents are those in evidence/*.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from benchmarks import bars, documents, provenance, tables

_STORED = sorted(path.stem for path in provenance.EVIDENCE.glob("*.json"))
_PROSE_NUMBER = re.compile(r"\d+\.\d+|\d+ (?:dB|bpp|HU|MiB|bytes|seconds|s)\b|\d+ ?%")


@pytest.mark.parametrize("name", _STORED)
def test_evidence_says_where_it_comes_from(name: str) -> None:
    stored = provenance.load(name)
    assert stored is not None
    if name not in tables.NAMES:
        pytest.skip("evidence of another kind, with a test of its own")
    assert stored["schema"] == provenance.SCHEMA
    assert stored["command"].split()[:3] == ["python", "-m", f"benchmarks.{name}"]
    assert {"commit", "machine", "seconds", "images", "seed", "results"} <= set(stored)
    assert {"cores", "cpu", "memory_gib", "python"} <= set(stored["machine"])
    assert stored["images"] > 0
    assert stored["seconds"] > 0


@pytest.mark.parametrize("name", documents.DOCUMENTS)
def test_documents_hold_the_tables_of_the_evidence(repository: Path, name: str) -> None:
    text = (repository / name).read_text(encoding="utf-8")
    assert documents.BLOCK.search(text), f"{name} has no generated table"
    assert documents.filled(text, documents.collect()) == text, "python -m benchmarks.evidence --tables"


def test_every_table_is_shown(repository: Path) -> None:
    shown = {
        found[2]
        for name in documents.DOCUMENTS
        for found in documents.BLOCK.finditer((repository / name).read_text(encoding="utf-8"))
    }
    assert shown == set(tables.TABLES)


@pytest.mark.parametrize("name", ["docs/benchmarks.md", "docs/evidence.md"])
def test_prose_holds_no_figures_of_its_own(repository: Path, name: str) -> None:
    text = documents.BLOCK.sub("", (repository / name).read_text(encoding="utf-8"))
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    assert _PROSE_NUMBER.findall(text) == []


def test_evidence_names_no_place_or_machine() -> None:
    for name in _STORED:
        text = (provenance.EVIDENCE / f"{name}.json").read_text(encoding="utf-8")
        assert not re.search(r'"/|/home/|/tmp/|/root|hostname', text), name


def test_a_changed_figure_changes_the_table() -> None:
    collected = documents.collect()
    if collected["depth16"] is None:
        pytest.skip("depth16 has not been measured")
    before = tables.render("depth16", collected)
    changed = json.loads(json.dumps(collected))
    changed["depth16"]["results"]["sets"]["ct_head"]["bpp"] += 1
    assert tables.render("depth16", changed) != before


def test_a_missing_benchmark_is_said() -> None:
    empty = dict.fromkeys(tables.NAMES)
    assert "Not measured yet: depth16" in tables.render("depth16", empty)
    assert {bar.verdict for bar in bars.bars(empty)} == {"not measured"}
