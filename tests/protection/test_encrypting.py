import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from medveil.errors import IntegrityError
from medveil.protection.encrypting import TAG_BYTES, decrypt, encrypt

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_sections_come_back(plain: bytes, key: bytes, aad: bytes) -> None:
    data = encrypt(plain, key, aad)
    assert len(data) == len(plain) + TAG_BYTES
    assert decrypt(data, key, aad) == plain


def test_it_is_chacha20_poly1305_under_a_key_made_by_hkdf() -> None:
    extracted = hmac.new(bytes(32), KEY, hashlib.sha256).digest()
    key = hmac.new(extracted, b"medveil/v1/aead\x01", hashlib.sha256).digest()
    assert ChaCha20Poly1305(key).decrypt(bytes(12), encrypt(b"plain", KEY, b"aad"), b"aad") == b"plain"


def test_every_flipped_bit_is_refused() -> None:
    data = encrypt(b"plain", KEY, b"aad")
    for bit in range(8 * len(data)):
        flipped = bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(data))
        with pytest.raises(IntegrityError):
            decrypt(flipped, KEY, b"aad")


@pytest.mark.parametrize("data", [b"", b"short", encrypt(b"plain", KEY, b"aad")[:-1], encrypt(b"", KEY, b"aad") * 2])
def test_truncated_and_lengthened_sections_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decrypt(data, KEY, b"aad")


def test_another_key_or_place_is_refused() -> None:
    data = encrypt(b"plain", KEY, b"package 1")
    for key, aad in ((bytes(32), b"package 1"), (KEY, b"package 2"), (KEY, b"")):
        with pytest.raises(IntegrityError):
            decrypt(data, key, aad)
    with pytest.raises(ValueError, match="32 bytes"):
        encrypt(b"plain", b"short", b"")
