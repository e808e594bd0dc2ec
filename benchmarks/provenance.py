"""Where a figure comes from: command, clean commit, version, settings, machine, seconds."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import medveil

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "medveil"
EVIDENCE = REPOSITORY / "evidence"
SCHEMA = 1
_LIBRARIES = ("numpy", "constriction", "cryptography", "imagecodecs", "pillow", "pydicom", "scikit-image", "torch")


class NotCleanError(RuntimeError):
    """Evidence was to be saved that no commit stands for."""


def record(
    name: str, *, seconds: float, images: int, seed: int | None, results: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The evidence of one benchmark, ready to be written as JSON.

    Args:
        name: of the benchmark's module and of its JSON file.
        seconds: wall time of the whole run.
        images: number of images.
        seed: of every generator in it; None where nothing is drawn.
        results: the figures.
        settings: with which the benchmark ran.
    """
    return {
        "schema": SCHEMA,
        "name": name,
        "command": f"python -m benchmarks {name}",
        "commit": clean_commit(),
        "version": medveil.__version__,
        "machine": machine(),
        "seconds": round(seconds, 1),
        "images": images,
        "seed": seed,
        "settings": dict(settings or {}),
        "results": dict(results),
    }


def save(evidence: Mapping[str, Any], folder: Path = EVIDENCE) -> Path:
    """Write evidence/<name>.json.

    Raises:
        NotCleanError: the evidence names no commit, or the checkout is not at that commit any more.
    """
    check_clean()
    if evidence["commit"] is None or evidence["commit"] != clean_commit():
        raise NotCleanError(
            f"{evidence['name']} was measured while the code changed, so that no commit stands for it; nothing was "
            "saved. Measure it again, best with `make evidence`, which works on a copy of the last commit."
        )
    return write(evidence, folder)


def write(evidence: Mapping[str, Any], folder: Path = EVIDENCE) -> Path:
    """Write the JSON as it is: for evidence that was saved before."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{evidence['name']}.json"
    path.write_text(json.dumps(evidence, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = EVIDENCE) -> dict[str, Any] | None:
    """The stored evidence of a benchmark, or None where there is none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class SaveOption(argparse.Action):
    """`--save`: refused before anything is measured where the result could not be saved."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, help=help)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        try:
            check_clean()
        except NotCleanError as problem:
            parser.error(str(problem))
        setattr(namespace, self.dest, True)


def check_clean() -> None:
    """Raises NotCleanError, which says what to do, where the code is not what a commit holds."""
    if not Path(medveil.__file__).is_relative_to(PACKAGE):
        raise NotCleanError(
            "the medveil that is imported is not the one of this checkout, whose commit evidence would name; "
            "set PYTHONPATH to its src folder, or install it with `make install`"
        )
    if not _git("rev-parse", "HEAD"):
        raise NotCleanError("evidence names a commit, and here is no git history; measure in a git checkout")
    changed = _changed()
    if changed:
        shown = ", ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
        raise NotCleanError(
            f"evidence names a clean commit, and the checkout differs from its last one in {shown}; commit first, or "
            "use `make evidence`, which measures on a copy of the last commit"
        )


def is_ancestor(commit: str) -> bool:
    """Whether a commit is in the history of what is checked out."""
    return _git_status("merge-base", "--is-ancestor", commit, "HEAD") == 0


def why_no_history() -> str:
    """Why ancestry can't be asked for here; empty where it can."""
    if not _git("rev-parse", "HEAD"):
        return "no git history here, as in a source archive: the commits of the evidence can't be looked up"
    if _git("rev-parse", "--is-shallow-repository") == "true":
        return "a shallow clone has no history: the commits of the evidence can't be looked up; git fetch --unshallow"
    return ""


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
    """The commit that the code is at; None where the checkout differs from it, or where there is no history."""
    return None if _changed() else _git("rev-parse", "HEAD") or None


def _changed() -> list[str]:
    """Files that differ from the commit, but for those that a run writes itself: evidence and documents."""
    status = _git("status", "--porcelain", "--", ".", ":!evidence", ":!docs", ":!README.md")
    return [line.split()[-1] for line in status.splitlines()]


def _git_status(*arguments: str) -> int:
    try:
        return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=False).returncode
    except OSError:
        return -1


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
