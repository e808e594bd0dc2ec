import contextlib
import os
import subprocess
from shutil import which

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.keys.conftest import certificate_of, pem_of, ssh_of

from medveil.errors import KeyFileError, MedveilError, NoFittingKeyError
from medveil.keys.identity import Identity
from medveil.keys.openers import load_opener
from medveil.keys.recipients import Recipient, Wrap
from medveil.keys.wrapping import MAX_WRAPPED_BYTES, opened, wrap

AUTHENTICATED = [Wrap.X25519, Wrap.HYBRID, Wrap.SSH_ED25519, Wrap.SSH_RSA]
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def openers(tmp_path_factory, rsa_2048, rsa_3072, ssh_ed25519):
    """One opener of each kind."""
    folder = tmp_path_factory.mktemp("openers")

    def loaded(name, content):
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return load_opener(path)

    return {
        Wrap.X25519: Identity(bytes(range(32)), hybrid=False),
        Wrap.HYBRID: Identity(bytes(range(32))),
        Wrap.SSH_ED25519: loaded("ed", ssh_of(ssh_ed25519)),
        Wrap.SSH_RSA: loaded("rsa", ssh_of(rsa_2048)),
        Wrap.CMS_RSA: loaded("cert", pem_of(rsa_3072) + certificate_of(rsa_3072)),
    }


@pytest.mark.parametrize("kind", list(Wrap))
@given(data=st.binary(max_size=1000))
@FEW
def test_round_trip(openers, kind, data):
    opener = openers[kind]
    assert opener.recipient.wrap is kind
    assert opener.unwrap(wrap(data, opener.recipient)) == data


@pytest.mark.parametrize("kind", list(Wrap))
def test_a_long_content_goes_through(openers, kind):
    data = os.urandom(200_000)
    assert openers[kind].unwrap(wrap(data, openers[kind].recipient), limit=1 << 20) == data


@pytest.mark.parametrize("kind", AUTHENTICATED)
@given(place=st.integers(0, 1 << 20))
@FEW
def test_one_flipped_bit_anywhere_is_refused(openers, kind, place):
    file = bytearray(wrap(b"keys of a release", openers[kind].recipient))
    file[place // 8 % len(file)] ^= 1 << place % 8  # age files have random lengths: pyrage adds a stanza of nothing
    with pytest.raises(NoFittingKeyError):
        openers[kind].unwrap(bytes(file))


@given(place=st.integers(0, 1 << 20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cms_alone_gives_no_foreign_error(openers, place):
    """CMS authenticates nothing: what a changed file gives is an error or other bytes. The signed digest settles it."""
    opener = openers[Wrap.CMS_RSA]
    file = bytearray(wrap(b"keys of a release", opener.recipient))
    file[place // 8 % len(file)] ^= 1 << place % 8
    with contextlib.suppress(NoFittingKeyError):
        opener.unwrap(bytes(file))


@pytest.mark.parametrize("kind", list(Wrap))
def test_truncations_are_refused(openers, kind):
    file = wrap(b"keys of a release", openers[kind].recipient)
    step = 7 if kind is Wrap.SSH_RSA else 1
    for length in range(0, len(file), step):
        with pytest.raises(NoFittingKeyError):
            openers[kind].unwrap(file[:length])


@pytest.mark.parametrize("opener_kind", list(Wrap))
def test_every_failure_has_one_text(openers, opener_kind):
    opener = openers[opener_kind]
    own = wrap(b"content", opener.recipient)
    foreign = [wrap(b"content", other.recipient) for kind, other in openers.items() if kind is not opener_kind]
    stranger = Identity.fresh(classical=True), Identity.fresh()
    files = [
        *foreign,
        *(wrap(b"content", identity.recipient) for identity in stranger),
        b"",
        b"hello",
        own[:-1],
        own[: len(own) // 2],
        bytes(len(own)),
        bytes(MAX_WRAPPED_BYTES + 1),
        os.urandom(2000),
    ]
    texts = set()
    for file in files:
        with pytest.raises(MedveilError) as caught:
            opener.unwrap(file)
        assert type(caught.value) is NoFittingKeyError
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None  # what happened inside is not even kept
        texts.add((caught.value.message, caught.value.hint))
    assert len(texts) == 1


def test_a_file_over_the_limit_is_not_tried(openers):
    opener = openers[Wrap.HYBRID]
    file = wrap(b"content", opener.recipient)
    assert opener.unwrap(file, limit=len(file)) == b"content"
    with pytest.raises(NoFittingKeyError):
        opener.unwrap(file, limit=len(file) - 1)


def test_an_interrupt_is_no_failure():
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(b"", interrupted, "name", 10)


@pytest.mark.skipif(which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_a_cms_file(openers, tmp_path, rsa_3072):
    (tmp_path / "wrapped").write_bytes(wrap(b"line\n\r\nkeys \x00\xff", openers[Wrap.CMS_RSA].recipient))
    (tmp_path / "both.pem").write_bytes(pem_of(rsa_3072) + certificate_of(rsa_3072))
    asked = "openssl cms -decrypt -inform DER -binary -in wrapped -recip both.pem -inkey both.pem"
    done = subprocess.run(asked.split(), cwd=tmp_path, check=True, capture_output=True)
    assert done.stdout == b"line\n\r\nkeys \x00\xff"
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", "wrapped"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert b"aes-256-cbc" in shown.stdout


@pytest.mark.skipif(which("openssl") is None, reason="openssl is not installed")
def test_a_cms_file_of_openssl_opens(openers, tmp_path, rsa_3072):
    (tmp_path / "cert.pem").write_bytes(certificate_of(rsa_3072))
    (tmp_path / "plain").write_bytes(b"content")
    asked = "openssl cms -encrypt -binary -aes-256-cbc -outform DER -in plain -out wrapped cert.pem"
    subprocess.run(asked.split(), cwd=tmp_path, check=True, capture_output=True)
    assert openers[Wrap.CMS_RSA].unwrap((tmp_path / "wrapped").read_bytes()) == b"content"


@pytest.mark.skipif(which("age") is None, reason="the age program is not installed")
def test_the_age_program_reads_classical_files(tmp_path):
    identity = Identity.fresh(classical=True)
    (tmp_path / "key").write_text(identity.to_text())
    (tmp_path / "wrapped").write_bytes(wrap(b"content", identity.recipient))
    done = subprocess.run(["age", "-d", "-i", "key", "wrapped"], cwd=tmp_path, check=True, capture_output=True)
    assert done.stdout == b"content"


@pytest.mark.parametrize(
    "text", ["age1pq1qqqq", "age1pq1", "age1qqqq", "age1", "x509:AAAA", "x509:!", "ssh-ed25519 AAAA"]
)
def test_nothing_is_wrapped_for_a_damaged_public_text(text):
    with pytest.raises(KeyFileError):
        wrap(b"content", Recipient(text))
