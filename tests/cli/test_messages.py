"""What is printed, where, and with which exit code."""

from __future__ import annotations

import json
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
from tests.cli.shell import Done, listed, run
from tests.pictures import picture

from medveil.cli.attach import spread
from medveil.cli.commands import moved_behind
from medveil.cli.input_list import lists_folder, report_inputs
from medveil.cli.main import app
from medveil.cli.session import Session, session
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
    (desk / "scans").mkdir()
    for number in range(3):
        pixels = picture(number, 24, 32, bits=12).astype(np.uint16)
        (desk / "scans" / f"Doe{number}.dcm").write_bytes(image_files.dicom(pixels, bits_stored=12))
    command = ("share", "scans", "-o", "release", "--protection", "encrypted", "--json")
    would = run(*command, "--dry-run", "--show-paths")
    assert would.json["list"] == ""
    assert "scans/Doe1.dcm" in would.err
    shared = run(*command)
    assert shared.code == 0
    rows = listed(shared)
    assert [(Path(row["path"]).name, row["kind"]) for row in rows] == [(f"Doe{n}.dcm", "warning") for n in (1, 2)]
    (line,) = [line for line in shared.err.splitlines() if "SOP Instance UID" in line]
    assert line.startswith(f"warning: 2 files (#{rows[0]['input']}, #{rows[1]['input']}): another input has the same ")
    assert "Doe" not in shared.err.replace(shared.json["list"], "")


