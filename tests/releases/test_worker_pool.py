"""Worker processes where torch has computed in the parent: they must come to an end."""

from __future__ import annotations

import subprocess
import sys

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
