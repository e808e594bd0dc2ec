"""`python -m benchmarks.evidence`: measure what is stale, write evidence/*.json, the plots and the documents' tables.

The last commit is measured, in a git worktree of its own: work in the checkout can go on, and is not measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import canaries, documents, plots
from benchmarks.provenance import EVIDENCE, REPOSITORY, load, write
from benchmarks.shared_images import shared_folder
from benchmarks.tables import NAMES


def stale(folder: Path = EVIDENCE) -> list[str]:
    """Benchmarks that were never measured, or whose canary has changed since."""
    found = ((name, load(name, folder)) for name in NAMES)
    return [name for name, evidence in found if evidence is None or evidence.get("stale")]


def regenerate(names: Sequence[str]) -> list[str]:
    """Measure the named benchmarks on the last commit and store what they found, each as soon as it is done.

    Returns:
        the names of those that failed.
    """
    shared, failed = shared_folder().resolve(), []
    with clean_worktree() as worktree:
        for name in names:
            print(f"{name}:", flush=True)
            if not _measured(name, worktree, shared):
                failed.append(name)
    return failed


@contextmanager
def clean_worktree(repository: Path = REPOSITORY) -> Iterator[Path]:
    """The last commit of a repository, checked out in a temporary folder.

    Raises:
        SystemExit: there is no commit here.
    """
    with tempfile.TemporaryDirectory() as place:
        worktree = Path(place) / "worktree"
        made = subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(worktree), "HEAD"],
            cwd=repository, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            sys.exit(f"evidence is measured on a commit, and git could not check one out: {made.stderr.strip()}")
        try:
            yield worktree
        finally:
            remove = ["git", "worktree", "remove", "--force", str(worktree)]
            subprocess.run(remove, cwd=repository, capture_output=True, check=False)


def _measured(name: str, worktree: Path, shared: Path) -> bool:
    """Run one benchmark there and bring its JSON here; False where it failed."""
    paths = os.pathsep.join([str(worktree / "src"), str(worktree)])
    environment = {**os.environ, "PYTHONPATH": paths, "MEDVEIL_SHARED": str(shared)}
    command = [sys.executable, "-m", "benchmarks", name, "--save"]
    if subprocess.run(command, cwd=worktree, env=environment, check=False).returncode != 0:
        return False
    bring(name, worktree / "evidence")
    return True


def bring(name: str, source: Path, target: Path = EVIDENCE) -> None:
    """Take over a JSON that was measured elsewhere. It is stale where the canary was accepted anew meanwhile."""
    evidence = load(name, source)
    if evidence is None:
        raise FileNotFoundError(f"{name} left no evidence")
    before, now = canaries.stored(name, source / "canaries"), canaries.stored(name, target / "canaries")
    changed = canaries.differences(before, now, canaries.tolerance(name))
    former = load(name, target)
    kept = {key: value for key, value in evidence.items() if key != "stale"}
    if changed:
        kept["stale"] = (former or {}).get("stale") or sorted(line.partition(": ")[0] for line in changed)[:20]
    write(kept, target)


def main() -> None:
    """Parse, measure, rewrite."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=NAMES, help="measure this benchmark only, whether stale or not; repeatable"
    )
    parser.add_argument("--tables", action="store_true", help="measure nothing; plots and tables from the stored JSON")
    asked = parser.parse_args()
    names = [] if asked.tables else asked.only or stale()
    failed = regenerate(names) if names else []
    if not names and not asked.tables:
        print("nothing is stale; --only NAME measures one all the same")
    for name, draw in plots.DRAWN.items():
        if (found := load(name)) is not None:
            draw(found)
    changed = documents.rewrite()
    print(f"rewritten: {', '.join(changed) or 'nothing; the documents were up to date'}")
    if failed:
        sys.exit(f"failed, and not stored: {', '.join(failed)}")


if __name__ == "__main__":
    main()
