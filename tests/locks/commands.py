"""A shell session of every command with --json: exit codes, keys, types, and every value that is not of this run alone.

What is drawn (ids, keys, salts), measured (seconds, bytes, decibels) or worded (messages of errors, warnings) is locked
by its type only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image as Picture
from tests.audit.invented import audit
from tests.audit.scenes import use_small_effort
from tests.cli.shell import Done, run
from tests.code_memory import remembered_codes
from tests.pictures import picture

_SIDE = 64
_SESSION = (
    "keygen -o alice.key",
    "keygen -o bob.key",
    "keygen -o carol.key --classical",
    "keygen -o carol.key",
    "share images -i alice.key --to bob.pub=diagnostic --tiers preview -o release --dry-run",
    "share images -i alice.key --to bob.pub=diagnostic --tiers preview -o release",
    "share nothing -i alice.key -o other",
    "verify release",
    "inspect release",
    "list release -i alice.key",
    "list release -i bob.key",
    "open release -i bob.key -o opened",
    "open release -i carol.key -o closed",
    "grant release -i alice.key --to carol.pub --allow-classical",
    "grants release -i alice.key",
    "revoke release -i alice.key --to carol.pub",
    "rotate release -i alice.key",
    "ledger release",
    "audit release -i alice.key --originals images -o report --dry-run --attacks linkage-code",
    "audit release -i alice.key --originals images -o report",
    "attacks",
    "tasks",
    "train images -o codec --sparsity 4",
    "info",
    "nothing",
    "open release",
)
_BY_TYPE = {"seconds", "message", "hint", "warning", "warnings", "expected", "python", "machine"}
_DRAWN = (
    (re.compile(r"(?<![0-9a-f])[0-9a-f]{32,}(?![0-9a-f])"), "<hex>"),
    (re.compile(r"\b[a-z2-7]{4}(-[a-z2-7]{4}){4}\b"), "<fingerprint>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "<day>"),
)


def commands(folder: Path) -> dict[str, Any]:
    """What each command of the session answers; played in a new folder."""
    with pytest.MonkeyPatch.context() as patch, remembered_codes():
        patch.chdir(folder)
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(folder / "home"))
        patch.setattr("medveil.audit.audit_run.audit_target", lambda *_, **__: audit())
        patch.setattr("medveil.codecs.primis.training_run.train_codec", lambda *_, **__: _trained())
        use_small_effort(patch)
        (folder / "images").mkdir()
        for number in range(4):
            Picture.fromarray(picture(number, _SIDE, _SIDE)).save(f"images/{number}.png")
        return {line: _answer(run(*line.split(), "--json", "-q")) for line in _SESSION}


def demo(folder: Path) -> Any:
    """The same of the demo, which takes longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return _answer(run("demo", "-o", "demo", "--json", "-q"))


def _answer(done: Done) -> dict[str, Any]:
    return {"exit code": done.code, "answer": lasting(done.json)}


def lasting(value: Any, key: str = "") -> Any:
    """A value without what is of one run only."""
    if isinstance(value, dict):
        if key == "versions":
            return dict.fromkeys(sorted(value), "<str>")
        return {name: lasting(each, name) for name, each in value.items()}
    if key in _BY_TYPE or key.endswith("bytes") or isinstance(value, float):
        return f"<{type(value).__name__}>"
    if isinstance(value, list):
        return [lasting(each, key) for each in value]
    if isinstance(value, str):
        for pattern, stands in _DRAWN:
            value = pattern.sub(stands, value)
    return value


def _trained() -> Any:
    return SimpleNamespace(
        steps=1, seconds=1.0, reason="as many steps as were asked for", psnr=30.0, psnr_untrained=20.0, digest="0" * 64,
        training_images=3, validation_images=1, patients_known=False, model=Path(os.devnull),
    )  # fmt: skip
