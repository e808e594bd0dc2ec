import os
import stat
import subprocess
from shutil import which

import pytest

from medveil.errors import KeyFileError, TargetExistsError
from medveil.keys import bech32
from medveil.keys.identity import Identity, Recipient, generate, signature_fits


def test_keygen_writes_a_private_and_a_public_file(tmp_path):
    identity = generate(tmp_path / "alice.key")
    assert stat.S_IMODE((tmp_path / "alice.key").stat().st_mode) == 0o600
    assert Identity.load(tmp_path / "alice.key") == identity
    assert Recipient.load(tmp_path / "alice.pub") == identity.recipient
    assert len(identity.recipient.verify_key) == 32


def test_the_secret_shows_in_no_repr(tmp_path):
    identity = generate(tmp_path / "alice.key")
    assert identity.age_secret not in repr(identity)
    assert repr(identity.secret) not in repr(identity)


def test_keygen_replaces_nothing(tmp_path):
    identity = generate(tmp_path / "alice.key")
    with pytest.raises(TargetExistsError):
        generate(tmp_path / "alice.key")
    (tmp_path / "alice.key").unlink()
    with pytest.raises(TargetExistsError):  # the public file alone is reason enough
        generate(tmp_path / "alice.key")
    assert generate(tmp_path / "alice.key", force=True) != identity


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_secret_key_open_to_others_is_refused(tmp_path):
    generate(tmp_path / "alice.key")
    (tmp_path / "alice.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="open to other users"):
        Identity.load(tmp_path / "alice.key")


def test_a_changed_public_file_is_noticed(tmp_path):
    generate(tmp_path / "alice.key")
    generate(tmp_path / "mallory.key")
    alice, mallory = (tmp_path / f"{name}.pub" for name in ("alice", "mallory"))
    swapped = alice.read_text().splitlines()[:3] + mallory.read_text().splitlines()[3:]
    alice.write_text("\n".join(swapped) + "\n")
    with pytest.raises(KeyFileError, match="self-signature"):
        Recipient.load(alice)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"AGE-SECRET-KEY-1QQQQ\n", b"x" * 70_000])
def test_what_is_no_key_is_one_clear_error(tmp_path, content):
    path = tmp_path / "x.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        Identity.load(path)
    with pytest.raises(KeyFileError):
        Recipient.load(path)


def test_missing_key_file(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read"):
        Identity.load(tmp_path / "nowhere.key")


def test_signatures_are_bound_to_their_context(tmp_path):
    identity = generate(tmp_path / "a.key")
    signature = identity.sign(b"one", b"message")
    key = identity.recipient.verify_key
    assert signature_fits(key, signature, b"one", b"message")
    assert not signature_fits(key, signature, b"two", b"message")
    assert not signature_fits(key, signature, b"one", b"massage")


def test_bech32_matches_the_age_library():
    from pyrage import x25519

    identity = x25519.Identity.generate()
    secret = bech32.decode(str(identity), "age-secret-key-")
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    assert public == bech32.decode(str(identity.to_public()), "age")


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: t[:-1] + ("q" if t[-1] != "q" else "p"), str.title])
def test_bech32_refuses_damage(damage):
    from pyrage import x25519

    text = str(x25519.Identity.generate().to_public())
    with pytest.raises(ValueError):
        bech32.decode(damage(text), "age")


@pytest.mark.skipif(which("age") is None, reason="the age program is not installed")
def test_the_age_program_reads_our_keys(tmp_path):
    generate(tmp_path / "alice.key")
    (tmp_path / "plain").write_bytes(b"hello")
    subprocess.run(["age", "-R", "alice.pub", "-o", "sealed", "plain"], cwd=tmp_path, check=True)
    out = subprocess.run(["age", "-d", "-i", "alice.key", "sealed"], cwd=tmp_path, check=True, capture_output=True)
    assert out.stdout == b"hello"
