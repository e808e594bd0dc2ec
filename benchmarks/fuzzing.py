"""Fuzzing: every reader of a release's or a key's bytes, half an hour of CPU time, and the branches that it reached.

Each target runs in a process of its own (`benchmarks.fuzz.child`). A finding is any exception that is not medveil's
own, an input that takes too long, or one that allocates more than 256 MiB + 16 times the bytes of the pixels that it
may hold.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fuzz import extremes
from benchmarks.fuzz.reach import measure
from benchmarks.fuzz.target import Target
from benchmarks.provenance import REPOSITORY, load, record, save

SEED = 0
MINUTES = 32.0
_COVERED = re.compile(r"cov: (\d+) ft: (\d+)")


def run(
    work: Path, minutes: float = MINUTES, only: Sequence[str] = (), *, random: bool = False, resume: bool = False
) -> dict[str, Any]:
    """Fuzz and collect; corpora and inputs that found something stay below `work`."""
    from benchmarks.fuzz.targets import TARGETS

    start = time.perf_counter()
    targets = [target for target in TARGETS if not only or target.name in only]
    whole = sum(target.share for target in targets)
    rows = []
    for target in targets:
        rows.append(_fuzz(target, work, 60 * minutes * target.share / whole, random, resume))
        print(json.dumps(rows[-1]), flush=True)
    results: dict[str, Any] = {
        "cpu_minutes": round(sum(row["cpu_seconds"] for row in rows) / 60, 2),
        "executions": sum(row["executions"] for row in rows),
        "findings": sum(len(row["findings"]) for row in rows),
        "largest_peak_mib_of_an_input": max(row["peak_mib_of_an_input"] for row in rows),
        "largest_share_of_bound": max(row["peak_share_of_bound"] for row in rows),
        "targets": rows,
    }
    # A run that goes on with an earlier one took at least its CPU time.
    seconds = max(time.perf_counter() - start, sum(row["cpu_seconds"] for row in rows))
    return record("fuzzing", seconds=seconds, images=0, seed=SEED, results=results)


def _fuzz(target: Target, work: Path, seconds: float, random: bool, resume: bool) -> dict[str, Any]:
    name = re.sub(r"[^a-zA-Z0-9]+", "-", target.name)
    result, log = work / f"{name}.json", work / f"{name}.log"
    if not resume:
        result.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "benchmarks.fuzz.child", target.name, "--corpus", str(work / "corpus" / name),
        "--findings", str(work / "findings"), "--result", str(result),
        "--seconds", f"{seconds:.1f}", "--seed", str(SEED),
        *(["--random"] if random else []),
    ]  # fmt: skip
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # What is freed goes back to the system at once, so that the peak of one input is not hidden in what others left.
    single |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    environment = {**os.environ, **single, "PYTHONPATH": paths, "XDG_STATE_HOME": str(work), "HOME": str(work)}
    ended = 0
    if not result.exists():
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, check=False)
            ended = done.returncode
    text = log.read_text(encoding="utf-8", errors="replace")
    if not result.exists():
        tail = text.strip().splitlines()[-1:]
        row = {"target": target.name, "way": "?", "executions": 0, "cpu_seconds": 0.0, "accepted": 0, "refused": {}}
        row |= {
            "slowest_seconds": 0.0,
            "peak_mib_of_an_input": 0.0,
            "peak_share_of_bound": 0.0,
            "child_peak_mib": 0.0,
        }
        return row | {"findings": {f"the process ended with {ended}": {"count": 1, "text": " ".join(tail)[:200]}}}
    reached = _COVERED.findall(text)
    row = json.loads(result.read_text(encoding="utf-8"))
    row["corpus"] = sum(1 for _ in (work / "corpus" / name).iterdir())
    return row | ({"edges": int(reached[-1][0]), "features": int(reached[-1][1])} if reached else {})


def main() -> None:
    """Parse, run, store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzzing", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="CPU minutes of all targets together")
    parser.add_argument("--only", action="append", default=[], help="this target only; repeatable")
    parser.add_argument("--work", type=Path, help="folder of the corpora, which a later run goes on with")
    parser.add_argument("--random", action="store_true", help="mutate at random, without atheris")
    parser.add_argument(
        "--branches", action="store_true", help="fuzz nothing: measure the branches that --work reaches"
    )
    parser.add_argument("--dry", action="store_true", help="store nothing")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was cut short, in the same --work")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        work = asked.work or Path(spare)
        work.mkdir(parents=True, exist_ok=True)
        if asked.branches:
            evidence = load("fuzzing")
            if evidence is None or asked.work is None:
                parser.error("--branches goes with --work, after a run that was stored")
        else:
            evidence = run(work, asked.minutes, asked.only, random=asked.random, resume=asked.resume)
        if not asked.only:
            evidence["results"]["extremes"] = extremes.measure()
            evidence["results"]["branch_coverage"] = measure(work)
    if not asked.dry and not asked.only:
        save(evidence)


if __name__ == "__main__":
    main()
