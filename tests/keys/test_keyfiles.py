"""Key files as mail programs, editors and other volumes leave them."""

from __future__ import annotations

import os
import textwrap

import pytest
from tests.keys.conftest import certificate_of, ssh_of, ssh_public_of

from medveil.errors import KeyFileError
from medveil.keys.identity import Identity, generate
from medveil.keys.keyfiles import ALLOW_OPEN_KEYS, holds_secret, mode_for_others, unbroken_lines
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient

COLUMNS = 76
CRUEL = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "UTF-16 as PowerShell writes": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()).encode(),
    "quoted twice": lambda text: "".join(f">> {line}\n" for line in f"\n{text}\n".splitlines()).encode(),
    "broken at 76 columns": lambda text: broken(text).encode(),
    "broken where a space is": lambda text: broken(text, words=False).encode(),
    "indented": lambda text: textwrap.indent(text, "    ").encode(),
    "all of it": lambda text: (
        b"\xef\xbb\xbf" + "".join(f"> {line} \r\n" for line in broken(text).splitlines()).encode()
    ),
}


def broken(text: str, *, words: bool = True) -> str:
    """The text as a mail program breaks it: in words that are too long, or only where a space is."""
    lines = (
        textwrap.wrap(line, COLUMNS, break_long_words=words, break_on_hyphens=False) or [""]
        for line in text.splitlines()
    )
    return "\n".join(part for line in lines for part in line) + "\n"


@pytest.mark.parametrize("how", CRUEL)
def test_a_key_that_came_by_mail_is_read(write, tmp_path, rsa_2048, rsa_3072, ssh_ed25519, how):
    for classical in (False, True):
        path = tmp_path / f"{classical}.key"
        identity = generate(path, classical=classical)
        public = path.with_suffix(".pub")
        assert Recipient.load(write("x.pub", CRUEL[how](public.read_text()))) == identity.recipient
        assert identity.recipient.verify_key  # and its signature was looked at
        secret = write("x.key", CRUEL[how](path.read_text()))
        assert Identity.load(secret) == load_opener(secret) == identity
        assert holds_secret(secret.read_bytes())
    for text in (ssh_public_of(ssh_ed25519), ssh_public_of(rsa_2048), certificate_of(rsa_3072).decode()):
        assert Recipient.load(write("y.pub", CRUEL[how](text))) == Recipient.load(write("sound.pub", text))
    ssh = ssh_of(ssh_ed25519).decode()  # a PEM file has short lines
    assert load_opener(write("ssh", CRUEL[how](ssh))).recipient.wrap == "ssh-ed25519"


def test_a_wrong_joint_is_an_error_and_no_other_key(write, tmp_path):
    generate(tmp_path / "alice.key")
    generate(tmp_path / "mallory.key")
    alice, mallory = (broken((tmp_path / f"{name}.pub").read_text()).splitlines() for name in ("alice", "mallory"))
    swapped = [*alice[:-1], mallory[-1]], [*alice, mallory[-1]], [*alice[:-3], *alice[-2:]], [*alice[:2], *alice[3:]]
    for lines in swapped:
        with pytest.raises(KeyFileError):
            Recipient.load(write("x.pub", "\n".join(lines)))
    two = "\n".join(Identity(bytes([i]) * 32).recipient.text for i in (1, 2))
    with pytest.raises(KeyFileError, match="holds 2 keys"):
        Recipient.load(write("x.pub", broken(two)))
    secret = broken(Identity(bytes(32)).to_text())
    for text in (secret.rstrip()[:-1], secret + secret, f"{secret}hello\n", f"{secret}\nhello\n"):
        with pytest.raises(KeyFileError):
            Identity.load(write("x.key", text))


def test_what_goes_on_where():
    assert unbroken_lines("# a note\nage1abc\ndef\n\nghi") == ["# a note", "age1abcdef", "ghi"]
    assert unbroken_lines("# self-signature:\nAAAA\nBBBB\nage1abc") == ["# self-signature:AAAABBBB", "age1abc"]
    assert unbroken_lines("# public key:\nage1abc\nAGE-SECRET-KEY-1X\nY") == [
        "# public key:age1abc",
        "AGE-SECRET-KEY-1XY",
    ]
    assert unbroken_lines("ssh-rsa\nAAAA\nBBB=\nalice at home") == ["ssh-rsa AAAABBB= alice at home"]


def test_a_public_key_in_the_place_of_a_secret_one_is_said_first(write, tmp_path, rsa_3072, ssh_ed25519):
    generate(tmp_path / "alice.key")
    for text in ((tmp_path / "alice.pub").read_text(), ssh_public_of(ssh_ed25519), certificate_of(rsa_3072).decode()):
        with pytest.raises(KeyFileError, match="this is a public key file; a secret key file is asked for") as caught:
            load_opener(write("x.pub", text, mode=0o644))
        assert ".key" in caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_key_on_a_volume_without_modes_is_read_when_that_is_said(tmp_path, monkeypatch):
    identity = generate(tmp_path / "alice.key")
    assert not mode_for_others(tmp_path / "alice.key")
    (tmp_path / "alice.key").chmod(0o777)
    assert mode_for_others(tmp_path / "alice.key") == "0777"
    with pytest.raises(KeyFileError, match="open to other users") as caught:
        Identity.load(tmp_path / "alice.key")
    assert ALLOW_OPEN_KEYS in caught.value.hint
    monkeypatch.setenv(ALLOW_OPEN_KEYS, "1")
    assert Identity.load(str(tmp_path / "alice.key")) == identity
