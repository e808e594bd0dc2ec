"""The figures in the documents are those in evidence/*.json."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benchmarks import canaries, documents, provenance, tables
from benchmarks import evidence as evidence_command

from medveil.anonymizers.registry import ANONYMIZERS

_STORED = sorted(path.stem for path in provenance.EVIDENCE.glob("*.json"))
_PROSE_NUMBER = re.compile(r"\d+\.\d+|\d+ (?:dB|bpp|HU|MiB|bytes|seconds|s)\b|\d+ ?%")


@pytest.mark.parametrize("name", _STORED)
def test_evidence_says_where_it_comes_from(name: str) -> None:
    stored = provenance.load(name)
    assert stored is not None
    if name not in tables.NAMES:
        pytest.skip("evidence of another kind, with a test of its own")
    assert stored["schema"] == provenance.SCHEMA
    assert stored["command"].replace("benchmarks.", "benchmarks ").startswith(f"python -m benchmarks {name}")
    named = {"commit", "version", "machine", "seconds", "images", "seed", "settings", "results"}
    assert named <= set(stored)
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
    assert shown == {*tables.TABLES, tables.PROVENANCE}


@pytest.mark.parametrize("name", documents.DOCUMENTS[1:])
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
    assert "Not measured yet: depth16" in tables.render("depth16", dict.fromkeys(tables.NAMES))


@pytest.mark.parametrize("name", [name for name in _STORED if (provenance.load(name) or {}).get("commit")])
def test_commits_of_the_evidence_are_in_the_history(name: str) -> None:
    stored = provenance.load(name)
    assert stored is not None
    if why := provenance.why_no_history():
        pytest.skip(why)
    assert re.fullmatch(r"[0-9a-f]{40}", stored["commit"])
    assert provenance.is_ancestor(stored["commit"]), f"{name} was measured at a commit that is not in the history"


def test_a_commit_that_is_nowhere_is_no_ancestor() -> None:
    if why := provenance.why_no_history():
        pytest.skip(why)
    assert not provenance.is_ancestor("0" * 40)


def test_without_history_the_reason_is_said(small_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance.why_no_history() == ""
    _git(small_checkout, "clone", "-q", "--depth", "1", small_checkout.as_uri(), "shallow")
    monkeypatch.setattr(provenance, "REPOSITORY", small_checkout / "shallow")
    assert "shallow clone" in provenance.why_no_history()
    (small_checkout / "bare").mkdir()
    monkeypatch.setattr(provenance, "REPOSITORY", small_checkout / "bare")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(small_checkout))
    assert "no git history" in provenance.why_no_history()


@pytest.fixture
def small_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits that stands for this one, with the package that is imported in it."""
    for number in (1, 2):
        (tmp_path / "src" / "medveil").mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / "medveil" / "__init__.py").write_text(f"number = {number}\n")
        if number == 1:
            _git(tmp_path, "init", "-q")
        _git(tmp_path, "add", ".")
        _git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", str(number))
    monkeypatch.setattr(provenance, "REPOSITORY", tmp_path)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "src" / "medveil")
    monkeypatch.setattr(provenance.medveil, "__file__", str(tmp_path / "src" / "medveil" / "__init__.py"))
    return tmp_path


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _toy_record() -> dict[str, Any]:
    return provenance.record("toy", seconds=1.0, images=1, seed=0, settings={"every": 2}, results={"psnr": 40.0})


def test_saved_evidence_names_the_clean_commit(small_checkout: Path, tmp_path: Path) -> None:
    stored = json.loads(provenance.save(_toy_record(), tmp_path / "evidence").read_text())
    assert stored["commit"] == _git(small_checkout, "rev-parse", "HEAD")
    assert provenance.is_ancestor(stored["commit"])
    assert (stored["version"], stored["settings"]) == (provenance.medveil.__version__, {"every": 2})
    provenance.save(_toy_record(), tmp_path / "evidence")  # what a run wrote there itself does not make it dirty


@pytest.mark.parametrize("changed", ["src/medveil/__init__.py", "src/medveil/new.py", "Makefile"])
def test_nothing_is_saved_from_a_checkout_with_changes(small_checkout: Path, changed: str) -> None:
    before = _toy_record()
    (small_checkout / changed).write_text("changed = True\n")
    for evidence in (before, _toy_record()):
        with pytest.raises(provenance.NotCleanError, match=changed):
            provenance.save(evidence, small_checkout / "evidence")
    assert not (small_checkout / "evidence").exists()
    parser = argparse.ArgumentParser()
    parser.add_argument("--save", action=provenance.SaveOption)
    assert parser.parse_args([]).save is False
    with pytest.raises(SystemExit):
        parser.parse_args(["--save"])


