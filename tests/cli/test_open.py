"""What opening leaves behind, and how much it writes."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from tests.cli.shell import run

from medveil.errors import UsageError
from medveil.releases import opening

_KILLED = """
import os, signal, sys
from pathlib import Path
from medveil.cli.main import run
from medveil.files import atomic

how, kind = sys.argv.pop(), sys.argv.pop()
real = getattr(atomic, "_write_all", None)

def stopped(handle, data):
    if not data.startswith(b"\\x89PNG"):
        return real(handle, data)
    os.write(handle, data[: len(data) // 2])
    if how == "named":
        assert any(path.suffix == ".tmp" for path in Path("opened").rglob("*"))
    os.kill(os.getpid(), getattr(signal, kind))

if how == "named":
    del os.O_TMPFILE
atomic._write_all = stopped
run()
"""


def _killed(kind: str, how: str) -> int:
    """Open the release, and be killed in the middle of the first file."""
    args = ["open", "release", "-o", "opened", "--jobs", "1", kind, how]
    return subprocess.run(
        [sys.executable, "-c", _KILLED, *args], capture_output=True, timeout=60, check=False
    ).returncode


def _plain(folder: str) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


@pytest.mark.skipif(os.name != "posix", reason="file modes and links are POSIX")
def test_folders_that_are_there_are_closed_and_no_link_in_them_is_followed(shared_desk: Path) -> None:
    (shared_desk / "opened").mkdir(mode=0o755)
    assert run("open", "release", "-o", "opened").code == 0
    assert stat.S_IMODE((shared_desk / "opened").stat().st_mode) == 0o700
    (folder,) = {path.parent for path in _plain("opened") if path.parent.name == "a"}
    shutil.rmtree(folder)
    (shared_desk / "mine").mkdir()
    folder.symlink_to(shared_desk / "mine")
    done = run("open", "release", "-o", "opened", "--force", "--json")
    assert (done.code, done.json["done"], len(done.json["failed"])) == (3, 1, 1)
    assert _plain("mine") == []


def test_a_folder_that_is_a_release_of_both_kinds_is_refused(shared_desk: Path) -> None:
    (shared_desk / "release" / "release.json").write_text("{}")
    for line in (("open", "release", "-o", "opened"), ("list", "release"), ("verify", "release")):
        assert run(*line).code == 2


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's")
def test_a_killed_open_leaves_nothing_of_a_picture(shared_desk: Path) -> None:
    assert _killed("SIGKILL", "unnamed") == -signal.SIGKILL
    assert _plain("opened") == []
    assert run("open", "release", "-o", "opened").code == 0  # no --force: nothing but folders was there
    assert len(_plain("opened")) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_without_such_files_a_terminated_open_cleans_up_and_a_killed_one_is_swept(shared_desk: Path) -> None:
    assert _killed("SIGTERM", "named") == 130
    assert _plain("opened") == []
    assert _killed("SIGKILL", "named") == -signal.SIGKILL
    (left,) = _plain("opened")
    assert left.suffix == ".tmp"
    assert run("open", "release", "-o", "opened").code == 0
    assert not left.exists()
    assert len(_plain("opened")) == 2
    again, other = left.with_name(f".{'a' * 16}.tmp"), Path("opened/other") / left.name
    other.parent.mkdir()
    again.touch()
    other.touch()  # as of a command that is at work there
    assert run("open", "release", "-o", "opened").code == 1
    assert run("open", "release", "-o", "opened", "--force").code == 0
    assert (again.exists(), other.exists()) == (False, True)


def test_what_is_written_is_foretold_and_can_be_limited(shared_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = ("open", "release", "-o", "opened", "-i", "alice.key", "--json")
    told = run(*args, "--dry-run").json
    assert not Path("opened").exists()
    refused = run(*args, "--max-bytes", "8kB")
    assert (refused.code, Path("opened").exists()) == (1, False)
    assert f"up to {told['bytes']} bytes, and --max-bytes allows 8000" in refused.json["error"]["message"]
    with monkeypatch.context() as patch:
        usage = namedtuple("usage", "total used free")(10**9, 10**9 - 5000, 5000)
        patch.setattr(opening.shutil, "disk_usage", lambda _: usage)
        full = run(*args)
        assert (full.code, Path("opened").exists()) == (1, False)
        assert f"up to {told['bytes']} bytes, and 5000 are free there" in full.json["error"]["message"]
    written = run(*args, "--max-bytes", "1 MiB")
    assert written.code == 0
    sizes = sum(path.stat().st_size for path in _plain("opened"))
    assert 0 < sizes == written.json["bytes"] <= told["bytes"] < 20 * sizes


def test_a_file_longer_than_was_foretold_is_not_written(shared_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "most_bytes", lambda *_: 1)
    stopped = run("open", "release", "-o", "opened", "-i", "alice.key", "--max-bytes", "100", "--json")
    assert (stopped.code, _plain("opened")) == (1, [])


def test_numbers_of_bytes() -> None:
    from medveil.cli.text import bytes_of

    told = {"7": 7, "7B": 7, "500MB": 500 * 10**6, "10 GB": 10**10, "2GiB": 2 << 30, "3k": 3000, "1T": 10**12}
    assert {text: bytes_of(text) for text in told} == told
    for text in ("", "-1", "1.5GB", "ten", "1PB", "9" * 20):
        with pytest.raises(UsageError):
            bytes_of(text)


def test_unsafe_paths_are_listed_as_open_would_write_them(shared_desk: Path) -> None:
    from medveil.files.names import safe_relative
    from medveil.releases.packages import origin

    before = run("list", "release", "--json").json["packages"]
    assert [(one["original"], one["renamed"]) for one in before] == [
        ("images/a/IM1.png", False),
        ("images/b/IM1.png", False),
    ]
    real = origin.unpack_identity

    def hostile(*given: object) -> object:
        found, record = real(*given)
        return origin.Origin(f"../../{found.path}\x1b[2J.sh", found.sha256), record

    with pytest.MonkeyPatch.context() as patch:
        from medveil.releases.packages import unpacking

        patch.setattr(unpacking, "unpack_identity", hostile)
        rows = run("list", "release", "--json").json["packages"]
        told = run("list", "release").out
    assert [row["original"] for row in rows] == [
        str(safe_relative(f"../../images/{name}/IM1.png\x1b[2J.sh")) for name in "ab"
    ]
    assert all(row["renamed"] and ".." not in row["original"] for row in rows)
    assert ".." not in told
    assert "\x1b" not in told
