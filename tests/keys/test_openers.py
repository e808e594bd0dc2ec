import base64
import importlib.util
import os
import subprocess
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.keys.conftest import PASSPHRASE, certificate_of, pem_of, ssh_of, ssh_public_of

from medveil.errors import KeyFileError, MissingDependencyError
from medveil.keys import openers as openers_module
from medveil.keys.identity import Identity, generate
from medveil.keys.openers import load_identity, load_opener
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.wrapping import wrap

needs_bcrypt = pytest.mark.skipif(importlib.util.find_spec("bcrypt") is None, reason="bcrypt is not installed")


def never():
    raise AssertionError("asked for a passphrase")


def opens(opener, recipient):
    return opener.unwrap(wrap(b"content", recipient)) == b"content"


def test_an_ssh_key_opens_what_its_public_key_was_given(write, ssh_ed25519, rsa_2048):
    for key in (ssh_ed25519, rsa_2048):
        recipient = Recipient.load(write("id.pub", ssh_public_of(key)))
        opener = load_opener(write("id", ssh_of(key)), ask=never)
        assert opener.recipient == recipient
        assert opener.fingerprint == recipient.fingerprint
        assert opens(opener, recipient)


def test_a_certificate_with_its_key_opens(write, rsa_3072):
    recipient = Recipient.load(write("cert.pem", certificate_of(rsa_3072)))
    for both in (pem_of(rsa_3072) + certificate_of(rsa_3072), certificate_of(rsa_3072) + pem_of(rsa_3072)):
        opener = load_opener(write("both.pem", both), ask=never)
        assert opener.recipient == recipient
        assert opens(opener, recipient)


def test_an_expired_certificate_still_opens_what_was_shared_before(write, rsa_3072):
    pem = certificate_of(rsa_3072, days=(-30, -1))
    opener = load_opener(write("both.pem", pem + pem_of(rsa_3072)))
    assert opens(opener, opener.recipient)


def test_passphrases_are_asked_for_where_there_is_one(write, rsa_3072, tmp_path):
    generate(tmp_path / "locked.key", passphrase=PASSPHRASE)
    files = [tmp_path / "locked.key", write("c.pem", pem_of(rsa_3072, PASSPHRASE) + certificate_of(rsa_3072))]
    for path in files:
        opener = load_opener(path, ask=lambda: PASSPHRASE)
        assert opens(opener, opener.recipient)
        with pytest.raises(KeyFileError, match="passphrase") as caught:
            load_opener(path, ask=lambda: "another passphrase").unwrap(b"")
        assert "another passphrase" not in repr(caught.value) + caught.value.hint
        with pytest.raises(KeyFileError, match="nobody to ask"):
            load_opener(path).unwrap(b"")


def test_the_key_of_a_certificate_is_read_where_it_is_used_first(write, rsa_3072, other_rsa_3072):
    """Whether it may be used depends on the release: see docs/adr/0003-vouched-for.md."""
    for pem in (pem_of(rsa_3072, PASSPHRASE), pem_of(other_rsa_3072)):
        opener = load_opener(write("card.pem", pem + certificate_of(rsa_3072)), ask=never)
        assert opener.recipient.wrap is Wrap.CMS_RSA


@needs_bcrypt
def test_an_ssh_key_under_a_passphrase(write, ssh_ed25519, rsa_2048):
    for key in (ssh_ed25519, rsa_2048):
        path = write("id", ssh_of(key, PASSPHRASE))
        opener = load_opener(path, ask=lambda: PASSPHRASE)
        assert opens(opener, opener.recipient)
        with pytest.raises(KeyFileError, match="passphrase is another one"):
            load_opener(path, ask=lambda: "another passphrase")


@needs_bcrypt
def test_without_bcrypt_it_says_so(write, ssh_ed25519, monkeypatch):
    from cryptography.hazmat.primitives.serialization import ssh

    path = write("id", ssh_of(ssh_ed25519, PASSPHRASE))

    def missing(*_args, **_kwargs):
        from cryptography.exceptions import UnsupportedAlgorithm

        raise UnsupportedAlgorithm("Need bcrypt module")

    monkeypatch.setattr(ssh, "_bcrypt_kdf", missing)
    monkeypatch.setattr("medveil.keys.sshkeys._bcrypt_is_there", lambda: False)
    with pytest.raises(MissingDependencyError, match="bcrypt"):
        load_opener(path, ask=lambda: PASSPHRASE)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_secret_files_open_to_others_are_refused(write, ssh_ed25519, rsa_3072):
    contents = [
        Identity(bytes(32)).to_text().encode(),
        ssh_of(ssh_ed25519),
        pem_of(rsa_3072) + certificate_of(rsa_3072),
    ]
    for content in contents:
        for mode in (0o640, 0o604, 0o620):
            with pytest.raises(KeyFileError, match="open to other users"):
                load_opener(write("x", content, mode=mode))


