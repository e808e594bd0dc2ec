"""Writing a file whole or not at all."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from medveil.errors import MedveilError, TargetExistsError
from medveil.files.atomic import (
    empty_folder,
    flush_folders,
    move_all,
    remove_all,
    remove_empty_folders,
    write_bytes,
)


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


def calls(monkeypatch, names=("fsync", "replace", "unlink", "link", "rmdir")):
    """What is done, by the name of the call and of the file or folder."""
    made, opened = [], {}
    real_open = os.open

    def opening(path, *more, **options):
        handle = real_open(path, *more, **options)
        opened[handle] = Path(path).name
        return handle

    def noted(name, real):
        def call(first, *more):
            made.append((name, opened.get(first, "") if isinstance(first, int) else Path(first).name))
            return real(first, *more)

        return call

    monkeypatch.setattr(os, "open", opening)
    for name in names:
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    return made


def test_moved_files_are_durable_in_their_new_folder_first(tmp_path, monkeypatch):
    (tmp_path / "from").mkdir()
    (tmp_path / "from/a").write_bytes(b"a")
    made = calls(monkeypatch)
    move_all([(tmp_path / "from/a", tmp_path / "to/here/b")])
    assert made[-3:] == [("replace", "a"), ("fsync", "here"), ("fsync", "from")]
    assert ("fsync", "to") in made
    assert (tmp_path / "to/here/b").read_bytes() == b"a"


def test_removing_is_durable_even_where_it_was_done_before(tmp_path, monkeypatch):
    made = calls(monkeypatch)
    remove_all([tmp_path / "gone", tmp_path / "no folder" / "either"])
    assert ("fsync", tmp_path.name) in made


def test_the_temporary_name_is_gone_before_the_folder_is_flushed(tmp_path, monkeypatch):
    made = calls(monkeypatch)
    write_bytes(tmp_path / "a", b"abc")
    assert made.index(("fsync", tmp_path.name)) > min(i for i, (call, _) in enumerate(made) if call == "unlink")


def test_empty_folders_go_and_others_stay(tmp_path):
    (tmp_path / "x/full").mkdir(parents=True)
    (tmp_path / "x/full/file").write_bytes(b"")
    (tmp_path / "x/empty/deep").mkdir(parents=True)
    remove_empty_folders(tmp_path / "x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "x"]
    empty_folder(tmp_path / "x")
    remove_empty_folders(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_emptying_a_folder_follows_no_links(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/file").write_bytes(b"kept")
    (tmp_path / "x").mkdir()
    (tmp_path / "x/link").symlink_to(tmp_path / "own")
    (tmp_path / "x/lock").write_bytes(b"")
    empty_folder(tmp_path / "x", keep="lock")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["lock"]
    assert (tmp_path / "own/file").read_bytes() == b"kept"
    (tmp_path / "link").symlink_to(tmp_path / "own")
    with pytest.raises(NotADirectoryError):
        empty_folder(tmp_path / "link")
    assert (tmp_path / "own/file").read_bytes() == b"kept"


@pytest.mark.parametrize(("number", "raises"), [(errno.EINVAL, False), (errno.EIO, True), (errno.ENOSPC, True)])
def test_a_folder_that_cannot_be_flushed(tmp_path, monkeypatch, number, raises):
    """A system that has no such flushing is no error; a disk that fails is."""

    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError) if raises else contextlib.nullcontext():
        flush_folders([tmp_path])
