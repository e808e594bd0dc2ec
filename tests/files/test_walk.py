"""Finding the inputs."""

import os

import pytest

from medveil.files import walk
from medveil.files.walk import find_files


def _make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _relatives(listing):
    return [str(found.relative) for found in listing if not found.problem]


def test_a_folder_is_searched_in_a_fixed_order(tmp_path):
    root = tmp_path / "study"
    _make(root, "b/IM0001", "a/IM0001", "z.png", "a/c/x.dcm")
    assert _relatives(find_files([root])) == ["study/a/IM0001", "study/a/c/x.dcm", "study/b/IM0001", "study/z.png"]


def test_files_and_folders_with_equal_names_stay_apart(tmp_path):
    _make(tmp_path, "one/study/x.png", "two/study/x.png", "one/x.png", "two/x.png", "two/X.PNG")
    listing = find_files(
        [tmp_path / part for part in ("one/study", "two/study", "one/x.png", "two/x.png", "two/X.PNG")]
    )
    assert _relatives(listing) == ["study/x.png", "study-2/x.png", "x.png", "x-2.png", "X-3.PNG"]
    assert [found.root for found in listing] == [0, 1, 2, 3, 4]


def test_the_current_folder_has_a_name(tmp_path, monkeypatch):
    _make(tmp_path, "study/x.png")
    monkeypatch.chdir(tmp_path / "study")
    assert _relatives(find_files(["."])) == ["study/x.png"]


def test_dicomdir_dot_files_and_second_meetings_are_counted(tmp_path):
    _make(tmp_path, "DICOMDIR", "dicomdir", ".hidden", ".git/x", "x.png")
    listing = find_files([tmp_path, tmp_path / "x.png"])
    assert _relatives(listing) == [f"{tmp_path.name}/x.png"]
    assert listing.skipped == 5


def test_links_out_of_the_folder_are_reported_and_not_followed(tmp_path):
    _make(tmp_path, "outside/secret.png", "in/x.png", "in/sub/y.png")
    inside = tmp_path / "in"
    (inside / "out.png").symlink_to(tmp_path / "outside" / "secret.png")
    (inside / "outfolder").symlink_to(tmp_path / "outside")
    (inside / "dangling.png").symlink_to(tmp_path / "nowhere")
    (inside / "same.png").symlink_to(inside / "x.png")
    (inside / "loop").symlink_to(inside)
    listing = find_files([inside])
    problems = {str(found.relative): found.problem for found in listing if found.problem}
    assert problems == dict.fromkeys(["in/dangling.png", "in/out.png", "in/outfolder"], walk.LINK_OUTSIDE)
    assert _relatives(listing) == ["in/same.png", "in/sub/y.png", "in/x.png"]
    assert listing.skipped == 1


def test_a_link_that_the_user_names_is_taken(tmp_path):
    _make(tmp_path, "outside/secret.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    (tmp_path / "folder").symlink_to(tmp_path / "outside")
    listing = find_files([tmp_path / "link.png", tmp_path / "folder"])
    assert _relatives(listing) == ["link.png", "outside/secret.png"]


def test_what_cannot_be_read_is_reported(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    listing = find_files([tmp_path, tmp_path / "missing.png"])
    assert [found.problem for found in listing] == [walk.NOT_REGULAR, walk.NO_SUCH_FILE]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_a_closed_folder_is_reported(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    assert [found.problem for found in find_files([tmp_path])] == [walk.UNREADABLE_FOLDER]


def test_names_that_are_no_text_become_text(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / os.fsdecode(b"a\xff.png")).write_bytes(b"x")
    (relative,) = _relatives(find_files([tmp_path / "d"]))
    assert relative.encode("utf-8").decode() == "d/a\N{REPLACEMENT CHARACTER}.png"


def test_nothing_is_found_in_nothing(tmp_path):
    assert len(find_files([tmp_path])) == 0


def test_what_is_to_be_skipped_is_passed_over_and_counted(tmp_path):
    root = tmp_path / "in"
    _make(root, "a.png", "release/p/1.mveil", "release.partial/x", "release.failed.csv", "sub/b.png")
    (root / "link.png").symlink_to(root / "release" / "p" / "1.mveil")
    (tmp_path / "alias").symlink_to(root)
    skip = [tmp_path / "alias" / name for name in ("release", "release.partial", "release.failed.csv", "not there")]
    listing = find_files([root], skip=skip)
    assert _relatives(listing) == ["in/a.png", "in/sub/b.png"]
    assert listing.skipped == 4
    listing = find_files([root / "release", root / "release.failed.csv", root / "a.png"], skip=skip)
    assert (_relatives(listing), listing.skipped) == (["a.png"], 2)
    assert _relatives(find_files([root / "release" / "p"], skip=skip)) == ["p/1.mveil"]


def test_folders_nested_deeper_than_calls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    depth = 1200
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    with open("x", "wb"):
        pass
    listing = find_files([tmp_path / "d"])
    assert [(len(found.relative.parts), found.problem) for found in listing] == [(depth + 1, "")]
    for _ in range(depth):  # pytest's own way of removing folders calls itself for each
        if os.path.exists("x"):
            os.unlink("x")
        os.chdir("..")
        os.rmdir("d")


def test_a_name_too_long_for_the_system_is_reported(tmp_path):
    assert [found.problem for found in find_files([tmp_path / ("x" * 5000)])] == [walk.NO_SUCH_FILE]
