"""What the project says of itself, to people and to machines: changelog and citation."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def test_the_demo_installs_the_program_alone_and_the_tests_the_rest(repository: Path, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed here")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, tmp_path)

    def steps(*target: str) -> list[str]:
        command = ["make", "--dry-run", "--no-print-directory", *target]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if " pip install " in line]

    (core,) = steps("demo")
    assert core.endswith(" -e .")
    assert "--quiet" not in core  # what takes half a minute is seen to go on
    assert steps("install") == steps() == [core]
    (whole,) = steps("suite")
    assert whole == steps("install-all")[0] == core.removesuffix(".") + "'.[all,dev]'"


def test_hashed_requirements_are_those_of_the_program(repository: Path) -> None:
    """And of `[dicom]`, at the versions of constraints.txt; no index is named."""
    text = (repository / "requirements-hashed.txt").read_text(encoding="utf-8")
    command = text.splitlines()[1]
    for option in ("--universal", "--generate-hashes", "--no-emit-index-url", "-c constraints.txt", "--extra dicom"):
        assert option in command
    assert not re.search(r"https?:|file:|index(?!-url -c)|find-links|trusted", text)
    found = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)([^\\\n]*)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, re.M)
    pinned = {name: version for name, version, _, _ in found}
    assert len(found) == len(re.findall(r"^[^ #\n]", text, re.M)) == len(pinned)  # nothing without a hash
    constraints = (repository / "constraints.txt").read_text(encoding="utf-8")
    tried = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)$", constraints, re.M))
    assert pinned == {name: tried.get(name) for name in pinned}
    project = _project(repository)
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    for text in (*project["dependencies"], *extras["dicom"]):
        wanted = Requirement(text)
        assert wanted.specifier.contains(pinned[wanted.name]), text
    assert "torch" not in pinned
