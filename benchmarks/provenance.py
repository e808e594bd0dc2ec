"""Where a figure comes from: command, commit, machine, seconds, and a digest of the code that it measures."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "medveil"
EVIDENCE = REPOSITORY / "evidence"
SCHEMA = 1
_LIBRARIES = ("numpy", "constriction", "cryptography", "imagecodecs", "pillow", "pydicom", "scikit-image", "torch")


def record(
    name: str, *, sources: Iterable[str], seconds: float, images: int, seed: int | None, results: Mapping[str, Any]
) -> dict[str, Any]:
    """The evidence of one benchmark, ready to be written as JSON.

    Args:
        name: of the benchmark's module and of its JSON file.
        sources: what it measures, as `source_digest` takes it.
        seconds: wall time of the whole run.
        images: number of images.
        seed: of every generator in it; None where nothing is drawn.
        results: the figures.
    """
    listed = sorted(sources)
    return {
        "schema": SCHEMA,
        "name": name,
        "command": f"python -m benchmarks.{name}",
        "commit": _commit(),
        "machine": machine(),
        "seconds": round(seconds, 1),
        "images": images,
        "seed": seed,
        "source_digest": source_digest(listed),
        "sources": listed,
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


def source_digest(sources: Iterable[str]) -> str:
    """SHA-256 over what the sources do: comments, layout, docstrings and the words of error messages don't count.

    Args:
        sources: paths below src/medveil; `path::name` takes one definition at the top of the file only.
    """
    digest = hashlib.sha256()
    for source in sorted(sources):
        path, _, name = source.partition("::")
        tree: ast.AST = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
        if name:
            tree = _definition(tree, name, source)
        digest.update(f"{source}\n{_meaning(tree)}\n".encode())
    return digest.hexdigest()


def closure(roots: Iterable[str], rooms: Iterable[str], *, without: Iterable[str] = ()) -> list[str]:
    """The roots and every module of the given rooms that they import, directly or not.

    Args:
        roots: paths below src/medveil.
        rooms: packages whose modules are followed.
        without: paths that are left out, with what only they import.
    """
    left_out, allowed = set(without), tuple(f"{room}/" for room in rooms)
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        source = waiting.pop()
        if source in found or source in left_out:
            continue
        found.add(source)
        tree = ast.parse((PACKAGE / source).read_text(encoding="utf-8"))
        waiting += [path for path in _imported(tree) if path.startswith(allowed)]
    return sorted(found)


def _imported(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    paths = [name.removeprefix("medveil.").replace(".", "/") + ".py" for name in names if name.startswith("medveil.")]
    return [path for path in paths if (PACKAGE / path).is_file()]


def _definition(tree: ast.AST, name: str, source: str) -> ast.AST:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    raise LookupError(f"{source}: there is no such definition")


def _meaning(node: Any) -> str:
    """A tree as text, the same on every Python version: empty fields are left out."""
    if isinstance(node, list):
        return "[" + ",".join(_meaning(item) for item in node if not _is_docstring(item)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise):
        return "Raise"
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, []) and name != "ctx"]
    return f"{type(node).__name__}({','.join(f'{name}={_meaning(value)}' for name, value in fields)})"


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _commit() -> str:
    """The commit, or, where the package differs from it, "uncommitted" and a digest of its files."""
    changed = _git("status", "--porcelain", "--", "src")
    commit = _git("rev-parse", "HEAD")
    if commit and not changed:
        return commit
    files = sorted(PACKAGE.rglob("*.py"))
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files))
    return f"uncommitted {digest.hexdigest()[:16]}" + (f" on {commit}" if commit else "")


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
