import contextlib
import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.keys.conftest import NOW, certificate_of, pem_of

from medveil.errors import KeyFileError
from medveil.keys import certificates
from medveil.keys.recipients import Recipient


def test_a_certificate_is_a_recipient(write, rsa_3072):
    recipient = Recipient.load(write("a.pem", certificate_of(rsa_3072)))
    assert recipient.text.startswith("x509:MII")
    assert recipient.verify_key == b""


def test_text_around_the_block_changes_nothing(write, rsa_3072):
    pem = certificate_of(rsa_3072)
    assert Recipient.load(write("a.pem", b"subject=CN = Dr Test\n\n" + pem)) == Recipient.load(write("b.pem", pem))


@pytest.mark.parametrize(("days", "match"), [((-30, -1), "expired on"), ((1, 30), "not valid before")])
def test_dates_are_looked_at_when_a_file_is_named(write, rsa_3072, days, match):
    pem = certificate_of(rsa_3072, days=days)
    with pytest.raises(KeyFileError, match=match):
        Recipient.load(write("a.pem", pem))
    text = certificates.text_of(certificates.of_pem(pem))
    assert Recipient.parse(text).text == text  # what stands in an owner's book stays readable


def test_the_day_can_be_given(rsa_3072):
    pem = certificate_of(rsa_3072, days=(-30, -1))
    assert certificates.text_of_pem(pem, today=NOW - datetime.timedelta(days=2)).startswith("x509:")


def test_short_and_other_keys_are_refused(write, rsa_2048):
    refused = {
        "2048 bits; RSA keys of 3072": rsa_2048,
        "elliptic curve": ec.generate_private_key(ec.SECP384R1()),
        "another kind": ed25519.Ed25519PrivateKey.generate(),
    }
    for match, key in refused.items():
        with pytest.raises(KeyFileError, match=match):
            Recipient.load(write("a.pem", certificate_of(key)))


def test_a_certificate_for_signing_only_is_refused(write, rsa_3072):
    with pytest.raises(KeyFileError, match="keyEncipherment"):
        Recipient.load(write("a.pem", certificate_of(rsa_3072, usage={"digital_signature": True})))
    Recipient.load(write("b.pem", certificate_of(rsa_3072, usage={"key_encipherment": True})))


def test_a_chain_is_refused(write, rsa_3072):
    with pytest.raises(KeyFileError, match="holds 2 certificates"):
        Recipient.load(write("a.pem", certificate_of(rsa_3072) * 2))


def test_damage_is_one_clear_error(write, rsa_3072):
    pem = certificate_of(rsa_3072)
    for damaged in (pem[:300], pem.replace(b"M", b"N", 1), pem.replace(b"-----END", b"-----FIN")):
        with pytest.raises(KeyFileError):
            Recipient.load(write("a.pem", damaged))


def test_the_private_key_belongs_to_the_certificate(rsa_3072, other_rsa_3072):
    certificate = certificates.of_pem(certificate_of(rsa_3072))
    assert isinstance(certificates.private_key_of_pem(pem_of(rsa_3072), certificate, str), rsa.RSAPrivateKey)
    with pytest.raises(KeyFileError, match="do not belong together"):
        certificates.private_key_of_pem(pem_of(other_rsa_3072), certificate, str)


def test_the_same_issuer_and_serial_number_with_another_key_opens_nothing(rsa_3072, other_rsa_3072):
    mine, other = (certificates.of_pem(certificate_of(key)) for key in (rsa_3072, other_rsa_3072))
    file = certificates.seal(b"content of some length", certificates.text_of(other))
    with contextlib.suppress(ValueError):
        assert certificates.open_(file, mine, rsa_3072) != b"content of some length"
