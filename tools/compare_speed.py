"""How fast share, open and audit are at two commits: both take turns, so that what else the machine does falls on both.

python tools/compare_speed.py 9c419d9                        # against the working tree's HEAD
python tools/compare_speed.py 9c419d9 HEAD --what share,open --runs 7

Each commit has a worktree of its own in a temporary folder, and every run is a process of its own, with one worker. The
images are invented: 8-bit radiographs. Both programs get the same images, keys and settings. Printed are medians over
the runs, in seconds on the clock and of the processor; beside other work the latter are the better measure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_WHAT = ("share", "open", "audit")


@dataclass
class Side:
    """One commit, with a folder of its own for what it writes.

    Attributes:
        name: as asked for.
        tree: its worktree.
        work: where its releases and reports go.
        seconds: for each verb (on the clock, of the processor) of every run.
    """

    name: str
    tree: Path
    work: Path
    seconds: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def run(self, *arguments: str) -> None:
        """One command of the program at this commit."""
        environment = os.environ | {
            "PYTHONPATH": str(self.tree / "src"), "XDG_STATE_HOME": str(self.work / "state"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        program = [sys.executable, "-m", "medveil", *arguments]
        done = subprocess.run(program, env=environment, cwd=self.work, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.name}: medveil {arguments[0]} ended with {done.returncode}:\n{done.stderr}")

    def measure(self, what: str, *arguments: str) -> None:
        """The same, measured."""
        before, start = os.times(), time.monotonic()
        self.run(*arguments)
        after = os.times()
        processor = sum(after[2:4]) - sum(before[2:4])
        self.seconds.setdefault(what, []).append((time.monotonic() - start, processor))

    def median(self, what: str) -> tuple[float, float]:
        clock, processor = zip(*self.seconds[what], strict=True)
        return statistics.median(clock), statistics.median(processor)


def compare(sides: Sequence[Side], data: Path, what: Sequence[str], runs: int) -> None:
    """Let the sides do everything by turns, so many times; the first one begins in every other run."""
    for side in sides:
        side.run("keygen", "-o", str(side.work / "owner.key"))
    for number in range(runs):
        for side in sides if number % 2 == 0 else reversed(sides):
            key = ("-i", str(side.work / "owner.key"))
            for folder in ("release", "opened", "audit"):
                shutil.rmtree(side.work / folder, ignore_errors=True)
            images = str(data / "images")
            side.measure("share", "share", images, "-o", "release", "--tiers", "exact,preview", "--jobs", "1", *key)
            if "open" in what:
                side.measure("open", "open", "release", "-o", "opened", "--jobs", "1", *key)
            if "audit" in what:
                manifest = ("--originals", str(data), "--manifest", str(data / "manifest.csv"))
                side.measure("audit", "audit", "release", "-o", "audit", *manifest, "--jobs", "1", *key)


@contextmanager
def worktrees(names: Sequence[str]) -> Iterator[list[Side]]:
    """A worktree for each commit, taken away afterwards."""
    with tempfile.TemporaryDirectory() as place:
        sides = [Side(name, Path(place) / f"tree{n}", Path(place) / f"work{n}") for n, name in enumerate(names)]
        try:
            for side in sides:
                command = ["git", "worktree", "add", "--quiet", "--detach", str(side.tree), side.name]
                subprocess.run(command, cwd=_ROOT, check=True)
                side.work.mkdir()
            yield sides
        finally:
            for side in sides:
                command = ["git", "worktree", "remove", "--force", str(side.tree)]
                subprocess.run(command, cwd=_ROOT, check=False, capture_output=True)


def make_images(folder: Path, patients: int) -> None:
    """Invented patients; only the PNG files, so that every image is of 8 bits."""
    from medveil.datasets.phantoms import make_phantoms

    make_phantoms(folder, patients, 3)
    for path in (folder / "images").rglob("*.dcm"):
        path.unlink()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="a git revision")
    parser.add_argument("after", nargs="?", default="HEAD", help="another one")
    parser.add_argument("--what", default="share,open", help="of share, open and audit (preset quick), which")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--patients", type=int, default=6)
    asked = parser.parse_args()
    what = [each for each in _WHAT if each == "share" or each in asked.what.split(",")]
    with worktrees([asked.before, asked.after]) as sides, tempfile.TemporaryDirectory() as place:
        make_images(Path(place), asked.patients)
        compare(sides, Path(place), what, asked.runs)
        print("| | before: clock, processor (s) | after | ratio: clock | processor |\n|---|---|---|---|---|")
        for each in what:
            (clock, processor), (new_clock, new_processor) = (side.median(each) for side in sides)
            print(
                f"| {each} | {clock:.2f}, {processor:.2f} | {new_clock:.2f}, {new_processor:.2f} "
                f"| {new_clock / clock:.3f} | {new_processor / processor:.3f} |"
            )


if __name__ == "__main__":
    main()
