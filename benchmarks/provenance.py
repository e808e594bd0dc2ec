"""Where a figure comes from: command, commit, machine, seconds."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "medveil"
EVIDENCE = REPOSITORY / "evidence"
SCHEMA = 1
_LIBRARIES = ("numpy", "constriction", "cryptography", "imagecodecs", "pillow", "pydicom", "scikit-image", "torch")


def record(name: str, *, seconds: float, images: int, seed: int | None, results: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence of one benchmark, ready to be written as JSON.

    Args:
        name: of the benchmark's module and of its JSON file.
        seconds: wall time of the whole run.
        images: number of images.
        seed: of every generator in it; None where nothing is drawn.
        results: the figures.
    """
    return {
        "schema": SCHEMA,
        "name": name,
        "command": f"python -m benchmarks.{name}",
        "commit": clean_commit(),
        "machine": machine(),
        "seconds": round(seconds, 1),
        "images": images,
        "seed": seed,
        "results": dict(results),
    }


def save(evidence: Mapping[str, Any], folder: Path = EVIDENCE) -> Path:
    """Write evidence/<name>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{evidence['name']}.json"
    path.write_text(json.dumps(evidence, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = EVIDENCE) -> dict[str, Any] | None:
    """The stored evidence of a benchmark, or None where there is none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def machine() -> dict[str, Any]:
    """Cores, processor, memory and versions; nothing that names the machine."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "libraries": _versions(),
    }


def clean_commit() -> str | None:
    """The commit that the code is at; None where the checkout differs from it, or where there is no history.

    `evidence/`, `docs/` and `README.md` may differ: a run writes there.
    """
    if _git("status", "--porcelain", "--", ".", ":!evidence", ":!docs", ":!README.md"):
        return None
    return _git("rev-parse", "HEAD") or None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
