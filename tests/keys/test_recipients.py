import base64
import hashlib
import subprocess
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.keys.conftest import certificate_of, pem_of, ssh_of, ssh_public_of

from medveil.errors import KeyFileError
from medveil.keys import bech32
from medveil.keys.identity import Identity, generate
from medveil.keys.recipients import Recipient, Wrap


@pytest.fixture
def public_files(write, rsa_2048, rsa_3072, ssh_ed25519, tmp_path):
    """One public key file of each kind."""
    generate(tmp_path / "hybrid.key")
    generate(tmp_path / "classical.key", classical=True)
    return {
        Wrap.HYBRID: tmp_path / "hybrid.pub",
        Wrap.X25519: tmp_path / "classical.pub",
        Wrap.SSH_ED25519: write("ed.pub", ssh_public_of(ssh_ed25519)),
        Wrap.SSH_RSA: write("rsa.pub", ssh_public_of(rsa_2048)),
        Wrap.CMS_RSA: write("cert.pem", certificate_of(rsa_3072)),
    }


def test_every_kind_is_told_and_kept(public_files):
    for kind, path in public_files.items():
        recipient = Recipient.load(path)
        assert recipient.wrap is kind
        assert Recipient.parse(recipient.text, recipient.verify_key) == recipient
        assert recipient.digest == hashlib.sha256(recipient.text.encode()).digest()
    assert len({Recipient.load(path).fingerprint for path in public_files.values()}) == len(public_files)


def test_what_a_wrap_is_called_and_withstands():
    assert [kind for kind in Wrap if kind.post_quantum] == [Wrap.HYBRID]
    assert {kind: kind.suffix for kind in Wrap} == {
        Wrap.X25519: ".age",
        Wrap.HYBRID: ".pqage",
        Wrap.SSH_ED25519: ".age",
        Wrap.SSH_RSA: ".age",
        Wrap.CMS_RSA: ".cms",
    }


def test_the_fingerprint_pins_the_verify_key_and_through_it_the_text():
    recipient = Identity(bytes(32)).recipient
    first = base64.b32encode(hashlib.sha256(recipient.verify_key).digest())[:20].decode().lower()
    assert recipient.fingerprint.replace("-", "") == first
    bare = Recipient(recipient.text)
    assert bare.fingerprint.replace("-", "") == base64.b32encode(bare.digest)[:20].decode().lower()


def test_comments_and_spaces_do_not_make_another_recipient(write, ssh_ed25519):
    line = ssh_public_of(ssh_ed25519)
    plain = Recipient.parse(line)
    assert plain.text.count(" ") == 1
    assert Recipient.load(write("a.pub", f"# mine\n\n  {line.replace('alice@hospital', 'other comment')}\n")) == plain


def test_a_changed_public_file_is_noticed(tmp_path):
    generate(tmp_path / "alice.key")
    generate(tmp_path / "mallory.key")
    alice, mallory = (tmp_path / f"{name}.pub" for name in ("alice", "mallory"))
    swapped = alice.read_text().splitlines()[:3] + mallory.read_text().splitlines()[3:]
    alice.write_text("\n".join(swapped) + "\n")
    with pytest.raises(KeyFileError, match="self-signature"):
        Recipient.load(alice)


def test_the_title_line_of_another_key_is_refused_whatever_the_kind(public_files, write):
    title = public_files[Wrap.HYBRID].read_text().splitlines()[0]
    for kind, path in public_files.items():
        own = [line for line in path.read_text().splitlines() if not line.startswith("# medveil")]
        true = Recipient.load(path).fingerprint
        assert Recipient.load(write("own.pub", "\n".join([f"# medveil public key {true}", *own]))).fingerprint == true
        bare = [line for line in own if not line.startswith("#")]  # no verify key: nothing ties the title to the key
        changed = [[title, *bare], [*bare, "#Medveil  public key: aaaa-bbbb"]]
        for lines in changed if kind is Wrap.HYBRID else [[title, *own], *changed]:
            with pytest.raises(KeyFileError, match="names another fingerprint"):
                Recipient.load(write("other.pub", "\n".join(lines)))


