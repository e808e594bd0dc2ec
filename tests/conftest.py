"""Fixtures that every test folder may use."""

from __future__ import annotations

import functools
import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing

_REPOSITORY = Path(__file__).resolve().parents[1]

# Before anything imports numpy or torch: pictures are small here, and several threads a worker wait for each other
# longer than they work (tests/attacks/test_controls.py beside other load: 15 CPU seconds with two threads, 3 with one).
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# And each of pytest's workers has one core: what takes as many threads or processes as there are cores takes one.
os.cpu_count = lambda: 1
os.sched_getaffinity = lambda _: {0}  # type: ignore[assignment]

# Power does not fail between two tests. tests/releases/test_crash.py sees to it that what has to be flushed is flushed.
os.fsync = os.fstat  # type: ignore[assignment]

# The parser of all commands is made once a process, and not once a command as typer's runner does it (30 ms).
typer.testing._get_command = functools.cache(typer.testing._get_command)

_LONGEST = (
    "test_canaries", "audit/test_tasks", "reader/test_releases", "audit/test_swapped_seal",
    "attacks/test_plain_streams", "codecs/test_preview", "releases/test_crash", "releases/test_dataset",
    "tasks/test_classification", "attacks/test_translation",
)  # fmt: skip
"""Files that take longest. They come first, so that no process is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front, in this order; the others stay as they were."""
    places = {_REPOSITORY / "tests" / f"{name}.py": place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images beside the checkout (or MEDVEIL_SHARED); the test is skipped without it."""
    folder = Path(os.environ.get("MEDVEIL_SHARED", _REPOSITORY.parent / "shared"))
    if not (folder / "cxr" / "manifest.csv").is_file():
        pytest.skip(f"needs the real images in {folder}; set MEDVEIL_SHARED to where they are")
    return folder


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders. `mktemp` reads all names that there are each time, which takes longer than most tests."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the keys, pins or caches of the person who runs it."""
    home = next(_homes)
    home.mkdir()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("MPLCONFIGDIR", str(home.parent / "matplotlib"))  # its list of fonts is made once, not anew each


@pytest.fixture
def repository() -> Path:
    """Root of the checkout."""
    return _REPOSITORY


def pytest_collection_finish() -> None:
    """What is there now stays: the collector of garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()
