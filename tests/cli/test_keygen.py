"""keygen, and the passphrase of a key: typed, from a file, and never shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.shell import run

from medveil.keys.identity import Identity

PASSPHRASE = "four words with nothing"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def passphrase_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = here / "passphrase"
    path.write_text(f"{PASSPHRASE}\nsecond line\n")
    path.chmod(0o600)
    monkeypatch.setenv("MEDVEIL_PASSPHRASE_FILE", str(path))
    return path


def program(*args: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run medveil as a program of its own, with no terminal."""
    command = [sys.executable, "-m", "medveil", *args]
    environment = {**os.environ, "MEDVEIL_DEBUG": "1", **more}
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)


def typed(answers: list[str], *args: str) -> tuple[int, str]:
    """Run medveil in a terminal where somebody types the answers: (exit code, what the screen showed)."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "medveil", *args])
    shown = ""
    while True:
        try:
            part = os.read(screen, 1024).decode()
        except OSError:  # the program ended and its side of the terminal is gone
            break
        if not part:
            break
        shown += part
        if shown.rstrip(" ").endswith((":", "key: ", "more: ")) and answers:
            time.sleep(0.2)  # as nobody types before she has read
            os.write(screen, f"{answers.pop(0)}\n".encode())
            shown += "\n"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_keys_are_post_quantum_unless_said_otherwise(here: Path) -> None:
    assert run("keygen", "-o", "a.key", "--json").json["post_quantum"] is True
    assert run("keygen", "-o", "b.key", "--classical", "--json").json["post_quantum"] is False
    assert Identity.load(here / "a.key").hybrid
    assert not Identity.load(here / "b.key").hybrid


def test_help_says_when_one_wants_a_classical_key() -> None:
    out = run("keygen", "--help").out
    assert "post-quantum" in out
    assert "before 1.3" in " ".join(out.split())


def test_a_passphrase_from_a_file(here: Path, passphrase_file: Path) -> None:
    done = run("keygen", "-o", "a.key", "--passphrase", "--json")
    assert done.code == 0
    assert done.json["locked"] is True
    assert (here / "a.key").read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert Identity.load(here / "a.key", ask=lambda: PASSPHRASE).fingerprint == done.json["fingerprint"]


def test_the_passphrase_is_in_no_output(here: Path, passphrase_file: Path) -> None:
    runs = [
        program("keygen", "-o", "a.key", "--passphrase", "--json"),
        program("keygen", "-o", "b.key", "--passphrase"),
    ]
    passphrase_file.write_text("another one entirely\n")
    runs.append(program("list", "nowhere", "-i", "a.key"))
    passphrase_file.write_text("short\n")
    runs.append(program("keygen", "-o", "c.key", "--passphrase", "--json"))
    assert [done.returncode for done in runs[:2]] == [0, 0]
    assert runs[2].returncode == runs[3].returncode == 10
    assert not (here / "c.key").exists()
    for done in runs:
        assert not any(word in done.stdout + done.stderr for word in (PASSPHRASE, "another one", "short\n"))
        assert "Traceback" not in done.stderr


def test_with_nobody_to_ask_it_says_what_to_do(here: Path) -> None:
    done = program("keygen", "-o", "a.key", "--passphrase")
    assert done.returncode == 10
    assert "MEDVEIL_PASSPHRASE_FILE" in done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_passphrase_file_open_to_others_is_refused(here: Path, passphrase_file: Path) -> None:
    passphrase_file.chmod(0o644)
    done = run("keygen", "-o", "a.key", "--passphrase")
    assert done.code == 10
    assert "the passphrase file is open to other users" in done.err


@pytest.mark.parametrize("content", ["", "\n", "\nsecond line\n"])
def test_an_empty_passphrase_file_is_refused(here: Path, passphrase_file: Path, content: str) -> None:
    passphrase_file.write_text(content)
    assert run("keygen", "-o", "a.key", "--passphrase").code == 10
    assert not (here / "a.key").exists()


def test_a_taken_name_is_said_before_the_passphrase_is_asked_for(here: Path) -> None:
    assert run("keygen", "-o", "a.key").code == 0
    done = run("keygen", "-o", "a.key", "--passphrase")
    assert done.code == 1
    assert "there already" in done.err


def test_a_public_file_that_is_missing_is_made_again(here: Path) -> None:
    made = run("keygen", "-o", "a.key", "--json").json
    public = Path("a.pub").read_bytes()
    Path("a.pub").unlink()
    again = run("keygen", "-o", "a.key", "--json")
    assert (again.code, again.json["fingerprint"]) == (0, made["fingerprint"])
    assert "made again" in again.err
    assert Path("a.pub").read_bytes() == public


def test_a_passphrase_typed_twice(here: Path) -> None:
    code, shown = typed([PASSPHRASE, PASSPHRASE], "keygen", "-o", "a.key", "--passphrase")
    assert code == 0, shown
    assert "Passphrase of the key:" in shown
    assert PASSPHRASE not in shown
    assert (here / "a.key").read_bytes().startswith(b"age-encryption.org/v1\n-> scrypt ")


def test_the_typed_passphrase_opens_the_key(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medveil.cli.passphrase._typed", lambda prompt: PASSPHRASE)
    assert run("keygen", "-o", "a.key", "--passphrase").code == 0
    assert Identity.load(here / "a.key", ask=lambda: PASSPHRASE).hybrid


def test_two_passphrases_that_differ_make_no_key(here: Path) -> None:
    code, shown = typed([PASSPHRASE, "something else"], "keygen", "-o", "a.key", "--passphrase")
    assert code == 10
    assert "differ" in shown
    assert not (here / "a.key").exists()
