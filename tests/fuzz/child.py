"""One target in a process of its own: guided by coverage (atheris), or, where that is missing, mutated at random."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ADDRESS_SPACE = 8 << 30
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Fuzz the target that the arguments name until its CPU time is used up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--findings", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", action="store_true", help="do without atheris")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    atheris = None if asked.random else _atheris()
    if atheris is not None:
        with atheris.instrument_imports(include=["medveil"]):
            target = _target(asked.target)
    else:
        target = _target(asked.target)
    asked.corpus.mkdir(parents=True, exist_ok=True)
    asked.findings.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (asked.corpus / f"seed-{number}").write_bytes(data)
    session = Session(target, asked.seconds, asked.findings, asked.result, "atheris" if atheris else "random")
    if atheris is None:
        _mutate_at_random(session, asked.corpus, asked.seed)
    else:
        _guided(atheris, session, asked.corpus, asked.seed)


def _atheris() -> Any:
    try:
        import atheris
    except ImportError:
        print("atheris is missing: mutating at random, without a look at coverage", file=sys.stderr)
        return None
    return atheris


def _target(name: str) -> Any:
    from tests.fuzz.targets import TARGETS

    return next(target for target in TARGETS if target.name == name)


@dataclass
class Session:
    """Runs inputs and keeps the books."""

    target: Any
    seconds: float
    findings: Path
    result: Path
    way: str
    executions: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    slowest: float = 0.0
    peak: int = 0
    peak_share: float = 0.0
    baseline: int = 0
    started: float = 0.0

    def run(self, data: bytes) -> bool:
        """Whether the reader took or refused the input as it should. Ends the process when the time is used up."""
        from tests.fuzz.target import Bound

        from medveil.errors import MedveilError

        if not self.baseline:
            self.baseline, self.started = _resident(), _cpu()
        if _cpu() - self.started >= self.seconds:
            self.end()
        bound, before, start, resident = Bound(), len(self.found), _cpu(), _resident()
        _forget_peak()
        try:
            self.target.read(data, bound)
            self.accepted += 1
        except MedveilError as error:
            name = type(error).__name__
            self.refused[name] = self.refused.get(name, 0) + 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._note(type(error).__name__, _where(error), data, str(error))
        self.executions += 1
        spent, peak = _cpu() - start, _peak() - resident
        self.slowest, self.peak = max(self.slowest, spent), max(self.peak, peak)
        self.peak_share = max(self.peak_share, peak / bound.bytes)
        if spent > self.target.seconds:
            self._note("slow", f"over {self.target.seconds} s", data, f"{spent:.1f} s")
        if peak > bound.bytes:
            self._note("memory", "over the bound", data, f"{peak >> 20} MiB where {bound.bytes >> 20} are allowed")
        return len(self.found) == before

    def _note(self, kind: str, where: str, data: bytes, text: str) -> None:
        entry = self.found.setdefault(f"{kind} at {where}", {"count": 0, "text": text[:200], "input": ""})
        entry["count"] += 1
        if not entry["input"]:
            name = f"{self.target.name.replace(' ', '-').replace(',', '')}-{len(self.found)}"
            (self.findings / name).write_bytes(data)
            entry["input"] = name

    def end(self) -> None:
        """Write the books and end the process at once."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.result.write_text(
            json.dumps(
                {
                    "target": self.target.name,
                    "way": self.way,
                    "executions": self.executions,
                    "cpu_seconds": round(_cpu() - self.started, 1),
                    "accepted": self.accepted,
                    "refused": dict(sorted(self.refused.items())),
                    "slowest_seconds": round(self.slowest, 3),
                    "peak_mib_of_an_input": round(self.peak / 2**20, 1),
                    "grown_mib": round((_resident() - self.baseline) / 2**20, 1),
                    "peak_share_of_bound": round(self.peak_share, 3),
                    "child_peak_mib": round(children.ru_maxrss / 1024, 1),
                    "findings": self.found,
                }
            )
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _guided(atheris: Any, session: Session, corpus: Path, seed: int) -> None:
    from tests.fuzz.mutation import mutate_record

    def change(data: bytes, longest: int, draw: random.Random) -> bytes:
        return bytes(atheris.Mutate(data, max(1, longest)))

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        return mutate_record(bytes(data), longest, random.Random(number), change)

    options = [
        f"-seed={seed + 1}",
        f"-max_len={session.target.longest}",
        "-rss_limit_mb=0",
        "-timeout=300",
        "-len_control=0",
    ]
    given = {"custom_mutator": mutate} if session.target.is_record else {}
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: session.run(bytes(data)), **given)
    atheris.Fuzz()


def _mutate_at_random(session: Session, corpus: Path, seed: int) -> None:
    from tests.fuzz.mutation import mutate_record, random_bytes

    draw = random.Random(seed)
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())]
    for data in inputs:
        session.run(data)
    while True:
        data = draw.choice(inputs)
        longest = session.target.longest
        if session.target.is_record:
            session.run(mutate_record(data, longest, draw, random_bytes))
        else:
            session.run(random_bytes(data, longest, draw))


def _cpu() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _where(error: BaseException) -> str:
    """The deepest line of medveil, or of what medveil called, in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/medveil/" in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].name}"


def _forget_peak() -> None:
    """Begin a new high-water mark of resident memory (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE


if __name__ == "__main__":
    main()
