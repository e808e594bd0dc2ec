"""The examples in the docstrings run: every public name has one, and so has every codec, attack and task, and
every recognizer that trains no network."""

from __future__ import annotations

import doctest
import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.pictures import picture

import medveil
from medveil import testing
from medveil.attacks.registry import ATTACKS, RECOGNIZERS, all_recognizers
from medveil.codecs.registry import CODECS
from medveil.keys.identity import generate
from medveil.tasks.registry import TASKS

_PUBLIC = tuple(name for name in medveil.__all__ if not name.startswith("_"))
_ENTRIES = [
    pytest.param(registry, name, id=f"{registry.kind} {name}")
    for registry in (ATTACKS, CODECS, TASKS) for name in registry.names()
]  # fmt: skip
_ENTRIES += [
    pytest.param(RECOGNIZERS, each.name, id=f"recognizer {each.name}") for each in all_recognizers() if not each.trains
]
_CHECKS = ("check_attack", "check_codec", "check_mechanism", "check_task")
"""Their examples are calls that tests/extend makes as well: under slow."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, keys, and a release of the pictures; `state` is what its owner's machine remembers."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "images").mkdir()
    for number in range(2):
        Image.fromarray(picture(number)).save(folder / "images" / f"{number}.png")
    owner, alice, _ = (generate(folder / f"{name}.key") for name in ("owner", "alice", "bob"))
    settings = medveil.ShareSettings(to=(alice.recipient,), jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        medveil.share([folder / "images"], folder / "release", settings, owner=owner)
    return folder


@pytest.fixture
def names(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples take for granted, each time as it was."""
    work = tmp_path / "made"
    shutil.copytree(made, work)
    monkeypatch.setenv("XDG_STATE_HOME", str(work / "state"))
    people = {name: medveil.Identity.load(work / f"{name}.key") for name in ("owner", "alice", "bob")}
    return {"work": work, "images": work / "images", "release": work / "release", **people}


def _run(thing: Any, names: dict[str, Any]) -> None:
    module = inspect.getmodule(thing)
    assert module is not None
    found = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__, module, {**vars(module), **names})
    runner = doctest.DocTestRunner()
    for test in found:
        runner.run(test, clear_globs=False)
    assert sum(len(test.examples) for test in found), f"{thing.__name__} has no example"
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", _PUBLIC)
def test_public_name(name: str, names: dict[str, Any]) -> None:
    _run(getattr(medveil, name), {**{each: getattr(medveil, each) for each in _PUBLIC}, **names})


@pytest.mark.parametrize(("registry", "name"), _ENTRIES)
def test_registry_entry(registry: Any, name: str) -> None:
    _run(type(registry.make(name)), {})


@pytest.mark.parametrize("name", ["people", *(pytest.param(name, marks=pytest.mark.slow) for name in _CHECKS)])
def test_check(name: str) -> None:
    _run(getattr(testing, name), {})