def test_what_was_told_in_sum_stands_in_the_list_for_each(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = {1: "images/a/IM1.png", 2: "images/b/IM1.png"}
    _, path = report_inputs(Session("share"), [], [], paths, show_paths=False, told=[(1, "coarse"), (2, "coarse")])
    assert [row["message"] for row in listed(Done(0, json.dumps({"list": path}), ""))] == ["coarse", "coarse"]
    assert "coarse" not in capsys.readouterr().err


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


def test_the_fingerprint_of_a_public_key_is_that_of_its_owner(desk: Path) -> None:
    made = run("keygen", "-o", "bob.key", "--json").json["fingerprint"]
    assert run("info", "--pub", "bob.pub").out.splitlines()[0] == f"fingerprint {made}"
    assert run("info", "--pub", "bob.pub", "--json").json["fingerprint"] == made
    assert f"bob ({made})" in run("share", "images", "--to", "bob.pub", "-o", "release", "--dry-run").err
    title, *rest = Path("mallory.pub").read_text().splitlines()
    Path("bob.pub").write_text("\n".join([f"# medveil public key {made}", *rest]))
    for line in (["info", "--pub", "bob.pub"], ["share", "images", "--to", "bob.pub", "-o", "release"]):
        done = run(*line)
        assert done.code == 10
        assert title.split()[-1] in done.err


def test_version() -> None:
    assert run("--version").out.startswith("medveil 0.")


def test_what_every_command_takes_may_stand_before_it(shared_desk: Path) -> None:
    for line in (("list", "release"), ("verify", "nowhere"), ("frobnicate",), ("verify", "--x")):
        before, after = run("--quiet", "--json", *line), run(*line, "-q", "--json")
        assert (before.code, before.err) == (after.code, after.err)
        assert before.json | {"seconds": 0} == after.json | {"seconds": 0}
    assert run("-q", "list", "release").err == ""
    assert run("-q", "share", "images", "-i", "alice.key", "-o", "again").err == ""


def test_every_command_takes_both() -> None:
    command: Any = typer.main.get_command(app)
    for name, each in command.commands.items():
        assert {"--json", "--quiet", "-q"} <= {option for found in each.params for option in found.opts}, name
    assert moved_behind(["--json", "-q", "list", "R"]) == ["list", "--json", "-q", "R"]
    assert moved_behind(["--json", "--help", "list"]) == ["--help", "list", "--json"]
    assert moved_behind(["-q", "--version"]) == ["--version"]
    assert moved_behind(["--", "--json", "list"]) == ["--", "--json", "list"]


_UNUSABLE = {
    "--to bbo.pub (number 2 of 2): ": ("share", "images", "--to", "alice.pub", "--to", "bbo.pub", "-o", "r"),
    "--identity c.pub: ": ("share", "images", "--to", "alice.pub", "--identity", "c.pub", "-o", "r"),
    "--also-owner alice.key: this is a secret key": ("share", "images", "--also-owner", "alice.key", "-o", "r"),
    "--to labels: ": ("grant", "release", "--to", "labels=exact"),
    "--to bbo.pub: ": ("revoke", "release", "--to", "./bbo.pub"),
    "--owner bbo.pub: ": ("verify", "release", "--owner", "bbo.pub"),
    "-i bbo.key: ": ("open", "release", "-i", "bbo.key", "-o", "o"),
    "-i alice.pub: this is a public key file": ("list", "release", "-i", "alice.pub"),
    "-i mallory.pub: this is a public key file": ("rotate", "release", "-i", "mallory.pub"),
}


def test_a_key_file_that_cannot_be_used_is_named_with_its_option(shared_desk: Path) -> None:
    for named, args in _UNUSABLE.items():
        done = run(*args)
        assert (done.code, done.out) == (10, ""), named
        assert f"medveil {args[0]}: {named}" in done.err
    assert not (shared_desk / "r").exists()


def test_a_key_that_others_may_read_is_told_where_it_is_made_and_used(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a volume that keeps no permissions."""
    monkeypatch.setattr("medveil.keys.identity.write_bytes", _open_to_all)
    made = run("keygen", "-o", "stick.key", "-q")
    assert (made.code, "other users may read stick.key (mode 0777)" in made.err) == (0, True)
    assert run("share", "images", "-i", "stick.key", "-o", "r").code == 10
    monkeypatch.setenv("MEDVEIL_ALLOW_OPEN_KEYS", "1")
    done = run("share", "images", "-i", "stick.key", "-o", "r", "-q")
    assert done.code == 0
    assert "other users may read stick.key" in done.err


def _open_to_all(path: Path, data: bytes, **_said: object) -> None:
    path.write_bytes(data)
    path.chmod(0o777)


def test_share_on_a_folder_that_has_grown_names_add(shared_desk: Path) -> None:
    Image.new("L", (64, 64), 100).save("images/new.png")
    for line in (("--to", "alice.pub"), (), ("--to", "mallory.pub", "--quality", "45")):
        done = run("share", "images", *line, "-o", "release")
        assert done.code == 1
        assert "--add" in done.err
        assert "nothing was touched" in done.err.lower()
    assert run("share", "images", "-o", "release", "--add").code == 0


def test_another_release_in_its_place_is_told_by_every_look(shared_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(shared_desk / "hers"))
    assert run("share", "images", "-i", "mallory.key", "--to", "alice.pub", "-o", "strangers", "-q").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(shared_desk / "elsewhere"))
    assert "look at" not in run("verify", "release").err
    os.rename("release", "was")
    os.rename("strangers", "release")
    for args in (
        ("verify", "release"), ("ledger", "release"), ("inspect", "release"), ("list", "release", "-i", "mallory.key"),
        ("open", "release", "-i", "alice.key", "-o", "o", "--dry-run"),
        ("open", "release", "-i", "alice.key", "-o", "o"),
    ):  # fmt: skip
        done = run(*args, "-q")
        assert done.code == 0
        assert "WARNING: ANOTHER SIGNER'S RELEASE lies here than at the first look on " in done.err
    assert run("verify", "release", "--json").json["replaced"] == "signer"
    assert run("verify", "release", "--owner", "mallory.pub", "--json").json["replaced"] == ""
    assert run("verify", "release").err == ""
    os.rename("release", "hers too")
    os.rename("was", "release")
    assert run("verify", "release").code == 11
    assert run("forget", "release").out == "forgotten\n"
    assert run("verify", "release").code == 0
    os.rename("release", "was")
    assert run("forget", "release").out == "forgotten\n"
    assert run("forget", "release").code == 2
