"""Worker processes: they come to an end, with their results, with an error or with the process that asked for them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from medveil.releases.workers import done_by_workers

_PROGRAM = """
import torch
from medveil.releases.workers import done_by_workers

def product(setting, size):
    return float((torch.ones(size, size) @ torch.ones(size, size)).sum())

if __name__ == "__main__":
    torch.set_num_threads(2)
    product(None, 600)
    print(sum(done_by_workers(product, None, [600] * 4, 2)))
"""


def test_workers_compute_after_the_parent_has_computed(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=120, check=True)
    assert float(done.stdout) == 4 * 600.0**3


class Asked(Exception):
    """Worker processes were asked for: how many."""


@pytest.mark.parametrize(("items", "jobs", "started"), [(8, 0, 3), (8, 2, 2), (4, 0, 3), (4, 9, 4)])
def test_without_a_number_there_is_a_worker_a_core(monkeypatch, items, jobs, started) -> None:
    def pool(workers: int, *_: object) -> None:
        raise Asked(workers)

    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setattr("medveil.releases.workers._pool", pool)
    with pytest.raises(Asked) as caught:
        list(done_by_workers(max, 0, range(items), jobs))
    assert caught.value.args == (started,)
    assert list(done_by_workers(max, 1, range(3), 0)) == [1, 1, 2]  # too few for that


_ENDINGS = """
import multiprocessing, os, sys, time
from medveil.errors import MedveilError
from medveil.releases.workers import done_by_workers

def work(setting, item):
    if setting == "killed" and item == 5:
        os.kill(os.getpid(), 9)
    if setting == "orphans":
        os.write(1, b"%d\\n" % os.getpid())  # in one piece: print writes the end of the line by itself
        time.sleep(60)
    return item

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    try:
        print(sum(done_by_workers(work, sys.argv[2], range(8), 2)))
    except MedveilError as error:
        print(error.message, error.hint)
"""
_METHODS = ("fork", "forkserver", "spawn")


@pytest.fixture
def started(tmp_path):
    """A program whose workers end in one way or another, with the lines that it prints."""
    program = tmp_path / "program.py"
    program.write_text(_ENDINGS)

    def started(method: str, ending: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, str(program), method, ending], stdout=subprocess.PIPE, text=True)

    return started


@pytest.mark.parametrize("method", _METHODS)
def test_the_work_is_done_however_processes_are_started(started, method) -> None:
    assert started(method, "whole").communicate(timeout=60)[0] == "28\n"


def test_a_worker_that_is_killed_is_told_and_no_fault_of_the_program(started) -> None:
    told = started("fork", "killed").communicate(timeout=60)[0]
    assert "a worker process ended" in told
    assert "fewer --jobs" in told


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("method", _METHODS)
def test_workers_end_with_the_process_that_asked_for_them(started, method) -> None:
    program = started(method, "orphans")
    workers = [Path(f"/proc/{int(program.stdout.readline())}") for _ in range(2)]
    program.kill()
    program.wait()
    for _ in range(300):
        if not any(map(_works, workers)):
            return
        time.sleep(0.1)
    pytest.fail("a worker is still at work")


def _works(process: Path) -> bool:
    """Whether a process is there and is not dead and only waiting to be buried."""
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except OSError:
        return False
