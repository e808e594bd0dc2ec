"""What is printed, where, and with which exit code."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from tests import image_files
from tests.cli.shell import listed, run
from tests.pictures import picture

from medveil.cli.attach import spread
from medveil.cli.input_list import lists_folder
from medveil.cli.session import session
from medveil.cli.text import bytes_text, plural
from medveil.errors import FormatVersionError, MedveilError, RefusedError
from medveil.files import atomic

_NAME = "Doe-Jane-19700101.png"


def test_an_input_that_fails_is_numbered_and_the_others_are_done(desk: Path) -> None:
    (desk / "images" / _NAME).write_bytes(b"\x89PNG\r\n\x1a\n broken")
    shared = run("share", "images", "--to", "alice.pub", "-o", "release", "--json")
    assert shared.code == 3
    assert shared.json["done"] == 2
    assert shared.json["ok"] is False
    (failed,) = shared.json["failed"]
    assert failed["error"] == "UnreadableInputError"
    assert f"#{failed['input']}: UnreadableInputError: " in shared.err
    assert "Doe" not in shared.out + shared.err

    path = Path(shared.json["list"])
    assert f"which file each # is: {path}" in shared.err
    assert path.is_relative_to(os.environ["XDG_STATE_HOME"])
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o600, 0o700]
    (row,) = listed(shared)
    assert row == {
        "input": str(failed["input"]), "path": str(desk / "images" / _NAME), "kind": "failed",
        "class": "UnreadableInputError", "message": failed["message"],
    }  # fmt: skip
    assert not list(desk.rglob("*.csv"))


def test_warnings_are_traceable_to_their_files(desk: Path) -> None:
    """One line says it of all, the list of each; --show-paths names them, also in a dry run, which writes no list."""
    for number in range(3):
        pixels = picture(number, 24, 32, bits=12).astype(np.uint16)
        (desk / "images" / f"Doe{number}.dcm").write_bytes(image_files.dicom(pixels, bits_stored=12))
    command = ("share", "images", "--to", "alice.pub", "-o", "release", "--json")
    would = run(*command, "--dry-run", "--show-paths")
    assert would.json["list"] == ""
    assert "images/Doe1.dcm" in would.err
    shared = run(*command)
    assert shared.code == 0
    rows = listed(shared)
    assert [(Path(row["path"]).name, row["kind"]) for row in rows] == [(f"Doe{n}.dcm", "warning") for n in (1, 2)]
    (line,) = [line for line in shared.err.splitlines() if "SOP Instance UID" in line]
    assert line.startswith(f"warning: 2 files (#{rows[0]['input']}, #{rows[1]['input']}): another input has the same ")
    assert "Doe" not in shared.err.replace(shared.json["list"], "")


def test_a_mistyped_input_is_told_by_its_place_and_leaves_no_list(desk: Path) -> None:
    shared = run("share", "images", "imgaes", "--to", "alice.pub", "-o", "release", "--json")
    assert (shared.code, shared.json["done"], shared.json["list"]) == (3, 2, "")
    assert "there is no such file or folder (2 were named, and it is the one at place 2)" in shared.err
    assert not lists_folder().exists()


def test_show_paths(desk: Path) -> None:
    (desk / "images" / _NAME).write_bytes(b"")
    shared = run("share", "images", "--to", "alice.pub", "-o", "release", "--show-paths")
    assert shared.code == 3
    assert _NAME in shared.err


def test_a_failure_list_that_cannot_be_written_takes_no_result_with_it(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed, what was done and the exit code are told all the same."""
    real = atomic.write_bytes

    def full(path: Path, data: bytes, **said: Any) -> None:
        if path.parent == lists_folder():
            raise MedveilError("a file could not be written: No space left on device")
        real(path, data, **said)

    monkeypatch.setattr(atomic, "write_bytes", full)
    (desk / "images" / _NAME).write_bytes(b"")
    shared = run("share", "images", "--to", "alice.pub", "-o", "release", "--json")
    packages = sorted((desk / "release" / "packages").rglob("*.mveil"))
    packages[0].write_bytes(packages[0].read_bytes()[:-1] + b"\0\0")
    opened = run("open", "release", "-i", "alice.key", "-o", "opened", "--json")
    assert [(done.code, done.json["done"], len(done.json["failed"])) for done in (shared, opened)] == [
        (3, 2, 1), (11, 1, 1)
    ]  # fmt: skip
    for done in (shared, opened):
        assert "No space left on device" in done.err
        assert _NAME not in done.err
        assert done.json["list"] == ""
    assert not list(lists_folder().iterdir())


