"""A shell session in the process: `run("share", …)` gives exit code, stdout and stderr."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from medveil.cli.main import app


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        return dict(json.loads(line))


def listed(done: Done) -> list[dict[str, str]]:
    """The rows of the list that a command with --json wrote."""
    with Path(done.json["list"]).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*args: object) -> Done:
    """Run `medveil ARGS...`."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return Done(result.exit_code, result.stdout, result.stderr)
