import pytest
from hypothesis import given
from hypothesis import strategies as st

from medveil.keys import bech32


@given(st.binary(max_size=100), st.sampled_from(["age", "age1pq", "age-secret-key-", "AGE-SECRET-KEY-PQ-"]))
def test_round_trip(payload, prefix):
    text = bech32.encode(payload, prefix)
    assert text == text.lower()
    assert bech32.decode(text, prefix) == bech32.decode(text.upper(), prefix) == payload


# Valid and invalid strings of BIP 173.
@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("A12UEL5L", "a"),
        ("an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
         "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio"),
    ],
)  # fmt: skip
def test_valid_strings_of_the_standard(text, prefix):
    assert bech32.decode(text, prefix) == b""


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("x1b4n0q5v", "x"), ("li1dgmt3", "li"), ("A1G7SGD8", "a"), ("a12uel5m", "a"), ("A12uEL5L", "a")],
)
def test_invalid_strings_of_the_standard(text, prefix):
    with pytest.raises(ValueError):
        bech32.decode(text, prefix)


def test_the_age_library_writes_the_same():
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from pyrage import x25519

    identity = x25519.Identity.generate()
    secret = bech32.decode(str(identity), "age-secret-key-")
    assert bech32.encode(secret, "age-secret-key-").upper() == str(identity)
    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    assert bech32.encode(public, "age") == str(identity.to_public())


@given(st.binary(min_size=1, max_size=60), st.data())
def test_one_changed_character_is_noticed(payload, draw):
    text = bech32.encode(payload, "age")
    place = draw.draw(st.integers(4, len(text) - 1))
    other = draw.draw(st.sampled_from([c for c in "qpzry9x8gf2tvdw0s3jn54khce6mua7l" if c != text[place]]))
    with pytest.raises(ValueError):
        bech32.decode(text[:place] + other + text[place + 1 :], "age")


def test_padding_has_one_spelling():
    """The same bytes with a bit set in the padding, or a whole group too many, under a fitting checksum."""
    for padded in ([0, 1], [0, 0, 0]):
        check = bech32._polymod(bech32._expanded("age") + padded + [0] * 6) ^ 1
        tail = padded + [check >> 5 * (5 - i) & 31 for i in range(6)]
        with pytest.raises(ValueError, match="padding"):
            bech32.decode("age1" + "".join(bech32._CHARSET[value] for value in tail), "age")
