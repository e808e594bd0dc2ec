"""Whose keys a command works with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.keys.conftest import ssh_of, ssh_public_of

from medveil.cli.owner import identity_for_trial, identity_of, opener_of, recipients_of, tiered_recipients_of
from medveil.cli.session import Session
from medveil.errors import KeyFileError, UsageError
from medveil.keys.identity import generate
from medveil.keys.recipients import Wrap


@pytest.fixture
def session() -> Session:
    return Session("test", quiet=True)


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    (tmp_path / "id").write_bytes(ssh_of(key))
    (tmp_path / "id").chmod(0o600)
    (tmp_path / "id.pub").write_text(ssh_public_of(key))
    return tmp_path / "id"


def test_any_key_opens_and_only_an_identity_owns(session: Session, ssh_key: Path, tmp_path: Path) -> None:
    made = generate(tmp_path / "a.key")
    assert identity_of(session, tmp_path / "a.key") == opener_of(session, tmp_path / "a.key") == made
    assert opener_of(session, ssh_key).recipient.wrap is Wrap.SSH_ED25519
    with pytest.raises(KeyFileError, match="cannot own"):
        identity_of(session, ssh_key)


def test_without_a_key_the_default_one_is_meant(session: Session) -> None:
    for wanted in (identity_of, opener_of):
        with pytest.raises(KeyFileError, match="no key of your own"):
            wanted(session, None)
    trial = identity_for_trial(session, None)
    made = identity_of(session, None, create=True)
    assert made.hybrid
    assert trial != made
    assert opener_of(session, None) == identity_for_trial(session, None) == made


def test_recipients_with_and_without_a_tier(tmp_path: Path, ssh_key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "a.key")
    a, ssh = recipients_of([Path("a.pub"), Path("id.pub")], "--to")
    assert tiered_recipients_of(["a.pub", "id.pub=preview", "a.pub"]) == ((a, None), (ssh, "preview"))
    assert tiered_recipients_of(["a.pub=exact"]) == ((a, "exact"),)
    assert tiered_recipients_of(None) == ()


def test_one_key_at_two_tiers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "a.key")
    with pytest.raises(UsageError, match="two tiers"):
        tiered_recipients_of(["a.pub", "a.pub=exact"])


def test_a_file_with_an_equals_sign_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "a.key")
    Path("b=preview").write_bytes(Path("a.pub").read_bytes())
    Path("c=d.pub").write_bytes(Path("a.pub").read_bytes())
    assert [tiered_recipients_of([name])[0][1] for name in ("b=preview", "c=d.pub", "b=preview=exact")] == [
        None,
        None,
        "exact",
    ]
    with pytest.raises(KeyFileError, match="cannot be read") as caught:
        tiered_recipients_of(["secret=folder/x.pub"])
    assert "folder" not in caught.value.message


@pytest.mark.parametrize(("word", "hint"), [("diagnostics", "diagnostic"), ("Exact", "exact"), ("xyz", ""), ("", "")])
def test_a_wrong_tier_names_the_right_ones(word: str, hint: str) -> None:
    with pytest.raises(UsageError, match="exact, diagnostic, preview") as caught:
        tiered_recipients_of([f"a.pub={word}"])
    assert hint in caught.value.hint
