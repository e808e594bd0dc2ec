"""A process that holds keys leaves no memory of itself when it crashes."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ASKED = """
import medveil, multiprocessing, sys
from medveil.files.core_dumps import are_dumped
from medveil.cli import main
import resource
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
before = are_dumped()
main.app = lambda: None
main.run()
after = are_dumped()
from medveil.releases import workers
def again():
    with workers._pool(1, print, None) as pool:
        return pool.submit(are_dumped).result()
if __name__ == "__main__":
    sys.modules["torch"] = None  # workers are started anew, as where torch is loaded
    print(before, after, again())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux calls dumpable is asked for")
def test_neither_the_program_nor_its_workers_are_dumped(tmp_path) -> None:
    script = tmp_path / "asked.py"
    script.write_text(_ASKED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["True", "False", "False"], done.stderr
