import os
import stat
import subprocess
import traceback
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.conftest import PASSPHRASE

from medveil.errors import KeyFileError, MedveilError, NoFittingKeyError, TargetExistsError
from medveil.files.atomic import write_bytes
from medveil.keys import bech32
from medveil.keys.identity import Identity, default_identity, generate, with_public_again
from medveil.keys.recipients import Recipient
from medveil.keys.signatures import signature_fits
from medveil.keys.wrapping import wrap


@pytest.mark.parametrize("classical", [False, True])
def test_keygen_writes_a_private_and_a_public_file(tmp_path, classical):
    identity = generate(tmp_path / "alice.key", classical=classical)
    assert identity.hybrid is not classical
    assert stat.S_IMODE((tmp_path / "alice.key").stat().st_mode) == 0o600
    assert Identity.load(tmp_path / "alice.key") == identity
    assert Recipient.load(tmp_path / "alice.pub") == identity.recipient
    assert len(identity.recipient.verify_key) == 32


def test_keys_have_the_forms_of_age(tmp_path):
    secrets = {
        classical: Identity(bytes(32), hybrid=not classical).to_text().split()[-1] for classical in (True, False)
    }
    assert secrets[True].startswith("AGE-SECRET-KEY-1")
    assert secrets[False].startswith("AGE-SECRET-KEY-PQ-1")
    assert Identity(bytes(32)).recipient.text.startswith("age1pq1")
    assert Identity(bytes(32), hybrid=False).recipient.text.startswith("age1")


@given(st.binary(min_size=32, max_size=32), st.booleans())
def test_a_key_goes_through_its_text(secret, hybrid):
    identity = Identity(secret, hybrid)
    assert Identity.from_text(identity.to_text()) == identity
    assert Identity.from_text(identity.to_text().lower()) == identity


def test_the_secret_shows_in_no_repr_or_traceback(tmp_path):
    identity = generate(tmp_path / "alice.key")
    text = identity.to_text().split()[-1]
    shown = repr(identity) + str(identity) + f"{identity}"
    try:
        identity.unwrap(b"nothing")
    except NoFittingKeyError:
        shown += traceback.format_exc()
    try:
        Identity.from_text(text[:-1])
    except KeyFileError as error:
        shown += "".join(traceback.format_exception(error)) + repr(error.__context__)
    for secret in (text[20:], identity.secret.hex(), repr(identity.secret)):
        assert secret not in shown


def test_keygen_replaces_nothing(tmp_path):
    identity = generate(tmp_path / "alice.key")
    with pytest.raises(TargetExistsError):
        generate(tmp_path / "alice.key")
    (tmp_path / "alice.key").unlink()
    with pytest.raises(TargetExistsError):  # the public file alone is reason enough
        generate(tmp_path / "alice.key")
    assert generate(tmp_path / "alice.key", force=True) != identity


def test_a_secret_key_file_does_not_end_in_pub(tmp_path):
    with pytest.raises(KeyFileError, match=r"cannot end in \.pub"):
        generate(tmp_path / "alice.pub")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_secret_key_open_to_others_is_refused(tmp_path):
    generate(tmp_path / "alice.key")
    (tmp_path / "alice.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="open to other users"):
        Identity.load(tmp_path / "alice.key")


def test_a_key_under_a_passphrase(tmp_path):
    identity = generate(tmp_path / "alice.key", passphrase=PASSPHRASE)
    content = (tmp_path / "alice.key").read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n-> scrypt ")
    assert stat.S_IMODE((tmp_path / "alice.key").stat().st_mode) == 0o600
    assert Identity.load(tmp_path / "alice.key", ask=lambda: PASSPHRASE) == identity
    with pytest.raises(KeyFileError, match="nobody to ask"):
        Identity.load(tmp_path / "alice.key")


def test_a_short_passphrase_leaves_no_file(tmp_path):
    with pytest.raises(KeyFileError, match="too short"):
        generate(tmp_path / "alice.key", passphrase="short")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"AGE-SECRET-KEY-1QQQQ\n",
        b"AGE-SECRET-KEY-PQ-1QQQQ\n",
        b"x" * 70_000,
        Identity(bytes(32)).to_text().encode() * 2,
        (bech32.encode(bytes(31), "age-secret-key-") + "\n").encode(),
        (bech32.encode(bytes(33), "age-secret-key-pq-") + "\n").encode(),
        b"AGE-PLUGIN-YUBIKEY-1QQQQ\n",
    ],
)
def test_what_is_no_key_is_one_clear_error(write, content):
    path = write("x.key", content)
    with pytest.raises(KeyFileError):
        Identity.load(path)
    with pytest.raises(KeyFileError):
        Recipient.load(path)


