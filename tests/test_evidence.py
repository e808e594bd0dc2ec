"""The figures in the documents are those in evidence/*.json, and those were made with the code as it is."""

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
    assert {"commit", "machine", "seconds", "images", "seed", "source_digest", "sources", "results"} <= set(stored)
    assert {"cores", "cpu", "memory_gib", "python"} <= set(stored["machine"])
    assert stored["images"] > 0
    assert stored["seconds"] > 0


@pytest.mark.parametrize("name", [name for name in _STORED if name in tables.NAMES])
def test_evidence_is_not_older_than_the_code(name: str) -> None:
    stored = provenance.load(name)
    assert stored is not None
    assert provenance.source_digest(stored["sources"]) == stored["source_digest"], (
        f"the code that {name} measures has changed: python -m benchmarks.evidence --only {name}"
    )


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


_BEFORE = "def f(x):\n    if x:\n        raise E('no')\n    return x + 1\n"
_REWORDED = """'''Words.'''

def f(x):
    # why
    "Doc."
    if x:
        raise E("other words")
    return x + 1
"""


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (_REWORDED, True),
        (_BEFORE.replace("+ 1", "+ 2"), False),
        (_BEFORE.replace("if x", "if not x"), False),
    ],
)
def test_digest_sees_what_code_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, same: bool) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text(_BEFORE, encoding="utf-8")
    before = provenance.source_digest(["a.py"]), provenance.source_digest(["a.py::f"])
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    after = provenance.source_digest(["a.py"]), provenance.source_digest(["a.py::f"])
    assert (before == after) is same


def test_closure_follows_imports_inside_the_rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    (tmp_path / "codecs").mkdir()
    (tmp_path / "codecs" / "a.py").write_text("from medveil.codecs import b\nimport medveil.errors\n", encoding="utf-8")
    (tmp_path / "codecs" / "b.py").write_text("from medveil.codecs.c import x\n", encoding="utf-8")
    (tmp_path / "codecs" / "c.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "errors.py").write_text("", encoding="utf-8")
    assert provenance.closure(["codecs/a.py"], ["codecs"]) == ["codecs/a.py", "codecs/b.py", "codecs/c.py"]
    assert provenance.closure(["codecs/a.py"], ["codecs"], without=["codecs/b.py"]) == ["codecs/a.py"]
