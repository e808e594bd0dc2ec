"""Writing a file whole or not at all."""

import os
import stat
import subprocess
import sys

import pytest

from medveil.errors import MedveilError, TargetExistsError
from medveil.files.atomic import write_bytes


def test_writes_the_bytes_with_the_mode(tmp_path):
    write_bytes(tmp_path / "a", b"abc")
    write_bytes(tmp_path / "secret", b"key", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"abc"
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "secret"]


def test_an_existing_file_is_kept_unless_told(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(TargetExistsError):
        write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    write_bytes(target, b"new", overwrite=True)
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_dangling_link_counts_as_existing(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TargetExistsError):
        write_bytes(tmp_path / "link", b"new")
    assert not (tmp_path / "elsewhere").exists()


def test_systems_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    write_bytes(tmp_path / "a", b"abc")
    assert (tmp_path / "a").read_bytes() == b"abc"
    with pytest.raises(TargetExistsError):
        write_bytes(tmp_path / "a", b"new")


def test_a_missing_folder_is_one_clear_error_without_its_name(tmp_path):
    with pytest.raises(MedveilError) as caught:
        write_bytes(tmp_path / "patient-smith" / "a", b"abc")
    assert "smith" not in str(caught.value)


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path):
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from medveil.files.atomic import write_bytes; from medveil.errors import MedveilError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_bytes(Path(sys.argv[1]), bytes(100_000), overwrite=True)\n"
        "except MedveilError as error: print('refused', error)\n"
    )
    target = tmp_path / "a"
    target.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"abc")
    assert list(tmp_path.iterdir()) == []
