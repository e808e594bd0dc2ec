"""A shell session in the process: `run("share", …)` gives exit code, stdout and stderr."""

from __future__ import annotations

import json
from dataclasses import dataclass
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


def run(*args: object) -> Done:
    """Run `medveil ARGS...`."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return Done(result.exit_code, result.stdout, result.stderr)
