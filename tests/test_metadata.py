"""What the project says of itself, to people and to machines: changelog and citation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_CHANGES = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known to be missing"]


def _project(repository: Path) -> dict[str, object]:
    return dict(tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_the_citation_is_of_this_version(repository: Path) -> None:
    text = (repository / "CITATION.cff").read_text(encoding="utf-8")
    said = dict(re.findall(r"^([a-z-]+): (\S.*)$", text, flags=re.MULTILINE))
    project = _project(repository)
    assert said["cff-version"] == "1.2.0"
    assert said["type"] == "software"
    assert said["version"] == project["version"]
    assert said["license"] == project["license"]
    assert [{"name": name} for name in re.findall(r"^  - name: (.+)$", text, flags=re.MULTILINE)] == project["authors"]


def test_the_changelog_keeps_its_form(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    for version in versions[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", version), version
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", section, flags=re.MULTILINE)
        assert kinds == [kind for kind in _CHANGES if kind in kinds]
        assert kinds, "a version without changes"
    told = re.findall(r"^- .+$", text, flags=re.MULTILINE)
    assert len(told) == len(set(told)), "a line stands there twice"
    released = {version.split("]")[0].strip("[") for version in versions[1:]}
    assert _project(repository)["version"] in released or f"This will be {_project(repository)['version']}" in text


def test_the_workflow_asks_for_little_and_pins_what_it_uses(repository: Path) -> None:
    text = (repository / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each) for each in used), used
    assert set(re.findall(r"^ *(\w+): (?:read|write)", text, flags=re.MULTILINE)) == {"contents"}
    assert "write" not in text
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")
    supported = set(re.findall(r"Python :: (\d\.\d+)", (repository / "pyproject.toml").read_text(encoding="utf-8")))
    assert set(re.findall(r'"(3\.\d+)"', text)) == supported


def test_hooks_download_nothing(repository: Path) -> None:
    text = (repository / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"repo: (\S+)", text)) == {"local"}
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}


def test_the_site_has_every_page_and_fetches_nothing(repository: Path) -> None:
    text = (repository / "mkdocs.yml").read_text(encoding="utf-8")
    pages = re.findall(r"[\w/-]+\.md$", text.split("\nnav:\n")[1], flags=re.MULTILINE)
    there = {path.relative_to(repository / "docs").as_posix() for path in (repository / "docs").rglob("*.md")}
    assert sorted(pages) == sorted(there)
    assert "font: false" in text
    assert not re.search(r"https?://|offline\]|social|extra_javascript|extra_css", text)