def test_keys_that_cannot_be_used_are_refused(write, ssh_ed25519, rsa_2048, rsa_3072, other_rsa_3072):
    curve = ec.generate_private_key(ec.SECP256R1())
    refused = {
        "no certificate with it": pem_of(rsa_3072),
        "do not belong together": pem_of(other_rsa_3072) + certificate_of(rsa_3072),
        "2048 bits": pem_of(rsa_2048) + certificate_of(rsa_2048),
        "elliptic curve": pem_of(curve) + certificate_of(curve),
        "of this kind": ssh_of(curve),
        "1024 bits": ssh_of(rsa.generate_private_key(65537, 1024)),
        "ssh private key is damaged": ssh_of(ssh_ed25519).replace(b"b3BlbnNzaC1r", b"b3BlbnNzaC1s"),
        "secret key file": b"hello",
        "not text": b"\xff\xfe",
    }
    for match, content in refused.items():
        with pytest.raises(KeyFileError, match=match):
            load_opener(write("x", content), ask=never).unwrap(b"")


def test_only_an_identity_owns_a_release(write, ssh_ed25519, rsa_3072):
    identity = Identity(bytes(range(32)))
    assert load_identity(write("a.key", identity.to_text())) == identity
    for content in (ssh_of(ssh_ed25519), pem_of(rsa_3072) + certificate_of(rsa_3072)):
        with pytest.raises(KeyFileError, match="cannot own a release"):
            load_identity(write("x", content))


def test_no_opener_shows_its_secret(write, ssh_ed25519, rsa_3072):
    body = ssh_of(ssh_ed25519).splitlines()[1].decode()
    assert body not in repr(load_opener(write("a", ssh_of(ssh_ed25519))))
    assert "RSAPrivateKey" not in repr(load_opener(write("b", pem_of(rsa_3072) + certificate_of(rsa_3072))))


def test_every_kind_is_an_opener():
    for kind in (Identity, openers_module.SshOpener, openers_module.CertificateOpener):
        assert {"recipient", "fingerprint", "unwrap"} <= set(dir(kind)) | set(kind.__annotations__)


@pytest.mark.skipif(which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize("kind", [Wrap.SSH_ED25519, Wrap.SSH_RSA])
def test_keys_of_ssh_keygen(tmp_path, kind):
    made = ["ssh-keygen", "-q", "-t", kind.removeprefix("ssh-"), "-N", "", "-f", str(tmp_path / "id")]
    subprocess.run(made, check=True)
    opener = load_opener(tmp_path / "id", ask=never)
    assert opener.recipient.wrap is kind
    assert opens(opener, Recipient.load(tmp_path / "id.pub"))


@needs_bcrypt
@pytest.mark.skipif(which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_a_key_of_ssh_keygen_under_a_passphrase(tmp_path):
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", str(tmp_path / "id")]
    subprocess.run(made, check=True)
    assert opens(load_opener(tmp_path / "id", ask=lambda: PASSPHRASE), Recipient.load(tmp_path / "id.pub"))


@pytest.mark.skipif(which("openssl") is None, reason="openssl is not installed")
def test_a_key_and_certificate_of_openssl(tmp_path):
    asked = "openssl req -x509 -newkey rsa:3072 -nodes -days 2 -subj /CN=Test -keyout key.pem -out cert.pem"
    subprocess.run(asked.split(), cwd=tmp_path, check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    both.chmod(0o600)
    assert opens(load_opener(both), Recipient.load(tmp_path / "cert.pem"))


def test_a_key_that_asks_for_years_of_work_is_refused(write, ssh_ed25519):
    lines = ssh_of(ssh_ed25519, PASSPHRASE).splitlines()
    raw = base64.b64decode(b"".join(lines[1:-1]))
    at = raw.index(b"bcrypt") + len(b"bcrypt") + 4 + 4 + 16  # lengths of the options and of the salt, and the salt
    raw = raw[:at] + (1 << 31).to_bytes(4, "big") + raw[at + 4 :]
    key = write("id_slow", b"\n".join([lines[0], base64.b64encode(raw), lines[-1], b""]))
    with pytest.raises(KeyFileError, match="rounds"):
        load_opener(key, ask=lambda: PASSPHRASE)
