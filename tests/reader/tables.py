"""docs/format-tables.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().parents[2] / "docs" / "format-tables.json"


@cache
def _tables() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def table(key: str) -> Any:
    """The table of this name."""
    return _tables()[key]
