"""Hostile names, wrong command lines and what a dry run leaves: nothing of a patient's is repeated, nothing is lost."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from tests.cli.shell import listed, run

from medveil.cli import input_list
from medveil.cli.printable import shown

_PATH = "patients/DOE_JOHN.png"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["verify", "release", _PATH], "medveil verify: unexpected extra argument"),
        (["verify"], "medveil verify: missing argument 'RELEASE'"),
        (["share", "images"], "medveil share: missing option '-o' / '--out'"),
        (["share", "images", "-o"], "medveil share: option '-o' requires an argument"),
        (["share", "--jobs", _PATH, "images", "-o", "r"], "medveil share: invalid value for --jobs/-j"),
        (["share", "--jobs", "-1", "images", "-o", "r"], "medveil share: invalid value for --jobs/-j"),
        (["share", "--min-quality", _PATH, "i", "-o", "r"], "medveil share: invalid value for --min-quality"),
        (["share", "images", "-o", "r", f"--{_PATH}"], "medveil share: no such option"),
        (["open", "r", "-o", "x", f"--dry-run={_PATH}"], "medveil open: option '--dry-run' does not take a value"),
        ([f"--{_PATH}"], "medveil: no such option"),
        ([_PATH], "medveil: no such command"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_command_line_is_not_repeated(args: list[str], message: str, as_json: bool) -> None:
    done = run(*args[:1], *(["--json"] if as_json and args[0][0].islower() and "/" not in args[0] else []), *args[1:])
    assert done.code == 2
    assert done.err.startswith(message)
    assert "  hint: " in done.err
    assert "DOE" not in done.out + done.err
    if "--json" in args or (as_json and "/" not in args[0]):
        assert (done.json["ok"], done.json["error"]["class"]) == (False, "UsageError")
        assert done.json["command"] == args[0]
    else:
        assert done.out == ""


def test_near_names_are_proposed() -> None:
    assert "--owner?" in run("verify", "r", "--ownr", "x").err
    assert "hint: did you mean share?" in run("shar").err
    assert "--json" not in run("verify", "--", "--json").out


def test_no_command_is_help() -> None:
    assert "Commands:" in run().err + run().out
    assert run("--help").code == 0
    assert run("share", "--help").code == 0


@pytest.mark.parametrize(
    ("text", "on_screen"),
    [
        ("Zoë 山田.png", "Zoë 山田.png"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\t\x7f\x9b", "a\\nb\\r\\t\\x7f\\x9b"),
        ("gnp.\u202eexe\u2066\u200b\u2028", "gnp.\\u202eexe\\u2066\\u200b\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, on_screen: str) -> None:
    assert shown(text) == on_screen


def test_names_of_originals_do_not_steer_the_terminal(desk: Path) -> None:
    hostile = "x\x1b]0;owned\x07\n\u202e\x7f.png"
    (desk / "images" / "a" / "IM1.png").rename(desk / "images" / "a" / hostile)
    (desk / "images" / "c\x1b[2J.png").write_bytes(b"")
    shared = run("share", "images", "--to", "alice.pub", "-o", "release", "-i", "mallory.key", "--show-paths")
    assert shared.code == 3
    listed = run("list", "release", "-i", "mallory.key")
    assert len(listed.out.splitlines()) == 2
    objects = run("list", "release", "-i", "mallory.key", "--json")
    assert {(Path(one["original"]).name, one["renamed"]) for one in objects.json["packages"]} == {
        ("IM1.png", False), ("x_]0_owned____.png", True),  # as open would write it
    }  # fmt: skip
    for printed in (shared.out, shared.err, listed.out, objects.out, run("inspect", "release").out):
        assert not {"\x1b", "\x07", "\x7f", "\u202e"} & set(printed)


def test_a_hostile_name_is_no_formula_and_steers_nothing_in_the_list(desk: Path) -> None:
    name = 'a;=HYPERLINK("x"),+1\x1b[2J\n\udcff.png'
    (desk / "images" / name).write_bytes(b"")
    shared = run("share", "images", "--to", "alice.pub", "-o", "release", "--json")
    (row,) = listed(shared)
    assert row["path"] == str(desk / "images" / "a;'=HYPERLINK(\"x\"),'+1\\x1b[2J\\n\\udcff.png")
    text = Path(shared.json["list"]).read_text()
    assert len(text.splitlines()) == 2
    assert not {"\x1b", "\udcff"} & set(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("  =1", "'  =1"),
        ("\t=1", "\\t=1"), ("\r=1", "\\r=1"), ("\n=1", "\\n=1"), ("\uff1d1", "'\uff1d1"), ("a-b=c", "a-b=c"), ("", ""),
    ],
)  # fmt: skip
def test_cells_are_neutral(text: str, cell: str) -> None:
    assert input_list.neutral(text) == cell


def test_so_many_lists_are_kept_and_nothing_else_goes(desk: Path) -> None:
    (desk / "images" / "bad.png").write_bytes(b"")
    folder = input_list.lists_folder()
    folder.mkdir(parents=True)
    old = [folder / f"2026-01-01-{number:016x}.csv" for number in range(input_list.KEPT)]
    for number, path in enumerate(old):
        path.write_text("x")
        os.utime(path, (number, number))
    mine = folder / "my own.csv"
    mine.write_text("notes")
    os.utime(mine, (0, 0))
    newest = Path(run("share", "images", "--to", "alice.pub", "-o", "release", "--json").json["list"])
    assert set(folder.iterdir()) == {mine, newest, *old[1:]}


def test_a_dry_run_says_what_would_fail_and_writes_nothing(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk / "config"))
    (desk / "images" / "DOE.png").write_bytes(b"")
    before = sorted(desk.rglob("*"))
    would = run("share", "images", "--to", "alice.pub", "-o", "release", "--dry-run", "--json")
    assert would.code == 3
    (failed,) = would.json["failed"]
    assert (would.json["ok"], would.json["done"], failed["error"]) == (False, 2, "UnreadableInputError")
    assert f"#{failed['input']}: UnreadableInputError: " in would.err
    assert "You have no key yet" in would.err
    assert "DOE" not in would.out + would.err
    words = run("share", "images", "--to", "alice.pub", "-o", "release", "--dry-run")
    assert words.out.startswith("would share 2 files; 0 there already; 1 would fail; nothing was written")
    assert sorted(desk.rglob("*")) == before
    assert not input_list.lists_folder().exists()


@pytest.mark.parametrize("args", [["open", "release", "-o", "out"], ["open", "release", "-o", "out", "--dry-run"]])
def test_opening_makes_no_key(shared_desk: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shared_desk / "config"))
    for done in (run(*args), run("list", "release")):
        assert done.code == 10
        assert "  hint: " in done.err
    assert not (shared_desk / "config").exists()
    damaged = shared_desk / "config" / "medveil" / "owner.key"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("no key")
    damaged.chmod(0o600)
    assert run("share", "images", "-o", "r", "--dry-run").code == 10


def test_secret_keys_are_not_attached(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "labels").mkdir()
    (desk / "labels" / "DOE.txt").write_text("# notes\n" + (desk / "alice.key").read_text().splitlines()[-1].lower())
    monkeypatch.setenv("MEDVEIL_PASSPHRASE_FILE", str(desk / "passphrase"))
    (desk / "passphrase").write_text("correct horse battery staple\n")
    (desk / "passphrase").chmod(0o600)
    assert run("keygen", "-o", "locked.key", "--passphrase").code == 0
    for attached in ("alice.key", "labels", "locked.key"):
        done = run("share", "images", "--to", "alice.pub", "-o", "release", "--attach", attached)
        assert done.code == 2
        assert "secret key" in done.err
        assert "DOE" not in done.err
        assert not (desk / "release").exists()
    assert run("share", "images", "--to", "alice.pub", "-o", "release", "--attach", "alice.pub").code == 0


def test_open_says_how_many_names_it_altered(desk: Path) -> None:
    for name in (".envrc", "Makefile", "labels.csv", "e\u0301.csv", "\u00e9.csv"):
        (desk / name).write_text(f"content of {name}")
    attached = [argument for name in desk.iterdir() if name.is_file() and name.suffix not in (".key", ".pub")
                for argument in ("--attach", name.name)]  # fmt: skip
    made = run("share", "images", *attached, "-o", "release", "-i", "mallory.key")
    assert made.code == 0, made.err
    done = run("open", "release", "-o", "opened", "-i", "mallory.key", "--json")
    assert (done.code, done.json["done"], done.json["renamed"]) == (0, 7, 3)
    assert re.search(r"warning: 3 files \(#\d, #\d, #\d\): under another name than the owner's", done.err)
    assert {"_envrc.data", "Makefile.data"} < {Path(row["path"]).name for row in listed(done)}
    assert "envrc" not in done.out + done.err
    opened = {path.name for path in (desk / "opened").iterdir() if path.is_file()}
    assert {"_envrc.data", "Makefile.data", "labels.csv"} <= opened
    assert len(opened) == 5


def test_a_request_that_makes_no_sense_makes_no_key(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk / "config"))
    assert run("share", "images", "-o", "r", "--protection", "seled").code == 2
    assert run("share", "images", "-o", "r", "--attach", "alice.key").code == 2
    assert not (desk / "config").exists()


def test_one_fingerprint_everywhere(desk: Path) -> None:
    """What keygen prints is what the holder of the release reads in verify and inspect, and stands in the .pub file."""
    made = run("keygen", "-o", "owner.key", "--json").json["fingerprint"]
    assert run("share", "images", "--to", "alice.pub", "-o", "release", "-i", "owner.key", "-q").code == 0
    assert made in (desk / "owner.pub").read_text()
    assert run("verify", "release", "--json").json["owner"] == made
    assert run("inspect", "release", "--json").json["public"]["owner"] == made


def test_keygen_prints_the_files_that_it_wrote(desk: Path) -> None:
    for name in ("dr.smith", "dr.jones"):
        printed = run("keygen", "-o", name, "--json").json
        assert Path(printed["key"]).is_file()
        assert Path(printed["pub"]).is_file()


def test_json_is_ascii(desk: Path) -> None:
    raw = run("keygen", "-o", "zoë\x7f.key", "--json").out
    assert raw.isascii()
    assert "\x7f" not in raw
    assert json.loads(raw)["key"] == "zoë\x7f.key"


def test_a_release_inside_its_own_inputs_is_no_input(desk: Path) -> None:
    (desk / "images" / "bad.png").write_bytes(b"")
    args = ("share", "images", "--to", "alice.pub", "-o", "images/release", "--json")
    first, again = run(*args).json, run(*args).json
    assert (first["done"], len(first["failed"]), first["unchanged"]) == (2, 1, 0)
    assert (again["done"], len(again["failed"]), again["unchanged"]) == (0, 1, 2)
    assert first["failed"][0]["input"] == again["failed"][0]["input"]


def test_sharing_into_the_current_folder(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "here").mkdir()
    monkeypatch.chdir(desk / "here")
    assert run("share", desk / "images", "--to", desk / "alice.pub", "-o", ".").code == 0
    monkeypatch.chdir(desk)
    assert run("verify", "here").code == 0