def test_without_a_state_folder_the_run_works_and_says_so(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "a file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "a file"))
    (desk / "images" / _NAME).write_bytes(b"")
    shared = run("share", "images", "--to", "alice.pub", "-o", "release", "--json")
    assert (shared.code, shared.json["done"], shared.json["list"]) == (3, 2, "")
    assert "cannot be kept in your state folder" in shared.err
    assert "--show-paths" in shared.err


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["share", "empty", "--to", "alice.pub", "-o", "r"], 2),
        (["share", "images", "--to", "alice.pub", "-o", "r", "--protection", "seled"], 2),
        (["share", "images", "--to", "alice.pub", "-o", "r", "--codec", "laped"], 2),
        (["share", "images", "--to", "nobody.pub", "-o", "r"], 10),
        (["share", "images"], 2),
        (["frobnicate"], 2),
        (["verify", "empty"], 2),
        (["open", "empty", "-i", "alice.key", "-o", "o"], 2),
    ],
)
def test_exit_codes(desk: Path, args: list[str], code: int) -> None:
    (desk / "empty").mkdir()
    done = run(*args)
    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.err
    assert done.err.strip()


def test_an_error_is_one_line_and_a_hint(desk: Path) -> None:
    done = run("share", "images", "--to", "alice.pub", "-o", "r", "--protection", "seled")
    lines = [line for line in done.err.splitlines() if not line.startswith(("Your key", "Using your key"))]
    assert lines[0].startswith("medveil share: ")
    assert lines[1:] == ["  hint: did you mean sealed?"]


def test_json_says_what_went_wrong(desk: Path) -> None:
    done = run("verify", "nowhere", "--json")
    assert done.json["ok"] is False
    assert done.json["command"] == "verify"
    assert done.json["error"]["class"] == "UsageError"


def test_quiet_is_quiet(desk: Path) -> None:
    Image.new("L", (64, 64), 100).save("flat.png")
    done = run("share", "flat.png", "--to", "alice.pub", "-o", "release", "-q", "-i", "alice.key")
    assert (done.code, done.err) == (0, "")


def test_an_unexpected_exception_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, session("open"):
        raise ValueError("Doe^Jane")
    assert ended.value.exit_code == 1
    printed = capsys.readouterr()
    assert "Doe" not in printed.out + printed.err
    assert "internal error (ValueError)" in printed.err


def test_debugging_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVEIL_DEBUG", "1")
    with pytest.raises(ValueError, match="Doe"), session("open"):
        raise ValueError("Doe^Jane")


@pytest.mark.parametrize(("kind", "code"), [(FormatVersionError, 12), (RefusedError, 14)])
def test_an_error_carries_its_exit_code(
    capsys: pytest.CaptureFixture[str], kind: type[MedveilError], code: int
) -> None:
    with pytest.raises(typer.Exit) as ended, session("verify", as_json=True):
        raise kind("not so", hint="otherwise")
    assert ended.value.exit_code == code
    assert f'"class": "{kind.__name__}"' in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_interrupt_ends_with_130(tmp_path: Path) -> None:
    code = (
        "import signal, time\nfrom medveil.cli.session import session\nimport typer\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "app = typer.Typer()\n"
        "@app.command()\ndef wait():\n    with session('wait'):\n        print('ready', flush=True)\n"
        "        time.sleep(30)\n"
        "app()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_attach_takes_all_paths_up_to_the_next_option() -> None:
    assert spread(["a", "--attach", "b", "c", "-o", "r"]) == ["a", "--attach", "b", "--attach", "c", "-o", "r"]
    assert spread(["--attach", "b", "--attach", "c", "--", "x"]) == ["--attach", "b", "--attach", "c", "--", "x"]
    assert spread(["a", "-o", "r"]) == ["a", "-o", "r"]


def test_attachments_come_back_for_those_with_identity(desk: Path) -> None:
    (desk / "labels.csv").write_text("image,label\n")
    (desk / "masks").mkdir()
    (desk / "masks" / "m.bin").write_bytes(b"\x01")
    args = ("--to", "alice.pub", "--to", "mallory.pub", "--identity", "alice.pub", "-o", "release")
    assert run("share", "images", *args, "--attach", "labels.csv", "masks").code == 0
    opened = run("open", "release", "-i", "alice.key", "-o", "opened")
    assert opened.out == "opened 4 files (2 at tier diagnostic); 0 failed\n"
    assert (desk / "opened" / "labels.csv").read_text() == "image,label\n"
    other = run("open", "release", "-i", "mallory.key", "-o", "other")
    assert other.out == "opened 2 files (2 at tier diagnostic); 0 failed\n"
    assert "2 packages left closed" in other.err


def test_words() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 1_234_567)] == ["0 B", "999 B", "1.0 kB", "1.2 MB"]
    assert [plural(1, "file"), plural(2, "file")] == ["1 file", "2 files"]


def test_info(desk: Path) -> None:
    text = run("info")
    assert text.code == 0
    assert "codec lapped: available" in text.out
    found = run("info", "--json").json
    assert {"medveil", "python", "numpy"} <= set(found["versions"])
    assert all(entry["ok"] or entry["because"] for entry in [*found["codecs"], *found["parts"]])


def test_version() -> None:
    assert run("--version").out.startswith("medveil 0.")
