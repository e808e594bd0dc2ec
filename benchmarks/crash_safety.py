"""Crash safety: every command that changes a release, killed and refused at every change that it makes to the disk.

The same code as tests/releases/test_crash.py, which runs a part of it in every test run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.releases import crash_scenes as scenes
from tests.releases.crash_scenes import Cast, Scene, Tally

from benchmarks.provenance import record, save

_FIRST_KILLS, _SECOND_KILLS = 8, 6  # of two kills in a row, every such one of the first and of the second


def measure(work: Path) -> dict[str, Any]:
    """Cases and their outcomes, by command."""
    cast = Cast.make(work / "cast")
    with scenes.fast_codec():
        return {scene.name: _measured(cast, scene) for scene in scenes.scenes(cast)}


def _measured(cast: Cast, scene: Scene) -> dict[str, Any]:
    disk = scenes.recorded(cast, scene)
    steps = range(len(disk.steps))
    tallies = {name: Tally() for name in ("killed", "interrupted", "disk full", "one refusal", "killed twice")}
    scenes.kill(cast, scene, disk.images, tallies["killed"])
    scenes.interrupt(cast, scene, steps, tallies["interrupted"])
    scenes.fill(cast, scene, steps, tallies["disk full"], for_good=True)
    scenes.fill(cast, scene, steps, tallies["one refusal"], for_good=False)
    scenes.kill_again(cast, scene, disk.images[::_FIRST_KILLS], _SECOND_KILLS, tallies["killed twice"])
    outcomes = {
        name: {"cases": one.cases, "left": one.states, "problems": one.problems} for name, one in tallies.items()
    }
    print(
        scene.name,
        len(steps),
        {name: (one["cases"], len(one["problems"])) for name, one in outcomes.items()},
        flush=True,
    )
    return {
        "steps": len(steps),
        "calls": dict(Counter(step.call for step in disk.steps)),
        "images": dict(Counter(image.loss for image in disk.images)),
        "outcomes": outcomes,
    }


def run() -> dict[str, Any]:
    """The evidence of this benchmark."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place))
    cases = [outcome for one in found.values() for outcome in one["outcomes"].values()]
    results = {
        "commands": found,
        "steps": sum(one["steps"] for one in found.values()),
        "cases": sum(outcome["cases"] for outcome in cases),
        "problems": sum(len(outcome["problems"]) for outcome in cases),
    }
    seconds = time.monotonic() - start
    return record("crash_safety", seconds=seconds, images=2, seed=None, results=results)


def main() -> None:
    """Print the totals; with --save also write the evidence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash_safety", description=__doc__)
    parser.add_argument("--save", action="store_true", help="write evidence/crash_safety.json")
    asked = parser.parse_args()
    evidence = run()
    if asked.save:
        save(evidence)
    print({name: evidence["results"][name] for name in ("steps", "cases", "problems")})


if __name__ == "__main__":
    main()
