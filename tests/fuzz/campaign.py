"""All of the fuzzing, a process a target, half an hour of CPU time: `python -m tests.fuzz.campaign`.

`pytest -m slow` runs the same for a shorter time. A finding is any exception that is not medveil's own, an input that
takes too long, or one that allocates more than 256 MiB + 16 times the bytes of the pixels that it may hold. With
`atheris` installed the inputs are guided by the branches that they reach; else they are changed at random.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import campaign_summary
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

REPOSITORY = Path(__file__).resolve().parents[2]
SEED = 0
MINUTES = 32.0


def fuzz_all(
    work: Path, minutes: float = MINUTES, only: Sequence[str] = (), *, random: bool = False, resume: bool = False
) -> dict[str, Any]:
    """Fuzz and collect; corpora and inputs that found something stay below `work`."""
    targets = [target for target in TARGETS if not only or target.name in only]
    whole = sum(target.share for target in targets)
    rows = []
    for target in targets:
        rows.append(fuzz(target, work, 60 * minutes * target.share / whole, random=random, resume=resume))
        print(json.dumps(rows[-1]), flush=True)
    return {
        "seed": SEED,
        "cpu_minutes": round(sum(row["cpu_seconds"] for row in rows) / 60, 2),
        "executions": sum(row["executions"] for row in rows),
        "findings": sum(len(row["findings"]) for row in rows),
        "largest_share_of_memory_bound": max(row["peak_share_of_bound"] for row in rows),
        "targets": rows,
    }


def fuzz(target: Target, work: Path, seconds: float, *, random: bool = False, resume: bool = False) -> dict[str, Any]:
    """One target for so many CPU seconds, in a process of its own: what `child.Session.end` writes."""
    name = target.file_name
    result, log = work / f"{name}.json", work / f"{name}.log"
    if not resume:
        result.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "tests.fuzz.child", target.name, "--corpus", str(work / "corpus" / name),
        "--findings", str(work / "findings"), "--result", str(result),
        "--seconds", f"{seconds:.1f}", "--seed", str(SEED),
        *(["--random"] if random else []),
    ]  # fmt: skip
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # What is freed goes back to the system at once, so that the peak of one input is not hidden in what others left.
    single |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY), *sys.path[1:]])
    environment = {**os.environ, **single, "PYTHONPATH": paths, "XDG_STATE_HOME": str(work), "HOME": str(work)}
    ended = 0
    if not result.exists():
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, check=False)
            ended = done.returncode
    text = log.read_text(encoding="utf-8", errors="replace")
    if not result.exists():
        tail = " ".join(text.strip().splitlines()[-1:])[:200]
        return _ended_early(target, f"the process ended with {ended}", tail)
    row: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    row["corpus"] = sum(1 for _ in (work / "corpus" / name).iterdir())
    return row


def _ended_early(target: Target, how: str, tail: str) -> dict[str, Any]:
    counts = dict.fromkeys(("executions", "accepted"), 0)
    sizes = dict.fromkeys(("cpu_seconds", "slowest_seconds", "peak_mib_of_an_input", "peak_share_of_bound"), 0.0)
    return {"target": target.name, "way": "?", **counts, **sizes, "findings": {how: {"count": 1, "text": tail}}}


def main() -> None:
    """Parse, run, write build/fuzzing.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="CPU minutes of all targets together")
    parser.add_argument("--only", action="append", default=[], help="this target only; repeatable")
    parser.add_argument("--work", type=Path, help="folder of the corpora, which a later run goes on with")
    parser.add_argument("--random", action="store_true", help="mutate at random, without atheris")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was cut short, in the same --work")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        work = asked.work or Path(spare)
        work.mkdir(parents=True, exist_ok=True)
        found = fuzz_all(work, asked.minutes, asked.only, random=asked.random, resume=asked.resume)
    path = campaign_summary.write("fuzzing", found)
    print(f"{found['findings']} findings in {found['executions']} inputs; see {path.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