@pytest.mark.parametrize("line", [1, 2])
def test_a_verify_key_without_its_signature_is_refused(tmp_path, line):
    generate(tmp_path / "alice.key")
    path = tmp_path / "alice.pub"
    lines = path.read_text().splitlines()
    lines[line] = lines[line].partition(":")[0] + ": AAAA"
    path.write_text("\n".join(lines))
    with pytest.raises(KeyFileError, match="self-signature"):
        Recipient.load(path)


def test_secret_keys_given_by_mistake_are_refused_and_not_shown(write, ssh_ed25519, rsa_3072, tmp_path):
    generate(tmp_path / "locked.key", passphrase="ten characters")
    secrets = [
        write("a", Identity(bytes(32)).to_text()),
        write("b", Identity(bytes(32), hybrid=False).to_text().lower()),
        write("c", ssh_of(ssh_ed25519)),
        write("d", pem_of(rsa_3072) + certificate_of(rsa_3072)),
        write("e", pem_of(rsa_3072, "ten characters")),
        tmp_path / "locked.key",
    ]
    for path in secrets:
        with pytest.raises(KeyFileError, match="this is a secret key file") as caught:
            Recipient.load(path)
        shown = repr(caught.value) + caught.value.hint
        assert not any(line in shown for line in path.read_bytes().decode("latin-1").splitlines() if len(line) > 9)


def test_weak_and_foreign_ssh_keys_are_refused(write):
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.raises(KeyFileError, match="1024 bits; 2048"):
        Recipient.load(write("weak.pub", ssh_public_of(weak)))
    curve = ssh_public_of(ec.generate_private_key(ec.SECP256R1()))
    for text in (curve, "ssh-dss AAAA", "sk-ssh-ed25519@openssh.com AAAA"):
        with pytest.raises(KeyFileError):
            Recipient.load(write("other.pub", text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "age1",
        "age1pq1",
        "age1qqqq",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 ????",
        "ssh-rsa AAAAB3NzaC1yc2E",
        "ssh-rsa " + "A" * 4000,
        "x509:",
        "x509:AAAA",
        "x509:???",
        "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e",
        "age1 é",
    ],
)
def test_what_is_no_public_key_is_one_clear_error(write, text):
    with pytest.raises(KeyFileError):
        Recipient.parse(text)
    with pytest.raises(KeyFileError):
        Recipient.load(write("x.pub", text))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000, b"\x00" * 100, b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_files_that_are_no_key_files(write, content):
    with pytest.raises(KeyFileError):
        Recipient.load(write("x.pub", content))


def test_two_keys_in_a_file_are_refused(write):
    text = "\n".join(Identity(bytes([i]) * 32).recipient.text for i in (1, 2))
    with pytest.raises(KeyFileError, match="holds 2 keys"):
        Recipient.load(write("x.pub", text))


def test_damaged_and_degenerate_age_keys_are_refused():
    good = Identity(bytes(32)).recipient.text
    with pytest.raises(KeyFileError, match="checksum"):
        Recipient.parse(good[:-1] + ("q" if good[-1] != "q" else "p"))
    with pytest.raises(KeyFileError, match="1216 bytes"):
        Recipient.parse(bech32.encode(bytes(100), "age1pq"))
    with pytest.raises(KeyFileError, match="damaged"):
        Recipient.parse(bech32.encode(b"\xff" * 1216, "age1pq"))  # coefficients above q
    for point in (bytes(32), (1).to_bytes(32, "little")):
        with pytest.raises(KeyFileError, match="small order"):
            Recipient.parse(bech32.encode(point, "age"))


def test_a_verify_key_has_32_bytes():
    with pytest.raises(KeyFileError):
        Recipient.parse(Identity(bytes(32)).recipient.text, b"short")


def test_missing_file_and_odd_names(tmp_path):
    for name in ("nowhere.pub", "null\x00.pub"):
        with pytest.raises(KeyFileError, match="cannot be read"):
            Recipient.load(tmp_path / name)
    with pytest.raises(KeyFileError, match="cannot be read"):
        Recipient.load(tmp_path)


@pytest.mark.skipif(which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_ssh_keygen(tmp_path, kind):
    made = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a comment", "-f", str(tmp_path / "id")]
    subprocess.run(made, check=True)
    recipient = Recipient.load(tmp_path / "id.pub")
    assert recipient.wrap == f"ssh-{kind}"
    assert (tmp_path / "id.pub").read_text().startswith(recipient.text + " ")
