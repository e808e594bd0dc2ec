import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.age_testkit import names, vector

from medveil.errors import MissingDependencyError
from medveil.keys import bech32, hybrid

SECRET = bytes(range(32))
PUBLIC = hybrid.public_bytes_of(SECRET)

# The identity and the recipient in the specification, https://c2sp.org/age; the recipient as SHA-256.
SPECIFIED_SECRET = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
SPECIFIED_RECIPIENT = "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea"
# The key pair in age's own cmd/age/testdata/hybrid.txt.
AGE_SECRET = "AGE-SECRET-KEY-PQ-16XDSLZ3XCSZ3236YJ5J0T9NAPLZTP96LJKQCVHJYUDTQVJR5J5PQTDPQCX"
AGE_RECIPIENT = "d41cb81cf6b9a2c10a03a72ac63893a57667341760b8ecf00ccb3f0b0ca81853"


@pytest.mark.parametrize(
    ("secret", "recipient"), [(SPECIFIED_SECRET, SPECIFIED_RECIPIENT), (AGE_SECRET, AGE_RECIPIENT)]
)
def test_public_keys_are_those_of_age(secret, recipient):
    raw = hybrid.public_bytes_of(bech32.decode(secret, hybrid.SECRET_PREFIX))
    text = bech32.encode(raw, hybrid.RECIPIENT_PREFIX)
    assert text.startswith("age1pq1")
    assert hashlib.sha256(text.encode()).hexdigest() == recipient


@pytest.mark.parametrize("name", names("hybrid"))
def test_the_age_testkit(name):
    known = vector(name)
    secret = bech32.decode(known.identities[-1], hybrid.SECRET_PREFIX)
    if known.expect == "success" and known.has_one_stanza:
        assert hashlib.sha256(hybrid.open_(known.data, secret)).hexdigest() == known.payload
    else:
        with pytest.raises(ValueError):
            hybrid.open_(known.data, secret)


def test_the_testkit_is_there():
    assert {"hybrid", "hybrid_and_x25519", "hybrid_low_order"} <= set(names("hybrid"))


@given(st.binary(max_size=2000), st.binary(min_size=32, max_size=32))
@settings(max_examples=20, deadline=None)
def test_round_trip(data, secret):
    assert hybrid.open_(hybrid.seal(data, hybrid.public_bytes_of(secret)), secret) == data


def test_no_two_files_are_alike():
    one, other = hybrid.seal(b"same", PUBLIC), hybrid.seal(b"same", PUBLIC)
    assert len(one) == len(other) == 1663
    assert one[:200] != other[:200]


def test_another_key_opens_nothing():
    with pytest.raises(ValueError, match="another key"):
        hybrid.open_(hybrid.seal(b"content", PUBLIC), bytes(32))


def test_every_truncation_is_noticed():
    file = hybrid.seal(b"content", PUBLIC)
    for length in range(len(file)):
        with pytest.raises(ValueError):
            hybrid.open_(file[:length], SECRET)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_one_flipped_bit_anywhere_is_noticed(draw):
    file = bytearray(hybrid.seal(b"content", PUBLIC))
    place = draw.draw(st.integers(0, 8 * len(file) - 1))
    file[place // 8] ^= 1 << place % 8
    with pytest.raises(ValueError):
        hybrid.open_(bytes(file), SECRET)


@pytest.mark.parametrize("raw", [b"", bytes(1215), bytes(1217), b"\xff" * 1216, PUBLIC[:-1]])
def test_what_is_no_public_key_is_refused(raw):
    with pytest.raises(ValueError):
        hybrid.public_key(raw)


def test_without_mlkem_it_says_so(monkeypatch):
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

    def unsupported(_):
        raise UnsupportedAlgorithm("ML-KEM-768 is not supported by this backend.")

    monkeypatch.setattr(MLKEM768PrivateKey, "from_seed_bytes", unsupported)
    with pytest.raises(MissingDependencyError, match="ML-KEM"):
        hybrid.public_bytes_of(SECRET)