def test_nothing_is_saved_where_the_commit_moved_on(small_checkout: Path) -> None:
    evidence = _toy_record()
    (small_checkout / "src" / "medveil" / "__init__.py").write_text("number = 3\n")
    _git(small_checkout, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-am", "3")
    with pytest.raises(provenance.NotCleanError, match="measured while the code changed"):
        provenance.save(evidence, small_checkout / "evidence")


def test_a_medveil_from_elsewhere_is_not_measured(small_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", small_checkout / "elsewhere")
    with pytest.raises(provenance.NotCleanError, match="not the one of this checkout"):
        provenance.save(_toy_record(), small_checkout / "evidence")


def test_evidence_is_measured_on_the_commit_and_not_on_what_is_edited(small_checkout: Path) -> None:
    (small_checkout / "src" / "medveil" / "__init__.py").write_text("number = 3\n")
    with evidence_command.clean_worktree(small_checkout) as worktree:
        assert (worktree / "src" / "medveil" / "__init__.py").read_text() == "number = 2\n"
        assert _git(worktree, "status", "--porcelain") == ""
    assert not worktree.exists()
    assert len(_git(small_checkout, "worktree", "list").splitlines()) == 1


def test_only_what_is_stale_or_missing_is_measured(tmp_path: Path) -> None:
    for name in tables.NAMES[2:]:
        provenance.write({"name": name, "version": "0.1.0", "results": {}}, tmp_path)
    provenance.write({"name": tables.NAMES[1], "stale": ["bpp"], "version": "0.1.0", "results": {}}, tmp_path)
    assert evidence_command.stale(tmp_path) == [tables.NAMES[0], tables.NAMES[1]]


def test_new_evidence_is_stale_where_the_canary_was_accepted_meanwhile(tmp_path: Path) -> None:
    measured, here = tmp_path / "measured", tmp_path / "here"
    for folder, bpp in ((measured, 2.0), (here, 2.0)):
        canaries.accept("depth16", {"bpp": bpp}, folder / "canaries", folder)
    provenance.write({"name": "depth16", "version": "0.1.0", "results": {}}, measured)
    provenance.write({"name": "depth16", "version": "0.1.0", "stale": ["bpp"], "results": {}}, here)
    evidence_command.bring("depth16", measured, here)
    assert "stale" not in (provenance.load("depth16", here) or {})
    canaries.accept("depth16", {"bpp": 3.0}, here / "canaries", here)
    evidence_command.bring("depth16", measured, here)
    assert (provenance.load("depth16", here) or {})["stale"] == ["bpp"]


def test_tables_of_stale_evidence_say_so() -> None:
    collected = json.loads(json.dumps(documents.collect()))
    collected["depth16"]["stale"] = ["sets.ct_head.bpp"]
    assert tables.render("depth16", collected).endswith("*`depth16`: measured at 0.1.0; changed since.*")
    assert "measured at 0.1.0; changed since" in tables.render("provenance", collected)
    del collected["depth16"]["stale"]
    assert "changed since" not in tables.render("depth16", collected)


def test_evidence_from_before_commits_says_so() -> None:
    collected = json.loads(json.dumps(documents.collect()))
    collected["depth16"]["commit"] = None
    (row,) = [line for line in tables.render("provenance", collected).splitlines() if "benchmarks depth16" in line]
    assert "measured before commits were recorded" in row
    collected["depth16"]["commit"] = "0123456789abcdef" * 2 + "01234567"
    (row,) = [line for line in tables.render("provenance", collected).splitlines() if "benchmarks depth16" in line]
    assert "0123456789ab" in row
    assert "before commits" not in row


def test_what_users_read_is_short_and_holds_no_bars(repository: Path) -> None:
    text = documents.BLOCK.sub("", (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8"))
    assert len(text.splitlines()) <= 150
    for name in documents.DOCUMENTS:
        page = (repository / name).read_text(encoding="utf-8")
        assert not re.search(r"\b(bar|bars|stretch)\b", page), name


@pytest.mark.parametrize("name", documents.DOCUMENTS[1:])
def test_links_of_the_evidence_lead_somewhere(repository: Path, name: str) -> None:
    page = repository / name
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_methods_tell_what_the_evidence_has_of_them() -> None:
    stored = provenance.load("plane")
    assert stored is not None
    rows: dict[str, dict[str, Any]] = {}
    for row in stored["results"]["rows"]:
        method, _, settings = row["release"].partition(" ")
        rows.setdefault(method, {})[settings.replace("=", " ")] = row
    for method, by_settings in rows.items():
        told = type(ANONYMIZERS.make(method)).measured
        (row,) = [row for settings, row in by_settings.items() if f"{settings} ".startswith(f"{told.split(',')[0]} ")]
        assert f"matched AUC {row['matched_auc']:.2f}" in told
        assert f"untouched {row['untouched_auc']:.2f}" in told
        first = row["same_record_top_1"]
        assert ("found first always" if first == 1 else f"found first in {first:.0%}".replace("%", " %")) in told


def test_prichexy_tells_what_the_evidence_has_of_it() -> None:
    stored, told = provenance.load("prichexy"), type(ANONYMIZERS.make("prichexy")).measured
    assert stored is not None
    rows = {row["release"].replace("=", " "): row for row in stored["results"]["rows"]}
    found = {
        name: [
            max(each[source]["mean"] for by in row["attackers"].values() for each in by.values())
            for source in row["classes"]
        ]
        for name, row in rows.items()
    }
    (said,) = [name for name in rows if told.startswith(f"{name},")]
    assert "matched AUC {:.2f} and {:.2f}".format(*found[said]) in told
    assert "untouched {:.2f} and {:.2f}".format(*found["raw"]) in told


def test_cohort_tells_what_the_evidence_has_of_its_defaults() -> None:
    stored, method = provenance.load("cohort"), type(ANONYMIZERS.make("cohort"))
    assert stored is not None
    defaults = {each.name: each.default for each in method.settings()}
    asked = f"cohort k={defaults['k']} d={defaults['d']}"
    rows = [row for row in stored["results"]["rows"] if row["release"] == asked]
    for question, kind, words in (("another image", "matched", "of another"), ("very image", "all", "of the very")):
        best = [max(found[question][kind]["mean"] for found in row["found"].values()) for row in rows]
        assert "{:.2f} and {:.2f}".format(*best) + f" {words} image" in method.measured
    assert method.measured.startswith(f"k {defaults['k']} and d {defaults['d']},")
