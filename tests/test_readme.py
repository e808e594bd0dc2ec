"""What README and docs tell people to type works as it stands there."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.shell import run
from tests.pictures import picture

_COMMANDS = (
    "keygen", "share", "verify", "inspect", "list", "open", "grant", "grants", "revoke", "rotate", "ledger",
    "anonymize", "anonymizers", "audit", "attacks", "tasks", "train", "info", "demo",
)  # fmt: skip
_HOW_TO = tuple(f"how-to/{name}" for name in ("sharing", "keys", "training", "anonymizing", "auditing"))
_NAMES = ("index", "start", "how-to", *_HOW_TO, "concepts", "extend", "reference", "limits")
_PAGES = ("README.md", *(f"docs/{name}.md" for name in _NAMES))


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with my-images/ in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-images").mkdir()
    for number in range(2):
        Image.fromarray(picture(number)).save(tmp_path / "my-images" / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_shell_commands(repository: Path, desk: Path, page: str) -> None:
    text = (repository / page).read_text(encoding="utf-8")
    lines = [line for block in _blocks(text, "sh") for line in block.splitlines() if line.strip()]
    assert len(lines) >= 4
    for line in lines:
        program, *args = shlex.split(line, comments=True)
        assert program == "medveil"
        done = run(*args)
        assert done.code == 0, (line, done.err)
    assert list((desk / "opened").iterdir())


def test_python_snippets(repository: Path, desk: Path) -> None:
    for name in ("alice", "owner"):
        run("keygen", "-o", f"{name}.key")
    assert run("share", "my-images", "--to", "alice.pub", "-i", "owner.key", "-o", "release").code == 0
    for page in ("README.md", "docs/reference.md"):
        (code,) = _blocks((repository / page).read_text(encoding="utf-8"), "python")
        done = subprocess.run([sys.executable, "-c", code], cwd=desk, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "(80, 96)" in done.stdout


def test_make_targets_exist(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    for page in ("README.md", "CONTRIBUTING.md", "docs/start.md"):
        for target in re.findall(r"\bmake ([a-z][a-z-]+)\b", (repository / page).read_text(encoding="utf-8")):
            if target not in {"an", "me"}:
                assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), (page, target)


_OF_PIP = {"--require-hashes", "--no-deps"}


@functools.cache
def _options_of(command: str) -> set[str]:
    text = run(command, "--help").out.split("Options:")[1]
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


@pytest.mark.parametrize("command", _COMMANDS)
def test_reference_has_every_option_and_no_other(repository: Path, command: str) -> None:
    text = (repository / "docs" / "reference.md").read_text(encoding="utf-8")
    everywhere = text.split("Everywhere:")[1].split("### ")[0].replace("--version", "")
    section = text.split(f"### medveil {command}\n")[1].split("\n## ")[0].split("\n### ")[0]
    told = set(re.findall(r"`(--[a-z-]+)", everywhere + section.split("| option |")[-1]))
    told |= set(re.findall(r", `(--[a-z-]+)", section))
    assert told == _options_of(command)


@pytest.mark.parametrize("page", _PAGES)
def test_pages_name_only_options_and_files_that_exist(repository: Path, page: str) -> None:
    path = repository / page
    text = path.read_text(encoding="utf-8")
    known = set().union(*(_options_of(command) for command in _COMMANDS)) | {"--version", "--strict"} | _OF_PIP
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known
    for link in re.findall(r"\]\(([^)#]+)", text):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def _anchors(text: str) -> set[str]:
    """What headings of a page can be linked by, as GitHub and the site make it of their words."""
    told = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-") for words in told}


def test_links_to_headings_lead_somewhere(repository: Path) -> None:
    count = 0
    for path in (repository / "README.md", *(repository / "docs").rglob("*.md")):
        for page, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8")):
            target = path.parent / page if page else path
            assert anchor in _anchors(target.read_text(encoding="utf-8")), f"{path.name}: {page}#{anchor}"
            count += 1
    assert count > 30


def test_every_short_answer_is_in_the_index(repository: Path) -> None:
    index = (repository / "docs" / "how-to.md").read_text(encoding="utf-8")
    for page in _HOW_TO:
        text = (repository / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for anchor in _anchors(
            "\n".join(re.findall(r"^### .+$" if "\n### " in text else r"^## .+$", text, flags=re.M))
        ):
            assert f"({page}.md#{anchor})" in index, f"{page}: {anchor}"


def test_exit_codes_are_the_ones_in_the_code(repository: Path) -> None:
    from medveil import errors

    text = (repository / "docs" / "reference.md").read_text(encoding="utf-8").split("## Exit codes")[1].split("## ")[0]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert told == {0, 130} | {kind.exit_code for kind in kinds if issubclass(kind, errors.MedveilError)}


def test_no_word_promises_too_much(repository: Path) -> None:
    for page in (*_PAGES, "SECURITY.md", "CHANGELOG.md"):
        text = (repository / page).read_text(encoding="utf-8").lower()
        assert not re.search(r"anonymous(?!\*)|military|unbreakable|guarantee|hipaa|100 ?% ", text), page
