"""The generated parts of the documents: what stands between `<!-- table: NAME -->` and `<!-- end of table -->`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.provenance import EVIDENCE, REPOSITORY, load
from benchmarks.tables import NAMES, render

_TOPICS = ("README", "rate-and-fidelity", "attacks", "utility", "open-releases", "keys-and-files")
DOCUMENTS = ("README.md", "docs/benchmarks.md", *(f"docs/evidence/{topic}.md" for topic in _TOPICS))
BLOCK = re.compile(r"(<!-- table: ([a-z0-9-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def collect(folder: Path = EVIDENCE) -> dict[str, dict[str, Any] | None]:
    """All evidence that is there, by benchmark."""
    return {name: load(name, folder) for name in NAMES}


def filled(text: str, collected: Mapping[str, Any]) -> str:
    """A document with every generated part made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{render(found[2], collected)}\n\n{found[3]}", text)


def rewrite() -> list[str]:
    """Write the generated parts of all documents; returns those that changed."""
    collected, changed = collect(), []
    for name in DOCUMENTS:
        path = REPOSITORY / name
        if not path.is_file():
            continue
        before = path.read_text(encoding="utf-8")
        after = filled(before, collected)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(name)
    return changed
