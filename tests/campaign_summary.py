"""The summary of a search for faults, for a release's notes: what it did on which commit, and what it found."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[1]


def write(name: str, results: Mapping[str, Any]) -> Path:
    """Write build/<name>.json and return its path."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=_REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    summary = {"commit": described.stdout.strip() or None, "python": platform.python_version(), **results}
    path = _REPOSITORY / "build" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return path