def test_missing_key_file(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read"):
        Identity.load(tmp_path / "nowhere.key")


def test_signatures_are_bound_to_their_context():
    identity = Identity.fresh()
    signature = identity.sign(b"one", b"message")
    key = identity.recipient.verify_key
    assert signature_fits(key, signature, b"one", b"message")
    assert not signature_fits(key, signature, b"two", b"message")
    assert not signature_fits(key, signature, b"one", b"massage")
    assert not signature_fits(b"short", signature, b"one", b"message")


def test_the_signing_key_is_frozen():
    """Owners are known by it: a change of its derivation would make every release a stranger's."""
    assert (
        Identity(bytes(range(32))).recipient.verify_key.hex()
        == "855c64b6e746a1a81fd759736881008b080ce857be3d410167797005ed074c73"
    )


def test_the_default_identity_is_made_once_and_is_post_quantum():
    with pytest.raises(KeyFileError, match="no key of your own"):
        default_identity(create=False)
    identity, path, made = default_identity()
    assert made
    assert identity.hybrid
    assert default_identity() == (identity, path, False)


@pytest.mark.skipif(which("age") is None, reason="the age program is not installed")
def test_the_age_program_reads_our_keys(tmp_path):
    generate(tmp_path / "alice.key", classical=True)
    (tmp_path / "plain").write_bytes(b"hello")
    subprocess.run(["age", "-R", "alice.pub", "-o", "sealed", "plain"], cwd=tmp_path, check=True)
    out = subprocess.run(["age", "-d", "-i", "alice.key", "sealed"], cwd=tmp_path, check=True, capture_output=True)
    assert out.stdout == b"hello"
    assert Identity.load(tmp_path / "alice.key").unwrap((tmp_path / "sealed").read_bytes()) == b"hello"


def _age_is_hybrid():
    if which("age-keygen") is None:
        return False
    return b"-pq" in subprocess.run(["age-keygen", "--help"], capture_output=True).stderr


@pytest.mark.skipif(not _age_is_hybrid(), reason="age 1.3 or later is not installed")
def test_the_age_program_reads_our_post_quantum_keys(tmp_path):
    identity = generate(tmp_path / "alice.key")
    (tmp_path / "plain").write_bytes(b"hello")
    subprocess.run(["age", "-R", "alice.pub", "-o", "sealed", "plain"], cwd=tmp_path, check=True)
    assert identity.unwrap((tmp_path / "sealed").read_bytes()) == b"hello"
    (tmp_path / "ours").write_bytes(wrap(b"back", identity.recipient))
    out = subprocess.run(["age", "-d", "-i", "alice.key", "ours"], cwd=tmp_path, check=True, capture_output=True)
    assert out.stdout == b"back"


def test_a_key_that_cannot_be_written_leaves_the_former_pair(tmp_path, monkeypatch):
    former = generate(tmp_path / "a.key")

    def full(path, *args, **more):
        if path.suffix == ".key":
            raise MedveilError("no space")
        write_bytes(path, *args, **more)

    monkeypatch.setattr("medveil.keys.identity.write_bytes", full)
    with pytest.raises(MedveilError, match="no space"):
        generate(tmp_path / "a.key", force=True)
    assert Identity.load(tmp_path / "a.key") == former
    assert Recipient.load(tmp_path / "a.pub") == former.recipient
    with pytest.raises(MedveilError, match="no space"):
        generate(tmp_path / "b.key")
    assert not (tmp_path / "b.pub").exists()


class _Killed(BaseException):
    pass


def _killed_before_the_public_file(path, monkeypatch, **how):
    """Make a key, and die between its two files."""

    def writing(path, *args, **more):
        if path.suffix == ".pub":
            raise _Killed
        write_bytes(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr("medveil.keys.identity.write_bytes", writing)
        with pytest.raises(_Killed):
            generate(path, **how)


def test_a_key_of_a_killed_run_gets_its_public_file_again(tmp_path, monkeypatch):
    _killed_before_the_public_file(tmp_path / "a.key", monkeypatch)
    again = with_public_again(tmp_path / "a.key")
    assert Recipient.load(tmp_path / "a.pub") == again.recipient
    assert with_public_again(tmp_path / "a.key") is None  # it is there now
    (tmp_path / "note").write_text("no key")
    assert with_public_again(tmp_path / "note") is None
    assert not (tmp_path / "note.pub").exists()


def test_a_kill_while_a_key_is_replaced_leaves_no_public_file_of_another_key(tmp_path, monkeypatch):
    generate(tmp_path / "a.key")
    _killed_before_the_public_file(tmp_path / "a.key", monkeypatch, force=True)
    assert not (tmp_path / "a.pub").exists()
    assert with_public_again(tmp_path / "a.key") == Identity.load(tmp_path / "a.key")


def test_the_default_identity_mends_what_a_killed_run_left(tmp_path):
    identity, path, _ = default_identity()
    path.with_suffix(".pub").unlink()
    assert default_identity()[0] == identity
    assert Recipient.load(path.with_suffix(".pub")) == identity.recipient
    path.unlink()
    other, _, made = default_identity()
    assert made
    assert Recipient.load(path.with_suffix(".pub")) == other.recipient


def test_a_place_where_no_key_can_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "d.pub").mkdir()
    for path in (tmp_path / "file" / "a.key", tmp_path / f"{'a' * 300}.key", tmp_path / "d.key"):
        with pytest.raises(MedveilError):
            generate(path, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.pub", "file"]
